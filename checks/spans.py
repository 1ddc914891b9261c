"""Stretches of time, and how much of them points vouch for. Pure.

A point vouches for half a scrape interval on either side of it, and a quarter more, since scrapes jitter. Counting
points per interval instead would find a hole wherever two regular scrapes fall on either side of an edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from checks.series import Floats

JITTER = 1.25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spans:
    """Disjoint stretches, ascending, in Unix seconds."""

    starts_s: Floats
    ends_s: Floats

    @classmethod
    def whole(cls, start_s: float, end_s: float) -> Self:
        """One stretch; none if it has no length."""
        return cls.union(np.array([start_s]), np.array([end_s]), start_s=start_s, end_s=end_s)

    @classmethod
    def union(cls, starts_s: Floats, ends_s: Floats, *, start_s: float, end_s: float) -> Self:
        """What any of these stretches has of a window."""
        starts, ends = np.clip(starts_s, start_s, end_s), np.clip(ends_s, start_s, end_s)
        real = ends > starts
        order = np.argsort(starts[real], kind="stable")
        starts, ends = starts[real][order], np.maximum.accumulate(ends[real][order])
        first = np.concatenate([[True], starts[1:] > ends[:-1]]) if len(starts) else np.array([], dtype=bool)
        last = np.concatenate([first[1:], [True]]) if len(starts) else first
        return cls(starts_s=starts[first], ends_s=ends[last])

    def without(self, start_s: float, end_s: float) -> Spans:
        """All but a stretch."""
        edges = [
            (float(a), float(b))
            for low, high in zip(self.starts_s, self.ends_s, strict=True)
            for a, b in ((low, min(high, start_s)), (max(low, end_s), high))
            if b > a
        ]
        return Spans(starts_s=np.array([a for a, _ in edges]), ends_s=np.array([b for _, b in edges]))

    @property
    def length_s(self) -> float:
        return float((self.ends_s - self.starts_s).sum())

    def before_s(self, at_s: Floats) -> Floats:
        """How much of them lies before each instant."""
        if len(self.starts_s) == 0:
            return np.zeros(len(at_s))
        lengths = self.ends_s - self.starts_s
        sums = np.concatenate([[0.0], np.cumsum(lengths)])
        index = np.searchsorted(self.starts_s, at_s, side="right") - 1
        inside = np.clip(at_s - self.starts_s[np.maximum(index, 0)], 0.0, lengths[np.maximum(index, 0)])
        return np.where(index < 0, 0.0, sums[np.maximum(index, 0)] + np.where(index < 0, 0.0, inside))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """How much of spans points vouch for: the share; the longest hole; and how much of them passes before the first
    point within, and after the last."""

    share: float
    hole_s: float
    late_s: float
    stale_s: float


def vouched(times_s: Floats, needed: Spans, *, interval_s: float) -> Vouched:
    """What points at these instants (ascending) vouch for; of spans without length everything."""
    length_s = needed.length_s
    if length_s == 0.0:
        return Vouched(share=1.0, hole_s=0.0, late_s=0.0, stale_s=0.0)
    if len(times_s) == 0:
        return Vouched(share=0.0, hole_s=length_s, late_s=length_s, stale_s=length_s)
    reach_s = JITTER * interval_s / 2
    starts, ends = np.concatenate([[-np.inf], times_s + reach_s]), np.concatenate([times_s - reach_s, [np.inf]])
    first, last = needed.starts_s[0], needed.ends_s[-1]
    starts, ends = np.clip(starts, first, last), np.clip(ends, first, last)
    holes = np.maximum(needed.before_s(np.maximum(ends, starts)) - needed.before_s(starts), 0.0)
    within = times_s[(times_s >= first) & (times_s <= last)]
    edges = needed.before_s(within[[0, -1]]) if len(within) else np.array([length_s, 0.0])
    return Vouched(
        share=1.0 - math.fsum(holes) / length_s,  # exact, so the same on every machine
        hole_s=float(holes.max()),
        late_s=float(edges[0]),
        stale_s=float(length_s - edges[1]),
    )
