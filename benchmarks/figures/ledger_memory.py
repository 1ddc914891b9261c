"""Memory of the ledger for 10⁸ records in order over 120 partitions: it grows with the gaps, not with the records."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks.figure import Figure
from benchmarks.program import run

RECORDS, PARTITIONS, BATCH = 100_000_000, 120, 2000


def measure(*, say: Callable[[str], None]) -> Figure:
    """In a process of its own; its resident memory before and after."""
    command = [sys.executable, "-m", "benchmarks.programs.ledger_fill"]
    command += ["--records", str(RECORDS), "--partitions", str(PARTITIONS), "--batch", str(BATCH)]
    report = run(command, within_s=300).report
    grown_mb = (report["rss_after_bytes"] - report["rss_before_bytes"]) / 1e6
    say(f"ledger: {grown_mb:.2f} MB for {report['arrived']} records")
    return Figure(
        name="ledger_memory",
        title=f"ledger's memory for 10⁸ records in order over {PARTITIONS} partitions",
        unit="MB",
        value=grown_mb,
        direction="<=",
        limit=20,
        note=f"{report['arrived']} arrived, {report['anomalies']} anomalies counted (none is right)",
    )
