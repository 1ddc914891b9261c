"""The real lab, up and down: harmless twice, whole or not there, nothing left. The tests of this file follow each other
in order, on the lab on which others have played, and use it up.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from clients.connect import Worker
from clients.kafka import client_configuration
from clients.kafka_admin import Admin
from clients.prometheus import Prometheus
from lab import lifecycle, process
from lab.accounts import LOAD, REMOTE_PREFIX, TOPIC_PREFIX
from lab.cache import cache_dir
from lab.handles import Lab
from lab.layout import SOURCE, TARGET, worker_names
from lab.ports import answers, free_ports
from lab.process import Life
from lab.rendering import SOURCE_CONNECTOR, port_names
from lab.tools import load_toolbox
from scenarios import environment
from scenarios.errors import LabError

pytestmark = pytest.mark.lab

PARTITIONS = 12


class Listener:
    """Remembers what was said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def ready(self, what: str, took_s: float, remark: str) -> None:
        self.notes.append(what)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warming(self, elapsed_s: float, total_s: float) -> None:
        pass


@pytest.fixture(scope="module")
def state_dir(lab: Lab) -> Path:
    return lab.layout.root


@pytest.fixture(scope="module")
def mirrored(lab: Lab) -> str:
    """A topic that has its mirror."""
    name = "lifecycle"
    load = lab.seen_by(LOAD)
    Admin(load.environment.source, load).create_topics([(f"{TOPIC_PREFIX}{name}", PARTITIONS)], config={})
    deadline = time.monotonic() + 30
    while f"{REMOTE_PREFIX}{name}" not in Admin(load.environment.target, load).partitions():
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return name


def _type(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """What somebody types."""
    *words, state_dir = words
    command = [sys.executable, "-m", "lab", *words, "--state-dir", str(state_dir)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)


def _pids(lab: Lab) -> dict[str, int]:
    return {part.name: part.process.pid for part in lab.components if part.process is not None}


def _login(lab: Lab, cluster: str) -> dict[str, Any]:
    """The load's settings as librdkafka takes them."""
    load = lab.seen_by(LOAD)
    return client_configuration(load.environment.source if cluster == SOURCE else load.environment.target, load, "test")


def _crosses(lab: Lab, topic: str, count: int, *, timeout_s: float = 20.0) -> bool:
    """Whether that many new records of the topic, named without its prefix, reach the target."""
    remote = f"{REMOTE_PREFIX}{topic}"
    before = lab.owner(TARGET).record_count(remote)
    producer = Producer(_login(lab, SOURCE) | {"enable.idempotence": True})
    for number in range(count):
        producer.produce(f"{TOPIC_PREFIX}{topic}", b"x", partition=number % PARTITIONS)
    assert producer.flush(10) == 0
    deadline = time.monotonic() + timeout_s
    while lab.owner(TARGET).record_count(remote) < before + count:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def test_up_makes_a_lab_that_mirrors(lab: Lab, state_dir: Path, mirrored: str):
    loaded = environment.load(str(lab.environment_file))
    assert loaded.environment.source.cluster_id == lab.state.cluster_ids[SOURCE]
    assert _crosses(lab, mirrored, 120)
    done = _type("status", state_dir)
    assert done.returncode == 0, done.stdout
    assert "4 RUNNING" in done.stdout


def test_up_twice_is_harmless(lab: Lab, state_dir: Path):
    before = _pids(lab)
    done = _type("up", state_dir)
    assert done.returncode == 0
    assert "already up" in done.stdout
    assert str(lab.environment_file) in done.stdout
    assert _pids(Lab.open(state_dir)) == before


def test_another_cannot_take_it_down_while_it_is_being_worked_on(lab: Lab, state_dir: Path):
    from lab.layout import locked

    with locked(lab.layout):
        done = _type("down", state_dir)
    assert done.returncode == 70
    assert "at work on" in done.stderr
    assert _type("status", state_dir).returncode == 0


def _refusals(futures: dict) -> list[str]:
    names = []
    for future in futures.values():
        try:
            future.result(10)
            names.append("ALLOWED")
        except KafkaException as error:
            names.append(error.args[0].name())
    return names


def test_the_load_may_do_what_it_must_and_nothing_else(lab: Lab, mirrored: str):
    source, target = _login(lab, SOURCE), _login(lab, TARGET)
    at_source, at_target = AdminClient(source), AdminClient(target)
    denied = ["TOPIC_AUTHORIZATION_FAILED"]
    assert _refusals(at_source.create_topics([NewTopic("elsewhere", 1, 1)])) == denied
    assert _refusals(at_source.create_topics([NewTopic("test-prometheus.acl", 1, 1)])) == ["ALLOWED"]
    assert _refusals(at_source.delete_topics(["test-prometheus.acl"])) == ["ALLOWED"]
    assert _refusals(at_source.delete_topics(["mm2-offset-syncs.target.internal"])) == denied
    assert _refusals(at_target.create_topics([NewTopic("source.test-prometheus.acl2", 1, 1)])) == denied
    assert _refusals(at_target.delete_topics(["source.checkpoints.internal"])) == denied
    seen = set(at_source.list_topics(timeout=5).topics) | set(at_target.list_topics(timeout=5).topics)
    assert all(name.startswith(("test-prometheus.", "source.test-prometheus.")) for name in seen)

    refused: list[str] = []
    producer = Producer({**target, "message.timeout.ms": 5000})
    producer.produce(
        f"{REMOTE_PREFIX}{mirrored}", b"x", on_delivery=lambda error, _message: refused.append(error.name())
    )
    producer.flush(10)
    assert refused == denied

    consumer = Consumer({**target, "group.id": "mm2gate-test", "enable.auto.commit": False})
    consumer.assign([TopicPartition(f"{REMOTE_PREFIX}{mirrored}", 0, 0)])
    message = consumer.poll(10)
    consumer.close()
    assert message is not None
    assert message.error() is None

    with pytest.raises(KafkaException):
        AdminClient({**source, "sasl.password": "wrong"}).list_topics(timeout=2)


def test_connect_shows_no_password(lab: Lab):
    shown = json.dumps(lab.connect.connectors())
    assert "${dir:" in shown
    for user in ("mm2", "load", "admin"):
        assert lab.layout.password_file(user).read_text() not in shown


def test_the_handles_pause_break_and_restore_mirroring(lab: Lab, mirrored: str):
    lab.connect.pause(SOURCE_CONNECTOR)
    lab.connect.wait(
        SOURCE_CONNECTOR,
        lambda status: {task.state for task in status.tasks} == {"PAUSED"},
        what="PAUSED",
        timeout_s=20,
    )
    assert not _crosses(lab, mirrored, 12, timeout_s=3)
    lab.connect.resume(SOURCE_CONNECTOR)
    lab.connect.wait_running(SOURCE_CONNECTOR)
    assert _crosses(lab, mirrored, 12)

    good = lab.connect.config(SOURCE_CONNECTOR)
    broken = {
        "transforms": "drop",
        "transforms.drop.type": "org.apache.kafka.connect.transforms.Filter",
        "transforms.drop.predicate": "ours",
        "predicates": "ours",
        "predicates.ours.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        "predicates.ours.pattern": ".*lifecycle",
    }
    lab.connect.put_config(SOURCE_CONNECTOR, {**good, **broken})
    time.sleep(3)  # Connect's status is stale for a moment after a PUT
    lab.connect.wait_running(SOURCE_CONNECTOR)
    assert not _crosses(lab, mirrored, 12, timeout_s=3)
    lab.connect.put_config(SOURCE_CONNECTOR, good)
    time.sleep(3)
    lab.connect.wait_running(SOURCE_CONNECTOR)
    assert _crosses(lab, mirrored, 12)
    assert lab.connect.config(SOURCE_CONNECTOR) == good


def test_a_component_stops_and_starts_with_what_it_had(lab: Lab):
    prometheus = lab.component("prometheus")
    before = prometheus.process
    prometheus.stop()
    assert prometheus.life is Life.GONE
    assert not answers(prometheus.port)
    prometheus.start()
    assert prometheus.is_ready()
    assert prometheus.process != before
    prometheus.freeze()
    assert prometheus.life is Life.FROZEN
    prometheus.thaw()
    assert prometheus.is_ready()


def test_up_starts_again_what_died(lab: Lab, state_dir: Path):
    before = _pids(Lab.open(state_dir))
    Lab.open(state_dir).component("connect-2").kill()
    Lab.open(state_dir).component("node-exporter").freeze()
    assert _type("status", state_dir).returncode == 1
    done = _type("up", state_dir)
    assert done.returncode == 0, done.stderr
    assert "connect-2 is down: starting it again" in done.stdout
    assert "node-exporter is frozen: starting it again" in done.stdout
    after = _pids(Lab.open(state_dir))
    assert {name for name in after if after[name] != before[name]} == {"connect-2"}


def test_logs_prints_the_end_of_a_log(lab: Lab, state_dir: Path):
    done = _type("logs", "source", "-n", "3", state_dir)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3


def test_after_everything_was_killed_up_makes_a_new_lab(lab: Lab, state_dir: Path):
    lab = Lab.open(state_dir)
    for pid in _pids(lab).values():
        os.kill(pid, signal.SIGKILL)
    while any(part.life is not Life.GONE for part in lab.components):
        time.sleep(0.05)
    assert _type("status", state_dir).returncode == 1
    prepared = subprocess.run(
        [sys.executable, "-m", "lab.setup", "--kafka-version", "3.9.1"], capture_output=True, text=True, check=False
    )
    assert prepared.returncode == 0, prepared.stderr
    # Another make of lab this time, to save the making of a third.
    done = _type("up", "--no-warm", "--workers", "3", "--kafka-version", "3.9.1", state_dir)
    assert done.returncode == 0, done.stderr
    assert "a lab whose processes are all gone" in done.stdout
    again = Lab.open(state_dir)
    assert again.state.lab_id != lab.state.lab_id
    assert process.marked(lab.state.lab_id) == []


@pytest.mark.long
def test_a_lab_of_three_workers_and_kafka_3_mirrors_and_is_measured(lab: Lab, state_dir: Path):
    again = Lab.open(state_dir)
    workers = again.connect.workers()
    assert len(workers) == 3
    assert {worker.version for worker in workers.values() if isinstance(worker, Worker)} == {"3.9.1"}
    assert _crosses(again, "warmup", 120)
    loaded = environment.load(str(again.environment_file))
    assert sorted(loaded.environment.connect.urls) == sorted(workers)
    # Kafka 3 gives MM2's metrics no `source`; the exporter's rules name them alike.
    prometheus, query = Prometheus.of(loaded), "sum(kafka_connect_mirror_source_connector_record_count)"
    deadline = time.monotonic() + 20
    while not (counted := prometheus.query(query, at_s=None).result) or float(counted[0]["value"][1]) < 120:
        assert time.monotonic() < deadline, counted
        time.sleep(0.5)


def test_down_leaves_no_process_no_port_no_file(lab: Lab, state_dir: Path):
    last = Lab.open(state_dir)
    done = _type("down", state_dir)
    assert done.returncode == 0, done.stderr
    assert process.marked(last.state.lab_id) == []
    assert not [name for name, port in last.state.ports.items() if answers(port)]
    assert not state_dir.exists()
    assert "nothing to take down" in _type("down", state_dir).stdout


def test_a_port_that_is_taken_brings_everything_down_and_shows_the_log(tmp_path: Path):
    ports = free_ports(port_names(worker_names(2)))
    listener = Listener()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports["prometheus"]))
        taken.listen()
        with pytest.raises(LabError, match=r"(?s)^prometheus ended while starting.*address already in use"):
            lifecycle.up(tmp_path / "lab", warm_s=0, announcer=listener, ports=ports)
    assert any(note.startswith("taking the lab down again") for note in listener.notes)
    assert sorted(path.name for path in (tmp_path / "lab").iterdir()) == [".mm2gate-lab", "logs"]
    assert "address already in use" in (tmp_path / "lab/logs/prometheus.log").read_text()
    assert any(str(tmp_path / "lab/logs") in note for note in listener.notes)
    assert not [name for name in ports if answers(ports[name])]


def test_a_broken_class_path_brings_everything_down_and_shows_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    toolbox = load_toolbox(cache_dir())
    (tmp_path / "libs").mkdir()
    broken = replace(toolbox, libs=tmp_path / "libs")
    monkeypatch.setattr(lifecycle, "load_toolbox", lambda *_: broken)
    with pytest.raises(LabError, match=r"(?s)^formatting (source|target) failed \(exit code 1\).*StorageTool"):
        lifecycle.up(tmp_path / "lab", warm_s=0, announcer=Listener())
    assert sorted(path.name for path in (tmp_path / "lab").iterdir()) == [".mm2gate-lab", "logs"]


def test_ctrl_c_during_up_leaves_nothing(tmp_path: Path):
    command = [sys.executable, "-m", "lab", "up", "--state-dir", str(tmp_path / "lab")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        while not (tmp_path / "lab/logs/source.log").exists():
            time.sleep(0.05)
        lab_id = json.loads((tmp_path / "lab/lab.json").read_text())["lab_id"]
        time.sleep(1)
        assert process.marked(lab_id)
        up.send_signal(signal.SIGINT)
        _out, err = up.communicate(timeout=30)
    assert up.returncode == 130
    assert err == "lab: interrupted; nothing of it is left\n"
    assert process.marked(lab_id) == []
    assert not (tmp_path / "lab").exists()
