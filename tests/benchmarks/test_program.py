"""Programs that are measured: none outlives the benchmark, however that ends."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from benchmarks.program import PROJECT_ROOT

BENCHMARK = """
import sys
from benchmarks import __main__ as bench
from benchmarks.program import run
bench.Bench.play = lambda self: run(["sh", "-c", "sleep 1; sleep 600 & sleep 600 & wait"], within_s=600)
sys.argv = ["benchmarks", "--only", "capacity"]
bench.main()
"""


@pytest.mark.parametrize("end", ["terminate", "interrupt"])
def test_a_benchmark_that_is_told_to_end_ends_what_it_measures(end):
    benchmark = psutil.Popen([sys.executable, "-c", BENCHMARK], cwd=PROJECT_ROOT, stderr=subprocess.DEVNULL)
    try:
        measured: list[psutil.Process] = []
        while len(measured) < 3:
            assert benchmark.poll() is None
            measured = benchmark.children(recursive=True)
            time.sleep(0.05)
        if end == "terminate":
            benchmark.terminate()
        else:
            benchmark.send_signal(2)
        assert benchmark.wait(30) in (143, -2, 130)
        assert not psutil.wait_procs(measured, timeout=30)[1]
    finally:
        for process in (*measured, benchmark):
            if process.is_running():
                process.kill()
