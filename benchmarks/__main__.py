"""`python -m benchmarks [--full] [--only NAME …]`: measures, prints the table, writes results.json and results.md."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.bench_lab import BenchLab, lab_up
from benchmarks.figure import Figure
from benchmarks.figures import (
    capacity,
    cpu_per_record,
    end_to_end,
    ledger_memory,
    master,
    plain_users,
    send_delay,
    soak,
)
from benchmarks.program import BenchmarkError
from benchmarks.report import Report, screen_table
from scenarios.errors import Mm2gateError

HERE = Path(__file__).parent
ROUNDS = 3
#: Both brokers keep what is sent until the lab is gone: 22 GB before the soak, 34 when four fifths of it were over.
NEEDS_BYTES, SOAK_NEEDS_BYTES = 25 * 10**9, 15 * 10**9
ON_THE_LAB = ("end_to_end", "cpu_per_record", "send_delay", "master_cpu", "soak")
ALONE = ("capacity", "ledger_memory", "report_size")


class Bench:
    """One call: which figures, how often, and what they said."""

    def __init__(self, *, wanted: frozenset[str], rounds: int) -> None:
        self._wanted = wanted
        self._rounds = rounds
        self._began_s = time.monotonic()
        self.figures: list[Figure] = []
        self.profiles: dict[str, str] = {}
        self.problems: list[str] = []

    def say(self, text: str) -> None:
        """A line of progress."""
        print(f"{time.monotonic() - self._began_s:6.0f} s  {text}", flush=True)

    def play(self) -> None:
        """All wanted figures; one that cannot be had is named, and the others go on."""
        if self._wanted & set(ON_THE_LAB):
            self.say("bringing a lab up, and warming it")
            with lab_up() as lab:
                self._on_the_lab(lab)
        self._alone()

    def _on_the_lab(self, lab: BenchLab) -> None:
        again: dict[str, Any] = {"rounds": self._rounds, "say": self.say}
        self._one("end_to_end", lambda: end_to_end.measure(lab, **again))
        verified_per_s = next((one.value for one in self.figures if one.name == end_to_end.NAME), None)
        if verified_per_s is not None:
            self._one("end_to_end", lambda: plain_users.measure(lab, verified_per_s=verified_per_s, **again))
        self._one("cpu_per_record", lambda: cpu_per_record.measure(lab, full="soak" in self._wanted, **again))
        self._one("send_delay", lambda: [send_delay.measure(lab, **again)])
        self._one("master_cpu", lambda: [master.master_cpu(lab, **again)])
        self._one("soak", lambda: [soak.measure(lab, say=self.say)])

    def _alone(self) -> None:
        self._one("capacity", self._capacity)
        self._one("ledger_memory", lambda: [ledger_memory.measure(say=self.say)])
        self._one("report_size", lambda: [master.report_size(say=self.say)])
        if "soak" not in self._wanted:
            self.figures.append(soak.not_measured())

    def _capacity(self) -> list[Figure]:
        found, profile = capacity.measure(rounds=self._rounds, say=self.say)
        self.profiles["One worker at its limit, against a mock broker"] = profile
        return found

    def _one(self, name: str, measure: Callable[[], list[Figure]]) -> None:
        if name not in self._wanted:
            return
        try:
            self.figures += measure()
        except (BenchmarkError, Mm2gateError, OSError, ValueError) as error:
            self.problems.append(f"{name}: {error}".partition("\n")[0])
            self.say(f"{name} could not be measured: {error}")


def main() -> None:
    """Exit code 0 when every figure that has a target reaches it, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="with the soak of 30 minutes")
    parser.add_argument("--only", nargs="+", choices=(*ON_THE_LAB, *ALONE), help="these; nothing is written then")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs of each figure")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is ended on the way out
    everything = frozenset((*ON_THE_LAB, *ALONE)) - ({"soak"} if not options.full else set())
    needs_bytes = 0 if options.only else NEEDS_BYTES + (SOAK_NEEDS_BYTES if options.full else 0)
    free_bytes = shutil.disk_usage(tempfile.gettempdir()).free
    if free_bytes < needs_bytes:
        where = f"{tempfile.gettempdir()} has {free_bytes / 1e9:.0f} GB free"
        parser.error(f"{where}, and the lab needs {needs_bytes / 1e9:.0f}; make room, or set TMPDIR")
    bench = Bench(wanted=frozenset(options.only) if options.only else everything, rounds=options.rounds)
    load_before, began_s = os.getloadavg()[0], time.monotonic()
    bench.play()
    report = Report(
        figures=tuple(bench.figures),
        mode="bench-full" if options.full else "bench",
        took_s=time.monotonic() - began_s,
        load_average=(load_before, os.getloadavg()[0]),
        profiles=bench.profiles,
        problems=tuple(bench.problems),
    )
    print(screen_table(report.figures))
    if not options.only:
        report.write(HERE)
        print(f"written: {HERE / 'results.json'}, {HERE / 'results.md'}")
    for figure in report.failed:
        print(f"does not hold: {figure.title}", file=sys.stderr)
    sys.exit(1 if report.failed or report.problems else 0)


if __name__ == "__main__":
    main()
