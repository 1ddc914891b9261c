"""`make demo`: lab up → phase 1 → its fiche → lab down, with the time that each part took. Exits with the run's code.

The lab has a state directory of its own, and is taken down however this ends.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import click

from scenarios.errors import ExitCode

STATE_DIRECTORY = Path(".lab-demo")
SCENARIOS = ("phase1_smoke",)


class Stage:
    """Runs one child at a time, and lets no signal but SIGKILL leave the lab behind."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self.stopped = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def run(self, *arguments: str) -> int:
        """`mm2gate` with these arguments; its exit code."""
        with subprocess.Popen([sys.executable, "-m", "runbook", *arguments]) as child:
            self._child = child
            code = child.wait()
            self._child = None
        return code

    def _stop(self, number: int, _: FrameType | None) -> None:
        self.stopped = True
        # Ctrl-C in a terminal reaches the child by itself; SIGTERM only reaches us.
        if number == signal.SIGTERM and self._child is not None:
            self._child.send_signal(signal.SIGTERM)


@click.command()
@click.option("--since", type=float, help="Unix time at which the whole thing began, setup included")
@click.option("--runs-dir", default="runs", show_default=True, help="where run records go")
def demo(since: float | None, runs_dir: str) -> None:
    """Show mm2gate at work on this machine: a lab, the smoke test, its fiche."""
    stage, began_s = Stage(), time.time()
    times_s = {"setup": began_s - since} if since else {}
    code = int(ExitCode.INTERNAL)
    try:
        code = _timed(times_s, "lab up", stage, "lab", "up", "--state-dir", str(STATE_DIRECTORY))
        if code == ExitCode.GO:
            code = _play(stage, times_s, runs_dir)
    finally:
        down = _timed(times_s, "lab down", stage, "lab", "down", "--state-dir", str(STATE_DIRECTORY))
    total_s = time.time() - (since or began_s)
    click.echo("time: " + ", ".join(f"{name} {spent_s:.0f} s" for name, spent_s in times_s.items()))
    click.echo(f"      {total_s:.0f} s in all")
    sys.exit(code or down)


def _play(stage: Stage, times_s: dict[str, float], runs_dir: str) -> int:
    worst = 0
    for scenario in SCENARIOS:
        if stage.stopped:
            return ExitCode.ABORTED
        before = set(Path(runs_dir).glob("*"))
        environment = str(STATE_DIRECTORY / "environment.yaml")
        code = _timed(times_s, scenario, stage, "run", scenario, "--env", environment, "--runs-dir", runs_dir)
        for directory in sorted(set(Path(runs_dir).glob("*")) - before):
            _show(directory)
        worst = max(worst, code)
    return worst


def _show(directory: Path) -> None:
    """The ledger's totals on one line; the fiche was named by the judge."""
    ledger = directory / "record" / "ledger.json"
    if ledger.is_file():
        totals = json.loads(ledger.read_text(encoding="utf-8"))["totals"]
        click.echo("ledger: " + ", ".join(f"{name} {count}" for name, count in totals.items()))


def _timed(times_s: dict[str, float], name: str, stage: Stage, *arguments: str) -> int:
    began_s = time.time()
    code = stage.run(*arguments)
    times_s[name] = time.time() - began_s
    return code


if __name__ == "__main__":
    demo()
