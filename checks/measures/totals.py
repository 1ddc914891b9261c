"""How many records MM2 polled and wrote, of all its topics; how many of those are surely ours; and their ratio.

`source-record-poll-total` and `-write-total` are read as growth over the run, since they count from the last restart
of the task and have seen the canaries. `-write-total` moves only when a whole batch is acknowledged, hence the wait
for the offset flush. Neither proves that nothing is missing: the ledger does. Both count every topic of the connector:
what is known to be ours of them is what came out at the target by our ledger, or what MM2's mirror metrics counted on
our topics. Where that is not all, the measurement lies between ours and all.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from checks.measurement import Measurement
from checks.measures.counters import Counted, counted, grown
from checks.measures.registry import MeasureFunction, Run, measures
from checks.measures.scraped import scraped
from checks.measures.tolerances import FRESH_SCRAPES, PATIENCE_SCRAPES
from checks.metric_profiles import Role
from checks.reasons import Code, Reason
from checks.series import sums
from scenarios.measures import MeasureSpec

#: Written may exceed polled by what was in flight at the start, and by so much of what was polled: a scrape reads the
#: one a little later than the other. As much as the runbook lets it fall short.
EXCESS_SHARE = 0.01


def task_counter(run: Run, spec: MeasureSpec, role: Role) -> Counted | Measurement:
    """The growth of a counter of the source connector's tasks."""
    found = scraped(run, spec, role, counter=True)
    return found if isinstance(found, Measurement) else counted(run, spec, found)


def _total(role: Role) -> MeasureFunction:
    def measured(run: Run, spec: MeasureSpec) -> Measurement:
        counter = task_counter(run, spec, role)
        if isinstance(counter, Measurement):
            return counter
        if reason := below_arrived(run, counter):
            return _untold(spec, counter, reason)
        ours = surely_ours(run, spec, counter.growth, polled=role is Role.POLL_TOTAL)
        others = counter.growth - ours
        found = replace(grown(counter, spec), details=counter.details)
        if others <= 0:
            return found
        among = Reason.of(Code.OURS_AMONG_OTHERS, total=counter.growth, ours=ours, others=others)
        return replace(
            found,
            bounds=(ours, math.inf if found.at_least else counter.growth),
            note=found.note or among,
            details=(*found.details, ("ours", ours), ("others_at_most", others)),
        )

    return measured


measures("connect.poll_total")(_total(Role.POLL_TOTAL))
measures("connect.write_total")(_total(Role.WRITE_TOTAL))


def below_arrived(run: Run, counter: Counted) -> Reason | None:
    """What arrived was polled and written, so a counter that grew by less has not counted this run."""
    if counter.reset or run.stretch is not None or run.counts is None:
        return None
    arrived = run.counts.arrived
    return Reason.of(Code.BELOW_ARRIVED, growth=counter.growth, arrived=arrived) if counter.growth < arrived else None


def _untold(spec: MeasureSpec, counter: Counted, reason: Reason) -> Measurement:
    found = counter.found
    return Measurement(value=None, unit=spec.unit, source=found.metric.query, window=found.window, why_not=reason)


def surely_ours(run: Run, spec: MeasureSpec, total: float, *, polled: bool) -> float:
    """How many of so many records that the tasks counted are ours at least.

    What arrived was polled and written, once each. Where that is fewer, MM2's own count of our topics may know of more:
    records at the target's acknowledgement, bytes of values (ours are all of one size) at the poll.
    """
    counts = run.counts
    known = 0.0 if counts is None else float(counts.arrived)
    if known >= total:
        return total
    known = max(known, _mirrored(run, spec, Role.RECORD_COUNT))
    if polled and run.record.manifest.has_envelopes:
        known = max(known, _mirrored(run, spec, Role.BYTE_COUNT) // run.record.manifest.record_bytes)
    return min(known, total)


def _mirrored(run: Run, spec: MeasureSpec, role: Role) -> float:
    """The growth of a mirror counter on the topics of the plan; 0 where it is not known."""
    counter = task_counter(run, spec, role)
    return 0.0 if isinstance(counter, Measurement) or counter.reset else counter.growth


@measures("connect.replication_ratio")
def replication_ratio(run: Run, spec: MeasureSpec) -> Measurement:
    """Written ÷ polled, in %, of the same tasks. Two lower bounds have no ratio, so a reset leaves it unknown."""
    written, polled = task_counter(run, spec, Role.WRITE_TOTAL), task_counter(run, spec, Role.POLL_TOTAL)
    if isinstance(written, Measurement):
        return written
    if isinstance(polled, Measurement):
        return polled
    source = f"{written.found.metric.query} ÷ {polled.found.metric.query}"
    if objection := _no_ratio(run, spec, written, polled):
        return Measurement(
            value=None, unit=spec.unit, source=source, window=polled.found.window, why_not=objection, series=None
        )
    return Measurement(
        value=100 * written.growth / polled.growth,
        unit=spec.unit,
        source=source,
        samples=written.points + polled.points,
        window=polled.found.window,
        series=len(written.growths) + len(polled.growths),
        coverage=min(written.found.coverage, polled.found.coverage),
        details=(("written", written.growth), ("polled", polled.growth)),
    )


def _no_ratio(run: Run, spec: MeasureSpec, written: Counted, polled: Counted) -> Reason | None:
    """Why two counters make no ratio, if so."""
    if reason := written.reset or polled.reset or below_arrived(run, written) or below_arrived(run, polled):
        return reason
    if polled.growth == 0:
        return Reason.of(Code.NOTHING_POLLED)
    return _excess(run, spec, written.growth, polled)


def _excess(run: Run, spec: MeasureSpec, written: float, polled: Counted) -> Reason | None:
    """More was written than was polled and what had been in flight before: then the two do not count the same."""
    allowed = (1 + EXCESS_SHARE) * polled.growth
    if written <= allowed:
        return None
    in_flight = _in_flight_at_start(run, spec, polled)
    if written <= allowed + in_flight:
        return None
    return Reason.of(Code.WRITTEN_EXCEEDS_POLLED, written=written, polled=polled.growth, in_flight=in_flight)


def _in_flight_at_start(run: Run, spec: MeasureSpec, polled: Counted) -> float:
    """The most that was in flight about the start of a window, seen at the scrapes; 0 where it is not known."""
    found = scraped(run, spec, Role.ACTIVE_COUNT, counter=False, window=polled.found.window)
    if isinstance(found, Measurement):
        return 0.0
    scrape_s = found.windows.scrape_s
    at_s, totals = sums(found.series, stale_s=PATIENCE_SCRAPES * scrape_s)
    about = np.abs(at_s - found.window.start_s) <= FRESH_SCRAPES * scrape_s
    return float(totals[about].max(initial=0.0))
