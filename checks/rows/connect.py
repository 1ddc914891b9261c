"""What Connect shows: connectors and tasks that do not run, workers that do not answer, records let fall, and a second
connector on the same topics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, urlsplit

from checks.connect_seen import ConnectView
from checks.connectors import ABSENT, RUNNING, SILENT_WORKER, ConnectorSeen, TaskSeen
from checks.finding import Finding, fitting
from checks.measures import Run
from checks.metric_profiles import Role
from checks.reasons import Param
from checks.rows.figures import growth_of_tasks

_CAUSES = (("AuthorizationException", "task_not_authorized"), ("RecordTooLargeException", "record_too_large"))


def connect_rows(run: Run, view: ConnectView) -> Iterator[Finding]:
    """Rows of what Connect's REST API says of MM2's connectors and of its own workers."""
    if view.error is not None:
        yield fitting("connect_silent", error=view.error)
        return
    for connector in view.connectors:
        yield from connector_rows(connector, view.url, known=", ".join(view.names) or "–")
    shown = {task.worker for one in view.connectors for task in one.tasks if task.state == SILENT_WORKER}
    for worker in view.silent:
        # A task that is still shown on it says so by itself.
        if urlsplit(worker.url).netloc not in shown:
            yield fitting("worker_gone", worker=worker.url, error=worker.error)
    yield from _skipped(run, view.source)
    for other in view.others:
        yield fitting(
            "second_connector",
            other=other.name,
            state=other.state,
            topic=other.topics[0],
            count=len(other.topics),
            call=f"curl '{view.url}/connectors/{quote(other.name, safe='')}/status'",
        )


def connector_rows(connector: ConnectorSeen, url: str, *, known: str) -> Iterator[Finding]:
    """Rows of one connector and its tasks: none where all of it runs. `known`: names that Connect does know."""
    base = f"{url}/connectors/{quote(connector.name, safe='')}"
    common: dict[str, Param] = {"connector": connector.name, "state": connector.state, "worker": connector.worker}
    restart = f"curl -X POST '{base}/restart?includeTasks=true&onlyFailed=true'"
    rows: dict[str, tuple[str, str]] = {
        ABSENT: ("connector_absent", f"curl '{url}/connectors'"),
        "PAUSED": ("connector_paused", f"curl -X PUT '{base}/resume'"),
        "STOPPED": ("connector_stopped", f"curl -X PUT '{base}/resume'"),
        "FAILED": ("connector_failed", restart),
    }
    if connector.state != RUNNING:
        row, call = rows.get(connector.state, ("connector_unassigned", f"curl '{base}/status'"))
        yield Finding(row=row, fits=True, params={**common, "trace": connector.trace, "call": call, "found": known})
    elif connector.must_have_tasks and not connector.tasks:
        yield Finding(row="no_tasks", fits=True, params={**common, "call": f"curl '{base}/status'"})
    if connector.state in (RUNNING, SILENT_WORKER):
        # A paused connector's tasks are paused with it: saying so of each would drown the one line that matters.
        yield from _task_rows(connector.tasks, common, base, restart)


def _task_rows(tasks: Iterable[TaskSeen], common: Mapping[str, Param], base: str, restart: str) -> Iterator[Finding]:
    """One row for all tasks that have the same trouble for the same reason."""
    alike: dict[tuple[str, str, str], list[TaskSeen]] = defaultdict(list)
    for task in tasks:
        if task.state != RUNNING:
            alike[_row_of(task), task.state, task.trace].append(task)
    for (row, state, trace), group in alike.items():
        calls = {"worker_silent": f"curl '{base}/status'", "task_paused": f"curl -X PUT '{base}/resume'"}
        call = restart if state == "FAILED" else calls.get(row, f"curl '{base}/status'")
        workers = ", ".join(dict.fromkeys(task.worker for task in group if task.worker)) or "–"
        numbers = ", ".join(str(task.number) for task in group)
        params = {**common, "state": state, "worker": workers, "trace": trace, "call": call}
        yield Finding(row=row, fits=True, params={**params, "count": len(group), "numbers": numbers})


def _row_of(task: TaskSeen) -> str:
    if task.state == SILENT_WORKER:
        return "worker_silent"
    if task.state == "FAILED":
        return next((row for cause, row in _CAUSES if cause in task.trace), "task_failed")
    return "task_paused" if task.state == "PAUSED" else "task_unassigned"


def _skipped(run: Run, source: ConnectorSeen | None) -> Iterator[Finding]:
    """`errors.tolerance=all` makes a source task go on without the record that it could not convert or write."""
    tolerance = "" if source is None else source.config.get("errors.tolerance", "none").strip().lower()
    if tolerance != "all":
        return
    skipped, failed = (growth_of_tasks(run, role) for role in (Role.TASK_SKIPPED, Role.TASK_FAILURES))
    counts = run.counts
    missing = counts.backlog if counts is not None else 0
    unknown = skipped is None and failed is None
    if (skipped or 0) + (failed or 0) > 0 or (unknown and missing > 0):
        yield fitting("records_skipped", skipped=skipped, failed=failed, missing=missing)
