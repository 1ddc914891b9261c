"""An engine's final account, in the form that run_record.account describes and merges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from locust_session.load import Assignment
from mm2_users.ledger import StreamLedger
from mm2_users.reckoning import Reckoning
from mm2_users.streams import StreamPlace
from run_record.counts import Counts, total
from run_record.histogram import LatencyHistogram
from scenarios.plan import RunPlan
from scenarios.secrets import hidden_of_others


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What hindered the node, in the words of run_record.account."""

    last_error: str | None
    read_refused: Sequence[str]
    lost_places: Sequence[str]


def account(
    plan: RunPlan,
    assignment: Assignment,
    *,
    streams: Sequence[tuple[StreamPlace, StreamLedger]],
    canaries: Sequence[tuple[StreamPlace, bool, bool]],
    histograms: Mapping[str, Mapping[int, LatencyHistogram]],
    unattributed: Counts,
    reckoning: Reckoning,
    trouble: Trouble,
) -> dict[str, Any]:
    """The account. `canaries`: place, acknowledged, arrived. `unattributed`: arrivals that no phase counts."""
    names = [load.name for load in plan.loads]
    by_phase: dict[str, list[Counts]] = {name: [] for name in names}
    rows = []
    for place, ledger in streams:
        topic = plan.topics[place.topic].source
        name = f"{topic}:{place.partition}"
        offset, read_to_end = reckoning.committed.get(name), name in reckoning.ended
        counts = ledger.counts(offset, read_to_end=read_to_end)
        for phase, some in counts.items():
            by_phase[names[phase]].append(some)
        rows.append(
            {
                "topic": topic,
                "partition": place.partition,
                "sender": assignment.index,
                "counts": total(counts.values()).to_json(),
                "examples": ledger.examples(offset, read_to_end=read_to_end),
            }
        )
    return {
        "phases": {name: total(parts).to_json() for name, parts in by_phase.items()},
        "unattributed": unattributed.to_json(),
        "streams": rows,
        "canary": {
            "sent": len(canaries),
            "acked": sum(acked for _, acked, _ in canaries),
            "arrived": sum(arrived for _, _, arrived in canaries),
            "missing": [
                {"topic": plan.topics[place.topic].source, "partition": place.partition}
                for place, _, arrived in canaries
                if not arrived
            ],
        },
        "latency": {
            name: {kind: phases[number].to_json() for kind, phases in histograms.items() if number in phases}
            for number, name in enumerate(names)
        },
        "last_error": None if trouble.last_error is None else hidden_of_others(trouble.last_error),
        "read_refused": list(trouble.read_refused),
        "lost_places": list(trouble.lost_places),
        "closing": reckoning.closing.to_json(),
        **_to_merge(reckoning),
    }


def _to_merge(reckoning: Reckoning) -> dict[str, Any]:
    """What is told to the master alone: it knows of a shared partition what is missing there by all its nodes."""
    return {
        "garbage": [
            {"topic": topic, "partition": partition, "arrived": arrived, "at_source": at_source}
            for (topic, partition), (arrived, at_source) in reckoning.garbage.items()
        ]
    }
