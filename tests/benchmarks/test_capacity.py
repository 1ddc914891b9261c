"""The engine's worker against the mock broker, as the figure runs it: what it says it sent was acknowledged."""

from __future__ import annotations

import sys

import pytest

from benchmarks.figures.capacity import mock_broker, profile
from benchmarks.hub_profile import sampled, shares
from benchmarks.program import run

PROGRAM = [sys.executable, "-m", "benchmarks.programs.engine_worker", "--topics", "1", "--duration-s", "4"]


@pytest.mark.parametrize("options", [[], ["--mirrored"]], ids=["sent", "read back"])
def test_every_record_is_acknowledged_and_read_back(options):
    with mock_broker() as address:
        report = run([*PROGRAM, "--broker", address, "--rate", "2000", *options], within_s=90).report
    seconds, last = report["seconds"], report["seconds"][-1]
    # In one second or another the machine may stand still; what is wrong with the worker is wrong in all of them.
    assert any(row["sent"] >= 0.9 * 2000 * row["at_s"] and row["acked"] >= 0.9 * row["sent"] for row in seconds)
    assert 0 < last["sent"] <= 8000
    if "--mirrored" in options:
        assert any(0 < 0.8 * row["acked"] <= row["arrived"] for row in seconds)
    assert sum(report["threads_cpu_s"].values()) == pytest.approx(last["cpu_s"], rel=0.2, abs=0.5)
    assert 0 < last["report_bytes"] < 64 * 1024


def test_the_profile_names_the_lines_of_the_hub_at_work_and_no_import(tmp_path):
    samples = tmp_path / "samples"
    with mock_broker() as address:
        command = sampled([*PROGRAM, "--broker", address, "--rate", "20000"], samples)
        report = run(command, within_s=90).report
    hub = shares(samples.read_text(encoding="utf-8"))
    assert sum(hub.values()) == pytest.approx(1)
    assert any("clients/kafka.py" in where for where in hub)
    assert any("mm2_users/" in where for where in hub)
    assert not any("importlib" in where for where in hub)
    assert "hub" in profile(report, hub)


def test_shares_are_of_the_time_under_the_hub_alone():
    stacks = (
        "a (x.py:1);drive_or_leave (w.py:1);step (e.py:2) 6\nHub.run (hub.py:3) 2\nmain (w.py:9);find (imp.py:1) 99\n"
    )
    assert shares(stacks) == {"step (e.py:2)": 0.75, "Hub.run (hub.py:3)": 0.25}
    assert shares("") == {}
