"""What Connect's own metrics and REST API say of the source connector.

`source-record-poll-total` and `-write-total` are read as growth over the run, since they count from the last restart
of the task and have seen the canaries. `-write-total` moves only when a whole batch is acknowledged, hence the wait
for the offset flush. Neither proves that nothing is missing: the ledger does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from checks.connectors import connectors_seen
from checks.measurement import Measurement
from checks.measures.registry import MeasureFunction, Run, measures
from checks.measures.scraped import (
    PATIENCE_SCRAPES,
    TOGETHER,
    Counted,
    counted,
    gauge,
    name_of,
    parts_by,
    scraped,
    scraped_before,
)
from checks.metric_profiles import Role
from checks.reasons import Code
from checks.series import Series, UnreadableAnswer, largest_sum
from checks.windows import NS_PER_S, last_known_ns
from scenarios.measures import MeasureSpec

STATUS_PATH = "GET /connectors?expand=status&expand=info"
#: Connect's state is the run's when it was asked for as the run ended; collecting may itself take ten minutes. Later,
#: somebody may have restarted what had failed.
STATE_FRESH_S = 900.0


def _counter(run: Run, spec: MeasureSpec, role: Role) -> Counted | Measurement:
    profile = run.evidence.profile
    found = scraped(run, spec, role, counter=True, identity=(profile.connector_label, profile.task_label))
    return found if isinstance(found, Measurement) else counted(run, spec, found)


def _total(role: Role) -> MeasureFunction:
    def measured(run: Run, spec: MeasureSpec) -> Measurement:
        counter = _counter(run, spec, role)
        if isinstance(counter, Measurement):
            return counter
        return Measurement(
            value=counter.growth,
            unit=spec.unit,
            source=counter.found.metric.query,
            samples=counter.points,
            window=counter.found.window,
            series=len(counter.growths),
            coverage=counter.found.coverage,
            at_least=counter.reset is not None,
            note=counter.reset,
            details=counter.details,
        )

    return measured


measures("connect.poll_total")(_total(Role.POLL_TOTAL))
measures("connect.write_total")(_total(Role.WRITE_TOTAL))


@measures("connect.replication_ratio")
def replication_ratio(run: Run, spec: MeasureSpec) -> Measurement:
    """Written ÷ polled, in %. Two lower bounds have no ratio, so a reset leaves it unknown."""
    written, polled = _counter(run, spec, Role.WRITE_TOTAL), _counter(run, spec, Role.POLL_TOTAL)
    if isinstance(written, Measurement):
        return written
    if isinstance(polled, Measurement):
        return polled
    source = f"{written.found.metric.query} ÷ {polled.found.metric.query}"
    if reset := written.reset or polled.reset:
        return Measurement(
            value=None, unit=spec.unit, source=source, window=polled.found.window, why_not=reset, series=None
        )
    if polled.growth == 0:
        return Measurement.missing(Code.NOTHING_POLLED, unit=spec.unit, source=source, window=polled.found.window)
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


def _largest_sum(run: Run, spec: MeasureSpec, role: Role, identity: tuple[str, ...]) -> Measurement:
    parts = parts_by(*identity) if identity else TOGETHER
    found = scraped(run, spec, role, counter=False, identity=identity, parts=parts)
    if isinstance(found, Measurement):
        return found
    # Workers are scraped at different instants: each series counts with its last point while that is fresh.
    stale_s = PATIENCE_SCRAPES * found.windows.scrape_s
    return gauge(found, spec, largest_sum(found.within(), stale_s=stale_s))


@measures("connect.in_flight_max")
def in_flight_max(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest sum of source-record-active-count over the tasks, from the load's start to the watch's end."""
    profile = run.evidence.profile
    return _largest_sum(run, spec, Role.ACTIVE_COUNT, (profile.connector_label, profile.task_label))


@measures("connect.failed_tasks")
def failed_tasks(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest sum of connector-failed-task-count over the workers."""
    return _largest_sum(run, spec, Role.FAILED_TASKS, ())


@measures("connect.task_failures")
def task_failures(run: Run, spec: MeasureSpec) -> Measurement:
    """Every rise of a worker's failed-task count while the run went on, from the last scrape before it on. A worker
    without a task of the connector has no such count: it begins at 0. A task that failed and was restarted between two
    scrapes is not seen."""
    found = scraped(run, spec, Role.FAILED_TASKS, counter=False)
    if isinstance(found, Measurement):
        return found
    window, rises = found.window, []
    for one in found.series:
        known = one.known()
        base, inside = known.last_before(window.start_s), known.between(window.start_s, window.end_s).values
        if len(inside) == 0:
            continue
        began = 0.0 if base is None else float(known.values[base])
        if base is None and inside[0] > 0 and not scraped_before(run, one, window.start_s):
            return Measurement.missing(
                Code.NO_BASE, unit=spec.unit, source=found.metric.query, window=window, series=name_of(one)
            )
        rises.append(float(np.maximum(np.diff(inside, prepend=began), 0.0).sum()))
    return gauge(found, spec, sum(rises) if rises else None)


@measures("connect.rebalances")
def rebalances(run: Run, spec: MeasureSpec) -> Measurement:
    """Every worker of a group counts the same rebalance, so the largest growth is that of the group."""
    found = scraped(run, spec, Role.REBALANCES, counter=True, identity=("instance",))
    counter = found if isinstance(found, Measurement) else counted(run, spec, found)
    if isinstance(counter, Measurement):
        return counter
    return Measurement(
        value=max(growth.growth for _, growth in counter.growths),
        unit=spec.unit,
        source=counter.found.metric.query,
        samples=counter.points,
        window=counter.found.window,
        series=len(counter.growths),
        coverage=counter.found.coverage,
        at_least=counter.reset is not None,
        note=counter.reset,
    )


@measures("connect.offset_commit_max")
def offset_commit_max(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest offset-commit-max-time-ms of any task. A task that committed nothing in a while reads NaN: no data."""
    identity = (run.evidence.profile.connector_label, run.evidence.profile.task_label)
    found = scraped(run, spec, Role.OFFSET_COMMIT_MAX, counter=False, identity=identity, parts=parts_by(*identity))
    if isinstance(found, Measurement):
        return found
    return gauge(found, spec, largest_value(found.within()))


@measures("connect.offset_commit_failure")
def offset_commit_failure(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest share of a task's offset commits that failed, in %. JMX calls it a percentage and shows a fraction."""
    identity = (run.evidence.profile.connector_label, run.evidence.profile.task_label)
    found = scraped(run, spec, Role.OFFSET_COMMIT_FAILURE, counter=False, identity=identity, parts=parts_by(*identity))
    if isinstance(found, Measurement):
        return found
    largest = largest_value(found.within())
    return gauge(found, spec, None if largest is None else 100.0 * largest)


@measures("connect.task_errors")
def task_errors(run: Run, spec: MeasureSpec) -> Measurement:
    """Growth of the tasks' error counters together: operations that failed (retried or not), records that failed for
    good, records skipped. A source whose reads fail counts nothing here: MM2 catches that and logs a warning."""
    counters = [_counter(run, spec, role) for role in (Role.TASK_ERRORS, Role.TASK_FAILURES, Role.TASK_SKIPPED)]
    for counter in counters:
        if isinstance(counter, Measurement):
            return counter
    known = [counter for counter in counters if isinstance(counter, Counted)]
    reset = next((counter.reset for counter in known if counter.reset is not None), None)
    return Measurement(
        value=sum(counter.growth for counter in known),
        unit=spec.unit,
        source=" + ".join(counter.found.metric.query for counter in known),
        samples=sum(counter.points for counter in known),
        window=known[0].found.window,
        series=sum(len(counter.growths) for counter in known),
        coverage=min(counter.found.coverage for counter in known),
        at_least=reset is not None,
        note=reset,
    )


def largest_value(series: Sequence[Series]) -> float | None:
    """The largest number in any of them, NaN left out; None when there is none."""
    values = np.concatenate([one.values for one in series]) if series else np.array([])
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else None


@measures("connect.not_running")
def not_running(run: Run, spec: MeasureSpec) -> Measurement:
    """Connectors and tasks that are not RUNNING when Connect is asked, which must be as the run ends. Where
    MM2 runs by itself (dedicated mode) there is no REST API to ask: then the source connector's tasks that are not
    running, by the workers' metrics.
    """
    if not run.environment.connect.urls:
        return _not_running_by_metrics(run, spec)
    asked_ns = run.evidence.connect_asked_ns
    after_s = 0.0 if asked_ns is None else (asked_ns - last_known_ns(run.record)) / NS_PER_S
    if after_s > STATE_FRESH_S:
        return Measurement.missing(Code.CONNECT_ASKED_LATE, unit=spec.unit, source=STATUS_PATH, after_s=after_s)
    connectors, workers = run.evidence.connect("connectors"), run.evidence.connect("workers")
    if (offline := run.evidence.offline) is not None:
        return Measurement(value=None, unit=spec.unit, source=STATUS_PATH, why_not=offline)
    if connectors.content is None:
        return Measurement.missing(
            Code.CONNECT_FAILED, unit=spec.unit, source=STATUS_PATH, error=connectors.error or ""
        )
    try:
        seen = connectors_seen(run.environment, connectors.content, workers.content)
    except UnreadableAnswer as error:
        return Measurement.missing(Code.UNREADABLE, unit=spec.unit, source=STATUS_PATH, error=str(error))
    return Measurement(
        value=sum(connector.troubles for connector in seen),
        unit=spec.unit,
        source=STATUS_PATH,
        samples=sum(1 + len(connector.tasks) for connector in seen),
    )


def _not_running_by_metrics(run: Run, spec: MeasureSpec) -> Measurement:
    """Tasks that the workers have, less those that run, at each worker's last scrape of the window."""
    total, running = (
        scraped(run, spec, role, counter=False, identity=("instance",))
        for role in (Role.TOTAL_TASKS, Role.RUNNING_TASKS)
    )
    if isinstance(total, Measurement):
        return total
    if isinstance(running, Measurement):
        return running
    ends = [_last_numbers(found.within()) for found in (total, running)]
    if not ends[0] or ends[0].keys() != ends[1].keys():
        return gauge(total, spec, None)
    tasks = sum(ends[0].values())
    # A group that has no task at all is no group in order, whatever the difference says.
    return gauge(total, spec, tasks - sum(ends[1].values()) if tasks else 1.0)


def _last_numbers(series: Sequence[Series]) -> dict[str, float]:
    known = {one.label("instance"): one.values[~np.isnan(one.values)] for one in series}
    return {instance: float(values[-1]) for instance, values in known.items() if len(values)}
