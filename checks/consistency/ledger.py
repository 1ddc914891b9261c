"""The ledger adds up: totals, phases, streams, examples and canaries tell of the same records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from checks.consistency.equations import LEDGER, MANIFEST, Contradiction, Equation, Facts
from run_record.counts import Counts, total

#: (part, whole): what arrived though refused was refused, and so on.
PARTS = (
    ("phantom", "failed"),
    ("unknown_arrived", "unknown"),
    ("purged", "lost"),
    ("unread", "late"),
    ("gone", "arrived"),
    ("duplicated_at_source", "duplicated"),
    ("duplicated_untold", "duplicated"),
    ("corrupted_at_source", "corrupted"),
)
#: What can be told of records that nobody put an envelope into.
COUNTED_BY_OFFSETS = frozenset({"sent", "acked", "arrived", "late"})
#: What a stream's ledger lists at most of each anomaly.
MOST_EXAMPLES = 20
OF_RANGES, OF_RECORDS = ("lost", "late", "failed"), ("duplicated", "reordered", "corrupted")


def of_ledger(facts: Facts) -> Iterator[Contradiction]:
    """All equations of ledger.json; nothing without one."""
    content, totals = facts.record.ledger, facts.record.counts()
    if content is None or totals is None:
        return
    summed = (
        (Equation.TOTALS_OF_PHASES, facts.of_all_phases + facts.unattributed, "phases + unattributed"),
        (Equation.TOTALS_OF_STREAMS, total(facts.stream_counts) + facts.unattributed, "streams + unattributed"),
    )
    for equation, parts, other in summed:
        yield from _equal(equation, totals, parts, other)
    yield from _balances(facts, totals)
    yield from _phases_counted(facts, content)
    yield from _streams(facts, content)
    yield from _examples(facts, content)
    yield from _canaries(facts, content["canary"])
    if not facts.manifest.has_envelopes:
        yield from (
            Contradiction(
                equation=Equation.NO_ENVELOPES,
                where=f"{LEDGER}: totals.{name}",
                found=count,
                other=f"{MANIFEST}: load",
                wanted=facts.manifest.load,
            )
            for name, count in asdict(totals).items()
            if count and name not in COUNTED_BY_OFFSETS
        )


def _equal(equation: Equation, totals: Counts, parts: Counts, other: str) -> Iterator[Contradiction]:
    for name, count in asdict(totals).items():
        if count != (sum_ := getattr(parts, name)):
            yield Contradiction(
                equation=equation, where=f"{LEDGER}: totals.{name}", found=count, other=other, wanted=sum_
            )


def _balances(facts: Facts, totals: Counts) -> Iterator[Contradiction]:
    named = [("totals", totals), *((f"phases.{name}", counts) for name, counts in facts.phase_counts.items())]
    named += [(f"streams.{number}.counts", counts) for number, counts in enumerate(facts.stream_counts)]
    for where, counts in named:
        answered, placed = counts.acked + counts.failed + counts.unknown, counts.arrived + counts.late + counts.lost
        for name, found, other, wanted in (
            ("sent", counts.sent, "acked + failed + unknown", answered),
            ("acked", counts.acked, "arrived + late + lost", placed),
        ):
            if found != wanted:
                yield Contradiction(
                    equation=Equation.BALANCE,
                    where=f"{LEDGER}: {where}.{name}",
                    found=found,
                    other=other,
                    wanted=wanted,
                )
        for part, whole in PARTS:
            if (found := getattr(counts, part)) > (most := getattr(counts, whole)):
                yield Contradiction(
                    equation=Equation.PART_OF, where=f"{LEDGER}: {where}.{part}", found=found, other=whole, wanted=most
                )
    for name in ("sent", "acked", "failed", "unknown", "arrived", "lost", "late"):
        if found := getattr(facts.unattributed, name):
            yield Contradiction(
                equation=Equation.PART_OF, where=f"{LEDGER}: unattributed.{name}", found=found, other="phases", wanted=0
            )


def _phases_counted(facts: Facts, content: dict[str, Any]) -> Iterator[Contradiction]:
    """The ledger has each load of the plan, played or not, and no other."""
    planned = [] if facts.plan is None else [load.name for load in facts.plan.loads]
    if facts.plan is not None and set(content["phases"]) != set(planned):
        yield Contradiction(
            equation=Equation.PHASES_COUNTED,
            where=f"{LEDGER}: phases",
            found=", ".join(sorted(content["phases"])) or "–",
            other=f"{MANIFEST}: scenario.text",
            wanted=", ".join(sorted(planned)),
        )
    played = {phase.name for phase in facts.manifest.of_kind("load")}
    if not facts.ended_by_itself and played:
        # Who ended the run may have done so just as the workers, by their own clocks, went on to the next load.
        last = max(map(planned.index, played & set(planned)), default=-1)
        played |= set(planned[last + 1 : last + 2])
    for name, counts in facts.phase_counts.items():
        if counts.sent and name not in played:
            yield Contradiction(
                equation=Equation.PHASES_COUNTED,
                where=f"{LEDGER}: phases.{name}.sent",
                found=counts.sent,
                other=f"{MANIFEST}: phases",
                wanted=", ".join(sorted(played)) or "–",
            )


def _streams(facts: Facts, content: dict[str, Any]) -> Iterator[Contradiction]:
    """Every stream is one of the run's, once; and every partition has one, or belongs to a worker that vanished."""
    topics = {topic.source: topic.partitions for topic in facts.manifest.topics}
    keys = [(one["topic"], one["partition"], one["sender"]) for one in content["streams"]]
    senders = len(facts.manifest.workers)
    for (topic, partition, sender), times in Counter(keys).items():
        if partition >= topics.get(topic, 0) or sender >= senders or times > 1:
            yield Contradiction(
                equation=Equation.STREAMS,
                where=f"{LEDGER}: streams",
                found=f"{topic}:{partition} ({sender}) × {times}",
                other=f"{MANIFEST}: topics, workers",
                wanted=f"{topics.get(topic, 0)} × {senders}",
            )
    if not facts.load_began:
        return
    owned = {place for one in content["unaccounted"] for place in one["owned"]}
    counted = {f"{topic}:{partition}" for topic, partition, _ in keys} | owned
    planned = [f"{topic}:{partition}" for topic, partitions in topics.items() for partition in range(partitions)]
    absent = [place for place in planned if place not in counted]
    if absent:
        yield Contradiction(
            equation=Equation.STREAMS,
            where=f"{LEDGER}: streams",
            found=len(planned) - len(absent),
            other=f"{MANIFEST}: topics ({absent[0]})",
            wanted=len(planned),
        )


def _examples(facts: Facts, content: dict[str, Any]) -> Iterator[Contradiction]:
    """A stream lists examples of what it counts, all of them where they are few, and of nothing else."""
    for number, (stream, counts) in enumerate(zip(content["streams"], facts.stream_counts, strict=True)):
        examples = stream["examples"]
        for name in (*OF_RANGES, *OF_RECORDS):
            some, count = examples.get(name, ()), getattr(counts, name)
            if name in OF_RANGES:
                shown = sum(end - first for first, end in some if isinstance(first, int) and end > first)
                whole = len(some) < MOST_EXAMPLES
            else:
                shown, whole = len(some), len(some) < MOST_EXAMPLES
            if shown > count or (whole and shown < count):
                yield Contradiction(
                    equation=Equation.EXAMPLES,
                    where=f"{LEDGER}: streams.{number}.counts.{name}",
                    found=count,
                    other=f"examples.{name}",
                    wanted=shown,
                )


def _canaries(facts: Facts, canary: dict[str, Any]) -> Iterator[Contradiction]:
    sent, acked, arrived, missing = canary["sent"], canary["acked"], canary["arrived"], canary["missing"]
    if facts.manifest.has_envelopes:
        if sent - arrived != len(missing):
            yield _canary("sent − arrived", sent - arrived, "canary.missing", len(missing))
        if facts.load_began and sent != len(facts.stream_counts):
            yield _canary("sent", sent, "streams", len(facts.stream_counts))
    if acked > sent:
        yield _canary("acked", acked, "canary.sent", sent)
    # What the master saw before the load, of workers that all gave their account in the end.
    told = next((event for event in facts.record.events if event["event"] == "canary"), None)
    if told is not None and not facts.vanished:
        for name, found in (("sent", sent), ("arrived", arrived)):
            if told[name] > found:
                yield _canary(name, found, "record/events.jsonl: canary", told[name])


def _canary(name: str, found: int, other: str, wanted: int) -> Contradiction:
    return Contradiction(
        equation=Equation.CANARIES, where=f"{LEDGER}: canary.{name}", found=found, other=other, wanted=wanted
    )
