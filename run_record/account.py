"""A node's final account of its streams, and the sum of several: what becomes ledger.json and latency.json.

On the wire (and per node):

    {"phases": {phase: counts}, "unattributed": counts,
     "streams": [{"topic", "partition", "sender", "counts", "examples"}],
     "canary": {"sent", "acked", "arrived", "missing": [{"topic", "partition"}]},
     "latency": {phase: {"e2e" | "e2e_from_sent" | "send_delay" | "ack": histogram}}, "last_error": text or None,
     "read_refused": [mirrors that the target did not let us read],
     "lost_places": ["mirror:partition" in which the reader's position was gone, so that a stretch was never read]}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    unattributed = total(Counts(**account["unattributed"]) for account in accounts)
    canaries = [account["canary"] for account in accounts]
    ledger = {
        "totals": (total(by_phase.values()) + unattributed).to_json(),
        "canary": {
            **{name: sum(canary[name] for canary in canaries) for name in ("sent", "acked", "arrived")},
            "missing": [place for canary in canaries for place in canary["missing"]],
        },
        "phases": {phase: counts.to_json() for phase, counts in by_phase.items()},
        "unattributed": unattributed.to_json(),
        "streams": sorted(
            (stream for account in accounts for stream in account["streams"]),
            key=lambda stream: (stream["topic"], stream["partition"], stream["sender"]),
        ),
        "read_refused": sorted({topic for account in accounts for topic in account["read_refused"]}),
        "lost_places": sorted({place for account in accounts for place in account["lost_places"]}),
        "last_errors": sorted({account["last_error"] for account in accounts if account["last_error"]}),
    }
    latency: Latency = {phase: {} for phase in phases}
    for account in accounts:
        for phase, kinds in account["latency"].items():
            for kind, content in kinds.items():
                latency[phase].setdefault(kind, LatencyHistogram()).merge(LatencyHistogram.from_json(content))
    return ledger, latency
