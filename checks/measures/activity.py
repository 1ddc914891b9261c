"""When a look-back gauge must show a number: while what it tells of goes on, and for as long after as Kafka keeps it.

A partition's `replication-latency-ms-max` is NaN when nothing was acknowledged in its two windows of 30 s. So whether
NaN is idleness or silence is told by the counter beside it: from the scrape that shows it moved on, until 30 s after
the scrape that did not yet, the gauge is a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from checks.measurement import Window
from checks.measures.parts import Key, Part, client_of
from checks.role_facts import LOOK_BACK_LEAST_S, Owner
from checks.series import Floats, Series
from checks.spans import Spans


def active_spans(parts: Sequence[Part], counters: Mapping[Key, Sequence[Series]], window: Window) -> list[Spans]:
    """For each part of a look-back gauge, when its counters say that it must be known."""
    return [_active(counters.get(part.key, ()), window) for part in parts]


def by_owner(owner: Owner, parts: Sequence[Part]) -> dict[Key, Sequence[Series]]:
    """A counter's series by the key of the gauge's owner: of a producer, those of its task."""
    if owner is Owner.PRODUCER:
        return {(client_of(*part.key),): part.series for part in parts}
    return {part.key: part.series for part in parts}


def _active(counters: Sequence[Series], window: Window) -> Spans:
    edges = [_moves(one) for one in counters]
    starts = np.concatenate([starts for starts, _ in edges]) if edges else np.array([])
    ends = np.concatenate([ends for _, ends in edges]) if edges else np.array([])
    return Spans.union(starts, ends, start_s=window.start_s, end_s=window.end_s)


def _moves(counter: Series) -> tuple[Floats, Floats]:
    """For each move of a counter, from the scrape that shows it until its event may be forgotten."""
    known = counter.known()
    moved = np.flatnonzero(np.diff(known.values) != 0)
    return known.times_s[moved + 1], known.times_s[moved] + LOOK_BACK_LEAST_S
