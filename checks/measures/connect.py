"""What Connect's own metrics and REST API say of the source connector.

What its tasks polled and wrote is in checks/measures/totals.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from checks.connectors import connectors_seen
from checks.measurement import Measurement
from checks.measures.counters import Counted, counted, grown, known_absent, name_of
from checks.measures.registry import Run, measures
from checks.measures.scraped import gauge, scraped
from checks.measures.tolerances import PATIENCE_SCRAPES
from checks.measures.totals import task_counter
from checks.measures.who import STATE_FRESH_S, asked_after_s
from checks.metric_profiles import Role
from checks.reasons import Code
from checks.series import Series, UnreadableAnswer, largest_sum
from scenarios.measures import MeasureSpec

STATUS_PATH = "GET /connectors?expand=status&expand=info"


def _largest_sum(run: Run, spec: MeasureSpec, role: Role) -> Measurement:
    found = scraped(run, spec, role, counter=False)
    if isinstance(found, Measurement):
        return found
    # Workers are scraped at different instants: each series counts with its last point while that is fresh.
    stale_s = PATIENCE_SCRAPES * found.windows.scrape_s
    return gauge(found, spec, largest_sum(found.within(), stale_s=stale_s))


@measures("connect.in_flight_max")
def in_flight_max(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest sum of source-record-active-count over the tasks, from the load's start to the watch's end."""
    return _largest_sum(run, spec, Role.ACTIVE_COUNT)


@measures("connect.failed_tasks")
def failed_tasks(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest sum of connector-failed-task-count over the workers."""
    return _largest_sum(run, spec, Role.FAILED_TASKS)


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
        if base is None and inside[0] > 0 and not known_absent(run, Role.FAILED_TASKS, one, window.start_s):
            return Measurement.missing(
                Code.NO_BASE, unit=spec.unit, source=found.metric.query, window=window, series=name_of(one)
            )
        rises.append(float(np.maximum(np.diff(inside, prepend=began), 0.0).sum()))
    return gauge(found, spec, sum(rises) if rises else None)


@measures("connect.rebalances")
def rebalances(run: Run, spec: MeasureSpec) -> Measurement:
    """Every worker of a group counts the same rebalance, so the largest growth is that of the group."""
    found = scraped(run, spec, Role.REBALANCES, counter=True)
    counter = found if isinstance(found, Measurement) else counted(run, spec, found)
    if isinstance(counter, Measurement):
        return counter
    return replace(grown(counter, spec), value=max(growth.growth for _, growth in counter.growths))


@measures("connect.offset_commit_max")
def offset_commit_max(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest offset-commit-max-time-ms of any task. A task that committed nothing in a while reads NaN: no data."""
    found = scraped(run, spec, Role.OFFSET_COMMIT_MAX, counter=False)
    if isinstance(found, Measurement):
        return found
    return gauge(found, spec, largest_value(found.within()))


@measures("connect.offset_commit_failure")
def offset_commit_failure(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest share of a task's offset commits that failed, in %. JMX calls it a percentage and shows a fraction."""
    found = scraped(run, spec, Role.OFFSET_COMMIT_FAILURE, counter=False)
    if isinstance(found, Measurement):
        return found
    largest = largest_value(found.within())
    return gauge(found, spec, None if largest is None else 100.0 * largest)


@measures("connect.task_errors")
def task_errors(run: Run, spec: MeasureSpec) -> Measurement:
    """Growth of the tasks' error counters together: operations that failed (retried or not), records that failed for
    good, records skipped. A source whose reads fail counts nothing here: MM2 catches that and logs a warning."""
    counters = [task_counter(run, spec, role) for role in (Role.TASK_ERRORS, Role.TASK_FAILURES, Role.TASK_SKIPPED)]
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
    after_s = asked_after_s(run)
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
    total, running = (scraped(run, spec, role, counter=False) for role in (Role.TOTAL_TASKS, Role.RUNNING_TASKS))
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
