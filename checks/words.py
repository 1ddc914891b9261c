"""One language's words and numbers: a catalogue in YAML, and how figures are written in it.

The catalogue's own sentences are Markdown; every figure put into them is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Literal

from checks.consistency.equations import Contradiction
from checks.markdown import Md, code, escape
from checks.reasons import Param, Reason
from checks.verdict import Verdict
from scenarios.conditions import Condition
from scenarios.errors import Problem, SpecError
from scenarios.yaml_file import StrictModel, parse

TEMPLATES = resources.files("report_templates")
NS_PER_S = 1e9
#: Figure of a sentence → the figure beside it that it was judged by.
JUDGED_BY: Mapping[str, str] = {
    "percent": "wanted",
    "offset_s": "tolerance_s",
    "lasted_s": "wanted_s",
    "mm2_ms": "ours_ms",
}


def languages() -> tuple[str, ...]:
    """Languages with a catalogue."""
    return tuple(sorted(entry.name for entry in TEMPLATES.iterdir() if (entry / "words.yaml").is_file()))


class NumberWords(StrictModel):
    """How numbers are written, and around which characters a language wants no-break spaces."""

    decimal: str
    thousands: str
    singular: Literal["below_two", "only_one"]
    space_before: str
    space_after: str


class DiagnosisWords(StrictModel):
    """One row of the diagnosis."""

    symptom: str
    cause: str
    figures: str
    action: str


class OptimisationWords(StrictModel):
    """One row of the optimisation section: a side of the chain, and what to do there, most urgent first."""

    side: str
    symptom: str
    figures: str
    actions: dict[Literal["P0", "P1", "P2"], tuple[str, ...]]


class Catalogue(StrictModel):
    """The whole of a words.yaml."""

    numbers: NumberWords
    verdicts: dict[str, str]
    operators: dict[str, str]
    counts: tuple[str, ...]
    units: dict[str, tuple[str, str]]
    phrases: dict[str, str]
    groups: dict[str, str]
    phase_kinds: dict[str, str]
    endings: dict[str, str]
    measures: dict[str, str]
    reasons: dict[str, str]
    contradictions: dict[str, str]
    diagnosis: dict[str, DiagnosisWords]
    steps: dict[str, str]
    optimisation: dict[str, OptimisationWords]
    optimisation_signs: dict[str, str]


def span_text(seconds: float) -> str:
    """A stretch of load time as the runbook writes it: 5 min, 24 h, 90 s."""
    for unit, length_s in (("h", 3600), ("min", 60)):
        if seconds >= length_s and seconds % length_s == 0:
            return f"{seconds / length_s:g}\u00a0{unit}"
    return f"{seconds:g}\u00a0s" if seconds else "0"


@cache
def _catalogue(language: str) -> Catalogue:
    if language not in languages():
        message = f"no reports in this language; there are {', '.join(languages())}"
        raise SpecError([Problem(file=f"--lang {language}", key="", message=message)])
    text = (TEMPLATES / language / "words.yaml").read_text(encoding="utf-8")
    return parse(text, Catalogue, file=f"report_templates/{language}/words.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A language's catalogue, and what is said with it."""

    language: str
    catalogue: Catalogue

    @classmethod
    def load(cls, language: str) -> Words:
        """SpecError when there is no such language."""
        return cls(language=language, catalogue=_catalogue(language))

    # Numbers.

    def number(self, value: float, *, below: float | None = None, limits: Iterable[float] = ()) -> str:
        """A number with four significant digits: 0,004 · 22,29 · 116,4 · 1 234 568.

        Rounding never lifts it to `below`: 99,9996 % is not 100 %. Nor does it move it to one of the `limits` that it
        is judged by, or across: where four digits would, more are shown, so what is above 5000 ms looks so too.
        """
        if not math.isfinite(value):
            return "∞" if value > 0 else "−∞" if value < 0 else "NaN"
        whole_digits = len(str(int(abs(value)))) if abs(value) >= 1 else 0
        decimals = 0 if value == int(value) else max(4 - whole_digits, 0)
        while below is not None and value < below <= round(value, decimals) and decimals < 9:
            decimals += 1
        sides = [(limit, side(value, limit)) for limit in limits]
        while any(side(round(value, decimals), limit) != true_side for limit, true_side in sides):
            decimals += 1
        text = f"{value:,.{decimals}f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        marks = {",": self.catalogue.numbers.thousands, ".": self.catalogue.numbers.decimal, "-": "−"}
        return "".join(marks.get(character, character) for character in text)

    def quantity(self, value: float, unit: str, *, limits: Iterable[float] = ()) -> str:
        """A number and its unit, joined by a no-break space; `limits` as for a number."""
        one, many = self.catalogue.units.get(unit, (unit, unit))
        singular = abs(value) < 2 if self.catalogue.numbers.singular == "below_two" else value == 1
        word = one if singular else many
        return f"{self.number(value, below=100.0 if unit == '%' else None, limits=limits)}\u00a0{word}"

    def measured(self, value: float, unit: str, *, limits: Iterable[float] = ()) -> str:
        """A measured value: counts without a word, since what is counted is the measure's title. `limits`: what it is
        judged by, in its unit."""
        if unit in self.catalogue.counts:
            return self.number(value, limits=limits)
        return self.quantity(value, unit, limits=limits)

    def condition(self, condition: Condition, *, planned: int) -> str:
        """A condition in words, `plan` as the number that it stands for. No digit that its author wrote is left out."""
        number = float(planned) if condition.number is None else condition.number
        form = self.catalogue.operators[condition.op]
        if condition.slack is not None:
            slack = condition.slack
            percent = Md(self.quantity(slack.percent, "%", limits=(slack.percent,)))
            least = Md(self.quantity(slack.least, slack.unit, limits=(slack.least,)))
            return form.format(low=self.phrase("baseline_limit", percent=percent, least=least))
        if condition.op == "..":
            high = self.measured(condition.high, condition.unit, limits=(condition.high,))
            return form.format(low=self.number(number, limits=(number,)), high=high)
        return form.format(low=self.measured(number, condition.unit, limits=(number,)))

    @staticmethod
    def instant(unix_s: float) -> str:
        """UTC to the second, and said so: no report depends on where it was made."""
        return datetime.fromtimestamp(int(unix_s), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

    # Words.

    def verdict(self, verdict: Verdict) -> str:
        """The word of a verdict."""
        return self.catalogue.verdicts[verdict.value]

    def phrase(self, name: str, **params: Param | str) -> Md:
        """A fixed phrase."""
        return self.fill(self.catalogue.phrases[name], params)

    def of(self, kind: Literal["measures", "phase_kinds", "endings", "groups"], name: str) -> str:
        """A word of a list; the name itself when there is none."""
        words: dict[str, str] = getattr(self.catalogue, kind)
        return words.get(name, name)

    def named(self, name: str, value: str) -> str:
        """A name, a colon and a value."""
        return f"{name}{self._space_before(':')}: {value}"

    def several(self, parts: Iterable[str]) -> str:
        """Parts of a sentence, with semicolons between them."""
        return f"{self._space_before(';')}; ".join(parts)

    def _space_before(self, sign: str) -> str:
        return " " if sign in self.catalogue.numbers.space_before else ""

    def reason(self, reason: Reason) -> Md:
        """The sentence of a reason, its first letter small: it follows a colon."""
        return self.fill(self.catalogue.reasons[reason.code.value], reason.params)

    def contradiction(self, one: Contradiction) -> Md:
        """The sentence of an equation that does not hold: both figures, and where they stand."""
        return self.fill(self.catalogue.contradictions[one.equation.value], one.params)

    def fill(self, sentence: str, params: Mapping[str, Param]) -> Md:
        """A sentence of the catalogue with its figures; a figure that is not known is a dash."""
        shown = {name: _Figure(value, self, limits=_limits_of(name, params)) for name, value in params.items()}
        return Md(sentence.format_map(_Known(shown, self)).strip())

    def noun(self, unit: str) -> str:
        """The word of several; empty for a unit that is a sign, or that does not tell one from several."""
        one, many = self.catalogue.units.get(unit, ("", ""))
        return many if one != many else ""


def side(value: float, limit: float) -> int:
    """Where a value lies: below a limit (−1), on it (0), above it (1)."""
    return (value > limit) - (value < limit)


def _limits_of(name: str, params: Mapping[str, Param]) -> tuple[float, ...]:
    limit = params.get(JUDGED_BY.get(name, ""))
    # What has a sign, such as a clock's offset, is judged by its size.
    return (limit, -limit) if isinstance(limit, int | float) else ()


class _Figure:
    """A parameter on its way into a sentence; the format says how it is shown."""

    def __init__(self, value: Param, words: Words, *, limits: tuple[float, ...] = ()) -> None:
        self._value = value
        self._words = words
        self._limits = limits

    def __format__(self, spec: str) -> str:
        value = self._value
        if isinstance(value, str):
            return code(value) if spec == "code" else value if isinstance(value, Md) else escape(value)
        match spec:
            case "" | "n" | "code":
                return self._words.number(value, limits=self._limits)
            case "pct":
                return self._words.quantity(value, "%", limits=self._limits)
            case "at":
                return self._words.instant(value / NS_PER_S)
            case _:
                return self._words.quantity(value, spec, limits=self._limits)


class _Known(dict[str, Any]):
    """Parameters of a sentence; those that were not measured are shown as such."""

    def __init__(self, figures: Mapping[str, _Figure], words: Words) -> None:
        super().__init__(figures)
        self._words = words

    def __missing__(self, key: str) -> Any:
        return _Dash(self._words)


class _Dash:
    """A figure that is not known. What is not known of how many is still known: – partitions."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def __format__(self, spec: str) -> str:
        return f"–\u00a0{noun}" if (noun := self._words.noun(spec)) else "–"
