"""A row of the benchmark table: a value, the target it must reach, and whether it does."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Direction = Literal["<=", ">="]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`holds` is None for a row that has no target, or was not measured (`value` None)."""

    name: str
    title: str
    unit: str
    value: float | None
    direction: Direction | None = None
    limit: float | None = None
    samples: tuple[float, ...] = ()
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def median(cls, samples: Sequence[float], **more: Any) -> Self:
        """The median of repeated runs, which stay beside it."""
        return cls(value=statistics.median(samples), samples=tuple(samples), **more)

    @property
    def target(self) -> str:
        """In words; empty for a row that is only shown."""
        return "" if self.direction is None else f"{self.direction} {_number(self.limit)} {self.unit}".rstrip()

    @property
    def holds(self) -> bool | None:
        """Whether the value reaches the target; one that is no number reaches none."""
        if self.direction is None or self.limit is None or self.value is None:
            return None
        if math.isnan(self.value):
            return False
        return self.value <= self.limit if self.direction == "<=" else self.value >= self.limit

    def to_json(self) -> dict[str, Any]:
        """The keys that scripts rely on, and what else is known."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "target": self.target,
            "holds": self.holds,
            "title": self.title,
            "samples": list(self.samples),
            "note": self.note,
            "details": self.details,
        }

    def cells(self) -> tuple[str, str, str, str]:
        """What it is, its value with the spread of its samples, its target, and whether it holds."""
        value = "not measured" if self.value is None else f"{_number(self.value)} {self.unit}".rstrip()
        if len(self.samples) > 1:
            value += f" ({_number(min(self.samples))} – {_number(max(self.samples))})"
        word = {True: "yes", False: "NO", None: ""}[self.holds]
        return self.title, value, self.target, word


def _number(value: float | None) -> str:
    """Three significant digits, thousands set apart."""
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"
