"""A run on another tasks.max: what was is on disk first, and is put back however the run ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from runbook.connector import tasks_max
from runbook.run import Wanted, play
from scenarios.environment import Environment, LoadedEnvironment
from scenarios.errors import ConnectFailure, ExitCode, Refused
from scenarios.yaml_file import parse
from tests.scenarios.examples import ENVIRONMENT
from tests.support.deployment import Deployment, served, source_config
from tests.support.servers import Reply, serving

NAME = "mm2-source-connector"
ROOT = Path(__file__).resolve().parents[2]
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RUN = ["-m", "runbook", "run", "s7_partitions", "--env", "desk.yaml", "--set", "partitions=12", "--set", "tasks=16"]
#: A run that is over as soon as it has begun.
SHORT = """
import sys
from pathlib import Path
from runbook.connector import tasks_max
from runbook.signals import interruptible
from scenarios.environment import load

interruptible("put back")
with tasks_max(load("desk.yaml"), 16, Path("runs")):
    print("played", flush=True)
sys.exit(20)
"""


class FakeConnect:
    """One connector, as far as its REST API goes."""

    def __init__(self, *, cluster="BBBB"):
        self.config = {"tasks.max": "4", "connector.class": "Mirror", "topics": "a.*"}
        self.puts = []
        self.cluster = cluster
        self.refuses = False
        self.unsettled = set()
        self.changed = {"4": threading.Event(), "16": threading.Event()}

    def answer(self, method, path, body):
        if path == "/":
            return 200, {"version": "4.3.1", "kafka_cluster_id": self.cluster}
        if path.endswith("/config") and method == "GET":
            return 200, self.config
        if path.endswith("/config"):
            if self.refuses:
                return 500, {"error_code": 500, "message": "no"}
            self.config = body
            self.puts.append(body["tasks.max"])
            if (changed := self.changed.get(body["tasks.max"])) is not None:
                changed.set()
            return 200, {}
        state = "UNASSIGNED" if self.config["tasks.max"] in self.unsettled else "RUNNING"
        tasks = [{"id": n, "state": state, "worker_id": "w"} for n in range(int(self.config["tasks.max"]))]
        return 200, {"name": NAME, "connector": {"state": "RUNNING", "worker_id": "w"}, "tasks": tasks}


@pytest.fixture
def connect():
    fake = FakeConnect()

    def answer(request):
        body = json.loads(request.body) if request.body else None
        status, content = fake.answer(request.method, request.path, body)
        return Reply(status=status, body=json.dumps(content))

    with serving(answer) as server:
        fake.url = server.url
        yield fake


@pytest.fixture
def environment(connect):
    text = ENVIRONMENT.replace("http://127.0.0.1:3", connect.url)
    return LoadedEnvironment.model_construct(
        file="desk.yaml", text=text, environment=parse(text, Environment, file="desk.yaml")
    )


def undo_file(runs):
    return runs / f".undo-{NAME}.json"


def test_set_and_put_back(connect, environment, tmp_path):
    with tasks_max(environment, 16, tmp_path):
        assert connect.config["tasks.max"] == "16"
        assert json.loads(undo_file(tmp_path).read_text()) == {"connector": NAME, "tasks.max": "4"}
    assert connect.puts == ["16", "4"]
    assert not undo_file(tmp_path).exists()


def test_the_rest_of_the_configuration_is_left_as_it_is_by_then(connect, environment, tmp_path):
    with tasks_max(environment, 16, tmp_path):
        connect.config["topics"] = "b.*"
    assert connect.config == {"tasks.max": "4", "connector.class": "Mirror", "topics": "b.*"}


def test_put_back_when_the_run_breaks(connect, environment, tmp_path):
    with pytest.raises(RuntimeError, match="boom"), tasks_max(environment, 16, tmp_path):
        raise RuntimeError("boom")
    assert connect.config["tasks.max"] == "4"


def test_nothing_is_touched_where_it_is_already_so(connect, environment, tmp_path):
    with tasks_max(environment, 4, tmp_path):
        pass
    assert connect.puts == []


def test_what_a_killed_run_left_is_put_back_before_the_next(connect, environment, tmp_path):
    """SIGKILL leaves the connector at 16, and the file that says it was 4."""
    connect.config["tasks.max"] = "16"
    undo_file(tmp_path).write_text(json.dumps({"connector": NAME, "tasks.max": "4"}))
    with tasks_max(environment, 8, tmp_path):
        assert json.loads(undo_file(tmp_path).read_text())["tasks.max"] == "4"
    assert connect.puts == ["4", "8", "4"]


def test_what_cannot_be_put_back_is_said_with_what_to_do_and_stays_on_disk(connect, environment, tmp_path):
    said = r"tasks.max could not be set back to 4 .* set it, and delete"
    with pytest.raises(Refused, match=said), tasks_max(environment, 16, tmp_path):
        connect.refuses = True
    assert undo_file(tmp_path).exists()


def test_connect_of_another_cluster_is_not_touched(connect, environment, tmp_path):
    connect.cluster = "CCCC"
    said = "is not changed on a Connect that is not the one meant"
    with pytest.raises(Refused, match=said), tasks_max(environment, 16, tmp_path):
        pytest.fail("the run must not start")
    assert connect.puts == []


def test_connect_that_refuses_leaves_things_as_they_were(connect, environment, tmp_path):
    connect.refuses = True
    with pytest.raises((ConnectFailure, Refused)), tasks_max(environment, 16, tmp_path):
        pytest.fail("the run must not start")
    assert connect.config["tasks.max"] == "4"


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("orders-jdbc", None, "does not exist on Connect; there are: mm2-checkpoint"),
        (NAME, {"connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector"}, "is no MirrorSourceConnector"),
        (NAME, source_config(topics="orders.*"), "does not mirror t.matrix-p12-01.json"),
    ],
)
def test_a_connector_that_is_not_the_one_meant_is_refused_before_anything_is_changed_on_it(
    tmp_path, monkeypatch, name, config, said
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MM2GATE_LANG", "fr")
    deployment = Deployment.healthy()
    deployment.connectors[NAME] = config or deployment.connectors[NAME]
    deployment.environment = deployment.environment.replace("source: mm2-source-connector", f"source: {name}")
    with served(deployment) as there:
        (tmp_path / "desk.yaml").write_text(there.environment, encoding="utf-8")
        with pytest.raises(Refused, match=said):
            play(Wanted(scenario="s7_partitions", env="desk.yaml", settings="partitions=12,tasks=16"))
    assert {request.method for request in there.connect} == {"GET"}
    assert not (tmp_path / "runs").exists()


# --- signals ----------------------------------------------------------------------------------------------------------


@contextmanager
def program(directory, connect, arguments, *, blocked=False):
    """A program of ours in a directory of its own; `blocked` as a run is that another one of ours has started."""
    (directory / "desk.yaml").write_text(ENVIRONMENT.replace("http://127.0.0.1:3", connect.url), encoding="utf-8")
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING if blocked else ())
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("blocked", [False, True])
def test_told_to_end_while_the_tasks_settle_it_puts_back_what_was(connect, tmp_path, number, blocked):
    connect.unsettled = {"16"}
    with program(tmp_path, connect, RUN, blocked=blocked) as process:
        assert connect.changed["16"].wait(30)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == ExitCode.ABORTED
    assert connect.puts == ["16", "4"]
    assert not undo_file(tmp_path / "runs").exists()
    assert f"ended by {number.name}; tasks.max is put back first" in said
    assert "before anything began" not in said


@pytest.mark.parametrize(("confirm", "refused"), [("", True), ("prod", True), ("desk", False)])
def test_in_production_nothing_is_changed_before_its_name_is_typed_out(tmp_path, monkeypatch, confirm, refused):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MM2GATE_LANG", "fr")  # a run sets it for good
    (tmp_path / "desk.yaml").write_text(ENVIRONMENT + "production: true\n", encoding="utf-8")
    asked = []
    monkeypatch.setattr("runbook.run.interruptible", lambda _: None)
    monkeypatch.setattr("runbook.connector.tasks_max", lambda *_: asked.append("tasks.max") or nullcontext())
    monkeypatch.setattr("runbook.child.run_child", lambda _: 0)
    wanted = Wanted(scenario="s7_partitions", env="desk.yaml", settings="partitions=12,tasks=16", confirm=confirm)
    if refused:
        with pytest.raises(Refused, match="is a production environment; start it headless, with --confirm desk"):
            play(wanted)
    else:
        assert play(wanted) == 0
    assert bool(asked) != refused


def test_under_nohup_the_terminals_end_is_not_the_runs(connect, tmp_path):
    connect.unsettled = {"16"}
    run = [sys.executable, *RUN]
    nohup = f"import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv({run[0]!r}, {run!r})"
    with program(tmp_path, connect, ["-c", nohup]) as process:
        assert connect.changed["16"].wait(30)
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert connect.puts == ["16", "4"]
    assert "SIGHUP" not in said


def test_told_to_end_twice_it_puts_back_what_was_all_the_same(connect, tmp_path):
    connect.unsettled = {"16", "4"}
    with program(tmp_path, connect, RUN) as process:
        assert connect.changed["16"].wait(30)
        process.send_signal(signal.SIGINT)
        assert connect.changed["4"].wait(30)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        connect.unsettled = set()
        _, said = process.communicate(timeout=30)
    assert process.returncode == ExitCode.ABORTED
    assert connect.puts == ["16", "4"]
    assert not undo_file(tmp_path / "runs").exists()
    assert "tasks.max is being put back; wait for it" in said


def test_told_to_end_after_the_run_it_puts_back_what_was_and_leaves_with_the_runs_code(connect, tmp_path):
    connect.unsettled = {"4"}
    with program(tmp_path, connect, ["-c", SHORT]) as process:
        assert connect.changed["4"].wait(30)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        connect.unsettled = set()
        played, _ = process.communicate(timeout=30)
    assert (process.returncode, played) == (20, "played\n")
    assert connect.puts == ["16", "4"]
    assert not undo_file(tmp_path / "runs").exists()
