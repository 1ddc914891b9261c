"""One run of ours on the lab, as a user starts it, and what its own record says of it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import scenario
from benchmarks.program import PROJECT_ROOT, BenchmarkError, Cost, Finished, program_environment, run
from lab.ports import free_ports
from run_record.histogram import LatencyHistogram
from run_record.store import RunRecord
from scenarios.plan import NS_PER_S

LOCUSTFILE = PROJECT_ROOT / "benchmarks" / "locustfiles" / "ours.py"
AROUND_THE_LOAD_S = 150


@dataclass(frozen=True)
class OurRun:
    """A run that ended."""

    finished: Finished
    record: RunRecord
    verdict: dict[str, Any]
    hub_file: Path
    records_per_s: int

    @cached_property
    def load_end_s(self) -> float:
        """Unix instant at which the load phase ended."""
        (phase,) = [one for one in self.record.manifest.phases if one.name == scenario.PHASE]
        if phase.end_ns is None:
            raise BenchmarkError("the load phase has no end")
        return phase.end_ns / NS_PER_S

    @property
    def holds(self) -> bool:
        """Load applied, everything arrived, nothing else happened: GO."""
        return bool(self.verdict["verdict"] == "GO")

    def why_not(self) -> str:
        """The criteria that are not GO."""
        return ", ".join(
            f"{one['id']} {one['verdict']} ({one['value']})"
            for one in self.verdict["criteria"]
            if one["verdict"] != "GO"
        )

    def counts(self) -> dict[str, int]:
        """The ledger's totals. Raises BenchmarkError."""
        if self.record.ledger is None:
            raise BenchmarkError(f"a run left no ledger: {self.finished.output[-2000:]}")
        totals: dict[str, int] = self.record.ledger["totals"]
        return totals

    def latency(self, kind: str) -> LatencyHistogram:
        """Of the load phase: e2e, send_delay or ack."""
        return self.record.latency[scenario.PHASE][kind]

    def cost(self, window_s: float) -> Cost:
        """Of the worker: hub, librdkafka's threads, Locust."""
        return self.finished.cost(
            end_s=self.load_end_s,
            window_s=window_s,
            records_per_s=self.records_per_s,
            records=self.counts()["sent"],
        )

    def hub_late_ms(self, percentile: float) -> float:
        """Lateness of the 5 ms timer while it ran."""
        late_s = json.loads(self.hub_file.read_text(encoding="utf-8"))
        return float(np.percentile(late_s, percentile) * 1000)


def play(
    environment: Path, directory: Path, *, name: str, records_per_s: int, duration_s: int, hub_watched_s: float = 0
) -> OurRun:
    """One run, with one worker beside its master; what is watched is the worker.

    `hub_watched_s`: a timer in its hub runs for so long, from the load's first second or two on. Raises BenchmarkError
    when it leaves no verdict.
    """
    place = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=directory))
    file = scenario.write(place, name, records_per_s=records_per_s, duration_s=duration_s)
    hub_file, runs, port = place / "hub.json", place / "runs", str(free_ports(("master",))["master"])
    hub = {"MM2GATE_BENCH_HUB_FILE": str(hub_file), "MM2GATE_BENCH_HUB_S": str(hub_watched_s)}
    locust: list[str | Path] = [sys.executable, "-m", "locust", "-f", LOCUSTFILE, "--loglevel", "WARNING"]
    master = [
        *locust, "--headless", "--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port,
        "--expect-workers", "1", "--scenario", file, "--env", environment, "--runs-dir", runs,
    ]  # fmt: skip
    within_s = duration_s + AROUND_THE_LOAD_S
    with (place / "master.log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            list(map(str, master)), cwd=PROJECT_ROOT, env=program_environment(), stdout=log, stderr=log
        )
        try:
            finished = run(
                [*locust, "--worker", "--master-host", "127.0.0.1", "--master-port", port],
                within_s=within_s,
                env=hub if hub_watched_s else {},
                beside=process,
            )
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise BenchmarkError(f"{name}: the master did not end") from None
        except BenchmarkError as error:
            log.seek(0)
            raise BenchmarkError(f"{name}: {log.read()[-2000:]} {error}") from None
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        said = log.read()
    found = list(runs.glob("*/verdict.json"))
    if not found:
        raise BenchmarkError(f"{name}: no verdict: {said[-2000:]} {finished.output[-2000:]}")
    return OurRun(
        finished=finished,
        record=RunRecord.open(found[0].parent),
        verdict=json.loads(found[0].read_text(encoding="utf-8")),
        hub_file=hub_file,
        records_per_s=records_per_s,
    )
