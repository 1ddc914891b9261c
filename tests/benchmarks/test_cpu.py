"""CPU over a window: what a process burns is what is read, whether in Python or in a native thread."""

from __future__ import annotations

import sys
import time

import pytest

from benchmarks.cpu import CpuWatch
from benchmarks.program import BenchmarkError, run

BURN = """
import json, sys, threading, time, zlib
def burn():
    began = time.thread_time()
    while time.thread_time() - began < 0.6:
        zlib.crc32(b"x" * 10_000_000)  # outside the GIL
time.sleep(0.5)
threads = [threading.Thread(target=burn) for _ in range(2)]
began = time.time()
for thread in threads: thread.start()
for thread in threads: thread.join()
ended = time.time()
time.sleep(0.5)
print(json.dumps({"began_s": began, "ended_s": ended}))
"""


def test_what_all_threads_burn_is_read_and_only_inside_the_window():
    finished = run([sys.executable, "-c", BURN], within_s=60)
    report, cpu = finished.report, finished.cpu
    assert cpu.between(report["began_s"] - 0.2, report["ended_s"] + 0.2) == pytest.approx(1.2, abs=0.15)
    assert cpu.between(report["ended_s"] + 0.15, report["ended_s"] + 0.35) < 0.05


def test_an_instant_that_was_not_watched_is_refused():
    watch = CpuWatch(0, times_s=[10.0, 11.0], cpu_s=[1.0, 3.0])
    assert watch.between(10.25, 10.75) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="not watched"):
        watch.between(9, 10.5)
    with pytest.raises(ValueError, match="not watched"):
        watch.between(10.5, 12)


def test_a_program_that_hangs_or_says_nothing_is_named():
    began_s = time.monotonic()
    with pytest.raises(BenchmarkError, match="not done within"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], within_s=1)
    assert time.monotonic() - began_s < 20
    finished = run([sys.executable, "-c", "import sys; print('oh dear'); sys.exit(3)"], within_s=20)
    with pytest.raises(BenchmarkError, match="oh dear"):
        _ = finished.report
