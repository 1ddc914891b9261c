"""The example of docs/custom-users.md on real clusters, as readers start it: one process, or master and workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clients.kafka_admin import Admin
from lab.accounts import LOAD
from lab.handles import Lab
from lab.layout import SOURCE
from lab.ports import free_ports
from tests.lab.runs import ROOT

EXAMPLE = ROOT / "locustfiles" / "custom_example.py"
PARTITIONS = 6


def locust(lab: Lab, *options: str, cwd: Path, environment: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable, "-m", "locust", "-f", str(EXAMPLE), "--env", str(environment or lab.environment_file),
            "--headless", "-u", "5", "-r", "5", "-t", "8s", "--stop-timeout", "10", "--json-file", "found", *options,
        ],
        cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def table(directory: Path) -> dict[str, tuple[int, int]]:
    """Request type → requests, failures."""
    rows = json.loads((directory / "found.json").read_text(encoding="utf-8"))
    return {row["method"]: (row["num_requests"], row["num_failures"]) for row in rows}


def orders(lab: Lab) -> int:
    """How many there are on the source."""
    return lab.owner(SOURCE).record_count(f"{lab.seen_by(LOAD).environment.topics.prefix}orders")


@pytest.fixture(scope="module")
def mirrored(lab: Lab) -> None:
    """The example's topic has its mirror. MM2 finds a new one in its own time, and the example is short."""
    seen = lab.seen_by(LOAD)
    source, topic = Admin(seen.environment.source, seen), f"{seen.environment.topics.prefix}orders"
    if topic not in source.partitions():
        source.create_topics([(topic, PARTITIONS)], config={})
    target, deadline_s = Admin(seen.environment.target, seen), time.monotonic() + 60
    while f"source.{topic}" not in target.partitions():
        assert time.monotonic() < deadline_s, "MM2 does not mirror the topic"
        time.sleep(0.2)


@pytest.mark.usefixtures("mirrored")
@pytest.mark.parametrize("processes", [(), ("--processes", "2", "--master-bind-port")], ids=["one process", "workers"])
def test_the_example_runs_headless_and_every_order_is_there(
    lab: Lab, tmp_path: Path, processes: tuple[str, ...]
) -> None:
    before = orders(lab)
    if processes:
        port = str(free_ports(("master",))["master"])
        # What a reader that waits for MM2 comes to must be told before the last report.
        processes = (*processes, port, "--master-port", port, "-t", "24s")
    done = locust(lab, *processes, cwd=tmp_path)
    assert "Traceback" not in done.stdout + done.stderr
    counted = table(tmp_path)
    assert counted.keys() == {"PRODUCE", "ACK", "CONSUME"}
    assert (counted["PRODUCE"][1], counted["ACK"][1]) == (0, 0)
    # MM2 may stand still for as long as a reader waits, and that is a failure as it should be.
    read, unread = counted["CONSUME"]
    assert read > unread
    assert done.returncode == (1 if unread else 0), done.stdout + done.stderr
    assert "an order without a key" not in done.stdout + done.stderr
    written, (produced, _) = orders(lab) - before, counted["PRODUCE"]
    assert produced > 50
    if processes:
        assert written >= produced  # Locust drops what workers count after their last report
    else:
        assert written == produced


def test_a_production_environment_is_refused_before_anything_is_sent(lab: Lab, tmp_path: Path) -> None:
    before, text = orders(lab), lab.environment_file.read_text(encoding="utf-8")
    production = lab.environment_file.with_name("production-of-users.yaml")
    production.write_text(text.replace("production: false", "production: true"), encoding="utf-8")
    try:
        done = locust(lab, cwd=tmp_path, environment=production)
    finally:
        production.unlink()
    assert done.returncode == 40, done.stdout + done.stderr
    assert "is a production environment; start it headless, with --confirm" in done.stderr
    assert "Traceback" not in done.stderr
    assert orders(lab) == before


def test_an_environment_that_is_not_there_is_a_sentence(lab: Lab, tmp_path: Path) -> None:
    done = locust(lab, cwd=tmp_path, environment=tmp_path / "none.yaml")
    assert done.returncode == 64, done.stdout + done.stderr
    assert "no such environment file" in done.stderr
    assert "Traceback" not in done.stderr
