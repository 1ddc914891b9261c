"""A measurement: a value or the reason why there is none, and all that a stranger needs to check it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from checks.reasons import Code, Param, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of time, Unix seconds."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was found for a measure, in the measure's unit.

    `value` is None exactly when `why_not` says why. It is never NaN; it is infinite only for a latency of records that
    never arrived. `at_least`: only a lower bound is known (a counter that was reset, records still on their way), and
    `note` says why. `bounds`: what is asked about is not the value but lies between these (the second may be infinite),
    all of which must lie in a zone for a verdict, and `note` says why. `interval`: the value is an estimate, and all of
    this range around it must lie in a zone for a verdict. `samples` are points of a series, or records. `details` are
    figures for the report.
    """

    value: float | None
    unit: str
    source: str
    samples: int = 0
    window: Window | None = None
    series: int | None = None
    coverage: float | None = None
    warnings: tuple[str, ...] = ()
    at_least: bool = False
    bounds: tuple[float, float] | None = None
    interval: tuple[float, float] | None = None
    note: Reason | None = None
    why_not: Reason | None = None
    details: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if (self.value is None) == (self.why_not is None):
            raise ValueError("a measurement has a value, or a reason why not")
        if self.value is not None and math.isnan(self.value):
            raise ValueError("NaN is not a value; say why there is none")

    @classmethod
    def missing(cls, code: Code, *, unit: str, source: str, window: Window | None = None, **params: Param) -> Self:
        """No value, and why."""
        return cls(value=None, unit=unit, source=source, window=window, why_not=Reason.of(code, **params))

    def detail(self, name: str) -> float | None:
        """A figure for the report."""
        return dict(self.details).get(name)
