"""What a worker's reports weigh, and what the reports of a hundred workers cost the master."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from benchmarks import scenario
from benchmarks.bench_lab import BenchLab
from benchmarks.cpu import CpuWatch
from benchmarks.figure import Figure
from benchmarks.figures.capacity import mock_broker
from benchmarks.program import PROJECT_ROOT, BenchmarkError, program_environment, run
from lab.ports import free_ports
from run_record.store import RunRecord
from scenarios.plan import NS_PER_S

WORKERS, DURATION_S, WINDOW_S = 100, 15, 10.0
READY_WITHIN_S = 90.0
#: Topics of the mock have 4 partitions: 120 partitions in all.
REPORT_TOPICS, REPORT_RATE_PER_S, REPORT_S = 30, 20_000, 9


def report_size(*, say: Callable[[str], None]) -> Figure:
    """The largest stretch of 3 s: Locust's own report, and our seconds, of an engine with 120 partitions."""
    with mock_broker() as address:
        command = [
            sys.executable, "-m", "benchmarks.programs.engine_worker", "--broker", address,
            "--topics", str(REPORT_TOPICS), "--rate", str(REPORT_RATE_PER_S), "--duration-s", str(REPORT_S),
            "--mirrored",
        ]  # fmt: skip
        seconds = run(command, within_s=REPORT_S + 60).report["seconds"]
    stretches = [sum(one["report_bytes"] for one in seconds[k : k + 3]) for k in range(1, len(seconds) - 3)]
    largest_kb = (max(stretches) + max(one["locust_report_bytes"] for one in seconds)) / 1024
    say(f"reports of a worker: {largest_kb:.0f} KB every 3 s")
    return Figure(
        name="report_kb",
        title="reports of one worker to its master in 3 s, 120 partitions, 20000/s",
        unit="KB",
        value=largest_kb,
        direction="<=",
        limit=64,
    )


def master_cpu(lab: BenchLab, *, rounds: int, say: Callable[[str], None]) -> Figure:
    """Share of a core over the last seconds of the load phase. Raises BenchmarkError."""
    shares = []
    for number in range(rounds):
        shares.append(_one(lab, number))
        say(f"master of {WORKERS} workers, run {number + 1}: {shares[-1]:.0f} % of a core")
    return Figure.median(
        shares,
        name="master_cpu_percent",
        title=f"master's CPU for {WORKERS} simulated workers",
        unit="% of a core",
        direction="<=",
        limit=50,
    )


def _one(lab: BenchLab, number: int) -> float:
    place = lab.scratch / f"master-{number}"
    place.mkdir()
    file = scenario.write(place, "master", records_per_s=WORKERS * 100, duration_s=DURATION_S, topics=10)
    port = free_ports(("master",))["master"]
    command = [
        sys.executable, "-m", "locust", "-f", PROJECT_ROOT / "locustfiles" / "mm2.py", "--headless", "--master",
        "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", WORKERS,
        "--loglevel", "WARNING", "--scenario", file, "--env", lab.environment, "--runs-dir", place / "runs",
    ]  # fmt: skip
    log = (place / "log").open("w+", encoding="utf-8")
    environment = program_environment()
    master = subprocess.Popen(
        [str(part) for part in command], cwd=PROJECT_ROOT, env=environment, stdout=log, stderr=log
    )
    simulated = [
        sys.executable, "-m", "benchmarks.programs.simulated_workers", "--port", str(port), "--workers", str(WORKERS),
    ]  # fmt: skip
    workers = subprocess.Popen(simulated, cwd=PROJECT_ROOT, env=environment, stdout=log, stderr=log)
    watch = CpuWatch(master.pid).start()
    try:
        master.wait(READY_WITHIN_S + DURATION_S + 60)
    except subprocess.TimeoutExpired:
        log.seek(0)
        raise BenchmarkError(f"the master did not end: {log.read()[-2000:]}") from None
    finally:
        for process in (workers, master):
            process.kill()
            process.wait()
        watch.stop()
        log.close()
    records = list((place / "runs").glob("*/record"))
    if not records:
        raise BenchmarkError(f"the master left no record: {(place / 'log').read_text(encoding='utf-8')[-2000:]}")
    manifest = RunRecord.open(records[0].parent).manifest
    ends_ns = [phase.end_ns for phase in manifest.phases if phase.name == scenario.PHASE and phase.end_ns]
    if len(manifest.workers) != WORKERS or not ends_ns:
        said = (place / "log").read_text(encoding="utf-8")[-2000:]
        raise BenchmarkError(f"{len(manifest.workers)} of {WORKERS} workers took part, and no load was played\n{said}")
    end_s = ends_ns[0] / NS_PER_S
    return watch.between(end_s - WINDOW_S, end_s) / WINDOW_S * 100
