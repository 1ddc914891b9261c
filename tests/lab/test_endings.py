"""However a run ends, its record says so: signals at any moment, and SIGKILL."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from lab.handles import Lab
from tests.lab.runs import LOCUST, SHORT, Run, assert_drained, mm2gate, short_is_go


def test_undisturbed_run_is_whole(lab: Lab, tmp_path: Path) -> None:
    run = Run.start(SHORT, lab, tmp_path)
    assert run.wait() == 0, run.output
    assert run.outcome == short_is_go()


@pytest.mark.parametrize(
    ("phase", "number"),
    [
        ("canary", signal.SIGTERM),
        ("rising", signal.SIGINT),
        ("rising", signal.SIGHUP),
        ("steady", signal.SIGTERM),
        ("drain", signal.SIGINT),
    ],
)
def test_signal_in_a_phase_leaves_a_whole_record_and_exit_50(
    lab: Lab, tmp_path: Path, phase: str, number: signal.Signals
) -> None:
    for attempt in range(3):
        run = Run.start(SHORT, lab, tmp_path / str(attempt))
        run.until_phase(phase)
        run.signal(number)
        code = run.wait()
        if (phase, code) != ("drain", 0):
            break  # a drain may be over before this process has seen it begin
    assert code == 50, run.output
    record = run.record
    assert record.sealed
    assert record.manifest.ending is not None
    assert record.manifest.ending.aborted
    assert_drained(record)
    assert run.verdict["aborted"] is True


@pytest.mark.parametrize("after_s", [0.0, 0.6])
def test_signal_while_starting_sends_nothing_and_exits_50(lab: Lab, tmp_path: Path, after_s: float) -> None:
    run = Run.start(SHORT, lab, tmp_path)
    run.until_it_takes(signal.SIGTERM)
    time.sleep(after_s)
    run.signal(signal.SIGTERM)
    assert run.wait() == 50, run.output


def test_killed_run_can_be_judged_and_says_what_happened(lab: Lab, tmp_path: Path) -> None:
    run = Run.start(SHORT, lab, tmp_path)
    run.until_phase("steady")
    time.sleep(2)
    run.signal(signal.SIGKILL)
    run.wait()
    assert not run.record.sealed
    sent = run.record.timeline[-1].sent
    assert sent > 0
    done = mm2gate("judge", str(run.directory), "--env", str(lab.environment_file))
    assert done.returncode == 50, done.stdout + done.stderr
    assert run.verdict["verdict"] == "INCONCLUSIVE"
    assert run.verdict["aborted"] is True
    assert "INDÉTERMINÉ" in run.fiche


def test_plain_locust_is_the_same_run(lab: Lab, tmp_path: Path) -> None:
    run = Run.start(SHORT, lab, tmp_path, (*LOCUST, "--headless"))
    assert run.wait() == 0, run.output
    assert run.outcome == short_is_go()
