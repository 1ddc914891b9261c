"""The rivals on the lab, each with the settings and the payloads of our own runs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from benchmarks import scenario
from benchmarks.bench_lab import BenchLab
from benchmarks.program import PROJECT_ROOT, BenchmarkError, Cost, Finished, run
from benchmarks.programs.common import bodies

AROUND_THE_LOAD_S = 60
LOCUSTFILES = PROJECT_ROOT / "benchmarks" / "locustfiles"
_PERF_TOTAL = re.compile(r"^(\d+) records sent, ([\d.]+) records/sec.* 99\.9th", re.MULTILINE)


def bare_script(lab: BenchLab, *, records_per_s: int, duration_s: int, window_s: float) -> Cost:
    """CPU of produce, read back through MM2, latencies in a list."""
    topic, mirror = lab.topic("bench-bare")
    command = [
        sys.executable, "-m", "benchmarks.programs.bare_script", "--topic", topic, "--mirror", mirror,
        "--partitions", scenario.PARTITIONS, "--rate", records_per_s, "--duration-s", duration_s,
        "--record-bytes", scenario.RECORD_BYTES, "--compression", scenario.COMPRESSION,
        "--linger-ms", scenario.LINGER_MS, "--batch-bytes", scenario.BATCH_BYTES,
    ]  # fmt: skip
    finished = run([str(part) for part in command], within_s=duration_s + AROUND_THE_LOAD_S, env=lab.clients)
    wanted = records_per_s * duration_s
    if finished.report["arrived"] < wanted:
        raise BenchmarkError(f"the bare script got back {finished.report['arrived']} of {wanted} records")
    return _cost(finished, records_per_s=records_per_s, window_s=window_s)


def careful_locust(lab: BenchLab, *, records_per_s: int, duration_s: int, window_s: float) -> Cost:
    """CPU of a careful Locust user that only produces."""
    topic, _ = lab.topic("bench-careful")
    producer = {
        "compression": scenario.COMPRESSION,
        "linger_ms": scenario.LINGER_MS,
        "batch_bytes": scenario.BATCH_BYTES,
    }
    environment = {
        "BENCH_TOPIC": topic,
        "BENCH_RATE": str(records_per_s),
        "BENCH_DURATION_S": str(duration_s),
        "BENCH_PARTITIONS": str(scenario.PARTITIONS),
        "BENCH_RECORD_BYTES": str(scenario.RECORD_BYTES),
        "BENCH_PRODUCER": json.dumps(producer),
    }
    finished = run(
        [*_locust("careful.py"), "-u", "1"], within_s=duration_s + AROUND_THE_LOAD_S, env=lab.clients | environment
    )
    return _cost(finished, records_per_s=records_per_s, window_s=window_s)


def plain_locust(lab: BenchLab, *, users: int, duration_s: int) -> float:
    """Records per second of one process full of plain users."""
    topic, _ = lab.topic("bench-plain")
    environment = {"BENCH_TOPIC": topic, "BENCH_RECORD_BYTES": str(scenario.RECORD_BYTES)}
    finished = run(
        [*_locust("plain.py"), "-u", str(users), "-r", str(users), "-t", f"{duration_s}s", "-s", "1"],
        within_s=duration_s + AROUND_THE_LOAD_S,
        env=lab.clients | environment,
    )
    return float(finished.report["records_per_s"])


def producer_perf_test(
    lab: BenchLab, *, records_per_s: int, duration_s: int, window_s: float, from_file: bool = False
) -> Cost:
    """CPU of Kafka's own kafka-producer-perf-test, which verifies nothing.

    As its documentation shows it, with --record-size: it makes each record's bytes as it goes. `from_file`: it takes
    ready-made ones, the same documents as ours.
    """
    topic, _ = lab.topic("bench-perf")
    java, classpath = lab.java
    properties = _java_properties(lab.scratch / "perf.properties", json.loads(lab.clients["BENCH_CLIENTS"])["source"])
    payloads = lab.scratch / "payloads.txt"
    payloads.write_bytes(b"\n".join(bodies(scenario.RECORD_BYTES)))
    payload = ("--payload-file", payloads) if from_file else ("--record-size", scenario.RECORD_BYTES)
    command = [
        java, "-Xmx512M", "-cp", classpath, "org.apache.kafka.tools.ProducerPerformance", "--topic", topic,
        "--num-records", records_per_s * duration_s, "--throughput", records_per_s, *payload,
        "--command-config", properties,
    ]  # fmt: skip
    finished = run([str(part) for part in command], within_s=duration_s + AROUND_THE_LOAD_S)
    total = _PERF_TOTAL.search(finished.output)
    if total is None or not finished.cpu.times_s:
        raise BenchmarkError(f"kafka-producer-perf-test: {finished.output[-2000:]}")
    _at_the_rate(float(total[2]), records_per_s)
    return finished.cost(
        end_s=finished.cpu.times_s[-1], window_s=window_s, records_per_s=float(total[2]), records=int(total[1])
    )


def _locust(file: str) -> list[str | Path]:
    return [sys.executable, "-m", "locust", "-f", LOCUSTFILES / file, "--headless", "--only-summary"]


def _cost(finished: Finished, *, records_per_s: int, window_s: float) -> Cost:
    reached = float(finished.report["records_per_s"])
    _at_the_rate(reached, records_per_s)
    return finished.cost(
        end_s=finished.report["end_s"],
        window_s=window_s,
        records_per_s=reached,
        records=finished.report["acked"],
    )


def _at_the_rate(reached: float, wanted: int) -> None:
    if abs(reached / wanted - 1) > 0.05:
        raise BenchmarkError(f"sent {reached:.0f} records/s instead of {wanted}; nothing can be compared at that rate")


def _java_properties(file: Path, settings: dict[str, str]) -> Path:
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    user, password = settings["sasl.username"], settings["sasl.password"]
    lines = {
        "bootstrap.servers": settings["bootstrap.servers"],
        "security.protocol": settings["security.protocol"],
        "sasl.mechanism": settings["sasl.mechanism"],
        "sasl.jaas.config": f'{login} username="{user}" password="{password}";',
        "acks": "all",
        "enable.idempotence": "true",
        "compression.type": scenario.COMPRESSION,
        "linger.ms": scenario.LINGER_MS,
        "batch.size": scenario.BATCH_BYTES,
    }
    file.write_text("".join(f"{key}={value}\n" for key, value in lines.items()), encoding="utf-8")
    return file
