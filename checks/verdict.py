"""Verdicts, their order, and the judgement of one number against two conditions. Pure.

The order is NOGO > INCONCLUSIVE > GREY > GO: a failure that was seen outranks a measurement that is missing, and a
missing one outranks a number that a person may still accept. Nothing measured is never a pass, so the worst of
nothing is INCONCLUSIVE, and a required criterion that was not run counts as INCONCLUSIVE.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from enum import StrEnum

from scenarios.conditions import Interval


class Verdict(StrEnum):
    """What a criterion, or a run, comes to. A string: an IntEnum with GO = 0 would be falsy."""

    GO = "GO"
    GREY = "GREY"
    NOGO = "NOGO"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_RUN = "NOT_RUN"


#: The order of badness.
RANK = {Verdict.GO: 0, Verdict.GREY: 1, Verdict.INCONCLUSIVE: 2, Verdict.NOT_RUN: 2, Verdict.NOGO: 3}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them; INCONCLUSIVE when there is none."""
    ranked = max(verdicts, key=RANK.__getitem__, default=Verdict.INCONCLUSIVE)
    return Verdict.INCONCLUSIVE if ranked is Verdict.NOT_RUN else ranked


def judge_value(value: float, go: Interval, nogo: Interval | None) -> Verdict:
    """One exact number. Without `nogo`, NOGO is the complement of GO. NaN is INCONCLUSIVE.

    Infinity (the latency of what never arrived) is judged as a number larger than any that a condition can name.
    """
    if math.isnan(value):
        return Verdict.INCONCLUSIVE
    value = min(value, sys.float_info.max)
    if go.holds(value):
        return Verdict.GO
    return Verdict.NOGO if nogo is None or nogo.holds(value) else Verdict.GREY


def judge_interval(low: float, high: float, go: Interval, nogo: Interval | None) -> Verdict:
    """An estimate that lies between `low` and `high`: GO or NOGO only if all of it does, GREY otherwise."""
    if math.isnan(low) or math.isnan(high):
        return Verdict.INCONCLUSIVE
    if go.holds(low) and go.holds(high):
        return Verdict.GO
    if nogo is None:
        between = Interval(low=low, high=high, low_open=False, high_open=False)
        return Verdict.GREY if go.overlaps(between) else Verdict.NOGO
    return Verdict.NOGO if nogo.holds(low) and nogo.holds(high) else Verdict.GREY


def judge_between(low: float, high: float, go: Interval, nogo: Interval | None) -> Verdict:
    """A number of which only bounds are known, the upper one perhaps infinite: a verdict only if every value between
    them gives the same, INCONCLUSIVE otherwise."""
    if math.isnan(low) or math.isnan(high):
        return Verdict.INCONCLUSIVE
    possible = Interval(low=low, high=high, low_open=False, high_open=high == math.inf)
    if _covers(go, possible):
        return Verdict.GO
    if not go.overlaps(possible):
        if nogo is None or _covers(nogo, possible):
            return Verdict.NOGO
        if not nogo.overlaps(possible):
            return Verdict.GREY
    return Verdict.INCONCLUSIVE


def _covers(interval: Interval, possible: Interval) -> bool:
    upwards = interval.high == math.inf if possible.high == math.inf else interval.holds(possible.high)
    return interval.holds(possible.low) and upwards


def judge_at_least(value: float, go: Interval, nogo: Interval | None) -> Verdict:
    """A number of which only a lower bound is known: a verdict only if every value from `value` up gives the same."""
    if math.isnan(value):
        return Verdict.INCONCLUSIVE
    possible = Interval(low=value, low_open=False)
    if go.overlaps(possible):
        return Verdict.GO if _covers_upwards(go, value) else Verdict.INCONCLUSIVE
    if nogo is None or _covers_upwards(nogo, value):
        return Verdict.NOGO
    return Verdict.INCONCLUSIVE if nogo.overlaps(possible) else Verdict.GREY


def _covers_upwards(interval: Interval, value: float) -> bool:
    return interval.high == math.inf and interval.holds(value)
