"""A node's side of the session: carries the master's messages to the load, and the load's state to the master."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import Runner

from locust_session import options
from locust_session.driver import drive
from locust_session.load import Assignment, NodeLoad
from locust_session.wire import ToMaster, ToNodes, pack, unpack
from scenarios.errors import ExitCode, Mm2gateError, Refused
from scenarios.plan import NS_PER_S, RunPlan, load_plan

LOG = logging.getLogger("mm2gate.node")
#: A node that has not heard its master for so long sends nothing more: nobody would count it, or could stop it.
ALONE_S = 5.0
#: The start is told as an instant of the wall clock.
CLOCKS_APART_S = 1.0
#: From one look at what the load rests on to the next.
LOOK_EVERY_S = 5.0
MakeLoad = Callable[[RunPlan, Environment], NodeLoad]


class NodeSession:
    """One per process that hosts users. A run is: `open` (test start), messages, `close`."""

    def __init__(self, environment: Environment, make_load: MakeLoad) -> None:
        self._environment = environment
        self._make_load = make_load
        self._load: NodeLoad | None = None
        self._plan: RunPlan | None = None
        self._driver: gevent.Greenlet | None = None
        self._reporter: gevent.Greenlet | None = None
        self._looker: gevent.Greenlet | None = None
        self._run_id = ""
        self._hurried = False
        self._heard_s = 0.0
        self._ready_unix_ns = 0
        for message, handler in (
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

    def host(self) -> NodeLoad:
        """A user of this process offers the node for a run: makes its load, and tells the master that it is ready.

        Another user may offer the node again: Locust moves users while a run goes on.
        """
        if self._load is None:
            chosen = options.of(self._environment.parsed_options)
            try:
                self._plan = load_plan(
                    chosen["scenario"], chosen["env"], rehearsal=chosen["rehearsal"], settings=chosen["set"]
                )
                self._load = self._make_load(self._plan, self._environment)
            except Mm2gateError as error:
                self._trouble(error, "")
                raise
            self._ready_unix_ns = time.time_ns()
            self._send(ToMaster.READY, {"host": socket.gethostname(), "pid": os.getpid()}, "")
        return self._load

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
        self._run_id = ""
        self._hurried = False

    def _end_greenlets(self) -> None:
        for greenlet in (self._driver, self._reporter, self._looker):
            if greenlet is not None:
                greenlet.kill(block=False)
        self._driver = self._reporter = self._looker = None

    # --- messages ----------------------------------------------------------------------------------------------------

    def _listener(self, handler: Callable[[str, dict[str, Any]], None]) -> Callable[..., None]:
        """Handlers may wait, and a message must not hold up the next, so each has a greenlet of its own."""

        def listener(msg: Any, **_: Any) -> None:
            run_id, data = unpack(msg.data)
            if handler != self._prepare and self._run_id not in ("", run_id):
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

    def _prepare(self, run_id: str, data: dict[str, Any]) -> None:
        load, plan = self._require_load()
        self._run_id = run_id
        if data["scenario_sha256"] != plan.loaded_scenario.sha256:
            raise Mm2gateError(
                f"{socket.gethostname()}: scenario {plan.scenario.name} here is not the master's; "
                "install the same mm2gate, and the same files, on every node"
            )
        apart_s = _apart_s(data, ready_ns=self._ready_unix_ns, now_ns=time.time_ns())
        if abs(apart_s) > CLOCKS_APART_S:
            how = "ahead of" if apart_s > 0 else "behind"
            raise Refused(
                f"{socket.gethostname()}: its clock is {abs(apart_s):.1f} s {how} the master's, and so would be its "
                "load; set both by NTP"
            )
        owns = load.prepare(Assignment(run_id=run_id, index=data["index"], senders=data["senders"]))
        if self._load is not load:
            return  # the run ended meanwhile
        self._heard_s = time.monotonic()
        self._end_greenlets()  # of a run whose end this node has not heard
        self._driver = gevent.spawn(self._guarded, run_id, drive, load)
        self._reporter = gevent.spawn(self._guarded, run_id, self._report_each_second, run_id)
        self._looker = gevent.spawn(self._guarded, run_id, self._look_again_and_again, load)
        self._send(ToMaster.PREPARED, {"owns": owns}, run_id)

    def _canaries(self, _: str, __: dict[str, Any]) -> None:
        self._require_load()[0].send_canaries()

    def _start(self, _: str, data: dict[str, Any]) -> None:
        # The master's instant on this node's wall clock, carried over to its monotonic clock at once.
        self._require_load()[0].start(time.monotonic_ns() + data["start_unix_ns"] - time.time_ns())

    def _play(self, _: str, data: dict[str, Any]) -> None:
        self._require_load()[0].play(data["phase"], data["start_s"])

    def _pulse(self, _: str, __: dict[str, Any]) -> None:
        self._heard_s = time.monotonic()

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
            self._send(ToMaster.SECOND, load.second().to_wire(), run_id)
        finally:
            hurry = {"hurried": True} if self._hurried else {}
            account = load.finish(data["committed"], **hurry)  # closes its connections, whatever its last second is
        self._send(ToMaster.ACCOUNT, account, run_id)

    # --- reports -----------------------------------------------------------------------------------------------------

    def _report_each_second(self, run_id: str) -> None:
        due_s = time.monotonic()
        while True:
            due_s += 1.0
            gevent.sleep(max(due_s - time.monotonic(), 0.01))
            load, _ = self._require_load()
            if time.monotonic() - self._heard_s > ALONE_S:
                load.stop_sending()
            self._send(ToMaster.SECOND, load.second().to_wire(), run_id)

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
        data = {"message": str(error), "exit_code": int(error.exit_code or ExitCode.INTERNAL)}
        self._send(ToMaster.TROUBLE, data, run_id)

    def _send(self, kind: ToMaster, data: dict[str, Any], run_id: str) -> None:
        self._runner.send_message(kind, pack(run_id, data))


def _apart_s(data: dict[str, Any], *, ready_ns: int, now_ns: int) -> float:
    """How far this node's clock is proven to be ahead of the master's (below 0: behind), in seconds.

    A message arrives after it was sent, however long it took: what this node said cannot have been heard before, so
    that it is ahead by so much at least; and what it hears now was not said later, so that it is ahead by no more.
    Between the two nothing is proven: a busy node hears late.
    """
    least_s: float = (ready_ns - data["heard_unix_ns"]) / NS_PER_S
    most_s: float = (now_ns - data["now_unix_ns"]) / NS_PER_S
    return max(least_s, 0.0) + min(most_s, 0.0)
