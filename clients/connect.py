"""Kafka Connect's REST API: what the judge reads and what the lab and the runbook change.

Any worker answers for the whole group (a follower forwards to the leader), so the door tries them in turn. While the
group rebalances every request gets 409; the door waits it out, within a budget. Every call has a timeout: a frozen
worker accepts the connection and then says nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import requests

from clients.http_session import excerpt, new_session, reason, resolve_login
from scenarios.environment import LoadedEnvironment
from scenarios.errors import ConnectFailure

TIMEOUT_S = 10.0
REBALANCE_BUDGET_S = 60.0
REBALANCE_PAUSE_S = 0.5
REBALANCING = 409
RUNNING = "RUNNING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker's answer to GET /: its version and the id of the cluster it keeps its state on (MM2's target)."""

    url: str
    version: str
    kafka_cluster_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatus:
    """One task. `worker` is host:port as the worker advertises itself; `trace` is the stack of a FAILED task."""

    task: int
    state: str
    worker: str
    trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorStatus:
    """A connector and its tasks as the status topic has them: eventually true, and stale for a second after a PUT."""

    name: str
    state: str
    worker: str
    tasks: tuple[TaskStatus, ...]
    trace: str = ""

    @property
    def all_running(self) -> bool:
        """Whether the connector and at least one task run, and no task does anything else."""
        return self.state == RUNNING and bool(self.tasks) and all(task.state == RUNNING for task in self.tasks)

    def __str__(self) -> str:
        tasks = ", ".join(f"{task.task} {task.state}" for task in self.tasks) or "none"
        return f"{self.name} {self.state} (tasks: {tasks})"

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """From the body of GET /connectors/X/status."""
        connector = content["connector"]
        return cls(
            name=content["name"],
            state=connector["state"],
            worker=connector["worker_id"],
            trace=connector.get("trace") or "",
            tasks=tuple(
                TaskStatus(
                    task=task["id"], state=task["state"], worker=task["worker_id"], trace=task.get("trace") or ""
                )
                for task in content.get("tasks", ())
            ),
        )


class Connect:
    """A client of one Connect group. Not for use by several threads at once."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        login: tuple[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
        rebalance_budget_s: float = REBALANCE_BUDGET_S,
    ) -> None:
        self._urls = [url.rstrip("/") for url in urls]
        self._sessions = {url: new_session(url, login) for url in self._urls}
        self._timeout_s = timeout_s
        self._rebalance_budget_s = rebalance_budget_s

    @classmethod
    def of(
        cls,
        environment: LoadedEnvironment,
        *,
        timeout_s: float = TIMEOUT_S,
        rebalance_budget_s: float = REBALANCE_BUDGET_S,
    ) -> Self:
        """The Connect of an environment. Refused when its password cannot be read, ConnectFailure when it has none."""
        connect = environment.environment.connect
        if not connect.urls:
            raise ConnectFailure("the environment names no REST API of Kafka Connect (connect.urls)")
        return cls(
            connect.urls,
            login=resolve_login(environment, connect.login, of="Connect's REST API"),
            timeout_s=timeout_s,
            rebalance_budget_s=rebalance_budget_s,
        )

    # Reading.

    def workers(self) -> dict[str, Worker | ConnectFailure]:
        """What each worker answers for itself: a dead one is an error here, whatever the others say of it."""
        answers: dict[str, Worker | ConnectFailure] = {}
        for url in sorted(self._urls):
            try:
                content = self._ask("GET", url, "/", None)
                answers[url] = Worker(url=url, version=content["version"], kafka_cluster_id=content["kafka_cluster_id"])
            except ConnectFailure as error:
                answers[url] = error
            except (KeyError, TypeError):
                answers[url] = ConnectFailure(f"{url}: answers, but not as Kafka Connect does; is it the REST port?")
        return answers

    def root(self) -> Worker:
        """The first worker that answers."""
        content = self._request("GET", "/")
        try:
            return Worker(url=self._urls[0], version=content["version"], kafka_cluster_id=content["kafka_cluster_id"])
        except (KeyError, TypeError):
            raise ConnectFailure(
                f"{self._urls[0]}: answers, but not as Kafka Connect does; is it the REST port?"
            ) from None

    def names(self) -> list[str]:
        """Names of all connectors."""
        content: list[str] = self._request("GET", "/connectors")
        return content

    def connectors(self) -> dict[str, Any]:
        """Every connector: name → {"status": …, "info": …}, as Connect says it. Holds configurations."""
        content: dict[str, Any] = self._request("GET", "/connectors?expand=status&expand=info")
        return content

    def status(self, connector: str) -> ConnectorStatus:
        """State of a connector and of its tasks."""
        try:
            return ConnectorStatus.from_json(self._request("GET", f"/connectors/{_quoted(connector)}/status"))
        except (KeyError, TypeError):
            raise ConnectFailure(f"{self._urls[0]}: cannot read the status of connector {connector}") from None

    def config(self, connector: str) -> dict[str, str]:
        """Configuration, passwords included unless they are references: never print it as it is."""
        content: dict[str, str] = self._request("GET", f"/connectors/{_quoted(connector)}/config")
        return content

    def offsets(self, connector: str) -> dict[str, Any]:
        """Committed source offsets (Connect ≥ 3.5); for MM2, the last record replicated of each partition."""
        content: dict[str, Any] = self._request("GET", f"/connectors/{_quoted(connector)}/offsets")
        return content

    def topics(self, connector: str) -> list[str]:
        """Topics the connector has written to since its creation: for MM2, the mirrors in which something came out."""
        content: dict[str, Any] = self._request("GET", f"/connectors/{_quoted(connector)}/topics")
        return [str(topic) for topic in content.get(connector, {}).get("topics", ())]

    # Changing.

    def put_config(self, connector: str, config: Mapping[str, str]) -> None:
        """Creates the connector, or replaces its whole configuration; failed tasks are restarted by it too."""
        self._request("PUT", f"/connectors/{_quoted(connector)}/config", dict(config))

    def pause(self, connector: str) -> None:
        """Asks the connector to pause; tasks follow within a second or so."""
        self._request("PUT", f"/connectors/{_quoted(connector)}/pause")

    def resume(self, connector: str) -> None:
        """Asks the connector to resume."""
        self._request("PUT", f"/connectors/{_quoted(connector)}/resume")

    def stop(self, connector: str) -> None:
        """Stops the connector: its tasks go (Connect ≥ 3.5)."""
        self._request("PUT", f"/connectors/{_quoted(connector)}/stop")

    def restart(self, connector: str, *, only_failed: bool = True) -> None:
        """Restarts the connector and its tasks. Without includeTasks, Connect would leave the tasks as they are."""
        flags = f"includeTasks=true&onlyFailed={'true' if only_failed else 'false'}"
        self._request("POST", f"/connectors/{_quoted(connector)}/restart?{flags}")

    def delete(self, connector: str) -> None:
        """Deletes the connector. Its source offsets stay, under its name."""
        self._request("DELETE", f"/connectors/{_quoted(connector)}")

    def wait(
        self,
        connector: str,
        wanted: Callable[[ConnectorStatus], bool],
        *,
        what: str,
        timeout_s: float,
        pause_s: float = 0.25,
    ) -> ConnectorStatus:
        """Waits until `wanted` holds of the connector's status; ConnectFailure tells what it was instead."""
        deadline = time.monotonic() + timeout_s
        last = "it never answered"
        while True:
            try:
                status = self.status(connector)
                if wanted(status):
                    return status
                last = str(status)
            except ConnectFailure as error:
                last = str(error)
            if time.monotonic() >= deadline:
                raise ConnectFailure(f"connector {connector}: not {what} within {timeout_s:g} s; last: {last}")
            time.sleep(pause_s)

    def wait_running(self, connector: str, *, tasks: int = 1, timeout_s: float = 60.0) -> ConnectorStatus:
        """Waits for the connector and at least `tasks` tasks, all RUNNING."""
        return self.wait(
            connector,
            lambda status: status.all_running and len(status.tasks) >= tasks,
            what=f"RUNNING with {tasks} tasks" if tasks > 1 else "RUNNING",
            timeout_s=timeout_s,
        )

    def _request(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        """The answer of the first worker that gives one; waits while the group rebalances."""
        deadline = time.monotonic() + self._rebalance_budget_s
        while True:
            try:
                return self._ask_any(method, path, body)
            except ConnectFailure as error:
                if error.status != REBALANCING or time.monotonic() >= deadline:
                    raise
            time.sleep(REBALANCE_PAUSE_S)

    def _ask_any(self, method: str, path: str, body: dict[str, str] | None) -> Any:
        failures: list[ConnectFailure] = []
        for url in list(self._urls):
            try:
                answer = self._ask(method, url, path, body)
            except ConnectFailure as error:
                if error.status is not None and error.status < 500:
                    raise
                failures.append(error)
                continue
            if url != self._urls[0]:
                # A dead worker costs its timeout once, not on every call.
                self._urls.remove(url)
                self._urls.insert(0, url)
            return answer
        if len(failures) == 1:
            raise failures[0]
        raise ConnectFailure(
            "no Connect worker answers: " + "; ".join(str(failure) for failure in failures), status=failures[0].status
        )

    def _ask(self, method: str, url: str, path: str, body: dict[str, str] | None) -> Any:
        try:
            response = self._sessions[url].request(method, url + path, json=body, timeout=self._timeout_s)
        except requests.RequestException as error:
            raise ConnectFailure(f"Connect at {url}: {reason(error, timeout_s=self._timeout_s)}") from None
        if not response.ok:
            raise ConnectFailure(
                f"Connect at {url}: HTTP {response.status_code} on {method} {path}: {_message(response)}",
                status=response.status_code,
            )
        if not response.content:
            return None
        try:
            return response.json()
        except requests.JSONDecodeError:
            raise ConnectFailure(
                f"Connect at {url}: answers {method} {path} with something other than JSON; is it the REST port?"
            ) from None


def _quoted(connector: str) -> str:
    # Names such as `source->target.MirrorSourceConnector` are usual.
    return quote(connector, safe="")


def _message(response: requests.Response) -> str:
    try:
        return excerpt(str(response.json()["message"]))
    except (requests.JSONDecodeError, KeyError, TypeError):
        return excerpt(response.text)
