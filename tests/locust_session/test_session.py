"""A Locust process and its runs: a refused run is not waited for and does not spoil the next; a node's troubles reach
the master; what belongs to a run that is over changes nothing."""

from __future__ import annotations

import time
from argparse import Namespace
from types import SimpleNamespace

import gevent
import pytest
from locust.env import Environment
from locust.rpc import Message
from locust.runners import STATE_MISSING, STATE_RUNNING, MasterRunner, WorkerNode, WorkerNodes

from locust_session import conductor as conductor_module
from locust_session import session as session_module
from locust_session.conductor import Conductor
from locust_session.crew import Node
from locust_session.load import Second
from locust_session.node import NodeSession
from locust_session.wire import ToMaster, ToNodes, pack, unpack
from mm2_users.replication_user import ReplicationUser
from run_record.store import RunRecord, write_json
from scenarios.errors import ExitCode, Mm2gateError, Refused
from tests.locust_session.fakes import FakeMaster, NoJudge
from tests.scenarios.examples import ENVIRONMENT, SCENARIO, plan


@pytest.fixture
def files(tmp_path):
    (tmp_path / "good.yaml").write_text(SCENARIO)
    (tmp_path / "bad.yaml").write_text(SCENARIO.replace("10/s", "10"))
    (tmp_path / "desk.yaml").write_text(ENVIRONMENT)
    (tmp_path / "prod.yaml").write_text(ENVIRONMENT + "production: true\n")
    return tmp_path


def chosen(files, scenario="good", env="desk", **more) -> Namespace:
    usual = {"rehearsal": "1", "runs_dir": str(files / "runs"), "confirm": "", "headless": False, "run_time": None}
    usual |= {"load": "own", "set": ""}
    usual["load"] = "own"
    return Namespace(scenario=str(files / f"{scenario}.yaml"), env=str(files / f"{env}.yaml"), **(usual | more))


# --- the master ------------------------------------------------------------------------------------------------------


@pytest.fixture
def ui(files, monkeypatch):
    """A Locust process with a UI and no user, so that its runs fail soon, and the session in it."""
    monkeypatch.setattr(session_module, "_catch_signals", lambda *_, **__: None)
    monkeypatch.setattr(session_module, "judge", lambda directory: (int(ExitCode.NOGO), f"judged {directory}\n"))
    monkeypatch.setattr(session_module, "follow", lambda directory: NoJudge(), raising=False)
    monkeypatch.setattr(conductor_module, "READY_WITHIN_S", 0.1)
    environment = Environment(parsed_options=chosen(files))
    environment.create_local_runner()
    session_module.install(environment, make_master=lambda _: FakeMaster(), make_load=lambda *_: None)
    return environment


def start(environment) -> None:
    environment.events.test_start.fire(environment=environment)


def leave(environment) -> int:
    with gevent.Timeout(3):
        environment.events.quitting.fire(environment=environment)
    return environment.process_exit_code


def session_of(environment) -> session_module.MasterSession:
    return vars(environment)[session_module.SESSION]


def test_a_process_that_never_ran_leaves_without_an_answer_of_go(ui):
    assert leave(ui) == ExitCode.INTERNAL


def test_a_run_that_failed_before_the_load_leaves_with_its_own_code_and_is_not_judged(ui, capsys):
    start(ui)
    session_of(ui)._judged.wait(3)
    assert leave(ui) == ExitCode.INTERNAL
    ui.events.quit.fire(exit_code=0)
    assert capsys.readouterr().out.startswith("mm2gate: waiting for the nodes to be ready: not done")


def test_a_run_ended_by_a_person_is_judged(ui):
    start(ui)
    gevent.sleep(0.02)
    session_of(ui).end("stopped")
    assert leave(ui) == ExitCode.NOGO


def test_a_second_run_that_is_refused_is_not_waited_for_and_gives_its_code(ui, files, capsys):
    start(ui)
    session_of(ui)._judged.wait(3)
    ui.parsed_options = chosen(files, "bad")
    start(ui)
    assert "phases[0].rate" in capsys.readouterr().err
    assert leave(ui) == ExitCode.BAD_SPEC


def test_a_refused_run_does_not_spoil_the_next(ui, files):
    ui.parsed_options = chosen(files, "bad")
    start(ui)
    ui.events.test_stopping.fire(environment=ui)  # Locust stops what was refused
    ui.parsed_options = chosen(files)
    start(ui)
    assert session_of(ui).busy
    session_of(ui)._judged.wait(3)
    assert len(list((files / "runs").iterdir())) == 1


def test_an_end_before_the_first_run_lets_none_start(ui, files, capsys):
    session_of(ui).end("sigterm")
    start(ui)
    assert "nothing was sent" in capsys.readouterr().err
    assert not (files / "runs").exists()
    assert leave(ui) == ExitCode.ABORTED


def test_stopping_and_quitting_may_come_twice(ui):
    start(ui)
    for _ in range(2):
        ui.events.test_stopping.fire(environment=ui)
        leave(ui)
    assert leave(ui) == ExitCode.NOGO


@pytest.mark.parametrize(("written", "kept"), [("1.0", "1"), ("3/3", "1"), ("0.5", "1/2"), ("1/30", "1/30")])
def test_the_record_says_whether_it_was_a_rehearsal_however_it_was_written(ui, files, written, kept):
    ui.parsed_options = chosen(files, rehearsal=written)
    start(ui)
    session_of(ui)._judged.wait(3)
    (directory,) = (files / "runs").iterdir()
    manifest = RunRecord.open(directory).manifest
    assert manifest.rehearsal == kept
    assert manifest.is_rehearsal == (kept != "1")


@pytest.mark.parametrize(
    ("headless", "confirm", "refused"),
    [(False, "", True), (False, "desk", True), (True, "", True), (True, "desk", False)],
)
def test_production_is_played_headless_and_with_its_name_typed_out_or_not_at_all(ui, files, headless, confirm, refused):
    ui.parsed_options = chosen(files, env="prod", headless=headless, confirm=confirm)
    if refused:
        with pytest.raises(Refused, match="is a production environment"):
            session_of(ui).check()
    else:
        session_of(ui).check()


def test_run_time_ends_a_run_that_has_a_shape_too(ui, files):
    ui.parsed_options = chosen(files, run_time=0.01)
    start(ui)
    gevent.sleep(0.03)
    session_of(ui).tick()
    session_of(ui)._judged.wait(3)
    (directory,) = (files / "runs").iterdir()
    assert RunRecord.open(directory).manifest.ending.how == "run_time"
    assert session_of(ui).tick() is None


def test_workers_that_left_or_went_missing_are_told_to_the_run(ui):
    lost = []
    runner = MasterRunner.__new__(MasterRunner)
    runner.clients = WorkerNodes()
    for name, state in (("here", STATE_RUNNING), ("silent", STATE_MISSING)):
        runner.clients[name] = WorkerNode(name, state=state)
    session = session_of(ui)
    session.runner = runner
    crew = SimpleNamespace(by_id=dict.fromkeys(("here", "silent", "gone")))
    over = SimpleNamespace(is_set=lambda: False)
    session._look_for_lost_workers(SimpleNamespace(crew=crew, node_lost=lost.append, over=over))
    assert sorted(lost) == ["gone", "silent"]


def test_what_a_node_of_the_run_before_still_has_to_say_is_not_taken_for_this_ones(ui):
    start(ui)
    session = session_of(ui)
    with gevent.Timeout(3):
        while session.conductor is None or session.conductor.directory is None:
            gevent.sleep(0.001)
    crew, name = session.conductor.crew, session.conductor.directory.name
    crew.by_id["n"] = Node("n", "host", 1)

    def say(kind: ToMaster, run_id: str, data: dict) -> None:
        ui.runner.custom_messages[kind][0](environment=ui, msg=Message(kind, pack(run_id, data), "n"))

    for stale in ("20260301T100000Z-phase1_smoke", f"{name}-2"):
        say(ToMaster.ACCOUNT, stale, {"phases": {}})
        say(ToMaster.SECOND, stale, Second(sent=7).to_wire())
        say(ToMaster.TROUBLE, stale, {"message": "stale", "exit_code": 40})
    assert crew.by_id["n"].account is None
    assert crew.states.total("sent") == 0
    assert not session.conductor.ending
    say(ToMaster.SECOND, name, Second(sent=5).to_wire())
    say(ToMaster.ACCOUNT, name, {"phases": {}})
    assert crew.states.total("sent") == 5
    assert crew.by_id["n"].account == {"phases": {}}
    session._judged.wait(3)


def test_the_judge_that_looks_on_may_ask_for_the_loads_end(ui, monkeypatch):
    asked = []
    monkeypatch.setattr(session_module, "STOP_LOOK_S", 0.01)
    monkeypatch.setattr(Conductor, "end_load", lambda _, request: asked.append(request["criterion"]))
    start(ui)
    session = session_of(ui)
    with gevent.Timeout(3):
        while session.conductor is None or session.conductor.directory is None:
            gevent.sleep(0.001)
    gevent.sleep(0.05)
    assert asked == []
    (session.conductor.directory / "live").mkdir()
    write_json(session.conductor.directory / "live" / "stop-request.json", {"criterion": "p99"})
    with gevent.Timeout(10):
        while not asked:
            gevent.sleep(0.01)
    assert set(asked) == {"p99"}
    session.end("stopped")
    assert session._judged.wait(10)


def test_sums_of_latencies_beyond_64_bits_cross_the_wire_unchanged():
    account = {"latency": {"one": {"e2e": {"sum_ns": 2**64 + 1, "min_ns": -(2**63) - 1}}}, "n": 2**200}
    carried = Message.unserialize(Message(ToMaster.ACCOUNT, pack("run", account), "n").serialize())
    assert unpack(carried.data) == ("run", account)


# --- a node ----------------------------------------------------------------------------------------------------------


class Load:
    """`NodeLoad` that does what it is told to do wrong."""

    step_every_s = 0.002

    def __init__(self, *, prepare=lambda: None, second=Second, step=lambda: None) -> None:
        self._prepare, self._second, self._step = prepare, second, step
        self.stopped = self.finished = False
        self.steps = self.looks = 0

    def step(self) -> None:
        self.steps += 1
        self._step()

    def prepare(self, _):
        self._prepare()
        return ["mine"]

    def send_canaries(self) -> None: ...

    def start(self, start_ns: int) -> None: ...

    def play(self, phase: int, start_s: float) -> None: ...

    def stop_sending(self) -> None:
        self.stopped = True

    def second(self) -> Second:
        return self._second()

    def look(self) -> None:
        self.looks += 1

    def finish(self, _, *, hurried=False):
        self.finished, self.hurried = True, hurried
        return {"account": True}


@pytest.fixture
def make_node(files):
    """A node whose messages to the master are kept, and a way to speak to it."""

    def make(load: Load):
        environment = Environment(parsed_options=chosen(files))
        runner = environment.create_local_runner()
        sent: list[tuple[str, str, dict]] = []
        for kind in ToMaster:
            runner.register_message(kind, lambda msg, kind=kind, **_: sent.append((kind, *unpack(msg.data))))
        node = NodeSession(environment, lambda *_: load)
        node.host()

        def tell(kind: ToNodes, run_id: str = "run", **data) -> None:
            runner.send_message(kind, pack(run_id, data))
            gevent.sleep(0.01)

        return node, tell, sent

    return make


def prepare(apart_s: float = 0.0) -> dict:
    """From a master whose clock is so much ahead."""
    now_unix_ns = time.time_ns() + round(apart_s * 10**9)
    clocks = {"heard_unix_ns": now_unix_ns, "now_unix_ns": now_unix_ns}
    return {"index": 0, "senders": 1, **clocks, "scenario_sha256": plan().loaded_scenario.sha256}


def kinds(sent) -> list[str]:
    return [str(kind) for kind, _, _ in sent]


def test_a_node_offers_itself_prepares_reports_and_gives_its_account(make_node):
    load = Load()
    node, tell, sent = make_node(load)
    tell(ToNodes.PREPARE, **prepare())
    tell(ToNodes.STOP_SENDING)
    tell(ToNodes.FINISH, committed={})
    assert kinds(sent) == ["mm2gate.ready", "mm2gate.prepared", "mm2gate.second", "mm2gate.account"]
    assert load.stopped
    assert load.finished
    node.close()


def test_a_node_has_its_load_look_around_until_it_is_closed_and_hurries_only_when_someone_waits(make_node, monkeypatch):
    monkeypatch.setattr("locust_session.node.LOOK_EVERY_S", 0.02)
    for hurried in (False, True):
        load = Load()
        node, tell, _ = make_node(load)
        tell(ToNodes.PREPARE, **prepare())
        gevent.sleep(0.2)
        tell(ToNodes.STOP_SENDING)
        if hurried:
            tell(ToNodes.STOP_SENDING, hurried=True)
        tell(ToNodes.FINISH, committed={})
        looked = load.looks
        assert looked >= 2
        gevent.sleep(0.1)
        assert (load.looks, load.finished, load.hurried) == (looked, True, hurried)
        node.close()


def test_another_scenario_here_than_on_the_master_is_trouble(make_node):
    node, tell, sent = make_node(Load())
    tell(ToNodes.PREPARE, **(prepare() | {"scenario_sha256": "other"}))
    assert sent[-1][0] == ToMaster.TROUBLE
    assert "is not the master's" in sent[-1][2]["message"]
    node.close()


@pytest.mark.parametrize(("apart_s", "how"), [(5, "5.0 s behind"), (-5, "5.0 s ahead of")])
def test_a_node_whose_clock_is_seconds_from_the_masters_takes_no_part(make_node, apart_s, how):
    node, tell, sent = make_node(Load())
    tell(ToNodes.PREPARE, **prepare(apart_s))
    assert sent[-1][0] == ToMaster.TROUBLE
    assert how in sent[-1][2]["message"]
    assert sent[-1][2]["exit_code"] == ExitCode.REFUSED
    node.close()


@pytest.mark.parametrize("late", ["heard_unix_ns", "now_unix_ns"])
def test_a_message_that_took_seconds_to_a_busy_node_or_from_it_is_not_taken_for_a_wrong_clock(make_node, late):
    node, tell, sent = make_node(Load())
    data = prepare()
    data[late] += {"heard_unix_ns": 3, "now_unix_ns": -3}[late] * 10**9
    tell(ToNodes.PREPARE, **data)
    assert sent[-1][0] == ToMaster.PREPARED
    node.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [(Refused("no"), ExitCode.REFUSED), (Mm2gateError("no"), ExitCode.INTERNAL), (KeyError("no"), 70)],
)
def test_what_goes_wrong_while_preparing_is_told_with_its_code(make_node, error, code):
    def fail() -> None:
        raise error

    node, tell, sent = make_node(Load(prepare=fail))
    tell(ToNodes.PREPARE, **prepare())
    assert sent[-1][0] == ToMaster.TROUBLE
    assert sent[-1][2]["exit_code"] == code
    node.close()


def test_a_second_that_cannot_be_had_is_trouble_not_silence(make_node):
    def fail() -> Second:
        raise RuntimeError("boom")

    node, tell, sent = make_node(Load(second=fail))
    tell(ToNodes.PREPARE, **prepare())
    gevent.sleep(1.1)
    assert sent[-1] == (ToMaster.TROUBLE, "run", {"message": "the load failed: RuntimeError: boom", "exit_code": 70})
    node.close()


def test_a_load_prepared_after_its_run_was_over_is_not_reported_as_that_of_the_next(make_node):
    load = Load(prepare=lambda: gevent.sleep(0.05))
    node, tell, sent = make_node(load)
    tell(ToNodes.PREPARE, **prepare())
    node.close()
    gevent.sleep(0.1)
    assert kinds(sent) == ["mm2gate.ready"]
    assert load.steps == 0


def test_a_message_before_the_node_takes_part_is_trouble_said_in_words(make_node):
    node, tell, sent = make_node(Load())
    node.close()
    tell(ToNodes.CANARIES)
    assert "before this node had started one" in sent[-1][2]["message"]
    tell(ToNodes.STOP_SENDING)
    assert len(sent) == 2


def test_a_node_does_not_obey_the_orders_of_another_run(make_node):
    load = Load()
    node, tell, sent = make_node(load)
    tell(ToNodes.PREPARE, **prepare())
    tell(ToNodes.STOP_SENDING, "another")
    tell(ToNodes.FINISH, "another", committed={})
    assert not load.stopped
    assert not load.finished
    assert kinds(sent) == ["mm2gate.ready", "mm2gate.prepared"]
    tell(ToNodes.FINISH, committed={})
    assert load.finished
    assert [run_id for _, run_id, _ in sent] == ["", "run", "run", "run"]
    node.close()


def test_an_account_that_comes_late_still_says_which_run_it_is_of(make_node):
    class Slow(Load):
        def finish(self, committed):
            gevent.sleep(0.05)
            return super().finish(committed)

    node, tell, sent = make_node(Slow())
    tell(ToNodes.PREPARE, **prepare())
    tell(ToNodes.FINISH, committed={})
    node.close()
    node.host()
    tell(ToNodes.PREPARE, "the next", **prepare())
    gevent.sleep(0.1)
    assert [(str(kind), run_id) for kind, run_id, _ in sent if kind == ToMaster.ACCOUNT] == [("mm2gate.account", "run")]
    node.close()


def test_a_load_that_breaks_ends_the_run_and_is_not_stepped_again(make_node):
    def fail() -> None:
        raise RuntimeError("boom")

    load = Load(step=fail)
    node, tell, sent = make_node(load)
    tell(ToNodes.PREPARE, **prepare())
    gevent.sleep(0.05)
    assert sent[-1] == (ToMaster.TROUBLE, "run", {"message": "the load failed: RuntimeError: boom", "exit_code": 70})
    assert kinds(sent).count("mm2gate.trouble") == 1
    assert load.steps == 1
    node.close()


def test_a_load_is_closed_whatever_its_last_second_is(make_node):
    def fail() -> Second:
        raise Refused("mirror may not be read")

    load = Load(second=fail)
    node, tell, sent = make_node(load)
    tell(ToNodes.PREPARE, **prepare())
    tell(ToNodes.FINISH, committed={})
    assert load.finished
    assert sent[-1][2]["message"] == "mirror may not be read"
    node.close()


def test_a_load_goes_on_and_is_stepped_by_one_whatever_locust_does_with_its_users(make_node, monkeypatch):
    inside = []

    def step() -> None:
        inside.append("in")
        gevent.sleep(0.004)
        assert inside.pop() == "in"
        assert not inside, "two of them step one load"

    load = Load(step=step)
    node, tell, sent = make_node(load)
    tell(ToNodes.PREPARE, **prepare())
    environment = node._environment
    environment.mm2gate_node = node
    mirror = type("Mirror", (ReplicationUser,), {})
    monkeypatch.setattr(environment, "user_classes", [mirror])
    users = environment.runner.user_greenlets

    def users_are(count: int) -> None:
        with gevent.Timeout(3):
            environment.runner.start(count, 100, wait=True)
            while len(users) != count:
                gevent.sleep(0.01)
        before = load.steps
        with gevent.Timeout(10):
            while load.steps - before <= 5:
                gevent.sleep(0.01)

    users_are(1)
    users_are(3)  # the others of a worker that was lost
    users_are(0)  # its own was moved to a worker that came late
    assert kinds(sent) == ["mm2gate.ready", "mm2gate.prepared"]
    environment.runner.stop()
    node.close()
    gevent.sleep(0.02)
    before = load.steps
    gevent.sleep(0.05)
    assert load.steps == before, "nothing outlives the run"
