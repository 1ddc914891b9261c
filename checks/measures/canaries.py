"""Canaries stay out of what MM2 counts of the load, and out of gauges that look back.

A silence between the canaries and the load keeps them apart: a counter's base is then a scrape that has seen all of
them. Without one (or with one that holds no scrape) the last scrape before the load may have seen some of them, and not
others. Nothing else of ours is sent from the first canary to the load, so what a counter grew by between the last
scrape before the canaries and its base is the canaries that it had counted by then; the others are in its growth, and
are taken off. Only a range is known where there is no scrape before the canaries, and of a canary that neither crossed
in its time nor was counted by the base, since MM2 may read it at any moment.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from checks.canaries import canaries_of
from checks.measurement import Measurement
from checks.measures.registry import Run
from checks.metric_profiles import Role
from checks.reasons import Code, Reason
from checks.series import Series
from scenarios.measures import MEASURES

NS_PER_S = 1e9
#: A scrape this much before the canaries has not seen them, however slow the exporter was to answer.
SURELY_BEFORE_S = 1.0
#: Measure → the counter that counts canaries too.
COUNTERS = {
    "connect.poll_total": Role.POLL_TOTAL,
    "connect.write_total": Role.WRITE_TOTAL,
    "connect.poll_rate": Role.POLL_TOTAL,
    "connect.write_rate": Role.WRITE_TOTAL,
    "mm2.record_rate": Role.RECORD_COUNT,
    "mm2.byte_rate": Role.BYTE_COUNT,
}
_OF_MIRRORS = frozenset({Role.RECORD_COUNT, Role.BYTE_COUNT})
_GAUGES = frozenset(spec.name for spec in MEASURES.values() if spec.looks_back and spec.name.startswith("mm2."))
_RATES = frozenset({"connect.poll_rate", "connect.write_rate", "mm2.record_rate", "mm2.byte_rate"})

Share = tuple[float, float]
"""At least and at most so many canaries."""


def without_canaries(run: Run, name: str, measurement: Measurement) -> Measurement:
    """The measurement of the load alone."""
    if measurement.value is None:
        return measurement
    if name in COUNTERS:
        return _counter(run, name, measurement)
    if name in _COMBINED:
        return _COMBINED[name](run, measurement)
    return _unless_shown(run, measurement) if name in _GAUGES else measurement


def canaries_counted(run: Run, role: Role) -> Share:
    """How many canaries are in the growth of a counter of MM2's over what is looked at."""
    found, windows = canaries_of(run.record), run.windows
    phase = next(iter(run.record.manifest.of_kind("canary")), None)
    if found is None or windows is None or phase is None:
        return 0.0, 0.0
    crossed = found.arrived if found.in_time is None else min(found.in_time, found.sent)
    straggling = float(found.sent - crossed)
    began_s = phase.start_ns / NS_PER_S
    over_s = windows.start_s if phase.end_ns is None else phase.end_ns / NS_PER_S
    whole = run.stretch is None or run.stretch.start_s == windows.start_s
    base_s = windows.base_s if whole else run.stretch.start_s if run.stretch is not None else windows.start_s
    series = _with_base(run, role, base_s)
    over = all(one.times_s[place] >= over_s for one, place in series)
    if over and not straggling:
        return 0.0, 0.0
    if role is Role.BYTE_COUNT:  # how many records its bytes are is told by the counter beside it
        series = _with_base(run, Role.RECORD_COUNT, base_s)
        if not series:
            return 0.0, straggling if over else float(found.sent)
    before = [_grown(one, began_s - SURELY_BEFORE_S, base_s) for one, _ in series]
    if any(one is None for one in before):
        return 0.0, straggling if over else float(found.sent)
    counted = min(float(sum(one for one in before if one is not None)), float(found.sent))
    if over:  # those that had crossed are in the base
        return 0.0, min(straggling, found.sent - counted)
    return max(crossed - counted, 0.0), found.sent - counted


def _with_base(run: Run, role: Role, base_s: float) -> list[tuple[Series, int]]:
    """The series of a counter that was there at the base, and the place of their last scrape by then. One that began
    later began after the canaries, and counts none of them."""
    known = [one.known() for one in run.evidence.metric(role).series if _is_ours(run, role, one)]
    return [(one, place) for one in known if (place := one.last_before(base_s)) is not None]


def _is_ours(run: Run, role: Role, series: Series) -> bool:
    """Of a mirror's counter: whether it is one of the plan's topics."""
    if role not in _OF_MIRRORS:
        return True
    remotes = {topic.remote for topic in run.record.manifest.topics}
    return series.label(run.evidence.profile.topic_label) in remotes


def _grown(series: Series, from_s: float, to_s: float) -> float | None:
    """What a counter grew by from the last scrape before an instant to the last before another; None without one."""
    first, last = series.last_before(from_s), series.last_before(to_s)
    if first is None or last is None:
        return None
    values = series.values[first : last + 1]
    steps = np.diff(values)
    return float(np.where(steps < 0, values[1:], steps).sum())


def _counter(run: Run, name: str, measurement: Measurement) -> Measurement:
    """A counter's growth, or its rate."""
    value = measurement.value or 0.0
    least, most = canaries_counted(run, COUNTERS[name])
    if most == 0:
        return measurement
    per_canary = _per_canary(run, name, measurement)
    low, high = (max(value - per_canary * share, 0.0) for share in (most, least))
    details = (*measurement.details, ("canaries", most))
    return _between(replace(measurement, value=low, details=details), low, high)


def _per_canary(run: Run, name: str, measurement: Measurement) -> float:
    """How much one canary adds to the value: a record, or, of a rate, its share of what the counter grew by."""
    growth = measurement.detail("growth")
    if name not in _RATES:
        return 1.0
    if not growth or measurement.value is None:
        return 0.0
    each = run.record.manifest.record_bytes if name == "mm2.byte_rate" else 1
    return measurement.value * each / growth


def _between(measurement: Measurement, low: float, high: float) -> Measurement:
    """An exact value, or a range; a value that is a lower bound for another reason stays one, at the lower edge."""
    return measurement if low == high or measurement.at_least else replace(measurement, interval=(low, high))


def _ratio(run: Run, measurement: Measurement) -> Measurement:
    written, polled = measurement.detail("written"), measurement.detail("polled")
    shares = canaries_counted(run, Role.WRITE_TOTAL), canaries_counted(run, Role.POLL_TOTAL)
    if written is None or polled is None or not any(most for _, most in shares):
        return measurement
    (least_written, most_written), (least_polled, most_polled) = shares
    if polled - most_polled <= 0:
        source, window = measurement.source, measurement.window
        return Measurement.missing(Code.NOTHING_POLLED, unit=measurement.unit, source=source, window=window)
    low = 100 * max(written - most_written, 0.0) / (polled - least_polled)
    high = 100 * (written - least_written) / (polled - most_polled)
    return _between(replace(measurement, value=low), low, high)


def _gap(run: Run, measurement: Measurement) -> Measurement:
    mm2, ours = measurement.detail("mm2"), measurement.detail("ours")
    least, most = canaries_counted(run, Role.RECORD_COUNT)
    if mm2 is None or ours is None or most == 0:
        return measurement
    edges = sorted(abs(mm2 - share - ours) for share in (least, most))
    low = 0.0 if mm2 - most <= ours <= mm2 - least else edges[0]
    return _between(replace(measurement, value=low), low, edges[-1])


def _unless_shown(run: Run, measurement: Measurement) -> Measurement:
    """A gauge that looks back shows a canary that was late for as long as it looks; how late, nobody asked of it."""
    found = canaries_of(run.record)
    if found is None or found.in_time is None or found.in_time >= found.sent:
        return measurement
    reason = Reason.of(Code.CANARY_IN_GAUGE, late=found.sent - found.in_time, sent=found.sent)
    return replace(measurement, value=None, why_not=reason, at_least=False, interval=None, note=None)


_COMBINED = {"connect.replication_ratio": _ratio, "mm2.record_count_gap": _gap}
