"""A curve in text, for a code block: what the runbook's page draws by hand. Pure: same points, same bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 60
HEIGHT = 8
_PARTS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A named instant under the curve."""

    label: str
    at_s: float


def curve(
    times_s: Sequence[float], values: Sequence[float], *, duration_s: float, marks: Sequence[Mark], least_top: float
) -> str:
    """The largest value of each of 60 columns, over `duration_s` seconds from 0.

    The scale ends at a round number above the largest value, and at `least_top` or more: noise must not look like a
    mountain because nothing else is there.
    """
    columns: list[float | None] = [None] * WIDTH
    for at_s, value in zip(times_s, values, strict=True):
        index = min(int(at_s / duration_s * WIDTH), WIDTH - 1)
        if index >= 0:
            columns[index] = max(value, columns[index] or 0.0)
    top = round_above(max([least_top, *(value for value in columns if value is not None)]))
    margin = len(_axis(top))
    lines = [_row(columns, top, row, margin) for row in reversed(range(HEIGHT))]
    lines.append(f"{'':>{margin}} └{'─' * WIDTH}")
    lines.append(f"{'':>{margin}}  {_marks(marks, duration_s)}".rstrip())
    return "\n".join(lines)


def round_above(value: float) -> float:
    """The next 1, 2, 3 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1, 2, 3, 5, 10) if step * power >= value)


def _row(columns: Sequence[float | None], top: float, row: int, margin: int) -> str:
    label = _axis(top) if row == HEIGHT - 1 else "0" if row == 0 else ""
    return f"{label:>{margin}} │{''.join(_cell(value, top, row) for value in columns)}".rstrip()


def _cell(value: float | None, top: float, row: int) -> str:
    """The part of a column that lies in a row; what is not quite nothing is drawn as a little."""
    if value is None or value <= 0:
        return " "
    parts = max(round(value / top * HEIGHT * len(_PARTS)), 1) - row * len(_PARTS)
    return " " if parts <= 0 else _PARTS[min(parts, len(_PARTS)) - 1]


def _marks(marks: Sequence[Mark], duration_s: float) -> str:
    line = ""
    for mark in sorted(marks, key=lambda mark: mark.at_s):
        column = round(mark.at_s / duration_s * WIDTH)
        if column > WIDTH or (line and column <= len(line)):
            continue  # beyond the curve, or it would cover the mark before
        line = f"{line:<{column}}{mark.label}"
    return line


def _axis(value: float) -> str:
    return f"{value:.0f}"
