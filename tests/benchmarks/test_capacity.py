"""The engine's worker against the mock broker, as the figure runs it: what it says it sent was acknowledged."""

from __future__ import annotations

import sys

import pytest

from benchmarks.figures.capacity import mock_broker, profile
from benchmarks.program import run


@pytest.mark.parametrize("options", [[], ["--mirrored"], ["--sample"]], ids=["sent", "read back", "sampled"])
def test_every_record_is_acknowledged_and_read_back(options):
    with mock_broker() as address:
        command = [sys.executable, "-m", "benchmarks.programs.engine_worker", "--broker", address, "--topics", "1"]
        report = run([*command, "--rate", "2000", "--duration-s", "4", *options], within_s=90).report
    last = report["seconds"][-1]
    assert last["sent"] == pytest.approx(8000, rel=0.1)
    assert last["acked"] >= 0.9 * last["sent"]
    if "--mirrored" in options:
        assert last["arrived"] >= 0.8 * last["acked"]
    assert sum(report["threads_cpu_s"].values()) == pytest.approx(last["cpu_s"], abs=0.5)
    assert 0 < last["report_bytes"] < 64 * 1024
    if "--sample" in options:
        assert any("engine.py" in where or "envelope.py" in where for where in report["hub"])
        assert "hub" in profile(report)
