"""Where the mean latency is spent: from the instant a record was due to its arrival on the target. Pure.

    due ─ send delay ─ sent ─ record age ─ read by MM2 ─ in MM2 ─ acknowledged by the target ─ reading ─ arrived
                         └ acknowledged by the source (runs beside the record age)

MM2's record age and replication latency both run from the record's timestamp, which the producer sets when it is sent.
So means add up: no percentile or maximum would. MM2's means are read from gauges that look back, at the scrapes, and
our own are exact: a part of a few milliseconds less than nothing is their difference, not time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PARTS = ("send_delay", "to_mm2", "in_mm2", "to_arrival")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the way: its mean, how much of the whole that is, and the sum so far. None where it is not known."""

    name: str
    mean_ms: float | None
    share_percent: float | None
    until_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposition:
    """The parts in order; `ack_ms` runs beside the second; `whole_ms` is what we measured from end to end."""

    parts: tuple[Part, ...]
    ack_ms: float | None
    whole_ms: float | None

    @property
    def largest(self) -> Part | None:
        """The part that takes longest."""
        known = [part for part in self.parts if part.mean_ms is not None]
        return max(known, key=lambda part: part.mean_ms or 0.0) if len(known) == len(self.parts) else None


def decomposed(values: Mapping[str, float]) -> Decomposition:
    """The decomposition from measures' values, by the measures' names."""
    send, age = values.get("load.send_delay_mean"), values.get("mm2.record_age_avg")
    mm2, whole = values.get("mm2.latency_avg"), values.get("e2e.mean")
    means = {
        "send_delay": send,
        "to_mm2": age,
        "in_mm2": _minus(mm2, age),
        "to_arrival": _minus(_minus(whole, send), mm2),
    }
    parts, until_ms = [], 0.0 if send is not None else None
    for name in PARTS:
        mean_ms = means[name]
        until_ms = None if mean_ms is None or until_ms is None else until_ms + mean_ms
        share = None if mean_ms is None or not whole else 100.0 * mean_ms / whole
        parts.append(Part(name=name, mean_ms=mean_ms, share_percent=share, until_ms=until_ms))
    return Decomposition(parts=tuple(parts), ack_ms=values.get("source.ack_mean"), whole_ms=whole)


def _minus(whole: float | None, part: float | None) -> float | None:
    return None if whole is None or part is None else whole - part
