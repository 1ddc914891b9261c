"""Conditions of a criterion, as written ("< 100 ms", "== plan records", "950..1050 records/s") and as intervals.

Both conditions of a criterion state what is wanted for a verdict, so that NaN satisfies neither. They are intervals in
the measure's base unit: whether GO and NOGO overlap is then arithmetic, not opinion.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from scenarios.units import LONGEST_TEXT, UNITS, shown

_COMPARISON = re.compile(r"\s*(?P<op><=|>=|==|<|>)\s*(?P<number>plan|[0-9][0-9_.]*)\s*(?P<unit>[^\s0-9]*)\s*")
_RANGE = re.compile(r"\s*(?P<low>[0-9][0-9_.]*)\s*\.\.\s*(?P<high>[0-9][0-9_.]*)\s*(?P<unit>[^\s0-9]*)\s*")
_BASELINE = re.compile(
    r"\s*(?P<op><=|>=|<|>)\s*baseline\s*\+\s*max\(\s*(?P<percent>[0-9][0-9_.]*)\s*%\s*,"
    r"\s*(?P<least>[0-9][0-9_.]*)\s*(?P<unit>[^\s0-9)]*)\s*\)\s*"
)
NEVER = "never"
#: What is above it is beyond what any measure can be, whatever its unit.
LARGEST = 1e18
#: The dimension of a condition that no value meets.
NO_DIMENSION = ""
_EXAMPLE = '"< 100 ms", ">= 99 %", "== 0 records", "== plan records", "950..1050 records/s", '
_EXAMPLE += '"<= baseline + max(50 %, 20 ms)" or, for nogo, "never"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The values of a condition, in the measure's base unit."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = True
    high_open: bool = True

    def holds(self, value: float) -> bool:
        """Whether `value` lies inside; never for NaN."""
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    def overlaps(self, other: Interval) -> bool:
        """Whether some number lies in both."""
        low = max(self.low, other.low)
        high = min(self.high, other.high)
        if low < high:
            return True
        return low == high and self.holds(low) and other.holds(low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slack:
    """How far a value may be from a baseline: `percent` of it, and `least` (in `unit`) where that is more.

    A share alone would make much of nothing where the baseline is near 0, and a fixed slack of any change where it is
    large: so a value is worse only when it is worse by both.
    """

    percent: float
    least: float
    unit: str

    def limit(self, baseline: float, *, unit: str) -> float:
        """The limit, in `unit`, from a baseline in `unit`."""
        return baseline + max(abs(baseline) * self.percent / 100, self._least(unit))

    def takes_over_at(self, *, unit: str) -> float:
        """The baseline from which on the share is more than the fixed slack."""
        return self._least(unit) / self.percent * 100 if self.percent else 0.0

    def _least(self, unit: str) -> float:
        return float(f"{self.least * UNITS[self.unit][1] / UNITS[unit][1]:.12g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A parsed condition. `text` is what the author wrote; `op` is a comparison, ".." with both bounds, or "never".

    With a `slack`, the number is not in the text: it is a baseline's value, and the slack.
    """

    text: str
    op: str
    unit: str
    number: float | None  # None is `plan`: the records that the run's plan adds up to
    high: float = math.nan
    slack: Slack | None = None

    @property
    def dimension(self) -> str:
        return NO_DIMENSION if self.op == NEVER else UNITS[self.unit][0]

    def limit(self, *, unit: str, plan_records: int, baseline: float = math.nan) -> float:
        """The number that a value is compared with, in `unit` (of the same dimension); of a range the lower one."""
        if self.slack is not None:
            return self.slack.limit(baseline, unit=unit)
        if self.number is None:
            return float(plan_records)
        return self._in(unit, self.number)

    def _in(self, unit: str, number: float) -> float:
        # Rounding to 12 digits undoes the binary noise of the factor: 5 s must be 5000 ms.
        return float(f"{number * UNITS[self.unit][1] / UNITS[unit][1]:.12g}")

    def interval(self, *, unit: str, plan_records: int, baseline: float = math.nan) -> Interval:
        """The condition's values in `unit` (of the same dimension). `baseline`, in `unit`, where it has a slack."""
        if self.op == NEVER:
            return Interval(low=math.inf, high=-math.inf)
        value = self.limit(unit=unit, plan_records=plan_records, baseline=baseline)
        high = self._in(unit, self.high) if self.op == ".." else value
        intervals = {
            "<": Interval(high=value),
            "<=": Interval(high=value, high_open=False),
            ">": Interval(low=value),
            ">=": Interval(low=value, low_open=False),
        }
        return intervals.get(self.op, Interval(low=value, high=high, low_open=False, high_open=False))


def parse_condition(text: object) -> Condition:
    """The condition; ValueError says how to write one."""
    if not isinstance(text, str):
        raise ValueError(f"not a condition: {text!r}; write {_EXAMPLE}")  # noqa: TRY004 - pydantic wants ValueError
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"not a condition: {shown(text)}; write {_EXAMPLE}")
    if text.strip() == NEVER:
        return Condition(text=NEVER, op=NEVER, unit="", number=math.nan)
    if match := _BASELINE.fullmatch(text):
        slack = Slack(percent=_number(match["percent"], text), least=_number(match["least"], text), unit=match["unit"])
        condition = Condition(text=text.strip(), op=match["op"], unit=match["unit"], number=math.nan, slack=slack)
    elif match := _COMPARISON.fullmatch(text):
        number = None if match["number"] == "plan" else _number(match["number"], text)
        condition = Condition(text=text.strip(), op=match["op"], unit=match["unit"], number=number)
    elif match := _RANGE.fullmatch(text):
        low, high = _number(match["low"], text), _number(match["high"], text)
        if low >= high:
            raise ValueError(f"empty range: {text!r}")
        condition = Condition(text=text.strip(), op="..", unit=match["unit"], number=low, high=high)
    else:
        raise ValueError(f"not a condition: {text!r}; write {_EXAMPLE}")
    if condition.unit not in UNITS:
        what = f"unknown unit {condition.unit!r}" if condition.unit else "no unit"
        raise ValueError(f"{text!r} has {what}; write {_EXAMPLE}")
    if condition.number is None and condition.unit != "records":
        raise ValueError(f"{text!r}: plan counts records; write '{condition.op} plan records'")
    return condition


def _number(digits: str, text: str) -> float:
    try:
        number = float(digits.replace("_", ""))
    except ValueError:
        raise ValueError(f"not a number: {digits!r} in {text!r}") from None
    if number > LARGEST:
        raise ValueError(f"{text!r} compares with more than any measure can be")
    return number
