"""Kafka's own producer tool as the load, on a real lab: counted by offsets, ended with the run, credentials gone."""

from __future__ import annotations

import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lab.handles import Lab
from tests.lab.runs import MM2GATE, Run, assert_drained

FOREIGN = str(Path(__file__).with_name("foreign.yaml"))
RECORDS = 300


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs of this test make their temporary files."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return directory


def tools_of(run: Run) -> Iterator[psutil.Process]:
    """Kafka's tools that a run has started."""
    for child in psutil.Process(run.process.pid).children(recursive=True):
        if "ProducerPerformance" in " ".join(child.cmdline()):
            yield child


def play(lab: Lab, runs: Path, load: str) -> Run:
    return Run.start(FOREIGN, lab, runs, (*MM2GATE, "run"), "--load", load)


def test_its_records_are_counted_at_both_ends_and_what_only_envelopes_tell_is_left_open(
    lab: Lab, tmp_path: Path, temporary: Path
) -> None:
    run = play(lab, tmp_path / "runs", "perf-test")
    run.until(lambda: list(temporary.rglob("producer.properties")), within_s=240)
    (file,) = temporary.rglob("producer.properties")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    run.until(lambda: list(tools_of(run)))
    (tool,) = tools_of(run)
    password = lab.layout.password_file("load").read_text(encoding="utf-8").strip()
    assert password in file.read_text(encoding="ascii")
    assert password not in " ".join(tool.cmdline())
    assert run.wait() == 30, run.output
    assert {name: run.totals[name] for name in ("sent", "acked", "arrived")} == dict.fromkeys(
        ("sent", "acked", "arrived"), RECORDS
    )
    verdicts = {name: one["verdict"] for name, one in run.criteria.items()}
    told = ("load_achieved", "produced", "on_target", "poll_total", "backlog_end")
    assert {verdicts[name] for name in told} == {"GO"}, run.criteria
    untold = [run.criteria[name] for name in ("send_delay", "lost", "e2e_p99")]
    assert {one["reason"]["code"] for one in untold} == {"needs_envelopes"}
    assert run.record.manifest.load == "perf-test"
    assert not list(temporary.glob("mm2gate-*"))


def test_a_run_that_is_ended_takes_the_tool_with_it_and_counts_what_it_sent(
    lab: Lab, tmp_path: Path, temporary: Path
) -> None:
    run = play(lab, tmp_path / "runs", "perf-test")
    run.until_phase("smoke")
    run.until(lambda: list(tools_of(run)))
    (tool,) = tools_of(run)
    run.signal(signal.SIGTERM)
    assert run.wait() == 50, run.output
    assert not psutil.pid_exists(tool.pid)
    assert not list(temporary.glob("mm2gate-*"))
    assert_drained(run.record)
    assert run.totals["sent"] < RECORDS
    assert run.record.sealed
    assert (run.directory / "report.html").is_file()
