"""Where trouble begins in a figure over time, and where it ends. Pure: arrays without NaN in, places in them out.

A figure that crosses a limit, back and forth, is troubled for as long as it is not good for a while; of several such
stretches the one counts that weighs most. Where a limit lies within what is normal (no record may be missing, while
under a live load some always are on their way), all of the load is beyond it: then trouble begins where the figure left
its calm, and not where the load began.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from checks.series import Floats

#: A stretch goes on over this many good points: a figure that dips below its limit for a moment has not recovered.
DIP_POINTS = 3
#: What is at most this share of the peak is calm beside it.
CALM_SHARE = 0.1
#: So many points are needed before the rise to say what was normal.
CALM_LEAST = 3
#: A rise goes back as far as each point lifts the figure by at least this share of what the crossing point did.
RISE_SHARE = 1 / 3


class Stretch(NamedTuple):
    """The first and the last place of it."""

    first: int
    last: int


def troubled(excess: Floats, *, by_its_end: bool = False) -> Stretch | None:
    """The stretch of trouble in a figure, given how far each point is beyond its limit (0: it is not); None without
    any. `by_its_end`: the figure is judged by its end, so the last stretch counts."""
    found = _stretches(np.flatnonzero(excess > 0))
    if not found:
        return None
    chosen = found[-1] if by_its_end else max(found, key=lambda one: _weight(excess, one))
    return Stretch(first=chosen.first + _risen(excess[chosen.first : chosen.last + 1]), last=chosen.last)


def _weight(excess: Floats, one: Stretch) -> float:
    return float(excess[one.first : one.last + 1].sum())


def growth(totals: Floats) -> Stretch | None:
    """From the first point at which a running total grew to the last; None where it never did. It begins at 0."""
    grew = np.flatnonzero(np.diff(totals, prepend=0.0) > 0)
    return Stretch(first=int(grew[0]), last=int(grew[-1])) if len(grew) else None


def _stretches(at: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.intp]]) -> list[Stretch]:
    places = [int(place) for place in at]
    if not places:
        return []
    cuts = [(left, right) for left, right in pairwise(places) if right - left > DIP_POINTS + 1]
    firsts, lasts = [places[0], *(right for _, right in cuts)], [*(left for left, _ in cuts), places[-1]]
    return [Stretch(first=first, last=last) for first, last in zip(firsts, lasts, strict=True)]


def _risen(excess: Floats) -> int:
    """The place in a stretch at which it left its calm; 0 where it has none before its peak."""
    most = CALM_SHARE * float(excess.max())
    found = _stretches(np.flatnonzero(excess > most))
    heavy = max(found, key=lambda one: _weight(excess, one))
    if heavy.first < CALM_LEAST:
        return 0
    place = heavy.first
    least = RISE_SHARE * float(excess[place] - excess[place - 1])
    while place > 1 and excess[place - 1] - excess[place - 2] >= least:
        place -= 1
    return place
