"""Accounts of nodes: the ledger of a run is their sum, and its latencies are their merged histograms."""

import numpy as np

from run_record.account import merge
from run_record.counts import Counts
from run_record.histogram import LatencyHistogram
from tests.run_record.accounts import account


def histogram(*milliseconds):
    made = LatencyHistogram()
    made.record_ns(np.array(milliseconds, dtype=np.int64) * 1_000_000)
    return made


def of(sender, counts, *, e2e=(), error=None, canary_arrived=1, stranger=0, refused=()):
    return account(
        phases={"smoke": counts.to_json()},
        unattributed=Counts(foreign=stranger).to_json(),
        streams=[
            {"topic": "a", "partition": partition, "sender": sender, "counts": {}, "examples": {}}
            for partition in (3 - sender, sender)
        ],
        canary={
            "sent": 1,
            "acked": 1,
            "arrived": canary_arrived,
            "missing": [] if canary_arrived else [{"topic": "a", "partition": sender}],
        },
        latency={"smoke": {"e2e": histogram(*e2e).to_json()}} if e2e else {},
        last_error=error,
        read_refused=list(refused),
    )


ONE = Counts(sent=5, acked=4, failed=1, arrived=3, late=1)
TWO = Counts(sent=7, acked=7, arrived=6, lost=1, duplicated=2)


def test_the_ledger_is_the_sum_of_the_nodes():
    ledger, latency = merge(
        [
            of(0, ONE, e2e=(1, 2), stranger=2, refused=["b", "a"]),
            of(1, TWO, e2e=(3,), error="boom", canary_arrived=0, refused=["a"]),
        ],
        ["smoke", "peak"],
    )
    whole = ONE + TWO
    assert ledger["phases"] == {"smoke": whole.to_json(), "peak": Counts().to_json()}
    assert ledger["totals"] == (whole + Counts(foreign=2)).to_json()
    assert ledger["canary"] == {"sent": 2, "acked": 2, "arrived": 1, "missing": [{"topic": "a", "partition": 1}]}
    assert [(stream["partition"], stream["sender"]) for stream in ledger["streams"]] == [(0, 0), (1, 1), (2, 1), (3, 0)]
    assert ledger["last_errors"] == ["boom"]
    assert ledger["read_refused"] == ["a", "b"]
    assert latency["smoke"]["e2e"].to_json() == histogram(1, 2, 3).to_json()
    assert latency["peak"] == {}


def test_totals_of_any_division_are_the_same():
    parts = [Counts(sent=k, acked=k, arrived=k) for k in range(1, 9)]
    alone, _ = merge([of(0, sum(parts, Counts()))], ["smoke"])
    divided, _ = merge([of(sender, part) for sender, part in enumerate(parts)], ["smoke"])
    assert alone["totals"] == divided["totals"]


def test_no_account_at_all_is_an_empty_ledger():
    ledger, _ = merge([], ["smoke"])
    assert ledger["totals"] == Counts().to_json()
