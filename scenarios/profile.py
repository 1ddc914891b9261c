"""Load profiles: pure functions from a phase's time to records per second, and back.

A profile is a row of segments over which the rate is linear. Its integral F(t) is the number of records wanted by t;
record i (from 0) is due at F⁻¹(i), so any number of senders that share the indices adds up to exactly the plan.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Integrals of round numbers (10/s × 10 s) must give round counts despite binary fractions.
_COUNT_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of `duration_s` seconds over which the rate goes in a straight line from one value to another."""

    duration_s: float
    from_per_s: float
    to_per_s: float

    @property
    def records(self) -> float:
        return self.duration_s * (self.from_per_s + self.to_per_s) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Segments in a row, from second 0 of the phase."""

    segments: tuple[Segment, ...]

    @property
    def duration_s(self) -> float:
        return math.fsum(segment.duration_s for segment in self.segments)

    @property
    def record_count(self) -> int:
        """Records due strictly before the end."""
        return math.ceil(math.fsum(segment.records for segment in self.segments) - _COUNT_TOLERANCE)

    @property
    def peak_per_s(self) -> float:
        return max((max(s.from_per_s, s.to_per_s) for s in self.segments), default=0.0)

    def records_per_s(self, at_s: float) -> float:
        """The wanted rate at `at_s`; 0 outside the phase."""
        start_s = 0.0
        for segment in self.segments:
            if start_s <= at_s < start_s + segment.duration_s:
                share = (at_s - start_s) / segment.duration_s
                return segment.from_per_s + share * (segment.to_per_s - segment.from_per_s)
            start_s += segment.duration_s
        return 0.0

    def records_by(self, at_s: float) -> float:
        """F: how many records are wanted by `at_s` (a real number)."""
        total, start_s = 0.0, 0.0
        for segment in self.segments:
            inside_s = min(max(at_s - start_s, 0.0), segment.duration_s)
            slope = (segment.to_per_s - segment.from_per_s) / segment.duration_s
            total += inside_s * (segment.from_per_s + slope * inside_s / 2)
            start_s += segment.duration_s
        return total

    def due_s(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """F⁻¹ of an ascending array of record indices, each below `record_count`: seconds from the phase's start."""
        due = np.empty(len(indices), dtype=np.float64)
        start_s, first, done = 0.0, 0.0, 0
        for position, segment in enumerate(self.segments):
            last = position == len(self.segments) - 1
            # An index on the seam belongs to the segment that reaches it first.
            until = len(indices) if last else int(np.searchsorted(indices, first + segment.records - _COUNT_TOLERANCE))
            wanted = np.maximum(indices[done:until] - first, 0.0)
            due[done:until] = start_s + _seconds_until(wanted, segment)
            done, first, start_s = until, first + segment.records, start_s + segment.duration_s
        return due


def _seconds_until(records: NDArray[np.float64], segment: Segment) -> NDArray[np.float64]:
    """Solves from·t + slope·t²/2 = records for t, in the form that stays exact when the slope is tiny."""
    slope = (segment.to_per_s - segment.from_per_s) / segment.duration_s
    root = np.sqrt(np.maximum(segment.from_per_s**2 + 2 * slope * records, 0.0))
    denominator = segment.from_per_s + root
    with np.errstate(divide="ignore", invalid="ignore"):
        seconds = np.where(records > 0, 2 * records / denominator, 0.0)
    return np.minimum(seconds, segment.duration_s)


def nominal(*, rate_per_s: float, duration_s: float) -> Profile:
    """The same rate all along."""
    return Profile(segments=(Segment(duration_s=duration_s, from_per_s=rate_per_s, to_per_s=rate_per_s),))


def ramp(*, from_per_s: float, to_per_s: float, duration_s: float) -> Profile:
    """A straight line from one rate to another."""
    return Profile(segments=(Segment(duration_s=duration_s, from_per_s=from_per_s, to_per_s=to_per_s),))


def burst(
    *, base_per_s: float, peak_per_s: float, peak_start_s: float, peak_duration_s: float, duration_s: float
) -> Profile:
    """A base rate with one square peak in it."""
    after_s = duration_s - peak_start_s - peak_duration_s
    pieces = ((peak_start_s, base_per_s), (peak_duration_s, peak_per_s), (after_s, base_per_s))
    return Profile(segments=tuple(Segment(duration_s=s, from_per_s=rate, to_per_s=rate) for s, rate in pieces if s > 0))


def spike(
    *,
    base_per_s: float,
    peak_per_s: float,
    start_s: float,
    rise_s: float,
    hold_s: float,
    fall_s: float,
    duration_s: float,
) -> Profile:
    """A base rate out of which the rate climbs to a peak, stays there, and comes down again."""
    after_s = duration_s - start_s - rise_s - hold_s - fall_s
    pieces = (
        (start_s, base_per_s, base_per_s),
        (rise_s, base_per_s, peak_per_s),
        (hold_s, peak_per_s, peak_per_s),
        (fall_s, peak_per_s, base_per_s),
        (after_s, base_per_s, base_per_s),
    )
    return Profile(
        segments=tuple(
            Segment(duration_s=seconds, from_per_s=start, to_per_s=end) for seconds, start, end in pieces if seconds > 0
        )
    )


def soak(*, rate_per_s: float, rise_s: float, duration_s: float) -> Profile:
    """The same rate for a long time, reached in a straight line from nothing."""
    steady = Segment(duration_s=duration_s - rise_s, from_per_s=rate_per_s, to_per_s=rate_per_s)
    rise = Segment(duration_s=rise_s, from_per_s=0.0, to_per_s=rate_per_s)
    return Profile(segments=(rise, steady) if rise_s > 0 else (steady,))


def steps(*, rates_per_s: Iterable[float], duration_s: float) -> tuple[Profile, ...]:
    """One profile for each step of a staircase; what comes between two steps is no part of them."""
    return tuple(nominal(rate_per_s=rate_per_s, duration_s=duration_s) for rate_per_s in rates_per_s)
