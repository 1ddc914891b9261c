"""The ledger's memory does not grow with the records that are in order: the figure's program, on a hundredth."""

from __future__ import annotations

import sys

from benchmarks.program import run


def test_a_million_records_in_order_cost_next_to_nothing_and_none_is_called_an_anomaly():
    command = [sys.executable, "-m", "benchmarks.programs.ledger_fill", "--partitions", "120", "--batch", "500"]
    report = run([*command, "--records", "1000000"], within_s=120).report
    assert report["arrived"] >= 1_000_000
    assert report["anomalies"] == 0
    assert report["rss_after_bytes"] - report["rss_before_bytes"] < 5e6
