"""What the demo says of its runs: read from their own files, and never a success with a line of the page left open."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from checks.judge import judge_run
from runbook.children import Children
from runbook.demo import Played, busy, exit_code
from scenarios.errors import ExitCode
from tests.support.phase2 import phase2_metrics, write_phase2
from tests.support.records import write_evidence


@pytest.fixture
def played(tmp_path: Path) -> Played:
    directory = write_phase2(tmp_path)
    write_evidence(directory, phase2_metrics())
    judgement = judge_run(directory)
    return Played(scenario="phase2_nominal", rehearsal="1/30", exit_code=int(judgement.exit_code), directory=directory)


def test_a_go_is_told_with_its_ledger_and_its_fiche(played: Played):
    first, second = played.lines()
    assert first.startswith("GO  phase2_nominal, rehearsed at 1/30: sent 60000, acked 60000, arrived 60000, lost 0")
    assert second.strip() == str(played.fiche)
    assert exit_code([played], stopped=False) == ExitCode.GO


@pytest.mark.parametrize("spoilt", [("Tendance du lag", "Lag ____"), ("GO", "INDÉTERMINÉ")])
def test_a_go_with_an_open_line_is_told_and_is_a_bug_of_ours(played: Played, spoilt: tuple[str, str]):
    assert played.fiche is not None
    played.fiche.write_text(played.fiche.read_text(encoding="utf-8").replace(*spoilt), encoding="utf-8")
    assert any("left open" in line for line in played.lines())
    assert exit_code([played], stopped=False) == ExitCode.INTERNAL


def test_the_worst_run_decides_and_a_stop_is_never_a_success(played: Played):
    nogo = replace(played, exit_code=int(ExitCode.NOGO))
    assert exit_code([played, nogo], stopped=False) == ExitCode.NOGO
    assert exit_code([played], stopped=True) == ExitCode.ABORTED
    assert exit_code([], stopped=True) == ExitCode.ABORTED


@pytest.mark.parametrize(
    ("codes", "worst"),
    [((20, 30), 20), ((30, 20), 20), ((10, 30), 30), ((20, 40), 40)],
)
def test_the_worst_run_is_the_worst_verdict_and_not_the_largest_number(played: Played, codes, worst):
    """A NOGO was seen; an INCONCLUSIVE was not, and is no worse for its code being larger."""
    assert exit_code([replace(played, exit_code=code) for code in codes], stopped=False) == worst


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import sys; sys.exit(20)", ExitCode.NOGO),
        ("import sys; sys.exit(1)", ExitCode.INTERNAL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ExitCode.ABORTED),
    ],
)
def test_a_child_that_crashed_or_was_killed_leaves_with_one_of_our_codes(monkeypatch, program, code):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the handlers are the program's, not this test's
    assert Children().run("-c", program) == code


def test_a_run_that_was_refused_has_no_fiche_and_says_its_code():
    refused = Played(scenario="phase1_smoke", rehearsal="1", exit_code=40, directory=None)
    assert list(refused.lines()) == ["phase1_smoke: not judged (exit code 40); its own words are above"]


def test_a_busy_machine_is_named_as_a_reason_and_an_idle_one_is_not():
    assert busy(3.9, 2) == ""
    assert "load average 15 on 2 cores" in busy(14.7, 2)
