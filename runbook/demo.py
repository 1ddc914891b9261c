"""`make demo`: lab up → phase 1 → phase 2, rehearsed → lab down, then what came of it.

Exits with the worst run's code.

The lab has a state directory of its own, and is taken down however this ends. The demo is its own proof: a GO whose
fiche leaves a line of the runbook's page open is a bug of ours, and the demo says so.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from checks.pages import unfilled_lines
from checks.series_fiche import worst_code
from run_record.store import RunRecord
from runbook.children import Children
from runbook.output import say
from scenarios.errors import ExitCode

STATE_DIRECTORY = Path(".lab-demo")
#: What is played, and the factor on its load: phase 2 takes half an hour at full length.
SCENARIOS = {"phase1_smoke": "1", "phase2_nominal": "1/30"}

UNMEASURED = "INDÉTERMINÉ"
SHOWN_COUNTS = ("sent", "acked", "arrived", "lost", "late", "duplicated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One run of the demo. `directory` is None when the run was refused before it had one."""

    scenario: str
    rehearsal: str
    exit_code: int
    directory: Path | None

    @property
    def fiche(self) -> Path | None:
        """The sheet, when the judge came that far."""
        file = self.directory / "fiche.md" if self.directory is not None else None
        return file if file is not None and file.is_file() else None

    @property
    def open_lines(self) -> list[str]:
        """Lines of the page that its fiche leaves open, and a word if anything on it was not measured."""
        if self.fiche is None:
            return ["there is no fiche"]
        text = self.fiche.read_text(encoding="utf-8")
        return [*unfilled_lines(self.scenario, text), *([f"it says {UNMEASURED}"] if UNMEASURED in text else [])]

    def lines(self) -> Iterator[str]:
        """The run in two or three lines, from its own files."""
        name = self.scenario if self.rehearsal == "1" else f"{self.scenario}, rehearsed at {self.rehearsal}"
        if self.directory is None or self.fiche is None:
            yield f"{name}: not judged (exit code {self.exit_code}); its own words are above"
            return
        verdict = json.loads((self.directory / "verdict.json").read_text(encoding="utf-8"))["verdict"]
        ledger = RunRecord.open(self.directory).ledger
        counts = [f"{count} {ledger['totals'][count]}" for count in SHOWN_COUNTS] if ledger is not None else []
        yield f"{verdict}  {name}: {', '.join(counts) or 'no ledger'}"
        yield f"    {self.fiche}"
        if self.open_lines:
            yield f"    left open: {'; '.join(self.open_lines)}"


@click.command()
@click.option("--since", type=float, help="Unix time at which the whole thing began, setup included")
@click.option("--runs-dir", type=click.Path(path_type=Path), default=Path("runs"), help="where run records go")
def demo(since: float | None, runs_dir: Path) -> None:
    """Show mm2gate at work on this machine: a lab, the smoke test and the nominal load, their fiches."""
    children, began_s = Children(), time.time()
    times_s = {"setup": began_s - since} if since else {}
    played: list[Played] = []
    lab = ("--state-dir", str(STATE_DIRECTORY))
    code = int(ExitCode.INTERNAL)
    try:
        code = _timed(times_s, "lab up", children, "lab", "up", *lab)
        if code == ExitCode.GO:
            for scenario, rehearsal in SCENARIOS.items():
                if not children.stopped:
                    played.append(_play(children, times_s, scenario, rehearsal, runs_dir))
            code = exit_code(played, stopped=children.stopped)
    finally:
        down = _timed(times_s, "lab down", children, "lab", "down", *lab)
    say("")
    for run in played:
        say("\n".join(run.lines()))
    if any(run.exit_code for run in played) and (words := busy(os.getloadavg()[1], os.cpu_count() or 1)):
        say(words)
    spent = ", ".join(f"{name} {spent_s:.0f} s" for name, spent_s in times_s.items())
    say(f"{time.time() - (since or began_s):.0f} s in all: {spent}")
    sys.exit(code or down)


def busy(load: float, cores: int) -> str:
    """What to say of a machine whose load average over five minutes is this; empty when it had time for the demo.

    The demo itself keeps no more than one thread a core waiting.
    """
    if load <= 2 * cores:
        return ""
    return (
        f"This machine was busy (load average {load:.0f} on {cores} cores): that alone makes scrapes fail and "
        "latencies grow. Play the demo again when nothing else runs."
    )


def _play(children: Children, times_s: dict[str, float], scenario: str, rehearsal: str, runs_dir: Path) -> Played:
    before = set(runs_dir.glob("*"))
    environment = str(STATE_DIRECTORY / "environment.yaml")
    options = ("--env", environment, "--rehearsal", rehearsal, "--runs-dir", str(runs_dir))
    code = _timed(times_s, scenario, children, "run", scenario, *options)
    directory = max(set(runs_dir.glob(f"*-{scenario}*")) - before, default=None)
    return Played(scenario=scenario, rehearsal=rehearsal, exit_code=code, directory=directory)


def exit_code(played: list[Played], *, stopped: bool) -> int:
    """The worst run's; a demo that was stopped, or whose fiche has an open line, is no success."""
    if not played:
        return int(ExitCode.ABORTED)
    worst = worst_code([run.exit_code for run in played], wanted=len(played))
    if stopped:
        return worst or ExitCode.ABORTED
    return worst or (ExitCode.INTERNAL if any(run.open_lines for run in played) else ExitCode.GO)


def _timed(times_s: dict[str, float], name: str, children: Children, *arguments: str) -> int:
    began_s = time.time()
    code = children.run("-m", "runbook", *arguments)
    times_s[name] = time.time() - began_s
    return code


if __name__ == "__main__":
    demo()
