"""Prometheus's answers as arrays, and the arithmetic on them. Pure.

Counters are differences of raw points, never `increase()`, which extrapolates to the edges of its window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class UnreadableAnswer(ValueError):
    """An answer that is not a matrix of float series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series: labels, scrape times (Unix seconds, ascending, no two alike) and values, NaN included."""

    labels: Mapping[str, str]
    times_s: Floats
    values: Floats

    def label(self, name: str) -> str:
        """A label's value without the quotes that JMX puts around odd names; empty when there is no such label."""
        return self.labels.get(name, "").strip('"')

    def between(self, start_s: float, end_s: float) -> Series:
        """The points of start ≤ t ≤ end."""
        inside = (self.times_s >= start_s) & (self.times_s <= end_s)
        return Series(labels=self.labels, times_s=self.times_s[inside], values=self.values[inside])

    def known(self) -> Series:
        """The points that are numbers: NaN says nothing."""
        numbers = ~np.isnan(self.values)
        if numbers.all():
            return self
        return Series(labels=self.labels, times_s=self.times_s[numbers], values=self.values[numbers])

    def last_before(self, at_s: float) -> int | None:
        """Index of the last point at or before an instant."""
        index = int(np.searchsorted(self.times_s, at_s, side="right")) - 1
        return index if index >= 0 else None


def parse_matrix(content: Any) -> list[Series]:
    """The series of an API answer (the whole body). UnreadableAnswer when it is not a matrix of floats."""
    try:
        data = content["data"]
        if data["resultType"] != "matrix":
            raise UnreadableAnswer(f"a {data['resultType']} where a matrix was asked for")
        return [_series(item) for item in data["result"]]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, UnreadableAnswer):
            raise
        raise UnreadableAnswer(f"not an answer of Prometheus ({type(error).__name__})") from None


def _series(item: Any) -> Series:
    if "histograms" in item:
        raise UnreadableAnswer("a native histogram where floats were asked for")
    points = item["values"]
    times_s = np.array([float(at) for at, _ in points])
    if not np.isfinite(times_s).all():
        raise UnreadableAnswer("a point at no instant")
    return Series(
        labels={str(key): str(value) for key, value in item["metric"].items()},
        times_s=times_s,
        values=np.array([float(value) for _, value in points]),
    )


def merged(pieces: Iterable[Series]) -> list[Series]:
    """One series per set of labels, its points in order; pieces of the same series joined, points at their common edge
    kept once. UnreadableAnswer when a series has two values at one instant."""
    groups: dict[tuple[tuple[str, str], ...], list[Series]] = {}
    for piece in pieces:
        groups.setdefault(tuple(sorted(piece.labels.items())), []).append(piece)
    return [_joined(groups[key]) for key in sorted(groups)]


def _joined(pieces: Sequence[Series]) -> Series:
    times_s = np.concatenate([piece.times_s for piece in pieces])
    values = np.concatenate([piece.values for piece in pieces])
    once_s, first, which = np.unique(times_s, return_index=True, return_inverse=True)
    kept = values[first]
    if len(once_s) < len(times_s) and not np.array_equal(kept[which], values, equal_nan=True):
        raise UnreadableAnswer("two values at one instant")
    return Series(labels=pieces[0].labels, times_s=once_s, values=kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How much a counter grew between two instants.

    `base` and `end` are the readings that were used. `resets`: it fell that often; what it had counted between the
    last scrape and the fall is not in any scrape, so the growth is a lower bound. `born`: it did not exist at the
    start and is counted from 0. `ended`: it was gone before the end (its task moved or died): a lower bound too.
    """

    growth: float
    base: float
    end: float
    points: int
    resets: int = 0
    born: bool = False
    ended: bool = False


def growth_of(series: Series, start_s: float, end_s: float, *, patience_s: float) -> Growth | None:
    """Growth from the last scrape at or before `start_s` to the first at or after `end_s`; None without a number.

    NaN points are left out. A series without a scrape at `end_s` or within `patience_s` after it counts as ended.
    """
    known = series.known()
    times_s, values = known.times_s, known.values
    before = int(np.searchsorted(times_s, start_s, side="right")) - 1
    after = int(np.searchsorted(times_s, end_s, side="left"))
    used = values[max(before, 0) : after + 1]
    if len(used) == 0:
        return None
    if before >= 0 and len(used) == 1 and times_s[before] < start_s - patience_s:
        return None  # It was gone before the window began.
    born = before < 0
    steps = np.diff(used, prepend=0.0 if born else used[0])
    # After a fall the counter starts from 0 again: what it shows is what it grew.
    growth = float(np.where(steps < 0, used, steps).sum())
    return Growth(
        growth=growth,
        base=0.0 if born else float(used[0]),
        end=float(used[-1]),
        points=len(used),
        resets=int((steps < 0).sum()),
        born=born,
        ended=after >= len(times_s) or times_s[after] > end_s + patience_s,
    )


def largest_sum(series: Sequence[Series], *, stale_s: float) -> float | None:
    """The largest sum over series at any scrape (see `sums`); None when nothing was said at all."""
    _, totals = sums(series, stale_s=stale_s)
    return float(totals.max()) if len(totals) else None


def sums(series: Sequence[Series], *, stale_s: float) -> tuple[Floats, Floats]:
    """(instants, sums over series): at each scrape each series counts with its last point, for `stale_s` at most. NaN
    counts as nothing said; both are empty when nothing was said at all."""
    parts = [one.known() for one in series]
    at_s = instants(parts)
    total = np.zeros(len(at_s))
    for one in parts:
        if len(one.times_s) == 0:
            continue
        index = np.searchsorted(one.times_s, at_s, side="right") - 1
        fresh = (index >= 0) & (at_s - one.times_s[np.maximum(index, 0)] <= stale_s)
        total += np.where(fresh, one.values[np.maximum(index, 0)], 0.0)
    return at_s, total


def instants(series: Sequence[Series]) -> Floats:
    """All scrape times at which any of the series has a point."""
    if len(series) == 1:
        return series[0].times_s
    return np.unique(np.concatenate([one.times_s for one in series])) if series else np.array([])
