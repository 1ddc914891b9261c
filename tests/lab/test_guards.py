"""Trouble before the load: one sentence, what to do, exit 40, and nothing written to any cluster."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from clients.kafka_admin import Admin
from lab.handles import Lab
from scenarios import environment as environments
from tests.lab.runs import COUNTERS, LOCUST, ROOT, SHORT, Run, mm2gate, rewritten

UNTOUCHED = "test-prometheus.untouched-1"
MIRROR = f"source.{UNTOUCHED}"
COUNTERS_TOPICS = "topics: {count: 1, partitions: 12}"
UNTOUCHED_TOPICS = 'topics: {name: "{prefix}untouched-{n}", count: 1, partitions: 12}'


def bent(lab: Lab, directory: Path, *changes: tuple[str, str]) -> str:
    """The lab's environment file with other words in their places."""
    text = lab.environment_file.read_text(encoding="utf-8")
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, count=1)
        assert count == 1, pattern
    text = text.replace("secrets/", f"{lab.environment_file.parent}/secrets/")
    (directory / "environment.yaml").write_text(text, encoding="utf-8")
    return str(directory / "environment.yaml")


@pytest.mark.parametrize(
    ("pattern", "replacement", "said"),
    [
        pytest.param(r"127\.0\.0\.1:\d+", "127.0.0.1:9", "source cluster at 127.0.0.1:9: no answer", id="broker down"),
        pytest.param(r"cluster_id: .*", "cluster_id: another", "says another", id="another cluster"),
        pytest.param(r"secrets/load\.password", "wrong.password", "login by source.security failed", id="login"),
        pytest.param(r"password_file: \S+?}", "password_file: none}", "cannot be read", id="no password file"),
        pytest.param(r"urls: .*", 'urls: ["http://127.0.0.1:9"]', "Connect at http://127.0.0.1:9", id="Connect down"),
        pytest.param(r"url: .*", "url: http://127.0.0.1:9", "Prometheus at http://127.0.0.1:9", id="Prometheus down"),
    ],
)
def test_guard_refuses_in_one_sentence(lab: Lab, tmp_path: Path, pattern: str, replacement: str, said: str) -> None:
    (tmp_path / "wrong.password").write_text("not the password", encoding="utf-8")
    bent(lab, tmp_path, (pattern, replacement))
    scenario = Path(SHORT).read_text(encoding="utf-8").replace("short-{n}", "untouched-{n}")
    (tmp_path / "scenario.yaml").write_text(scenario, encoding="utf-8")
    done = mm2gate("run", str(tmp_path / "scenario.yaml"), "--env", str(tmp_path / "environment.yaml"), cwd=tmp_path)
    assert done.returncode == 40, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    (sentence,) = done.stderr.strip().splitlines()
    assert said in sentence
    assert not (tmp_path / "runs").exists()
    environment = environments.load(str(lab.environment_file))
    assert UNTOUCHED not in Admin(environment.environment.source, environment).partitions()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            [(r"remote_name: .*", 'remote_name: "source_{topic}"')],
            (f"under the name source_{UNTOUCHED} ", f"writes {MIRROR} ", 'set topics.remote_name to "source.{topic}"'),
            id="separator",
        ),
        pytest.param(
            [(r"remote_name: .*", 'remote_name: "src.{topic}"')],
            (f"under the name src.{UNTOUCHED} ", f"writes {MIRROR} "),
            id="alias",
        ),
        pytest.param(
            [(r"alias: source", "alias: paris"), (r"  remote_name: .*\n", "")],
            (f"under the name paris.{UNTOUCHED} ", f"writes {MIRROR} ", "source.cluster.alias = source"),
            id="alias, and the name by default",
        ),
        pytest.param(
            [(r"source: mm2-source-connector", "source: mm2-source-conector")],
            ("mm2-source-conector (connect.connectors.source) does not exist", "there are: mm2-source-connector, "),
            id="connector",
        ),
        pytest.param(
            [(r"source: mm2-source-connector", "source: mm2-heartbeat-connector")],
            ("mm2-heartbeat-connector (connect.connectors.source) is no MirrorSourceConnector",),
            id="another connector of MM2's",
        ),
        pytest.param(
            [(r"heartbeat: mm2-heartbeat-connector", "heartbeat: mm2-heartbeats")],
            ("mm2-heartbeats (connect.connectors.heartbeat) does not exist", "there are: mm2-heartbeat-connector, "),
            id="another connector that a criterion asks for",
        ),
        pytest.param(
            [(r"connect: kafka-connect,", "connect: connect,")],
            ('no target of job "connect"', "its jobs: kafka-connect, "),
            id="job",
        ),
        pytest.param(
            [(r"prefix: test-prometheus\.", "prefix: other.")],
            ("does not mirror other.untouched-1", "topics = test-prometheus[.].*"),
            id="prefix",
        ),
        pytest.param(
            [(r"jobs:", "metric_profile: confluent_kafka43\n  jobs:")],
            ("by the names of profile confluent_mirror, and not by those of confluent_kafka43",),
            id="metric profile",
        ),
    ],
)
def test_a_name_that_is_found_otherwise_is_refused_with_both(
    lab: Lab, tmp_path: Path, changes: list[tuple[str, str]], said: tuple[str, ...]
) -> None:
    environment = bent(lab, tmp_path, *changes)
    scenario = rewritten(Path(COUNTERS), tmp_path / "scenario.yaml", (COUNTERS_TOPICS, UNTOUCHED_TOPICS))
    done = mm2gate("run", scenario, "--env", environment, cwd=tmp_path)
    assert done.returncode == 40, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    (sentence,) = done.stderr.strip().splitlines()
    for words in said:
        assert words in sentence
    assert not (tmp_path / "runs").exists()
    right = environments.load(str(lab.environment_file))
    assert UNTOUCHED not in Admin(right.environment.source, right).partitions()


def test_all_wrong_names_are_said_at_once_by_plain_locust_too(lab: Lab, tmp_path: Path) -> None:
    changes = [(r"remote_name: .*", 'remote_name: "{topic}"'), (r"nodes: node-exporter", "nodes: nodes")]
    environment = bent(lab, tmp_path, *changes)
    command = (*LOCUST, "--headless", "--scenario", "phase2_nominal", "--env", environment)
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 40, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("mm2gate: ")]
    assert ["we look for the mirror" in lines[0], 'no target of job "nodes"' in lines[1], len(lines)] == [True, True, 2]
    assert not (tmp_path / "runs").exists()


def test_a_scenario_that_needs_no_metric_is_played_whatever_its_jobs_are_called(lab: Lab, tmp_path: Path) -> None:
    changes = [(r"connect: kafka-connect,", "connect: connect,"), (r"heartbeat: mm2-\S+}", "heartbeat: gone}")]
    environment = bent(lab, tmp_path, *changes)
    scenario = rewritten(Path(SHORT), tmp_path / "scenario.yaml", ("short-{n}", "needless-{n}"))
    run = Run.start(scenario, lab, tmp_path / "runs", (*LOCUST, "--headless"), "--env", environment)
    assert run.wait() == 0, run.output
    assert "connector gone (connect.connectors.heartbeat) does not exist" in run.output
    (event,) = [event for event in run.record.events if event["event"] == "names_asked"]
    outcomes = {one["id"]: one["outcome"] for one in event["answers"]}
    assert (outcomes["connect.heartbeat"], outcomes["mirror.name"]) == ("noted", "ok")
