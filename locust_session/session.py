"""Ties one Locust process to the session: which events start, end and judge a run, and which exit code it leaves with.

On the master (or in a single process) a `Conductor` plays each run; every process that hosts users has a `NodeSession`.
Locust's events that can fire twice, or in another order on another signal, all lead to `end_early` and `judged`, which
do not mind.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from locust_session import options
from locust_session.asking import BEFORE, Asked, Moment, ask
from locust_session.conductor import Conductor, How
from locust_session.crew import Crew
from locust_session.judge_process import end, follow, judge, played_file, stop_request
from locust_session.load import MasterLoad, Second
from locust_session.lost_workers import be_patient, lost
from locust_session.node import MakeLoad, NodeSession
from locust_session.output import make_logs_visible, say, write
from locust_session.run_manifest import RunFacts
from locust_session.web_ui import WebUi
from locust_session.wire import ToMaster, unpack
from run_record.manifest import ClusterSeen
from run_record.space import require_room
from run_record.store import new_run_id
from scenarios.errors import ExitCode, Mm2gateError, Refused
from scenarios.plan import RunPlan, load_plan

LOG = logging.getLogger("mm2gate.session")
MakeMaster = Callable[[RunPlan], MasterLoad]

#: The logger that Locust prints its tables with.
STATS_TABLES = logging.getLogger("locust.stats_logger")

#: Attributes of Locust's environment, where the shape and the users of this process find their session.
SESSION, NODE = "mm2gate_session", "mm2gate_node"

#: What an abnormal end may take: the hurried drain, the accounts, the seal.
BARRIER_S = 20.0
#: Signals that end a run.
_ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
FOLLOW_LOOK_S = 0.05
STOP_LOOK_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A run that no guard has anything against."""

    plan: RunPlan
    load: MasterLoad
    clusters: tuple[ClusterSeen, ClusterSeen]
    asked: Asked
    chosen: Mapping[str, str]
    """The options that it was made from, as text."""


class MasterSession:
    """The master's side: one conductor per run, the guards before it, the judge after it."""

    def __init__(self, environment: Environment, make_master: MakeMaster) -> None:
        self._environment = environment
        self._make_master = make_master
        self._conductor: Conductor | None = None
        self._judged = Event()
        # A web UI that is closed before any run has done nothing wrong.
        self._code: int = ExitCode.INTERNAL if environment.web_ui is None else ExitCode.GO
        self.runs: dict[str, Path] = {}
        """Directories of the runs of this process by run id, in the order of their starts."""
        self.trouble = ""
        """Why the last start came to nothing, if it did."""
        self._verdict = ""
        self._ended_before_start: How | None = None
        self._started = False
        self._started_s = 0.0
        self._checked: Checked | None = None
        runner = environment.runner
        if runner is None:
            raise Mm2gateError("the session was set up before Locust had a runner")
        self.runner = runner
        for message, handler in (
            (
                ToMaster.READY,
                lambda c, node, data: c.node_ready(node, data["host"], data["pid"], data.get("mm2gate", "")),
            ),
            (ToMaster.IDENTITY, lambda c, node, data: c.crew.identified(node, data)),
            (ToMaster.PREPARED, lambda c, node, data: c.crew.prepared(node, data["owns"])),
            (ToMaster.SECOND, lambda c, node, data: c.crew.second(node, Second.from_wire(data))),
            (
                ToMaster.INTERRUPTED,
                lambda c, node, data: c.crew.interrupted(
                    node, data["event"], c.clock.of_told_ns(data["from_unix_ns"]), data["lasted_s"]
                ),
            ),
            (ToMaster.ACCOUNT, lambda c, node, data: c.crew.account(node, data)),
            (ToMaster.TROUBLE, lambda c, node, data: c.node_trouble(node, data["message"], data["exit_code"])),
        ):
            runner.register_message(message, self._listener(handler))

    # --- before a run ------------------------------------------------------------------------------------------------

    def check(self, wanted: Mapping[str, str] | None = None) -> None:
        """Reads the plan and asks the guards, before anything is written anywhere. Raises Mm2gateError.

        `wanted` are options that take the place of the command line's: what the web UI's form asks for.
        """
        chosen = {**options.of(self._environment.parsed_options), **(wanted or {})}
        plan = load_plan(chosen["scenario"], chosen["env"], rehearsal=chosen["rehearsal"], settings=chosen["set"])
        plan.environment.require_confirmed(chosen["confirm"] if _headless(self._environment) else "")
        require_room(plan, Path(chosen["runs_dir"]))
        load = self._make_master(plan)
        asking = gevent.spawn(self._ask, chosen, plan, BEFORE)
        try:
            clusters = load.identify()
        except Refused as error:
            raise Refused("\n".join((str(error), *asking.get().refusals))) from None
        except Exception:
            asking.kill(block=False)
            raise
        asked: Asked = asking.get()
        asked.refuse()
        for remark in asked.remarks:
            write(sys.stderr, f"mm2gate: {remark}\n")
        self._checked = Checked(plan=plan, load=load, clusters=clusters, asked=asked, chosen=chosen)

    def accept(self, wanted: Mapping[str, str]) -> None:
        """Checks what the form asks for; the next start plays it. Raises Mm2gateError, and then nothing starts."""
        self.check(wanted)
        self.trouble = ""
        self._conductor = None  # the shape must not take the run before for this one, and end it

    def forget(self) -> None:
        """What was accepted does not start after all."""
        self._checked = None

    def stop(self) -> None:
        """The web UI's Stop. Returns at once: the run drains, and the shape ends it when its record is sealed."""
        conductor = self._conductor
        if conductor is not None:
            conductor.end_early("stopped")
        else:
            self.forget()
            gevent.spawn(self.runner.stop)

    # --- Locust's events ---------------------------------------------------------------------------------------------

    def test_start(self) -> None:
        """A run starts: headless with the plan that was checked at init, from the UI with the form's."""
        self._judged.clear()
        self._started = True
        self._conductor = None  # the run before; one that is refused below must not be waited for
        STATS_TABLES.disabled = False
        self._code = ExitCode.INTERNAL
        self._started_s = time.monotonic()
        if self._ended_before_start is not None:
            self._code = ExitCode.ABORTED
            raise Mm2gateError(self._not_started)
        if self._checked is None:
            try:
                self.check()
            except Mm2gateError as error:
                self._code = error.exit_code
                raise
        checked = self._checked or self._never()
        self._checked = None
        plan, load, chosen = checked.plan, checked.load, checked.chosen
        self._conductor = Conductor(
            facts=RunFacts(
                plan=plan,
                clusters=checked.clusters,
                rehearsal=str(plan.rehearsal),
                versions=load.versions(),
                load=chosen["load"],
                asked=checked.asked,
            ),
            load=load,
            ask=lambda moment: self._ask(chosen, plan, moment),
            crew=Crew(wanted=self.users_wanted, send=self.runner.send_message),
            runs_directory=Path(chosen["runs_dir"]),
            run_id=new_run_id(plan.scenario.name, datetime.now(UTC)),
        )
        gevent.spawn(self._play_and_judge, self._conductor)

    def tick(self) -> tuple[int, float] | None:
        """The shape's answer: as many users as there are nodes, until the run is over."""
        conductor = self._conductor
        if conductor is not None:
            self._look_for_lost_workers(conductor)
            run_time_s = getattr(self._environment.parsed_options, "run_time", None)
            if run_time_s and time.monotonic() - self._started_s > run_time_s:
                conductor.end_early("run_time", f"--run-time {run_time_s} s")
            if conductor.over.is_set():
                return None
        return self.users_wanted, float(self.users_wanted)

    def end(self, how: How) -> None:
        """Asks a run that is going on to end, and waits until its record is sealed.

        Before the first run it is remembered, so that no load starts; after a run there is nothing to end. A headless
        master that still waits for its workers leaves at once: nothing else would wake it.
        """
        conductor = self._conductor
        if conductor is None:
            self._ended_before_start = how
            if not self._started and _headless(self._environment) and isinstance(self.runner, MasterRunner):
                say(Mm2gateError(self._not_started))
                self.runner.quit()  # the workers that are there leave too
                sys.exit(int(ExitCode.ABORTED))
        elif not conductor.over.is_set():
            self._look_for_lost_workers(conductor)  # Locust stops the test by itself when the last one is gone
            conductor.end_early(how)
            conductor.over.wait(BARRIER_S)

    def quitting(self) -> None:
        """The process is about to leave: with the code of its last run's judge.

        It leaves once. On a SIGTERM that comes while it waits for the judge, Locust would begin to leave a second time,
        say everything again, and end in an interpreter that is gone.
        """
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda *_: None)  # not ignored: that the judge would inherit
        self.end("stopped")
        if self._conductor is not None:
            self._judged.wait()
        self._environment.process_exit_code = int(self._code)

    def say_verdict(self) -> None:
        """Prints what the judge said; a headless run does so last of all, below Locust's tables."""
        verdict, self._verdict = self._verdict, ""
        write(sys.stdout, verdict)
        write(sys.stderr, "")  # whether anybody still reads what Locust and its log have said

    @property
    def _not_started(self) -> str:
        return f"ended before the load ({self._ended_before_start}); nothing was sent"

    @property
    def users_wanted(self) -> int:
        """One user hosts the engine of each node."""
        runner = self.runner
        return (
            len(runner.clients.ready + runner.clients.running + runner.clients.spawning)
            if isinstance(runner, MasterRunner)
            else 1
        )

    def leave(self) -> None:
        """Ends the process, in Locust's own way."""
        self.runner.quit()

    @property
    def conductor(self) -> Conductor | None:
        """Of the run that goes on, or of the last one."""
        return self._conductor

    @property
    def starting(self) -> bool:
        """Whether a start was accepted, and has not begun yet."""
        return self._conductor is None and self._checked is not None

    @property
    def busy(self) -> bool:
        """Whether a run is going on, or being judged."""
        return self._conductor is not None and not self._judged.is_set()

    # --- parts -------------------------------------------------------------------------------------------------------

    def _ask(self, chosen: Mapping[str, str], plan: RunPlan, moment: Moment) -> Asked:
        """Has names asked; whoever wants the run's end does not wait for that."""
        conductor = self._conductor

        def given_up() -> bool:
            ended = self._ended_before_start is not None
            return ended if moment == BEFORE else conductor is not None and conductor.ending

        return ask(chosen, moment, scrape_s=plan.environment.prometheus.scrape_interval, given_up=given_up)

    def _look_for_lost_workers(self, conductor: Conductor) -> None:
        if not conductor.over.is_set():
            for node_id in lost(self.runner, conductor.crew.by_id):
                conductor.node_lost(node_id)

    def _play_and_judge(self, conductor: Conductor) -> None:
        follower = gevent.spawn(self._follow, conductor)
        try:
            conductor.play()
            follower.join()
            if conductor.exit_code is not None or conductor.directory is None:
                self._code = conductor.exit_code or ExitCode.INTERNAL
                self.trouble = conductor.detail
                self._verdict = "".join(f"mm2gate: {line}\n" for line in conductor.detail.splitlines())
                STATS_TABLES.disabled = True  # of nothing
            else:
                conductor.progress.say("judging the record (the first time, Prometheus and Connect are asked)")
                played = played_file(conductor.plan.loaded_environment)
                self._code, self._verdict = judge(conductor.directory, played)
                if not _headless(self._environment):
                    self.say_verdict()
        finally:
            self._judged.set()

    def _follow(self, conductor: Conductor) -> None:
        """The judge that looks on while the run goes on; it leaves the processor to the one that judges at the end."""
        while conductor.directory is None:
            if conductor.over.wait(FOLLOW_LOOK_S):
                return
        self.runs[conductor.directory.name] = conductor.directory
        try:
            follower = follow(conductor.directory, played_file(conductor.plan.loaded_environment))
        except OSError as error:
            LOG.warning("no live verdicts: %s", error)
            return
        while not conductor.over.wait(STOP_LOOK_S):
            request = stop_request(conductor.directory)
            if request is not None:
                conductor.end_load(request)
        end(follower, conductor.directory)

    def _listener(self, handler: Callable[[Conductor, str, dict[str, Any]], None]) -> Callable[..., None]:
        def listener(msg: Any, **_: Any) -> None:
            run_id, data = unpack(msg.data)
            if self._conductor is None or not self._conductor.is_about(run_id):
                LOG.info("%s of %s belongs to run %s, which is over", msg.type, msg.node_id, run_id or "(none)")
            else:
                handler(self._conductor, msg.node_id, data)

        return listener

    @staticmethod
    def _never() -> Checked:
        raise Mm2gateError("the run was started without its checks")


def install(environment: Environment, *, make_master: MakeMaster, make_load: MakeLoad) -> None:
    """Called by a locustfile on Locust's `init`: sets up this process's sides of the session, and their listeners.

    A headless run is checked at once: a bad scenario (64) or a guard that refuses (40) ends the process here, with its
    sentence and no traceback.
    """
    make_logs_visible()
    if not isinstance(environment.runner, MasterRunner):
        _install_node(environment, make_load)
    if not isinstance(environment.runner, WorkerRunner):
        _install_master(environment, make_master)


def _install_node(environment: Environment, make_load: MakeLoad) -> None:
    node = NodeSession(environment, make_load)
    vars(environment)[NODE] = node

    def close(**_: Any) -> None:
        node.close()

    environment.events.test_stop.add_listener(close)
    if isinstance(environment.runner, WorkerRunner):
        # Ctrl-C, and the terminal's end, reach the workers of --processes too: the master ends the run, they drain, and
        # leave when it says so.
        gevent.signal_handler(signal.SIGINT, LOG.info, "Ctrl-C: waiting for the master to end the run")
        _on_hang_up(LOG.info, "the terminal is gone: waiting for the master to end the run")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _install_master(environment: Environment, make_master: MakeMaster) -> None:
    be_patient()
    session = MasterSession(environment, make_master)
    vars(environment)[SESSION] = session

    def test_start(**_: Any) -> None:
        try:
            session.test_start()
        except Mm2gateError as error:
            say(error)
            session.trouble = str(error)
            STATS_TABLES.disabled = True
            gevent.spawn(session.leave if _headless(environment) else session.runner.stop)

    def test_stopping(**_: Any) -> None:
        if session.busy:  # it is also fired for a run that was refused at its start
            session.end("stopped")

    def quitting(**_: Any) -> None:
        session.quitting()

    def quit_(**_: Any) -> None:
        session.say_verdict()

    environment.events.test_start.add_listener(test_start)
    environment.events.test_stopping.add_listener(test_stopping)
    environment.events.quitting.add_listener(quitting)
    environment.events.quit.add_listener(quit_)
    _catch_signals(session, environment)
    if environment.web_ui is not None:
        try:
            WebUi(session, environment.web_ui).install()
        except Mm2gateError as error:
            say(error)
            sys.exit(error.exit_code)
    if _headless(environment):
        try:
            session.check()
        except Mm2gateError as error:
            say(error)
            sys.exit(error.exit_code)


def _catch_signals(session: MasterSession, environment: Environment) -> None:
    """SIGTERM, Ctrl-C and a terminal that is closed end the run, which then drains, seals and is judged; the shape ends
    after it by itself.

    Locust installs its own handlers too late for a headless run with a shape: SIGTERM would kill it dead. A web UI goes
    on after its runs, so there Locust leaves by itself on SIGTERM, and the others end its server too.
    """

    def interrupted(how: How) -> None:
        session.end(how)
        if environment.web_ui is not None:
            environment.web_ui.stop()

    gevent.signal_handler(signal.SIGTERM, session.end, "sigterm")
    gevent.signal_handler(signal.SIGINT, interrupted, "sigint")
    _on_hang_up(interrupted, "sigterm")
    # `mm2gate run` starts with them blocked; what came in the meantime is delivered now.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _on_hang_up(action: Callable[..., object], *arguments: Any) -> None:
    """What a run under nohup, which ignores it, is meant to survive is not its end."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        gevent.signal_handler(signal.SIGHUP, action, *arguments)


def _headless(environment: Environment) -> bool:
    return bool(getattr(environment.parsed_options, "headless", False))
