"""The command line: what it leaves with, also when nobody reads what it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scenarios.errors import ExitCode
from tests.support.phase2 import COUNTS, phase2_metrics, write_phase2
from tests.support.records import write_evidence

ROOT = Path(__file__).resolve().parents[2]


def unread(*arguments: str, stderr_too: bool = False) -> tuple[int, str]:
    """The exit code of `mm2gate` with these arguments and a reader that has left before a word; what stderr says."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "runbook", *arguments],
            cwd=ROOT,
            stdout=writer,
            stderr=writer if stderr_too else subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    return done.returncode, done.stderr or ""


@pytest.mark.parametrize(("lost", "code"), [(0, ExitCode.GO), (1, ExitCode.NOGO)])
def test_a_verdict_that_nobody_reads_is_left_with_all_the_same(tmp_path, lost, code):
    directory = write_phase2(tmp_path, counts=replace(COUNTS, arrived=COUNTS.acked - lost, lost=lost))
    write_evidence(directory, phase2_metrics())
    assert unread("judge", str(directory)) == (code, "")
    assert (directory / "fiche.md").is_file()
    assert unread("report", str(directory)) == (ExitCode.GO, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("scenarios",),
        ("scenarios", "show", "phase1_smoke"),
        ("scenarios", "validate", "phase1_smoke"),
        ("locustfile", "mm2"),
    ],
)
def test_a_list_that_nobody_reads_is_no_trouble(arguments):
    assert unread(*arguments) == (ExitCode.GO, "")


@pytest.mark.parametrize("arguments", [("--help",), ("judge", "--help"), ("lab", "--help")])
def test_whatever_else_nobody_reads_is_an_end_from_outside_and_never_a_code_of_pythons(arguments):
    assert unread(*arguments) == (ExitCode.ABORTED, "")


def test_a_terminal_that_is_closed_is_no_trouble():
    ours, terminal = os.openpty()
    command = "import sys; from runbook.output import say; sys.stdin.read(); say('words', err=True); sys.exit(20)"
    with subprocess.Popen([sys.executable, "-c", command], cwd=ROOT, stdin=subprocess.PIPE, stderr=terminal) as process:
        os.close(terminal)
        os.close(ours)
        process.stdin.close()
        assert process.wait(timeout=30) == 20


def test_a_command_whose_errors_nobody_reads_leaves_with_its_code():
    assert unread("scenarios", "show", "nowhere.yaml", stderr_too=True)[0] == ExitCode.BAD_SPEC
