"""The conductor: plays one run on the master, from the first check to the sealed record.

    canary → silence → load phases → drain → watch → account → seal

It runs in a greenlet of its own, waits for conditions rather than for events, and every wait ends early when the run
is asked to end. However that happens, what was sent is drained (for a few seconds at most when someone is waiting),
counted and sealed; only SIGKILL leaves a record open, and that one is readable too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import gevent
from gevent.event import Event

from locust_session.load import MasterLoad, Second
from locust_session.moments import MasterClock
from locust_session.progress import Progress
from locust_session.timeline import NodeStates
from locust_session.wire import ToNodes
from run_record.account import merge
from run_record.manifest import (
    ClockCheck,
    ClusterSeen,
    Ending,
    EnvironmentSeen,
    Manifest,
    PhaseKind,
    PhasePlayed,
    ScenarioText,
    TopicPlayed,
    Worker,
)
from run_record.store import RunWriter
from run_record.timeline import TimelineRow
from scenarios.errors import ExitCode, Mm2gateError
from scenarios.plan import NS_PER_S, RunPlan

LOG = logging.getLogger("mm2gate.session")

How = Literal["completed", "stopped", "sigterm", "sigint", "run_time", "worker_lost", "failed"]
Send = Callable[[ToNodes, dict[str, Any], str | None], None]

LOOK_EVERY_S = 0.05
READY_WITHIN_S = 30.0
PREPARED_WITHIN_S = 60.0
ACCOUNT_WITHIN_S = 30.0
#: Between the order to start and second 0, so that every node has it in hand by then.
START_AHEAD_NS = 500_000_000
#: A generator that is this far behind at the end of the plan stops; what it did not send is load that was not applied.
OVERTIME_S = 30.0
#: Someone pressed Stop or a scheduler sent SIGTERM: they wait, so the drain is cut short.
HURRIED_DRAIN_S = 12.0
HURRIED_PATIENCE_S = 5.0


@dataclass(slots=True)
class Node:
    """A node that takes part: its Locust id, and what it has said so far."""

    id: str
    host: str
    pid: int
    prepared: bool = False
    in_trouble: bool = False
    lost: bool = False
    owns: list[str] = field(default_factory=list)
    account: dict[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class Conductor:
    """One run. `play()` is its life; `nodes_wanted` is how many must report ready."""

    plan: RunPlan
    load: MasterLoad
    clusters: tuple[ClusterSeen, ClusterSeen]
    send: Send
    nodes_wanted: int
    runs_directory: Path
    run_id: str
    rehearsal: str
    versions: Mapping[str, str]
    progress: Progress = field(default_factory=Progress)
    clock: MasterClock = field(default_factory=MasterClock)
    over: Event = field(default_factory=Event)
    nodes: dict[str, Node] = field(default_factory=dict)
    how: How = "completed"
    detail: str = ""
    exit_code: ExitCode | None = None
    """Set when the run failed before any load, so that there is nothing to judge."""
    _states: NodeStates = field(default_factory=NodeStates)
    _ending: Event = field(default_factory=Event)
    _phases: list[PhasePlayed] = field(default_factory=list)
    _writer: RunWriter | None = None
    _start_ns: int | None = None
    _sent_before: int = 0
    _opened_ns: int = 0

    # --- what others tell it -------------------------------------------------------------------------------------

    @property
    def directory(self) -> Path | None:
        """The run's directory, once there is one."""
        return self._writer.directory if self._writer else None

    @property
    def phase(self) -> str:
        """Where the run is."""
        return self._phases[-1].name if self._phases else "prepare"

    @property
    def ending(self) -> bool:
        """Whether it was asked to end before its plan does."""
        return bool(self._ending.is_set())

    def end_early(self, how: How, detail: str = "") -> None:
        """Asks the run to end; only the first reason counts. Returns at once."""
        if not self._ending.is_set() and not self.over.is_set():
            self.how, self.detail = how, detail
            if self._start_ns is not None or how != "failed":
                self.progress.say(f"ending early ({how}{': ' + detail if detail else ''}); draining what was sent")
            self._ending.set()

    def node_ready(self, node_id: str, host: str, pid: int) -> None:
        """A node offers to take part; one that comes after the start idles until the next run."""
        if self._start_ns is None and len(self.nodes) < self.nodes_wanted:
            self.nodes[node_id] = Node(node_id, host, pid)

    def node_prepared(self, node_id: str, owns: list[str]) -> None:
        if node_id in self.nodes:
            self.nodes[node_id].prepared = True
            self.nodes[node_id].owns = owns

    def node_second(self, node_id: str, second: Second) -> None:
        if node_id in self.nodes:
            self._states.take(node_id, second)

    def node_account(self, node_id: str, account: dict[str, Any]) -> None:
        if node_id in self.nodes:
            self.nodes[node_id].account = account

    def node_trouble(self, node_id: str, message: str, exit_code: int) -> None:
        if node_id in self.nodes:
            self.nodes[node_id].in_trouble = True
        if self._start_ns is None and not self._ending.is_set():
            self.exit_code = ExitCode(exit_code)
        self.end_early("failed", message)

    def node_lost(self, node_id: str) -> None:
        """A node is gone. The others go on; what it owned is named in the ledger as unaccounted for."""
        node = self.nodes.get(node_id)
        if node is None or node.account is not None or node.lost:
            return
        node.lost = True
        self._states.gone.add(node_id)
        self._event("worker_lost", worker=node_id, owned=node.owns)
        self.progress.say(f"worker {node_id} was lost; what it owned ({len(node.owns)}) cannot be judged")
        if self._start_ns is None:
            self.exit_code = ExitCode.INTERNAL
            self.end_early("worker_lost", f"worker {node_id} was lost before the load")
        elif all(other.lost for other in self.nodes.values()):
            self.end_early("worker_lost", "every worker was lost")

    # --- the run -------------------------------------------------------------------------------------------------

    def play(self) -> None:
        """The whole run. Never raises: what goes wrong is in the record, and in `how` and `detail`."""
        reporter = None
        try:
            self._open()
            reporter = gevent.spawn(self._each_second)
            self._gather()
            self._phases_of_the_run()
        except Mm2gateError as error:
            if self._start_ns is None:
                self.exit_code = error.exit_code
            self.end_early("failed", str(error))
        except Exception as error:
            LOG.exception("the run failed")
            self.end_early("failed", f"{type(error).__name__}: {error}")
        try:
            self._close()
        except (Mm2gateError, OSError) as error:
            LOG.exception("the record could not be closed")
            self.how, self.detail, self.exit_code = "failed", str(error), ExitCode.INTERNAL
        except Exception as error:
            LOG.exception("the record could not be closed")
            self.how, self.detail = "failed", f"{type(error).__name__}: {error}"
            self.exit_code = ExitCode.INTERNAL
        finally:
            if reporter is not None:
                reporter.kill()
            self.progress.end()
            self.over.set()

    def _open(self) -> None:
        self._writer = RunWriter.create(self.runs_directory, self.run_id)
        self._opened_ns = self.clock.now_ns()
        self._write_manifest(None)
        self._event("run_started", run_id=self._writer.run_id)
        self.progress.say(f"run {self._writer.run_id} -> {self._writer.directory}")

    def _gather(self) -> None:
        """Every node ready, the topics there, every node prepared. Nothing was sent before this is done."""
        self._wait(lambda: len(self.nodes) >= self.nodes_wanted, READY_WITHIN_S, "waiting for the nodes to be ready")
        if self._ending.is_set():
            return
        created = self.load.create()
        if created:
            self._event("topics_created", topics=created)
        for index, node in enumerate(self.nodes.values()):
            self.send(
                ToNodes.PREPARE,
                {
                    "run_id": self._open_writer().run_id,
                    "index": index,
                    "senders": len(self.nodes),
                    "scenario_sha256": self.plan.loaded_scenario.sha256,
                },
                node.id,
            )
        self._wait(lambda: all(node.prepared for node in self.nodes.values()), PREPARED_WITHIN_S, "preparing the nodes")
        self._write_manifest(None)

    def _phases_of_the_run(self) -> None:
        scenario = self.plan.scenario
        self._canary()
        if scenario.silence and not self._ending.is_set():
            self._phase(scenario.silence.name, "silence", planned_s=scenario.silence_s)
            self._pause(scenario.silence_s)
        if not self._ending.is_set():
            self._play_loads()
        self._to_nodes(ToNodes.STOP_SENDING)
        if self._start_ns is None:
            return
        self._drain()
        if scenario.watch and not self._ending.is_set():
            self._phase(scenario.watch.name, "watch", planned_s=scenario.watch_s)
            self._pause(scenario.watch_s)

    def _canary(self) -> None:
        if self._ending.is_set():
            return
        patience_s = self.plan.canary_patience_s
        self._phase("canary", "canary", planned_s=patience_s)
        self._to_nodes(ToNodes.CANARIES)
        crossed = self._until(
            lambda: (
                len(self._states.latest) == len(self.nodes)
                and self._states.all("canaries_sent")
                and self._states.total("canaries_arrived") >= self._states.total("canaries_sent")
            ),
            patience_s,
        )
        arrived, sent = self._states.total("canaries_arrived"), self._states.total("canaries_sent")
        self._event("canary", sent=sent, arrived=arrived)
        if not crossed and not self._ending.is_set():
            # A smoke test must be able to say NOGO, so the load starts all the same.
            self.progress.say(
                f"canary: {arrived} of {sent} crossed MM2 within {patience_s:g} s; the load starts anyway"
            )

    def _play_loads(self) -> None:
        start_ns = self._start_ns = self.clock.now_ns() + START_AHEAD_NS
        # On the nodes' wall clocks as they are now: one that was set since the run began must not bend the start.
        self._to_nodes(ToNodes.START, {"start_unix_ns": start_ns + self.clock.wall_step_ns()})
        for load in self.plan.loads:
            at_ns = start_ns + round(load.start_s * NS_PER_S)
            self._until(lambda at_ns=at_ns: self.clock.now_ns() >= at_ns, None)  # type: ignore[misc]
            if self._ending.is_set():
                return
            self._phase(
                load.name,
                "load",
                records=load.profile.record_count,
                planned_s=load.profile.duration_s,
                at_ns=at_ns,
            )
        end_ns = start_ns + round(self.plan.load_duration_s * NS_PER_S)
        self._until(lambda: self.clock.now_ns() >= end_ns, None)
        if not self._until(lambda: self._states.all("all_sent"), OVERTIME_S) and not self._ending.is_set():
            self._event("load_incomplete", planned=self.plan.record_count, sent=self._states.total("sent"))

    def _drain(self) -> None:
        """Until nothing is missing or pending, nothing has moved for `patience`, or the cap; shorter when hurried."""
        drain, hurried = self.plan.scenario.drain, self._ending.is_set()
        cap_s = HURRIED_DRAIN_S if hurried else drain.cap
        patience_s = HURRIED_PATIENCE_S if hurried else drain.patience
        self._phase(drain.name, "drain", planned_s=cap_s)
        deadline_ns = self.clock.now_ns() + round(cap_s * NS_PER_S)
        moved_ns, last = self.clock.now_ns(), self._states.progress
        self._states.mark()
        while self.clock.now_ns() < deadline_ns:
            gevent.sleep(LOOK_EVERY_S)
            if self._states.settled:
                return
            if self._states.progress != last:
                moved_ns, last = self.clock.now_ns(), self._states.progress
            if self.clock.now_ns() - moved_ns > patience_s * NS_PER_S:
                return
            if self._ending.is_set() and not hurried:
                hurried = True
                patience_s = min(patience_s, HURRIED_PATIENCE_S)
                deadline_ns = min(deadline_ns, self.clock.now_ns() + round(HURRIED_DRAIN_S * NS_PER_S))

    # --- the end -------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        writer = self._writer
        if writer is None:
            return
        prepared = [node for node in self.nodes.values() if node.prepared and not node.lost]
        if prepared:
            committed = self._committed()
            for node in prepared:
                self.send(ToNodes.FINISH, {"committed": committed}, node.id)
            waiting = gevent.Timeout(ACCOUNT_WITHIN_S, False)
            with waiting:
                while any(node.account is None and not (node.in_trouble or node.lost) for node in prepared):
                    gevent.sleep(LOOK_EVERY_S)
            silent = [node.id for node in prepared if node.account is None]
            if silent:
                self._event("account_missing", workers=silent)
        accounts = [node.account for node in prepared if node.account is not None]
        if accounts:
            ledger, latency = merge(accounts, [load.name for load in self.plan.loads])
            ledger["unaccounted"] = self._unaccounted()
            writer.ledger(ledger)
            writer.latency(latency)
        at_ns = self.clock.now_ns()
        self._end_phase(at_ns)
        self._event("run_ended", how=self.how, detail=self.detail)
        self._write_manifest(Ending(how=self.how, aborted=self.how != "completed", at_ns=at_ns, detail=self.detail))
        writer.seal()

    def _unaccounted(self) -> list[dict[str, Any]]:
        """What nodes owned that never gave their account, with the little that was last heard of it."""
        return [
            {"worker": node.id, "owned": node.owns, "sent": self._states.latest.get(node.id, Second()).sent}
            for node in self.nodes.values()
            if node.prepared and node.account is None
        ]

    def _committed(self) -> dict[str, int]:
        if self._start_ns is None:
            return {}
        try:
            return self.load.committed()
        except Mm2gateError as error:
            self._event("committed_offsets_unknown", reason=str(error))
            return {}

    # --- small parts ---------------------------------------------------------------------------------------------

    def _to_nodes(self, kind: ToNodes, data: dict[str, Any] | None = None) -> None:
        for node in self.nodes.values():
            if not node.lost:
                self.send(kind, data or {}, node.id)

    def _phase(
        self, name: str, kind: PhaseKind, *, records: int = 0, planned_s: float | None = None, at_ns: int | None = None
    ) -> None:
        """Ends the phase before, and begins this one, at the same instant."""
        if at_ns is None:
            at_ns = self.clock.now_ns()
        self._end_phase(at_ns)
        self._phases.append(PhasePlayed(name=name, kind=kind, records=records, planned_s=planned_s, start_ns=at_ns))
        self._event("phase_started", at_ns=at_ns, phase=name, kind=kind, records=records, planned_s=planned_s)

    def _end_phase(self, at_ns: int) -> None:
        if self._phases and self._phases[-1].end_ns is None:
            self._phases[-1] = self._phases[-1].model_copy(update={"end_ns": at_ns})

    def _pause(self, seconds: float) -> None:
        self._until(lambda: False, seconds)

    def _until(self, condition: Callable[[], object], within_s: float | None) -> bool:
        """Waits for the condition; False when time ran out, or the run was asked to end first."""
        deadline_ns = None if within_s is None else self.clock.now_ns() + round(within_s * NS_PER_S)
        while not condition():
            if self._ending.is_set() or (deadline_ns is not None and self.clock.now_ns() >= deadline_ns):
                return False
            gevent.sleep(LOOK_EVERY_S)
        return True

    def _wait(self, condition: Callable[[], object], within_s: float, what: str) -> None:
        """Like `_until`, where running out of time ends the run. Raises Mm2gateError."""
        if not self._until(condition, within_s) and not self._ending.is_set():
            raise Mm2gateError(
                f"{what}: not done within {within_s:g} s; {len(self.nodes)} of {self.nodes_wanted} nodes"
            )

    def _open_writer(self) -> RunWriter:
        if self._writer is None:
            raise Mm2gateError("the run has no record yet")
        return self._writer

    def _event(self, name: str, *, at_ns: int | None = None, **details: Any) -> None:
        if self._writer is not None:
            self._writer.event(name, at_ns=self.clock.now_ns() if at_ns is None else at_ns, **details)

    def _each_second(self) -> None:
        due_ns = self.clock.now_ns()
        while True:
            due_ns += NS_PER_S
            gevent.sleep(max((due_ns - self.clock.now_ns()) / NS_PER_S, 0.01))
            try:
                self._to_nodes(ToNodes.PULSE)
                self._row()
            except OSError as error:
                self.end_early("failed", f"the record cannot be written: {error}")
            except Exception as error:  # without this greenlet the nodes hear no pulse, and stop sending
                LOG.exception("a second of the run could not be recorded")
                self.end_early("failed", f"{type(error).__name__}: {error}")

    def _row(self) -> None:
        now_ns, states = self.clock.now_ns(), self._states
        at_s = None if self._start_ns is None else (now_ns - self._start_ns) / NS_PER_S
        summaries = states.summaries()
        row = TimelineRow(
            at_ns=now_ns,
            phase=self._phases[-1].name if self._phases else "prepare",
            wanted_per_s=0.0 if at_s is None else self.plan.records_per_s(at_s),
            wanted=0 if at_s is None else min(round(self.plan.records_by(at_s)), self.plan.record_count),
            due=states.total("due"),
            **{name: states.total(name) for name in ("sent", "acked", "failed", "unknown", "arrived", "duplicated")},
            backlog=states.total("missing"),
            e2e=summaries["e2e"],
            send_delay=summaries["send_delay"],
            wall_step_ns=self.clock.wall_step_ns(),
            workers=len(states.latest),
            histograms=states.histograms(),
        )
        self._open_writer().timeline(row)
        self.progress.second(row, row.sent - self._sent_before, self._least_left_s(now_ns))
        self._sent_before = row.sent

    def _least_left_s(self, now_ns: int) -> float | None:
        """The least time to the end: the plan's own durations, with a canary and a drain that take none."""
        if not self._phases:
            return None
        scenario, phase = self.plan.scenario, self._phases[-1]
        after = {"canary": 3, "silence": 2, "load": 1, "drain": 0, "watch": -1}[phase.kind]
        spans_s = (scenario.watch_s, 0.0, self.plan.load_duration_s, scenario.silence_s)
        if phase.kind == "load" and self._start_ns is not None:
            current_s = self.plan.load_duration_s - (now_ns - self._start_ns) / NS_PER_S
            return max(current_s, 0.0) + scenario.watch_s
        planned_s = phase.planned_s if phase.kind in ("silence", "watch") and phase.planned_s else 0.0
        current_s = max(planned_s - (now_ns - phase.start_ns) / NS_PER_S, 0.0)
        return current_s + sum(spans_s[: after + 1])

    def _write_manifest(self, ending: Ending | None) -> None:
        plan, environment = self.plan, self.plan.environment
        clock = self.clock
        manifest = Manifest(
            run_id=self._open_writer().run_id,
            started_at_ns=self._opened_ns,
            scenario=ScenarioText(
                name=plan.scenario.name,
                file=Path(plan.loaded_scenario.file).name,
                sha256=plan.loaded_scenario.sha256,
                text=plan.loaded_scenario.text,
            ),
            environment=EnvironmentSeen(
                name=environment.name,
                production=environment.production,
                file=str(plan.loaded_environment.file),
                text=plan.loaded_environment.text,
                source=self.clusters[0],
                target=self.clusters[1],
            ),
            rehearsal=self.rehearsal,
            planned_records=plan.record_count,
            record_bytes=plan.scenario.payload.bytes,
            topics=tuple(TopicPlayed(source=t.source, remote=t.remote, partitions=t.partitions) for t in plan.topics),
            versions=dict(self.versions),
            workers=tuple(
                Worker(index=index, id=node.id, host=node.host, pid=node.pid)
                for index, node in enumerate(self.nodes.values())
            ),
            phases=tuple(self._phases),
            clock=None
            if ending is None
            else ClockCheck(
                wall_minus_monotonic_start_ns=clock.offset_ns,
                wall_minus_monotonic_end_ns=clock.offset_ns + clock.wall_step_ns(),
                largest_step_ns=clock.largest_step_ns,
            ),
            ending=ending,
        )
        self._open_writer().manifest(manifest)
