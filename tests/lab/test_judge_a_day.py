"""Judging a day costs a minute and 500 MB at most. Needs no lab, but takes as long as a test on one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.day import DAY_S, RECORDS, write_day

ROOT = Path(__file__).resolve().parents[2]
#: Of one processor: how long it takes on a machine that has nothing else to do.
CPU_MOST_S = 60.0
MEMORY_MOST_BYTES = 500e6


def test_a_full_size_day_is_judged_within_a_minute_and_500_mb(tmp_path):
    run = write_day(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "runbook", "judge", str(run)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_s, memory_bytes = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
    print(f"judging a day: {cpu_s:.1f} s of CPU, {memory_bytes / 1e6:.0f} MB")
    content = json.loads((run / "verdict.json").read_text(encoding="utf-8"))
    assert (process.returncode, content["verdict"]) == (0, "GO")
    window = next(one for one in content["criteria"] if one["id"] == "latency_max")
    assert window["samples"] > 120 * DAY_S / 15 * 0.99, "every point of every partition was looked at"
    assert next(one for one in content["criteria"] if one["id"] == "produced")["value"] == RECORDS
    assert cpu_s <= CPU_MOST_S
    assert memory_bytes <= MEMORY_MOST_BYTES
