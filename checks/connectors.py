"""MM2's connectors as Connect's REST API reports them. Pure: from kept answers to plain values.

The status topic lies for a while after a worker died: its tasks stay RUNNING "on" it until they are reassigned. So a
task counts as running only if the worker it names, where the environment knows that worker, answers by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from checks.neighbours import workers_of_others
from checks.series import UnreadableAnswer
from scenarios.environment import Environment

RUNNING = "RUNNING"
ABSENT = "ABSENT"
SILENT_WORKER = "RUNNING ON A WORKER THAT DOES NOT ANSWER"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSeen:
    """One task: its number, state, worker, and the first line of its stack trace."""

    number: int
    state: str
    worker: str
    trace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSeen:
    """One connector of MM2. `must_have_tasks`: a checkpoint connector without consumer groups rightly has none."""

    name: str
    state: str
    worker: str
    trace: str
    tasks: tuple[TaskSeen, ...]
    config: Mapping[str, str]
    must_have_tasks: bool

    @property
    def troubles(self) -> int:
        """How many of the connector and its tasks do not run; a connector that should have tasks and has none counts
        once for them."""
        tasks = sum(task.state != RUNNING for task in self.tasks)
        no_tasks = self.must_have_tasks and not self.tasks and self.state == RUNNING
        return (self.state != RUNNING) + tasks + no_tasks


def connectors_seen(environment: Environment, connectors: Any, workers: Any) -> tuple[ConnectorSeen, ...]:
    """The connectors that the environment names, found or not.

    `connectors` and `workers` are the kept contents of connect-connectors.json and connect-workers.json. Raises
    UnreadableAnswer when they are not what Connect answers.
    """
    try:
        return _connectors_seen(environment, connectors, workers)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableAnswer(f"not an answer of Kafka Connect ({type(error).__name__})") from None


def workers_seen(connectors: Any, others: Any = None) -> tuple[str, ...]:
    """Addresses of the workers on which connectors or tasks are, in order; of connect-connectors.json and
    connect-others.json, which may be missing. Raises UnreadableAnswer."""
    try:
        statuses = [content["status"] for content in (connectors or {}).values()]
        parts = [part for status in statuses for part in (status["connector"], *status.get("tasks", ()))]
        ours = {str(part["worker_id"]) for part in parts if part.get("worker_id")}
        return tuple(sorted(ours.union(workers_of_others(others))))
    except (LookupError, TypeError, AttributeError) as error:
        raise UnreadableAnswer(f"not an answer of Kafka Connect ({type(error).__name__})") from None


def _connectors_seen(environment: Environment, connectors: Any, workers: Any) -> tuple[ConnectorSeen, ...]:
    names = environment.connect.connectors
    silent = {urlsplit(worker["url"]).netloc for worker in workers or () if "error" in worker}
    wanted = [(names.source, True), (names.checkpoint, False), (names.heartbeat, True)]
    return tuple(
        _seen(name, connectors.get(name), silent, must_have_tasks=must_have_tasks)
        for name, must_have_tasks in wanted
        if name is not None
    )


def _seen(name: str, content: Any, silent: set[str], *, must_have_tasks: bool) -> ConnectorSeen:
    if content is None:
        return ConnectorSeen(
            name=name, state=ABSENT, worker="", trace="", tasks=(), config={}, must_have_tasks=must_have_tasks
        )
    status = content["status"]
    return ConnectorSeen(
        name=name,
        state=_state(status["connector"], silent),
        worker=status["connector"].get("worker_id", ""),
        trace=_first_line(status["connector"].get("trace")),
        tasks=tuple(
            TaskSeen(
                number=task["id"],
                state=_state(task, silent),
                worker=task.get("worker_id", ""),
                trace=_cause(task.get("trace")),
            )
            for task in sorted(status.get("tasks", ()), key=lambda task: int(task["id"]))
        ),
        config=content.get("info", {}).get("config", {}),
        must_have_tasks=must_have_tasks,
    )


def _state(part: Mapping[str, Any], silent: set[str]) -> str:
    state = str(part["state"])
    return SILENT_WORKER if state == RUNNING and part.get("worker_id") in silent else state


def _first_line(trace: str | None) -> str:
    return (trace or "").strip().split("\n")[0].strip()


def _cause(trace: str | None) -> str:
    """The line that says why: the last "Caused by", since Connect wraps what happened in its own exceptions."""
    causes = [line.removeprefix("Caused by: ") for line in (trace or "").split("\n") if line.startswith("Caused by: ")]
    return causes[-1].strip() if causes else _first_line(trace)
