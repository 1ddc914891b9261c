"""A node's final account of its streams, and the sum of several: what becomes ledger.json and latency.json.

On the wire (and per node):

    {"phases": {phase: counts}, "unattributed": counts,
     "streams": [{"topic", "partition", "sender", "counts", "examples"}],
     "canary": {"sent", "acked", "arrived", "missing": [{"topic", "partition"}]},
     "latency": {phase: {"e2e" | "e2e_from_sent" | "send_delay" | "ack": histogram}}, "last_error": text or None,
     "read_refused": [mirrors that the target did not let us read],
     "lost_places": ["mirror:partition" in which the reader's position was gone, so that a stretch was never read],
     "garbage": [{"topic", "partition", "arrived", "at_source"}: what arrived, begins like a record of ours and does not
                 say which, and how much of it the source holds just so; it is in unattributed.corrupted],
     "closing": what lay on both clusters (run_record.closing)}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from run_record import closing
from run_record.closing import Closing
from run_record.counts import Counts, total
from run_record.histogram import LatencyHistogram

Latency = dict[str, dict[str, LatencyHistogram]]


def merge(accounts: Sequence[dict[str, Any]], phases: Sequence[str]) -> tuple[dict[str, Any], Latency]:
    """The ledger of all nodes (docs/run-record.md has its form) and the merged histograms, by the plan's load phases.

    `unattributed` are arrivals that no phase counts: foreign and misplaced records, and those too damaged to say which
    they were.
    """
    by_phase = {
        phase: total(Counts(**account["phases"][phase]) for account in accounts if phase in account["phases"])
        for phase in phases
    }
    streams = sorted(
        (stream for account in accounts for stream in account["streams"]),
        key=lambda stream: (stream["topic"], stream["partition"], stream["sender"]),
    )
    unattributed = total(Counts(**account["unattributed"]) for account in accounts)
    strangers = sum(_strangers(garbage, streams) for account in accounts for garbage in account.get("garbage", ()))
    unattributed += Counts(corrupted=-strangers, foreign=strangers)
    canaries = [account["canary"] for account in accounts]
    ledger = {
        "totals": (total(by_phase.values()) + unattributed).to_json(),
        "canary": {
            **{name: sum(canary[name] for canary in canaries) for name in ("sent", "acked", "arrived")},
            "missing": [place for canary in canaries for place in canary["missing"]],
        },
        "phases": {phase: counts.to_json() for phase, counts in by_phase.items()},
        "unattributed": unattributed.to_json(),
        "streams": streams,
        "read_refused": sorted({topic for account in accounts for topic in account["read_refused"]}),
        "lost_places": sorted({place for account in accounts for place in account["lost_places"]}),
        "last_errors": sorted({account["last_error"] for account in accounts if account["last_error"]}),
    }
    if told := [Closing.from_json(account["closing"]) for account in accounts if "closing" in account]:
        ledger["closing"] = closing.merge(told).to_json()
    latency: Latency = {phase: {} for phase in phases}
    for account in accounts:
        for phase, kinds in account["latency"].items():
            for kind, content in kinds.items():
                latency[phase].setdefault(kind, LatencyHistogram()).merge(LatencyHistogram.from_json(content))
    return ledger, latency


def _strangers(garbage: dict[str, Any], streams: Sequence[dict[str, Any]]) -> int:
    """How much of a partition's garbage is provably not what became of a record of ours: what the source holds just so,
    and what is more than the records of ours that have not arrived there."""
    here = [
        Counts(**stream["counts"])
        for stream in streams
        if (stream["topic"], stream["partition"]) == (garbage["topic"], garbage["partition"])
    ]
    missing = sum(
        counts.backlog - counts.unread - counts.purged + counts.unknown - counts.unknown_arrived for counts in here
    )
    ours_at_most = min(garbage["arrived"] - garbage["at_source"], missing)
    return int(garbage["arrived"] - max(ours_at_most, 0))
