"""The conductor: plays one run on the master, from the first check to the sealed record.

    canary → silence → load phases → drain → watch → account → seal

It runs in a greenlet of its own, waits for conditions rather than for events, and every wait ends early when the run
is asked to end. However that happens, what was sent is drained (for a few seconds at most when someone is waiting),
counted and sealed; only SIGKILL leaves a record open, and that one is readable too.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import gevent
from gevent.event import Event

from locust_session.asking import Asked, Moment
from locust_session.chronicle import Chronicle
from locust_session.crew import Crew, Node
from locust_session.drain import Drain
from locust_session.load import MasterLoad
from locust_session.moments import MasterClock
from locust_session.muster import muster
from locust_session.progress import Progress, least_left_s
from locust_session.run_manifest import RunFacts
from locust_session.staircase import UNJUDGED, VERDICT_WITHIN_S, Staircase
from locust_session.stalls import Watch, seconds
from locust_session.timeline import NodeStates, row_of
from locust_session.wire import ToNodes
from run_record.account import merge
from run_record.manifest import Cut, Ending
from scenarios.errors import ExitCode, Mm2gateError
from scenarios.phases import Step
from scenarios.plan import NS_PER_S, PlannedLoad, RunPlan
from scenarios.secrets import hidden

LOG = logging.getLogger("mm2gate.session")

How = Literal["completed", "criterion", "stopped", "sigterm", "sigint", "run_time", "worker_lost", "failed"]

LOOK_EVERY_S = 0.05
VERDICT_LOOK_S = 0.5
READY_WITHIN_S = 30.0
PREPARED_WITHIN_S = 60.0
ACCOUNT_WITHIN_S = 30.0
#: What committed offsets may take once the run was asked to end; a Connect that rebalances takes a minute otherwise.
HURRIED_OFFSETS_S = 5.0
#: Between the order to start and second 0, so that every node has it in hand by then.
START_AHEAD_NS = 500_000_000
#: A generator that is this far behind at the end of the plan stops; what it did not send is load that was not applied.
OVERTIME_S = 30.0
#: Kinds of phase in which the load can be ended.
_LOADED = ("load", "rest")


@dataclass(slots=True, kw_only=True)
class Conductor:
    """One run. `play()` is its life."""

    facts: RunFacts
    load: MasterLoad
    crew: Crew
    runs_directory: Path
    run_id: str
    """As wished for; a directory of that name may be there already, and then the run gets another."""
    ask: Callable[[Moment], Asked] | None = None
    """Has names asked that nobody could tell before the canaries; it may wait, and never raises."""
    progress: Progress = field(default_factory=Progress)
    clock: MasterClock = field(default_factory=MasterClock)
    over: Event = field(default_factory=Event)
    how: How = "completed"
    detail: str = ""
    exit_code: ExitCode | None = None
    """Set when the run failed before any load, so that there is nothing to judge."""
    _ending: Event = field(default_factory=Event)
    _chronicle: Chronicle = field(init=False)
    _watch: Watch = field(init=False)
    """All patience is by its clock, which stands when this process does."""
    _start_ns: int | None = None
    _load_ended_ns: int | None = None
    """When the last record was sent, if the whole plan was; otherwise the load ends when the drain begins."""
    _staircase: Staircase | None = None
    """Of a load whose steps are decided on one by one."""
    _sent_before: int = 0
    _cut: Cut | None = None

    def __post_init__(self) -> None:
        self._chronicle = Chronicle(facts=self.facts, clock=self.clock)
        self._watch = Watch(lambda stall: self.crew.master_stood_still(stall.from_ns + self.clock.offset_ns, stall))
        self.crew.note = self._note

    # --- what others tell it -------------------------------------------------------------------------------------

    @property
    def plan(self) -> RunPlan:
        """What it plays."""
        return self.facts.plan

    @property
    def _states(self) -> NodeStates:
        return self.crew.states

    @property
    def directory(self) -> Path | None:
        """The run's directory, once there is one."""
        return self._chronicle.directory

    @property
    def phase(self) -> str:
        """Where the run is."""
        phase = self._chronicle.phase
        return "prepare" if phase is None else phase.name

    @property
    def ending(self) -> bool:
        """Whether it was asked to end before its plan does."""
        return bool(self._ending.is_set())

    def end_early(self, how: How, detail: str = "") -> None:
        """Asks the run to end; only the first reason counts. Returns at once."""
        if not self._ending.is_set() and not self.over.is_set():
            self.how, self.detail = how, hidden(detail)
            self._ending.set()
            if self._start_ns is not None or how != "failed":
                said = f": {self.detail}" if detail else ""
                self.progress.say(f"ending early ({how}{said}); draining what was sent")

    def end_load(self, request: Mapping[str, Any]) -> None:
        """A criterion that is NOGO asks for the load's end. Drain and watch go on in full: the rest is judged as ever.

        `request`: criterion, value, unit, go, nogo_since_ns, seen_at_ns. Counts once, and only while the load goes on.
        """
        if self._cut is not None or self._ending.is_set() or not self._loaded:
            return
        self._cut = Cut(
            criterion=request["criterion"],
            value=request["value"],
            unit=request["unit"],
            nogo_since_ns=request["nogo_since_ns"],
            at_ns=self.clock.now_ns(),
        )
        lasted_s = (self._cut.at_ns - self._cut.nogo_since_ns) / NS_PER_S
        sentence = f"ending the load: {self._cut.criterion} has been NOGO for {lasted_s:.0f} s"
        self._note("load_cut_short", sentence, **self._cut.model_dump(exclude={"at_ns", "due_records"}))

    @property
    def _loaded(self) -> bool:
        """Whether the load goes on, or rests."""
        phase = self._chronicle.phase
        return phase is not None and phase.kind in _LOADED

    @property
    def _load_must_end(self) -> bool:
        return self._cut is not None or self.ending

    def is_about(self, run_id: str) -> bool:
        """Whether a message of that run is for this one. A node that knows of no run yet means the one that goes on."""
        return run_id in ("", self.crew.run_id)

    def node_ready(self, node_id: str, host: str, pid: int, mm2gate: str = "") -> None:
        """A node offers to take part; one that comes after the start idles until the next run."""
        if self._start_ns is None:
            self.crew.ready(Node(node_id, host, pid, mm2gate, heard_ns=self.clock.now_ns()))

    def node_trouble(self, node_id: str, message: str, exit_code: int) -> None:
        """A node cannot go on, so neither can the run; unless it came after the start, and takes no part."""
        if node_id not in self.crew.by_id and self.crew.all_ready:
            LOG.warning("worker %s, which takes no part in this run: %s", node_id, message)
            return
        self.crew.trouble(node_id)
        if self._start_ns is None and not self._ending.is_set():
            self.exit_code = ExitCode(exit_code)
        self.end_early("failed", message)

    def node_lost(self, node_id: str) -> None:
        """A node is gone. The others go on; what it owned is named in the ledger as unaccounted for."""
        node = self.crew.lost(node_id)
        if node is None:
            return
        sentence = f"worker {node_id} was lost; what it owned ({len(node.owns)}) cannot be judged"
        self._note("worker_lost", sentence, worker=node_id, owned=node.owns)
        if self._start_ns is None:
            self.exit_code = ExitCode.INTERNAL
            self.end_early("worker_lost", f"worker {node_id} was lost before the load")
        elif self.crew.all_lost:
            self.end_early("worker_lost", "every worker was lost")

    # --- the run -------------------------------------------------------------------------------------------------

    def play(self) -> None:
        """The whole run. Never raises: what goes wrong is in the record, and in `how` and `detail`."""
        beside = [gevent.spawn(self._watch.keep)]
        try:
            self._open()
            beside.append(gevent.spawn(self._each_second))
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
        except Mm2gateError as error:
            self.how, self.detail, self.exit_code = "failed", str(error), ExitCode.INTERNAL
        except Exception as error:
            LOG.exception("the record could not be closed")
            self.how, self.detail = "failed", hidden(f"{type(error).__name__}: {error}")
            self.exit_code = ExitCode.INTERNAL
        finally:
            gevent.killall(beside)
            self.over.set()
            self.progress.end()

    def _open(self) -> None:
        self.crew.run_id = self._chronicle.open(self.runs_directory, self.run_id)
        self.progress.say(f"run {self.crew.run_id} -> {self.directory}")
        if self.facts.asked is not None:
            self._chronicle.event("names_asked", **self.facts.asked.to_json())

    def _gather(self) -> None:
        """Every node ready, and what it should be; the topics there; every node prepared. Nothing was sent before."""
        crew, facts = self.crew, self.facts
        self._wait(lambda: crew.all_ready, READY_WITHIN_S, "waiting for the nodes to be ready")
        if self._ending.is_set():
            return
        muster(
            crew,
            facts.identity(senders=len(crew.by_id)),
            clock=self.clock,
            until=self._until,
            ended=self._ending.is_set,
        )
        if self._ending.is_set():
            return
        created = self.load.create()
        if created:
            self._chronicle.event("topics_created", topics=created)
        for index, node in enumerate(crew.by_id.values()):
            crew.tell(node, ToNodes.PREPARE, {"index": index, "senders": len(crew.by_id)})
        self._wait(lambda: crew.all_prepared, PREPARED_WITHIN_S, "preparing the nodes")
        self._chronicle.manifest(crew.workers())

    def _phases_of_the_run(self) -> None:
        scenario = self.plan.scenario
        asking = self._ask_again(self._canary())
        if scenario.silence and not self._ending.is_set():
            self._chronicle.begin(scenario.silence.name, "silence", planned_s=scenario.silence_s)
            self._until(lambda: asking is not None and asking.ready() and asking.value.refusals, scenario.silence_s)
        self._heed(asking)
        if not self._ending.is_set():
            self._play_loads()
        self.crew.tell_all(ToNodes.STOP_SENDING)
        if self._start_ns is None:
            return
        self._drain()
        if scenario.watch and not self._ending.is_set():
            self._chronicle.begin(scenario.watch.name, "watch", planned_s=scenario.watch_s)
            self._pause(scenario.watch_s)

    def _canary(self) -> Moment | None:
        """Sends the canaries and awaits them; what became of all of them, if it is the same."""
        if self._ending.is_set():
            return None
        patience_s = self.plan.canary_patience_s
        self._chronicle.begin("canary", "canary", planned_s=patience_s)
        self.crew.tell_all(ToNodes.CANARIES)
        crossed = self._until(lambda: self.crew.canaries_crossed, patience_s)
        arrived, sent = self._states.total("canaries_arrived"), self._states.total("canaries_sent")
        self._chronicle.event("canary", sent=sent, arrived=arrived)
        if not crossed and not self._ending.is_set():
            # A smoke test must be able to say NOGO, so the load starts all the same.
            self.progress.say(
                f"canary: {arrived} of {sent} crossed MM2 within {patience_s:g} s; the load starts anyway"
            )
        if not sent or 0 < arrived < sent:
            return None
        return "canary_crossed" if arrived else "canary_lost"

    def _ask_again(self, moment: Moment | None) -> gevent.Greenlet | None:
        """Has the names asked that only the canaries can tell, while the silence goes on."""
        asked = self.facts.asked
        if self.ask is None or asked is None or moment is None or self._ending.is_set():
            return None
        return gevent.spawn(self.ask, moment) if asked.worth_asking(moment) else None

    def _heed(self, asking: gevent.Greenlet | None) -> None:
        """Waits for what was told. Raises Refused where a name of ours is wrong: only canaries were sent by then."""
        if asking is None or not self._until(asking.ready, None):
            return
        asked: Asked = asking.get()
        self._chronicle.event("names_asked", **asked.to_json())
        for line in (*asked.refusals, *asked.remarks):
            self.progress.say(line)
        asked.refuse()

    def _play_loads(self) -> None:
        start_ns = self._start_ns = self.clock.now_ns() + START_AHEAD_NS
        instants = {"start_unix_ns": self.clock.told_ns(start_ns), "now_unix_ns": self.clock.told_ns()}
        self.crew.tell_all(ToNodes.START, instants)
        if self.plan.ladder:
            self._climb(start_ns)
            return
        for load in self.plan.loads:
            at_ns = start_ns + round(load.start_s * NS_PER_S)
            self._until(lambda at_ns=at_ns: self.clock.now_ns() >= at_ns, None)  # type: ignore[misc]
            if self._load_must_end:
                return
            self._chronicle.begin(
                load.name,
                "load",
                records=load.profile.record_count,
                planned_s=load.profile.duration_s,
                at_ns=at_ns,
            )
        end_ns = start_ns + round(self.plan.load_duration_s * NS_PER_S)
        self._until(lambda: self.clock.now_ns() >= end_ns, None)
        if self._until(lambda: self._states.all("all_sent"), OVERTIME_S):
            # Nodes report once a second: the load ended when they sent the last record, not when they said so.
            self._load_ended_ns = max(end_ns, start_ns + self._states.largest("last_sent_ns"))
        elif not self._load_must_end:
            self._chronicle.event("load_incomplete", planned=self.plan.record_count, sent=self._states.total("sent"))

    def _climb(self, start_ns: int) -> None:
        """A staircase: a step, a rest in which it is judged, and the step to which its verdict leads."""
        staircase = self._staircase = Staircase(plan=self.plan, directory=self._chronicle.pen.directory)
        start_s = 0.0
        while not self._load_must_end and (step := staircase.next_step()) is not None:
            number, load = staircase.begin(step, start_s)
            self.crew.tell_all(ToNodes.PLAY, {"phase": number, "start_s": start_s})
            at_ns = start_ns + round(start_s * NS_PER_S)
            self._until(lambda at_ns=at_ns: self.clock.now_ns() >= at_ns, None)  # type: ignore[misc]
            if self._load_must_end or not self._play_step(load, at_ns):
                return
            staircase.verdicts[step.name] = self._rest(staircase, step)
            start_s = (self.clock.now_ns() + START_AHEAD_NS - start_ns) / NS_PER_S

    def _play_step(self, load: PlannedLoad, at_ns: int) -> bool:
        """Whether all of the step was sent, and in time."""
        self._chronicle.begin(
            load.name, "load", records=load.profile.record_count, planned_s=load.profile.duration_s, at_ns=at_ns
        )
        end_ns = at_ns + round(load.profile.duration_s * NS_PER_S)
        self._until(lambda: self.clock.now_ns() >= end_ns, None)
        self._states.mark()
        if self._until(lambda: self._states.heard_twice and self._states.all("all_sent"), OVERTIME_S):
            self._load_ended_ns = max(end_ns, (self._start_ns or 0) + self._states.largest("last_sent_ns"))
            return True
        if not self._load_must_end:
            self._chronicle.event("load_incomplete", planned=load.profile.record_count, sent=self._states.total("sent"))
        return False

    def _rest(self, staircase: Staircase, step: Step) -> str:
        """Nothing is sent, and the judge looks on; its verdict on the step."""
        rest_s = self.plan.rest_s
        self._chronicle.begin(f"{step.name}_rest", "rest", planned_s=rest_s, at_ns=self._load_ended_ns)
        rested_ns = (self._load_ended_ns or self.clock.now_ns()) + round(rest_s * NS_PER_S)
        self._load_ended_ns = None
        self._until(lambda: self.clock.now_ns() >= rested_ns, None)
        if step.kind == "warm":
            return UNJUDGED  # nobody judges it, and nothing follows from it
        self._until(lambda: staircase.verdict_on(step), VERDICT_WITHIN_S, every_s=VERDICT_LOOK_S)
        verdict = staircase.verdict_on(step)
        self._chronicle.event("step_judged", phase=step.name, verdict=verdict or UNJUDGED, judged=verdict is not None)
        self.progress.say(f"{step.name}: {verdict or 'not judged in time, which ends the ramp'}")
        return verdict or UNJUDGED

    def _drain(self) -> None:
        settings = self.plan.scenario.drain
        drain = Drain(
            cap_s=settings.cap, patience_s=settings.patience, hurried=self._ending.is_set, now_ns=self._watch.ran_ns
        )
        self._chronicle.begin(settings.name, "drain", planned_s=drain.planned_s, at_ns=self._load_ended_ns)
        drain.wait(self._states)

    # --- the end -------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        if self.directory is None:
            return
        here = self.crew.here
        if here:
            committed = self._committed()
            if self.ending:
                self.crew.tell_all(ToNodes.STOP_SENDING, {"hurried": True})
            for node in here:
                self.crew.tell(node, ToNodes.FINISH, {"committed": committed})
            self._watch.until(lambda: not any(node.silent for node in here), ACCOUNT_WITHIN_S, every_s=LOOK_EVERY_S)
            missing = [node.id for node in here if node.account is None]
            if missing:
                self._chronicle.event("account_missing", workers=missing)
        accounts = [node.account for node in here if node.account is not None]
        for account in accounts:
            self._states.note(account.get("notes", ()))
        self._write_notes()
        if accounts:
            ledger, latency = merge(accounts, [load.name for load in self.plan.loads])
            ledger["unaccounted"] = self.crew.unaccounted()
            self._chronicle.account(ledger, latency)
        at_ns = self.clock.now_ns()
        self._chronicle.end_phase(at_ns)
        if self.how == "completed" and self._cut:
            self.how, self.detail = "criterion", self._cut.criterion
        self._chronicle.event("run_ended", how=self.how, detail=self.detail)
        aborted = self.how not in ("completed", "criterion")
        ending = Ending(how=self.how, aborted=aborted, at_ns=at_ns, detail=self.detail, cut=self._settled_cut())
        self._chronicle.manifest(self.crew.workers(), ending)
        self._chronicle.seal()

    def _settled_cut(self) -> Cut | None:
        """What was due when the load was ended: up to the last record of the node that stopped first, since the order
        to stop reaches each at an instant of its own."""
        if self._cut is None:
            return None
        stopped_s = self._states.smallest("last_sent_ns") / NS_PER_S
        loads = self.plan.loads if self._staircase is None else self._staircase.played
        due = math.floor(self.plan.records_by(stopped_s, loads))
        return self._cut.model_copy(update={"due_records": due})

    def _committed(self) -> dict[str, int]:
        """Where they are not told, nothing is proven lost. They are waited for, but not for long by those who wait for
        the run's end, and kill what does not end."""
        if self._start_ns is None:
            return {}
        asking = gevent.spawn(self._ask_for_committed)
        gevent.wait([asking, self._ending], count=1)
        asking.join(HURRIED_OFFSETS_S)
        told: dict[str, int] | str = f"not told within {HURRIED_OFFSETS_S:g} s, and the run was to end"
        if asking.ready():
            told = asking.get()
        asking.kill(block=False)
        if isinstance(told, str):
            self._chronicle.event("committed_offsets_unknown", reason=told)
            return {}
        return told

    def _ask_for_committed(self) -> dict[str, int] | str:
        """Or why they are not told."""
        try:
            return self.load.committed()
        except Mm2gateError as error:
            return str(error)
        except Exception as error:  # the record is closed and sealed all the same
            LOG.exception("MM2's committed offsets could not be asked for")
            return hidden(f"{type(error).__name__}: {error}")

    # --- small parts ---------------------------------------------------------------------------------------------

    def _pause(self, seconds: float) -> None:
        self._until(lambda: False, seconds)

    def _until(self, condition: Callable[[], object], within_s: float | None, *, every_s: float | None = None) -> bool:
        """Waits for the condition; False when time ran out, or the run, or the load that goes on, was to end first."""
        return self._watch.until(
            condition,
            within_s,
            every_s=every_s or LOOK_EVERY_S,
            unless=lambda: self._load_must_end if self._loaded else self.ending,
        )

    def _wait(self, condition: Callable[[], object], within_s: float, what: str) -> None:
        """Like `_until`, where running out of time ends the run. Raises Mm2gateError."""
        if not self._until(condition, within_s) and not self._ending.is_set():
            raise Mm2gateError(
                f"{what}: not done within {within_s:g} s; {len(self.crew.by_id)} of {self.crew.wanted} nodes"
            )

    def _note(self, event: str, sentence: str, **details: Any) -> None:
        """An event that others bring, and its sentence: that it cannot be recorded ends the run, and is not for them to
        hear of."""
        try:
            self._chronicle.event(event, **details)
        except Mm2gateError as error:
            self.end_early("failed", str(error))
        self.progress.say(sentence)

    def _each_second(self) -> None:
        for _ in seconds():
            try:
                self.crew.tell_all(ToNodes.PULSE)
                self._row()
                self._write_notes()
            except Mm2gateError as error:
                self.end_early("failed", str(error))
            except Exception as error:  # without this greenlet the nodes hear no pulse, and stop sending
                LOG.exception("a second of the run could not be recorded")
                self.end_early("failed", f"{type(error).__name__}: {error}")

    def _write_notes(self) -> None:
        """What the nodes saw happen, by the instant at which the master heard of it."""
        for note in self._states.take_notes():
            self._chronicle.event(note["event"], **{name: what for name, what in note.items() if name != "event"})

    def _row(self) -> None:
        now_ns = self.clock.now_ns()
        phase = self._chronicle.phase
        row = row_of(
            self.plan,
            self._states,
            at_ns=now_ns,
            phase="prepare" if phase is None else phase.name,
            start_ns=self._start_ns,
            wall_step_ns=self.clock.wall_step_ns(),
            loads=None if self._staircase is None else self._staircase.played,
        )
        self._chronicle.second(row)
        left_s = None if phase is None else least_left_s(self.plan, phase, start_ns=self._start_ns, now_ns=now_ns)
        self.progress.second(row, row.sent - self._sent_before, left_s)
        self._sent_before = row.sent
