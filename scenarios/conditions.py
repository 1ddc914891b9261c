"""Conditions of a criterion, as written ("< 100 ms", "== plan records", "950..1050 records/s") and as intervals.

Both conditions of a criterion state what is wanted for a verdict, so that NaN satisfies neither. They are intervals in
the measure's base unit: whether GO and NOGO overlap is then arithmetic, not opinion.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from scenarios.units import UNITS

_COMPARISON = re.compile(r"\s*(?P<op><=|>=|==|<|>)\s*(?P<number>plan|[0-9][0-9_.]*)\s*(?P<unit>[^\s0-9]*)\s*")
_RANGE = re.compile(r"\s*(?P<low>[0-9][0-9_.]*)\s*\.\.\s*(?P<high>[0-9][0-9_.]*)\s*(?P<unit>[^\s0-9]*)\s*")
_EXAMPLE = '"< 100 ms", ">= 99 %", "== 0 records", "== plan records" or "950..1050 records/s"'


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
class Condition:
    """A parsed condition. `text` is what the author wrote; `op` is a comparison, or ".." with both bounds."""

    text: str
    op: str
    unit: str
    number: float | None  # None is `plan`: the records that the run's plan adds up to
    high: float = math.nan

    @property
    def dimension(self) -> str:
        return UNITS[self.unit][0]

    def interval(self, *, unit: str, plan_records: int) -> Interval:
        """The condition's values in `unit` (of the same dimension)."""
        factor = UNITS[self.unit][1] / UNITS[unit][1]
        # Rounding to 12 digits undoes the binary noise of the factor: 5 s must be 5000 ms.
        value = float(plan_records) if self.number is None else float(f"{self.number * factor:.12g}")
        match self.op:
            case "<":
                return Interval(high=value)
            case "<=":
                return Interval(high=value, high_open=False)
            case ">":
                return Interval(low=value)
            case ">=":
                return Interval(low=value, low_open=False)
            case "==":
                return Interval(low=value, high=value, low_open=False, high_open=False)
            case _:
                high = float(f"{self.high * factor:.12g}")
                return Interval(low=value, high=high, low_open=False, high_open=False)


def parse_condition(text: object) -> Condition:
    """The condition; ValueError says how to write one."""
    if not isinstance(text, str):
        raise ValueError(f"not a condition: {text!r}; write {_EXAMPLE}")  # noqa: TRY004 - pydantic wants ValueError
    if match := _COMPARISON.fullmatch(text):
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
        return float(digits.replace("_", ""))
    except ValueError:
        raise ValueError(f"not a number: {digits!r} in {text!r}") from None
