"""Damages of one of Prometheus's answers: what they do to its series, and how much of a window they take away.

A damage is a pure function of the series. `share_lost` says which part of a criterion's window has no known point any
more in the series that were damaged; from more than the judge's tolerance on, the criterion must not be GO.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Item = dict[str, Any]
Series = list[Item]
Span = tuple[float, float]
#: A window with all that is near it.
EVERYTHING: Span = (-9.0, 9.0)
#: Where a damage of one point in the middle has it.
MIDDLE: Span = (0.35, 0.65)
Apply = Callable[[Series, Span], Series]


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """`apply(series, span)`: `span` is the window at which it aims, in Unix seconds. Shares are of that span."""

    name: str
    apply: Apply
    lost: Span = (0.0, 0.0)
    """The part that has no known point afterwards, as shares."""
    poison: Span | None = None
    """Somewhere in this part is what makes any figure of it no reading of anything."""
    nan: bool = False
    """The points are there, and are no numbers."""

    def __str__(self) -> str:
        return self.name

    def poisons(self, span: Span, window: Span) -> bool:
        """What is poisoned of the span lies in a criterion's window."""
        if self.poison is None:
            return False
        start, end = (span[0] + min(max(share, 0.0), 1.0) * (span[1] - span[0]) for share in self.poison)
        return window[0] <= start and end <= window[1]

    def share_lost(self, span: Span, window: Span) -> float:
        """The share of a criterion's window that has no known point any more."""
        start, end = (span[0] + share * (span[1] - span[0]) for share in self.lost)
        overlap = min(end, window[1]) - max(start, window[0])
        return max(overlap, 0.0) / (window[1] - window[0]) if window[1] > window[0] else 0.0


def _without(lost: Span) -> Apply:
    return lambda series, span: [_kept(one, lambda share: not lost[0] <= share <= lost[1], span) for one in series]


def _kept(one: Item, keep: Callable[[float], bool], span: Span) -> Item:
    width = span[1] - span[0]
    values = [point for point in one["values"] if keep((float(point[0]) - span[0]) / width)]
    return {**one, "values": values}


def _valued(text: str, lost: Span) -> Apply:
    def apply(series: Series, span: Span) -> Series:
        width = span[1] - span[0]
        return [
            {
                **one,
                "values": [
                    [at, text if lost[0] <= (float(at) - span[0]) / width <= lost[1] else value]
                    for at, value in one["values"]
                ],
            }
            for one in series
        ]

    return apply


def _one_point(text: str) -> Apply:
    """One value of the middle of the window, in one series."""

    def apply(series: Series, span: Span) -> Series:
        series = copy.deepcopy(series)
        points = series[0]["values"]
        inside = [place for place, (at, _) in enumerate(points) if span[0] < float(at) < span[1]]
        points[inside[len(inside) // 2]][1] = text
        return series

    return apply


def _shifted(series: Series, span: Span) -> Series:
    by_s = 2 * (span[1] - span[0]) + 60
    return [{**one, "values": [[float(at) + by_s, value] for at, value in one["values"]]} for one in series]


def _twins(series: Series, span: Span) -> Series:
    twins = copy.deepcopy(series)
    for one in twins:
        one["metric"]["pod"] = "twin"
    return series + twins


#: Damages that take part of the window away, in every series of a role or in one.
HOLES: Sequence[Damage] = (
    *(
        Damage(name=f"{how} {lost[0]:g}..{lost[1]:g}", apply=make(lost), lost=lost, nan=how == "NaN")
        for lost in (EVERYTHING, (-9.0, 0.3), (0.6, 9.0), (0.3, 0.6), (0.45, 0.75), (-9.0, 0.8), (0.2, 9.0))
        for how, make in (("without", _without), ("NaN", lambda lost: _valued("NaN", lost)))
    ),
)
POISONS: Sequence[Damage] = (
    Damage(name="+Inf in one point", apply=_one_point("+Inf"), poison=MIDDLE),
    Damage(name="-Inf in one point", apply=_one_point("-Inf"), poison=MIDDLE),
    Damage(name="+Inf in a third", apply=_valued("+Inf", (0.3, 0.6)), poison=(0.3, 0.6)),
    Damage(name="not a number at all", apply=_one_point("many"), poison=MIDDLE),
    Damage(name="negative in one point", apply=_one_point("-7"), poison=MIDDLE),
    Damage(name="negative all along", apply=_valued("-7", (-9.0, 9.0)), poison=EVERYTHING),
    Damage(name="shifted away", apply=_shifted, lost=EVERYTHING),
)
TWINS = Damage(name="every series twice", apply=_twins, poison=EVERYTHING)
NONE = Damage(name="no series", apply=lambda *_: [], lost=EVERYTHING)


def another_order(series: Series, span: Span) -> Series:
    """Series and their points say the same in any order of series."""
    return list(reversed(series))


def labels_of_the_server(series: Series, span: Span) -> Series:
    """A label more, the same for all: an external label of the server."""
    return [{**one, "metric": {**one["metric"], "prometheus_replica": "a", "env": "x"}} for one in series]


def fewer_points(series: Series, span: Span) -> Series:
    """Every tenth scrape was missed, never two in a row, not the first nor the last."""
    return [
        {
            **one,
            "values": [
                point for place, point in enumerate(one["values"]) if place % 10 != 5 or place + 1 == len(one["values"])
            ],
        }
        for one in series
    ]


SMALL: Sequence[Apply] = (fewer_points,)
HARMLESS: Sequence[Apply] = (another_order, labels_of_the_server)
