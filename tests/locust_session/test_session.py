"""A Locust process and its runs: a refused run is not waited for and does not spoil the next; a node's troubles reach
the master; what belongs to a run that is over changes nothing."""

from __future__ import annotations

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
from locust_session.wire import ToMaster, pack, unpack
from run_record.store import RunRecord, write_json
from scenarios.errors import ExitCode, Refused
from tests.locust_session.fakes import FakeMaster, NoJudge, nothing_asked
from tests.scenarios.examples import ENVIRONMENT, SCENARIO


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
    monkeypatch.setattr(session_module, "judge", lambda directory, _: (int(ExitCode.NOGO), f"judged {directory}\n"))
    monkeypatch.setattr(session_module, "follow", lambda *_: NoJudge(), raising=False)
    monkeypatch.setattr(session_module, "ask", nothing_asked)
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


def test_the_judge_is_given_the_environment_that_was_played(ui, files, monkeypatch):
    given = []
    monkeypatch.setattr(session_module, "judge", lambda _, environment: given.append(environment) or (20, ""))
    monkeypatch.setattr(session_module, "follow", lambda _, environment: given.append(environment) or NoJudge())
    start(ui)
    gevent.sleep(0.1)
    session_of(ui).end("stopped")
    leave(ui)
    assert given == [(files / "desk.yaml").resolve()] * 2


def test_an_environment_that_was_changed_meanwhile_is_not_asked_and_that_is_said(ui, files, monkeypatch, caplog):
    given = []
    monkeypatch.setattr(session_module, "judge", lambda _, environment: given.append(environment) or (30, ""))
    start(ui)
    gevent.sleep(0.1)
    (files / "desk.yaml").write_text(ENVIRONMENT.replace("127.0.0.1:4", "127.0.0.1:5"))
    session_of(ui).end("stopped")
    leave(ui)
    assert given == [None]
    assert "desk.yaml has changed since the run began: judged offline" in caplog.text


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


def test_a_run_whose_record_would_not_fit_is_refused_before_anything_is_asked_or_written(ui, files, monkeypatch):
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_bavail=100, f_frsize=4096))
    with pytest.raises(Refused, match=r"0\.4 MiB free, and small may take"):
        session_of(ui).check()
    start(ui)
    assert leave(ui) == ExitCode.REFUSED
    assert not (files / "runs").exists()


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
