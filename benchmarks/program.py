"""Runs a program to its end while its CPU is watched, and reads the JSON line that it prints last."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cpu import CpuWatch

PROJECT_ROOT = Path(__file__).resolve().parents[1]
#: The end of a run is left out: a generator that closes down is not one that generates.
LEFT_OUT_AT_END_S = 0.5
LOOK_EVERY_S = 1.0
#: What a program may take to end once the one beside it, which it depends on, has ended.
ENDS_AFTER_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU in µs per record, of all threads of a process."""

    steady_us: float
    """Over the last seconds of the load, when everything is warm."""
    whole_us: float
    """From the process's start to its end, by the records that it sent."""


class BenchmarkError(Exception):
    """A program did not do what its figure needs; the figure cannot be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A program that has run."""

    output: str
    exit_code: int
    cpu: CpuWatch

    @property
    def report(self) -> dict[str, Any]:
        """The JSON object in its last line. Raises BenchmarkError."""
        lines = [line for line in self.output.splitlines() if line.startswith("{")]
        if not lines:
            raise BenchmarkError(f"exit code {self.exit_code}, and no report: {self.output[-2000:]}")
        report: dict[str, Any] = json.loads(lines[-1])
        return report

    def cost(self, *, end_s: float, window_s: float, records_per_s: float, records: int) -> Cost:
        """`window_s` is the stretch called steady, of a load that ended at `end_s`; `records` is all that was sent."""
        end_s -= LEFT_OUT_AT_END_S
        return Cost(
            steady_us=self.cpu.between(end_s - window_s, end_s) / (records_per_s * window_s) * 1e6,
            whole_us=self.cpu.cpu_s[-1] / records * 1e6,
        )


def program_environment() -> dict[str, str]:
    """Ours, so that it finds the packages of this checkout."""
    return {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}


def run(
    command: Sequence[str | Path],
    *,
    within_s: float,
    env: Mapping[str, str] | None = None,
    beside: subprocess.Popen[bytes] | None = None,
) -> Finished:
    """Runs it to its end. Raises BenchmarkError when that does not come in time, or not soon after that of `beside`."""
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=PROJECT_ROOT,
        env=program_environment() | dict(env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    cpu = CpuWatch(process.pid).start()
    try:
        output = _output(process, within_s=within_s, beside=beside)
    except subprocess.TimeoutExpired as error:
        _end(process)
        output, _ = process.communicate()
        what = " ".join(map(str, command))
        raise BenchmarkError(f"{what}: not done within {error.timeout:.0f} s: {output[-2000:]}") from None
    finally:
        _end(process)  # which it has not when this program is told to end
        cpu.stop()
    return Finished(output=output, exit_code=process.returncode, cpu=cpu)


def _end(process: subprocess.Popen[str]) -> None:
    """Ends it, unless it has, with what it started itself: it leads a process group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _output(process: subprocess.Popen[str], *, within_s: float, beside: subprocess.Popen[bytes] | None) -> str:
    """What it prints until its end. Raises TimeoutExpired."""
    began_s = time.monotonic()
    deadline_s = began_s + within_s
    while True:
        try:
            output, _ = process.communicate(timeout=LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            now_s = time.monotonic()
            if beside is not None and beside.poll() is not None:
                deadline_s, beside = min(deadline_s, now_s + ENDS_AFTER_S), None
            if now_s > deadline_s:
                raise subprocess.TimeoutExpired(process.args, now_s - began_s) from None
        else:
            return output
