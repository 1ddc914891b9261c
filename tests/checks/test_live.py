"""Verdicts on a run that goes on: what can be judged by now is, and nothing is GO for not being looked at."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from checks.evidence import Evidence
from checks.follow import Follower
from checks.live import Timeline
from run_record.counts import Counts
from run_record.store import write_json, write_text
from scenarios.errors import ExitCode
from tests.support.records import DRAINED_S, HEALTHY, LOAD_END_S, LOAD_START_S, PHASES, T0_S, scenario_text, write_run

ROOT = Path(__file__).resolve().parents[2]
CRITERIA = (
    '{id: achieved, measure: load.achieved, go: "== 100 %"}',
    '{id: acked, measure: ledger.acked, go: ">= 50 records"}',
    '{id: arrived, measure: ledger.arrived, go: "== plan records"}',
    '{id: duplicated, measure: ledger.duplicated, go: "== 0 records"}',
    '{id: errors, measure: ledger.send_errors, go: "== 0 records"}',
    '{id: lost, measure: ledger.lost, go: "== 0 records"}',
    '{id: backlog, measure: ledger.backlog_max, go: "< 10 records"}',
    '{id: mean, measure: e2e.mean, go: "< 100 ms"}',
    '{id: polled, measure: connect.poll_total, go: ">= 1 records"}',
    '{id: not_running, measure: connect.not_running, go: "== 0 tasks"}',
)


def going_on(runs: Path, until_s: float, counts: Counts = HEALTHY, criteria=CRITERIA) -> Path:
    """A run that has got so far: no ledger, no seal, and a timeline that ends there."""
    begun = [phase for phase in PHASES if phase[2] < until_s]
    phases = [(name, kind, start, end if end < until_s else None, records) for name, kind, start, end, records in begun]
    directory = write_run(runs, counts=None, phases=phases, sealed=False, scenario=scenario_text(criteria))
    file = directory / "record" / "timeline.jsonl"
    rows = []
    for second in range(1, int(until_s) + 1):
        share = min(max((second - LOAD_START_S) / (LOAD_END_S - LOAD_START_S), 0.0), 1.0)
        wanted, acked, arrived = (int(share * count) for count in (100, counts.acked, counts.arrived))
        rows.append(
            {
                "at_ns": (T0_S + second) * 1_000_000_000,
                "phase": "smoke",
                "wanted_per_s": 10.0,
                "wanted": wanted,
                "sent": int(share * counts.sent),
                "acked": acked,
                "failed": int(share * counts.failed),
                "unknown": 0,
                "arrived": arrived,
                "duplicated": int(share * counts.duplicated),
                "backlog": acked - arrived,
                "e2e": {"count": 0},
                "send_delay": {"count": 0},
                "wall_step_ns": 0,
                "workers": 1,
            }
        )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return directory


def followed(directory: Path, looks: Path) -> tuple[dict[str, dict], dict]:
    """Verdicts by id, and the whole file; Prometheus is not asked, since the clock stands still."""
    looks.mkdir(exist_ok=True)
    (directory / "live").mkdir(exist_ok=True)
    Follower(directory=directory, looks=looks, language="fr", now_s=lambda: -math.inf).write()
    content = json.loads((directory / "live" / "verdict.json").read_text())
    return {one["id"]: one for one in content["criteria"]}, content


def test_before_the_load_nothing_is_judged(tmp_path):
    criteria, content = followed(going_on(tmp_path / "runs", 40), tmp_path / "looks")
    assert {one["verdict"] for one in criteria.values()} == {"NOT_RUN"}
    assert content["verdict"] == "NOT_RUN"
    assert (content["live"], content["exit_code"], content["phase"]) == (True, None, "silence")


def test_under_way_what_can_be_judged_is(tmp_path):
    criteria, content = followed(going_on(tmp_path / "runs", 79), tmp_path / "looks")
    verdicts = {name: one["verdict"] for name, one in criteria.items()}
    assert verdicts == {
        "achieved": "GO",
        "acked": "GO",  # no more can undo it
        "arrived": "NOT_RUN",
        "duplicated": "GO",
        "errors": "GO",
        "lost": "NOT_RUN",  # only the drain's end tells
        "backlog": "GO",
        "mean": "NOT_RUN",  # no latency was heard of yet
        "polled": "NOT_RUN",  # Prometheus was not asked yet
        "not_running": "NOT_RUN",  # nor Connect
    }
    assert criteria["arrived"]["value"] == 80
    assert criteria["arrived"]["at_least"] is True
    assert content["verdict"] == "NOT_RUN"


def test_what_cannot_be_mended_is_nogo_at_once(tmp_path):
    counts = replace(HEALTHY, duplicated=20, arrived=100)
    criteria, content = followed(going_on(tmp_path / "runs", 79, counts), tmp_path / "looks")
    assert criteria["duplicated"]["verdict"] == "NOGO"
    assert content["verdict"] == "NOGO"
    assert content["deciding"] == ["duplicated"]
    assert "Déjà NOGO" in (tmp_path / "runs").glob("*/live/fiche.md").__next__().read_text()


def test_a_generator_that_falls_behind_blames_nobody(tmp_path):
    counts = replace(HEALTHY, sent=20, acked=20, arrived=0)
    criteria, _ = followed(going_on(tmp_path / "runs", 79, counts), tmp_path / "looks")
    assert criteria["achieved"]["verdict"] == "INCONCLUSIVE"
    assert criteria["backlog"]["verdict"] == "NOT_RUN"


def test_after_the_load_what_has_not_arrived_is_still_not_nogo(tmp_path):
    counts = replace(HEALTHY, arrived=90)
    criteria, _ = followed(going_on(tmp_path / "runs", DRAINED_S - 1, counts), tmp_path / "looks")
    assert criteria["arrived"]["verdict"] == "NOT_RUN"


def test_the_live_fiche_says_what_it_is(tmp_path):
    directory = going_on(tmp_path / "runs", 79)
    followed(directory, tmp_path / "looks")
    fiche = (directory / "live" / "fiche.md").read_text()
    assert "TEST EN COURS" in fiche
    assert "NON ÉVALUÉ" in fiche
    assert "None" not in fiche
    assert "Signature" not in fiche


def test_nothing_of_it_is_evidence(tmp_path):
    directory = going_on(tmp_path / "runs", 79)
    followed(directory, tmp_path / "looks")
    assert not (directory / "evidence").exists()
    assert not (directory / "verdict.json").exists()


def test_the_timeline_is_read_once_and_a_line_being_written_is_left(tmp_path):
    directory = going_on(tmp_path / "runs", 50)
    file = directory / "record" / "timeline.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:10]) + lines[10][:20])
    timeline = Timeline(file)
    timeline.read()
    assert len(timeline.rows) == 10
    file.write_text("".join(lines))
    timeline.read()
    assert [row.at_ns for row in timeline.rows] == [json.loads(line)["at_ns"] for line in lines]


# --- the process -----------------------------------------------------------------------------------------------------


#: What a process may take for its start or its end. It is at the lowest priority, and others may need the machine.
PATIENCE_S = 120


def follow(directory: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "runbook", "judge", str(directory), "--follow"]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)


def until(condition) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_the_process_ends_with_the_seal(tmp_path):
    directory = going_on(tmp_path / "runs", 50)
    process = follow(directory)
    try:
        until((directory / "live" / "fiche.md").is_file)
        write_text(directory / "record" / "SHA256SUMS", "")
        # It decides nothing: `--follow && deploy` deploys nothing.
        assert process.wait(PATIENCE_S) == ExitCode.INCONCLUSIVE
    finally:
        process.kill()
    assert sorted(path.name for path in (directory / "live").iterdir()) == ["fiche.md", "verdict.json"]


def test_the_process_ends_on_sigterm_and_survives_a_record_that_cannot_be_read(tmp_path):
    directory = going_on(tmp_path / "runs", 50)
    write_json(directory / "record" / "manifest.json", {"schema": 99})
    process = follow(directory)
    silent = threading.Timer(PATIENCE_S, process.kill)
    silent.start()
    try:
        assert any(b"RunRecordError" in line for line in process.stderr), "it said nothing, and ended"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == ExitCode.ABORTED
    finally:
        silent.cancel()
        process.kill()


def test_a_run_that_is_not_there_is_one_sentence_and_nothing_is_made(tmp_path):
    process = follow(tmp_path / "nosuch")
    try:
        _, said = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert (process.returncode, said.count(b"\n")) == (ExitCode.INTERNAL, 1)
    assert b"not a run directory" in said
    assert list(tmp_path.iterdir()) == []


def test_the_process_ends_when_its_parent_dies(tmp_path):
    directory = going_on(tmp_path / "runs", 50)
    fiche = directory / "live" / "fiche.md"
    parent = subprocess.Popen(
        ["sh", "-c", f"{sys.executable} -m runbook judge {directory} --follow & echo $!; wait"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    with parent.stdout as told:
        follower = int(told.readline())
    until(fiche.is_file)
    parent.kill()
    parent.wait()
    until(lambda: not psutil.pid_exists(follower) or psutil.Process(follower).status() == psutil.STATUS_ZOMBIE)


def test_following_a_run_that_was_go_is_no_go_by_itself(tmp_path):
    """The verdict is the judge's, who says it with its own exit code."""
    directory = write_run(tmp_path / "runs", scenario=scenario_text(CRITERIA))
    write_json(directory / "verdict.json", {"verdict": "GO"})
    process = follow(directory)
    try:
        assert process.wait(PATIENCE_S) == ExitCode.INCONCLUSIVE
    finally:
        process.kill()


def test_the_help_says_what_following_leaves_with():
    done = subprocess.run(
        [sys.executable, "-m", "runbook", "judge", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "decides nothing: leaves with 30" in " ".join(done.stdout.split())


def test_following_and_refreshing_are_two_things(tmp_path):
    command = [sys.executable, "-m", "runbook", "judge", str(tmp_path), "--follow", "--refresh"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 64
    assert "give one" in done.stderr


@pytest.fixture(autouse=True)
def _evidence_is_never_opened(monkeypatch):
    monkeypatch.setattr(Evidence, "open", lambda _: pytest.fail("a live look opened evidence"))
