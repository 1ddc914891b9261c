"""A node's side of the session: carries the master's messages to the load, and the load's state to the master."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import Runner, WorkerRunner

from locust_session import options
from locust_session.driver import drive
from locust_session.identity import CLOCKS_APART_S, clock_difference, differences, identity_of
from locust_session.load import Assignment, NodeLoad
from locust_session.moments import NodeClock
from locust_session.stalls import Stall, Watch, seconds
from locust_session.wire import ToMaster, ToNodes, pack, unpack
from run_record.manifest import WorkerIdentity
from scenarios.errors import ExitCode, Mm2gateError, Refused, SpecError
from scenarios.plan import NS_PER_S, RunPlan, load_plan

LOG = logging.getLogger("mm2gate.node")
#: A node that has not heard its master for so long, while it ran itself, sends nothing until it hears it again: nobody
#: would count it, or could stop it.
ALONE_S = 5.0
#: From one look at what the load rests on to the next.
LOOK_EVERY_S = 5.0
MakeLoad = Callable[[RunPlan, Environment], NodeLoad]


class NodeSession:
    """One per process that hosts users. A run is: `open` (test start), messages, `close`."""

    def __init__(self, environment: Environment, make_load: MakeLoad, *, clock: NodeClock | None = None) -> None:
        self._environment = environment
        self._make_load = make_load
        self._clock = clock or NodeClock()
        self._load: NodeLoad | None = None
        self._plan: RunPlan | None = None
        self._greenlets: list[gevent.Greenlet] = []
        self._reporter: gevent.Greenlet | None = None
        self._looker: gevent.Greenlet | None = None
        self._run_id = ""
        self._hurried = False
        self._identified = ""
        """The run whose master this node has shown that it plays the same."""
        self._watch = Watch(self._stood_still)
        self._heard_ns = 0
        """When it last heard its master, by the watch: on a clock that stands whenever this process does."""
        self._held_from_ns: int | None = None
        for message, handler in (
            (ToNodes.IDENTIFY, self._identify),
            (ToNodes.PREPARE, self._prepare),
            (ToNodes.CANARIES, self._canaries),
            (ToNodes.START, self._start),
            (ToNodes.PLAY, self._play),
            (ToNodes.STOP_SENDING, self._stop_sending),
            (ToNodes.PULSE, self._pulse),
            (ToNodes.FINISH, self._finish),
        ):
            self._runner.register_message(message, self._listener(handler))

    @property
    def _runner(self) -> Runner:
        runner = self._environment.runner
        if runner is None:
            raise Mm2gateError("the session was set up before Locust had a runner")
        return runner

    @property
    def _named(self) -> str:
        """What this node puts before its troubles; nothing where there is only one process."""
        runner = self._runner
        if not isinstance(runner, WorkerRunner):
            return ""
        return f"worker {socket.gethostname()} (pid {os.getpid()}, {runner.client_id}): "

    def host(self) -> NodeLoad:
        """A user of this process offers the node for a run: makes its load, and tells the master that it is ready.

        Another user may offer the node again: Locust moves users while a run goes on.
        """
        if self._load is None:
            try:
                self._plan = self._read_plan()
                self._load = self._make_load(self._plan, self._environment)
            except Mm2gateError as error:
                self._trouble(error, "")
                raise
            self._clock.spoke()
            ready = {"host": socket.gethostname(), "pid": os.getpid()}
            self._send(ToMaster.READY, {**ready, "mm2gate": self._load.versions().get("mm2gate", "")}, "")
        return self._load

    def _read_plan(self) -> RunPlan:
        """From this node's own files. Where the master's were sound, a worker's that are not are others: Refused."""
        chosen = options.of(self._environment.parsed_options)
        try:
            return load_plan(chosen["scenario"], chosen["env"], rehearsal=chosen["rehearsal"], settings=chosen["set"])
        except SpecError as error:
            if not self._named:
                raise
            raise Refused(f"its files are not the master's; copy them there\n{error}") from None

    def failed(self, error: Exception, run_id: str | None = None) -> None:
        """The load of a run, of this one unless named, broke: tells the master, which ends the run."""
        if not isinstance(error, Mm2gateError):
            LOG.error("the load failed", exc_info=error)
            error = Mm2gateError(f"the load failed: {type(error).__name__}: {error}")
        self._trouble(error, self._run_id if run_id is None else run_id)

    def close(self) -> None:
        """The run is over, however it ended; the next one starts afresh."""
        self._end_greenlets()
        self._load = self._plan = None
        self._run_id = self._identified = ""
        self._hurried = False

    def _end_greenlets(self) -> None:
        for greenlet in self._greenlets:
            greenlet.kill(block=False)
        self._greenlets.clear()
        self._reporter = self._looker = self._held_from_ns = None

    # --- messages ----------------------------------------------------------------------------------------------------

    def _listener(self, handler: Callable[[str, dict[str, Any]], None]) -> Callable[..., None]:
        """Handlers may wait, and a message must not hold up the next, so each has a greenlet of its own."""

        def listener(msg: Any, **_: Any) -> None:
            run_id, data = unpack(msg.data)
            if handler != self._identify and self._run_id not in ("", run_id):
                LOG.info("%s belongs to run %s; this node is in run %s", msg.type, run_id, self._run_id)
            else:
                gevent.spawn(self._guarded, run_id, handler, run_id, data)

        return listener

    def _guarded(self, run_id: str, action: Callable[..., None], *arguments: Any) -> None:
        """Does it; the master learns of anything that goes wrong."""
        try:
            action(*arguments)
        except Exception as error:  # noqa: BLE001 - told to the master, which ends the run
            self.failed(error, run_id)

    def _identify(self, run_id: str, data: dict[str, Any]) -> None:
        """Says who it is. Its clusters are asked only if all else is the master's: another environment's, which nobody
        may have confirmed, hear nothing of this node."""
        load, plan = self._require_load()
        self._run_id, self._identified = run_id, ""
        ahead_ns = self._clock.compare(heard_unix_ns=data["heard_unix_ns"], now_unix_ns=data["now_unix_ns"])
        own, trouble = None, ""
        try:
            load_kind = options.of(self._environment.parsed_options)["load"]
            own = identity_of(plan, versions=load.versions(), load=load_kind, senders=data["senders"])
            master = WorkerIdentity.model_validate(data["master"])
            if not any((*differences(master, own), *clock_difference(ahead_ns))):
                source, target = load.identify()
                ids = {"source_cluster_id": source.cluster_id, "target_cluster_id": target.cluster_id}
                own = own.model_copy(update=ids)
                self._identified = run_id
        except Refused as error:
            trouble = str(error)
        told = None if own is None else own.model_dump()
        self._send(ToMaster.IDENTITY, {"identity": told, "ahead_ns": ahead_ns, "trouble": trouble}, run_id)

    def _prepare(self, run_id: str, data: dict[str, Any]) -> None:
        load, _ = self._require_load()
        if self._identified != run_id:
            raise Refused(
                "the master did not ask first what this node would play, and where; install the same mm2gate on the "
                "master and on every worker"
            )
        owns = load.prepare(Assignment(run_id=run_id, index=data["index"], senders=data["senders"]))
        if self._load is not load:
            return  # the run ended meanwhile
        self._heard_ns = self._watch.ran_ns()
        self._end_greenlets()  # of a run whose end this node has not heard
        self._reporter = gevent.spawn(self._guarded, run_id, self._report_each_second, run_id)
        self._looker = gevent.spawn(self._guarded, run_id, self._look_again_and_again, load)
        driver = gevent.spawn(self._guarded, run_id, drive, load)
        self._greenlets += [driver, self._reporter, self._looker, gevent.spawn(self._watch.keep)]
        self._send(ToMaster.PREPARED, {"owns": owns}, run_id)

    def _canaries(self, _: str, __: dict[str, Any]) -> None:
        self._require_load()[0].send_canaries()

    def _start(self, _: str, data: dict[str, Any]) -> None:
        behind_s = self._clock.look_again(data["now_unix_ns"]) / NS_PER_S
        if behind_s > CLOCKS_APART_S:
            raise Refused(
                f"its clock lost {behind_s:.1f} s since the run was prepared, so its load cannot be started in time; "
                "its machine must not be suspended"
            )
        self._require_load()[0].start(self._clock.monotonic_of_ns(data["start_unix_ns"]))

    def _play(self, _: str, data: dict[str, Any]) -> None:
        self._require_load()[0].play(data["phase"], data["start_s"])

    def _pulse(self, run_id: str, _: dict[str, Any]) -> None:
        self._heard_ns = self._watch.ran_ns()
        held_from_ns, self._held_from_ns = self._held_from_ns, None
        if held_from_ns is not None and self._load is not None:
            self._load.resume_sending()
            self._interrupted("load_held", Stall(from_ns=held_from_ns, to_ns=time.monotonic_ns()), run_id)

    def _stop_sending(self, _: str, data: dict[str, Any]) -> None:
        self._hurried = data.get("hurried", False)
        if self._load is not None:
            self._load.stop_sending()

    def _finish(self, run_id: str, data: dict[str, Any]) -> None:
        load, _ = self._require_load()
        for greenlet in (self._reporter, self._looker):
            if greenlet is not None:
                greenlet.kill()
        self._reporter = self._looker = None
        try:
            self._send_second(load, run_id)
        finally:
            hurry = {"hurried": True} if self._hurried else {}
            account = load.finish(data["committed"], **hurry)  # closes its connections, whatever its last second is
        self._send(ToMaster.ACCOUNT, account, run_id)

    # --- reports -----------------------------------------------------------------------------------------------------

    def _report_each_second(self, run_id: str) -> None:
        for _ in seconds():
            load, _ = self._require_load()
            if self._held_from_ns is None and self._watch.ran_ns() - self._heard_ns > ALONE_S * NS_PER_S:
                self._held_from_ns = time.monotonic_ns()
                load.hold_sending()
            self._send_second(load, run_id)

    def _send_second(self, load: NodeLoad, run_id: str) -> None:
        second = replace(load.second(), wall_step_ns=self._clock.largest_step_ns())
        self._send(ToMaster.SECOND, second.to_wire(), run_id)

    def _stood_still(self, stall: Stall) -> None:
        if self._greenlets:  # else it takes no part in a run, or not yet
            self._interrupted("stood_still", stall, self._run_id)

    def _interrupted(self, event: str, stall: Stall, run_id: str) -> None:
        when = {"from_unix_ns": self._clock.master_of_ns(stall.from_ns), "lasted_s": round(stall.lasted_s, 3)}
        self._send(ToMaster.INTERRUPTED, {"event": event, **when}, run_id)

    @staticmethod
    def _look_again_and_again(load: NodeLoad) -> None:
        while True:
            gevent.sleep(LOOK_EVERY_S)
            load.look()

    def _require_load(self) -> tuple[NodeLoad, RunPlan]:
        if self._load is None or self._plan is None:
            raise Mm2gateError(f"{socket.gethostname()}: the master spoke of a run before this node had started one")
        return self._load, self._plan

    def _trouble(self, error: Mm2gateError, run_id: str) -> None:
        data = {"message": f"{self._named}{error}", "exit_code": int(error.exit_code or ExitCode.INTERNAL)}
        self._send(ToMaster.TROUBLE, data, run_id)

    def _send(self, kind: ToMaster, data: dict[str, Any], run_id: str) -> None:
        self._runner.send_message(kind, pack(run_id, data))
