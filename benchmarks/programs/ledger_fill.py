"""Fills the ledgers of one sender with records that are all acknowledged and arrive in order; prints what it cost."""

from __future__ import annotations

import argparse
import gc
import json

import numpy as np
import psutil

from mm2_users.ledger import StreamLedger


def main() -> None:
    """Plays the options of the command line."""
    parser = argparse.ArgumentParser()
    for number in ("records", "partitions", "batch"):
        parser.add_argument(f"--{number}", type=int, required=True)
    options = parser.parse_args()
    process = psutil.Process()
    phases, intact = np.zeros(options.batch, dtype=np.uint8), np.ones(options.batch, dtype=np.bool_)
    gc.collect()
    before_bytes = process.memory_info().rss
    ledgers = [StreamLedger() for _ in range(options.partitions)]
    for _ in range(options.records // (options.partitions * options.batch) + 1):
        for ledger in ledgers:
            first = ledger.take(options.batch, 0)
            end = first + options.batch
            ledger.ack(first, end)
            ledger.anchor(first, end, first)
            ledger.arrive(np.arange(first, end), phases, intact)
    after_bytes = process.memory_info().rss
    counts = [ledger.counts()[0] for ledger in ledgers]
    report = {
        "rss_before_bytes": before_bytes,
        "rss_after_bytes": after_bytes,
        "arrived": sum(one.arrived for one in counts),
        "anomalies": sum(one.lost + one.late + one.duplicated + one.reordered + one.corrupted for one in counts),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
