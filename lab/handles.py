"""`Lab`: an existing lab and the handles on its parts.

    lab = Lab.open(Path(".lab"))
    lab.component("prometheus").stop()
    lab.connect.pause("mm2-source-connector")

Bringing a lab into being and taking it away is in `lab.lifecycle`; this is what one holds in between.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

import requests

from clients.connect import Connect
from clients.http_session import new_session
from clients.kafka_owner import Owner
from lab import state as states
from lab.accounts import ADMIN, read_password
from lab.component import Component
from lab.environment import seen_by, worker_urls
from lab.layout import (
    CLUSTERS,
    NODE_EXPORTER,
    PROMETHEUS,
    SOURCE,
    TARGET,
    Layout,
    component_names,
    layout_of,
    workers_among,
)
from lab.ports import HOST, answers
from lab.process import ProcessId
from lab.rendering import bootstrap, login_line
from lab.state import LabState
from lab.throttle import set_quota
from scenarios.environment import LoadedEnvironment
from scenarios.errors import LabError

# A worker answers /health from the thread that also rebalances, seconds late at times.
_PROBE_TIMEOUT_S = 5.0
_READY_PATHS = {PROMETHEUS: "/-/ready", NODE_EXPORTER: "/"}
_WORKER_READY_PATH = "/health"
#: MM2 and the target let the load, the source and Prometheus have the CPU first, as if those had machines of their own:
#: where it does not suffice, MM2 falls behind, which is measured, and not the load, which would end the measuring.
YIELDING = 3


class Lab:
    """One lab. Opening it starts nothing and asks nobody anything."""

    def __init__(self, layout: Layout, state: LabState) -> None:
        self.layout = layout
        self._state = state
        self._noting = threading.Lock()
        self._owners: dict[str, Owner] = {}
        self.connect = Connect(self.connect_urls)
        self.workers = workers_among(state.commands)
        self.components = tuple(self._component(name) for name in component_names(self.workers))

    @classmethod
    def open(cls, state_dir: Path) -> Self:
        """The lab of a state directory; LabError when there is none."""
        layout = layout_of(state_dir)
        state = states.load(layout.state_file)
        if state is None:
            raise LabError(f"no lab in {layout.root}; `mm2gate lab up --state-dir {state_dir}` makes one")
        return cls(layout, state)

    @property
    def state(self) -> LabState:
        """Ports, ids, commands and processes as last noted."""
        return self._state

    @property
    def environment_file(self) -> Path:
        """What `--env` takes."""
        return self.layout.environment_file

    @property
    def connect_urls(self) -> list[str]:
        """The REST address of each worker."""
        return worker_urls(self._state.ports)

    @property
    def prometheus_url(self) -> str:
        """Prometheus' address."""
        return f"http://{HOST}:{self._state.ports[PROMETHEUS]}"

    def component(self, name: str) -> Component:
        """The handle on one part."""
        for component in self.components:
            if component.name == name:
                return component
        raise LabError(f"no component {name!r} in a lab; it has {', '.join(component_names(self.workers))}")

    def seen_by(self, user: str) -> LoadedEnvironment:
        """The lab's environment as one of its users logs in to it."""
        return seen_by(user, self._state.ports, self._state.cluster_ids, self.layout)

    def owner(self, cluster: str) -> Owner:
        """The lab's own hands on a cluster."""
        if cluster not in self._owners:
            seen = self.seen_by(ADMIN)
            where = seen.environment.source if cluster == SOURCE else seen.environment.target
            self._owners[cluster] = Owner(where, seen)
        return self._owners[cluster]

    def throttle(self, cluster: str, bytes_per_s: int | None) -> None:
        """Let MM2 write to the target, or read from the source, no faster; None lifts it."""
        set_quota(
            cluster,
            bytes_per_s,
            bootstrap_servers=bootstrap(cluster, self._state.ports),
            login=login_line(ADMIN, read_password(self.layout, ADMIN)),
            command=self._state.commands[cluster],
            scratch=self.layout.secrets,
        )

    def mark(self, stage: states.Stage) -> None:
        """Note how far `up` came."""
        with self._noting:
            self._state = replace(self._state, stage=stage)
            states.save(self._state, self.layout.state_file)

    def _noted(self, name: str) -> ProcessId | None:
        return self._state.processes.get(name)

    def _note(self, name: str, process: ProcessId) -> None:
        with self._noting:
            self._state = self._state.with_process(name, process)
            states.save(self._state, self.layout.state_file)

    def _component(self, name: str) -> Component:
        return Component(
            name=name,
            port=self._state.ports[name],
            lab_id=self._state.lab_id,
            layout=self.layout,
            command=self._state.commands[name],
            probe=partial(self._broker_answers if name in CLUSTERS else self._http_answers, name),
            noted=self._noted,
            note=self._note,
            niceness=YIELDING if name in (TARGET, *self.workers) else 0,
        )

    def _broker_answers(self, name: str) -> bool:
        # The port first: an AdminClient that finds nobody backs off for longer than a broker takes to start.
        return answers(self._state.ports[name]) and self.owner(name).is_ready()

    def _http_answers(self, name: str) -> bool:
        url = f"http://{HOST}:{self._state.ports[name]}{_READY_PATHS.get(name, _WORKER_READY_PATH)}"
        with new_session(url, None) as session:
            try:
                return session.get(url, timeout=_PROBE_TIMEOUT_S).ok
            except requests.RequestException:
                return False
