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
        zlib.crc32(b"x" * 1_000_000)  # outside the GIL
threads = [threading.Thread(target=burn) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
burnt = time.process_time()
time.sleep(2)
print(json.dumps({"burnt_s": burnt}))
"""


def test_what_all_threads_burn_is_read():
    finished = run([sys.executable, "-c", BURN], within_s=60)
    burnt_s = finished.report["burnt_s"]
    assert burnt_s >= 1.2
    assert finished.cpu.cpu_s[-1] == pytest.approx(burnt_s, rel=0.2)


def test_only_what_was_burnt_inside_the_window_counts():
    watch = CpuWatch(0, times_s=[10.0, 11.0, 12.0, 13.0], cpu_s=[0.5, 0.5, 1.7, 1.7])
    assert watch.between(10.5, 12.5) == pytest.approx(1.2)
    assert watch.between(12, 13) == watch.between(10, 11) == 0


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
