"""The latencies are those of the records that the ledger counts, and of the timeline's seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from checks.consistency.equations import LATENCY, LEDGER, MANIFEST, Contradiction, Equation, Facts
from run_record.counts import Counts
from run_record.edition import Edition
from run_record.histogram import LatencyHistogram

Kinds = Mapping[str, LatencyHistogram]
EMPTY = LatencyHistogram()


def of_latency(facts: Facts) -> Iterator[Contradiction]:
    """All equations of latency.json; nothing without a ledger, or while its file cannot be read."""
    if facts.record.ledger is None or any(fault.file == "latency.json" for fault in facts.record.faults):
        return
    latency = facts.record.latency
    strange = sorted(latency.keys() - facts.phase_counts.keys())
    for phase in strange:
        yield Contradiction(
            equation=Equation.LATENCY_COUNTS, where=f"{LATENCY}: phases", found=phase, other=f"{LEDGER}: phases"
        )
    for phase, counts in facts.phase_counts.items():
        kinds = latency.get(phase, {})
        if facts.manifest.has_envelopes:
            yield from _counts(facts, phase, counts, kinds)
            yield from _sums(phase, counts, kinds)
        else:
            for kind, histogram in kinds.items():
                if histogram.count:
                    yield Contradiction(
                        equation=Equation.NO_ENVELOPES,
                        where=f"{LATENCY}: phases.{phase}.{kind}.count",
                        found=histogram.count,
                        other=f"{MANIFEST}: load",
                        wanted=facts.manifest.load,
                    )


def _counts(facts: Facts, phase: str, counts: Counts, kinds: Kinds) -> Iterator[Contradiction]:
    """Each record sent has a send delay, each one acknowledged an acknowledgement, each first arrival a latency. One
    that was too damaged to say which it is was known by its place, and has arrived without a latency."""
    first = counts.arrived + counts.phantom + counts.unknown_arrived
    e2e = kinds.get("e2e", EMPTY).count
    wanted = [
        ("send_delay", counts.sent, "sent"),
        ("ack", counts.acked, "acked"),
        ("e2e", min(max(e2e, first - counts.corrupted), first), "arrived + phantom + unknown_arrived"),
    ]
    if "e2e_from_sent" in kinds or facts.manifest.edition > Edition.FIRST:
        wanted.append(("e2e_from_sent", e2e, "e2e"))
    for kind, count, name in wanted:
        if (found := kinds.get(kind, EMPTY).count) != count:
            yield Contradiction(
                equation=Equation.LATENCY_COUNTS,
                where=f"{LATENCY}: phases.{phase}.{kind}.count",
                found=found,
                other=f"{LATENCY if name == 'e2e' else LEDGER}: phases.{phase}.{name}",
                wanted=count,
            )


def _sums(phase: str, counts: Counts, kinds: Kinds) -> Iterator[Contradiction]:
    """From due to arrived is from due to sent and from sent to arrived: to the nanosecond, of records that all did."""
    due, delay, sent = (kinds.get(kind, EMPTY) for kind in ("e2e", "send_delay", "e2e_from_sent"))
    if "e2e_from_sent" not in kinds or not due.count == delay.count == sent.count == counts.arrived == counts.sent:
        return
    if due.sum_ns != delay.sum_ns + sent.sum_ns:
        yield Contradiction(
            equation=Equation.LATENCY_SUMS,
            where=f"{LATENCY}: phases.{phase}.e2e.sum_ns",
            found=due.sum_ns,
            other="send_delay.sum_ns + e2e_from_sent.sum_ns",
            wanted=delay.sum_ns + sent.sum_ns,
        )
