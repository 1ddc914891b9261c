"""The closing facts leave room for what the ledger counts: offsets only grow, and each record took one.

Not of a topic that somebody deleted, made anew or cut short meanwhile: there `checks.measures.closing` speaks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from checks.consistency.equations import LEDGER, Contradiction, Equation, Facts
from run_record.closing import Closing, ClosingUnreadable, PartitionFacts, Side, disturbances
from run_record.counts import Counts

Places = dict[tuple[str, int], Counts]


def of_closing(facts: Facts) -> Iterator[Contradiction]:
    """All equations of the ledger's key `closing`; nothing without it."""
    content = facts.record.ledger
    if content is None:
        return
    try:
        closing = facts.record.closing
    except ClosingUnreadable:
        return  # which is said elsewhere
    if closing is None:
        return
    remotes = {topic.source: topic.remote for topic in facts.manifest.topics}
    at_source: Places = defaultdict(Counts)
    at_target: Places = defaultdict(Counts)
    for stream, counts in zip(content["streams"], facts.stream_counts, strict=True):
        place = stream["topic"], stream["partition"]
        at_source[place] += counts
        at_target[remotes.get(place[0], ""), place[1]] += counts
    lost_places = set(content["lost_places"])
    for one in _untouched(closing, "source"):
        counts = at_source[one.topic, one.partition]
        yield from _room(one, "source", counts.acked + counts.duplicated_at_source, "acked + duplicated_at_source")
    for one in _untouched(closing, "target"):
        counts = at_target[one.topic, one.partition]
        arrived = counts.arrived + counts.phantom + counts.unknown_arrived
        yield from _room(one, "target", arrived, "arrived")
        # A load that is not ours is counted by the mirror's ends, and read by nobody.
        if facts.manifest.has_envelopes and one.place not in lost_places:
            yield from _read(one, arrived)


def _untouched(closing: Closing, side: Side) -> Iterator[PartitionFacts]:
    """Partitions of a side of which nothing else is told that moved their ends."""
    changed = {change.topic for change in closing.changes if change.side == side}
    disturbed = {(one.topic, one.partition) for one in disturbances(closing, side)}
    facts = closing.side(side)
    return (one for one in facts.partitions if one.topic not in changed and (one.topic, one.partition) not in disturbed)


def _room(one: PartitionFacts, side: Side, least: int, counted: str) -> Iterator[Contradiction]:
    base = one.high_start or 0
    if one.high_end is not None and one.high_end - base < least:
        yield _of(one, side, "high_end", one.high_end, f"high_start + {counted}", base + least)
    if one.low_end is not None and one.low_end > base and one.trim is None:
        yield _of(one, side, "low_end", one.low_end, "trim", "–")


def _read(one: PartitionFacts, arrived: int) -> Iterator[Contradiction]:
    """Our reader has been behind all that arrived."""
    base = one.high_start or 0
    position = base if one.position is None else one.position
    if position - base < arrived:
        yield _of(one, "target", "position", position, "high_start + arrived", base + arrived)


def _of(one: PartitionFacts, side: Side, name: str, found: int, other: str, wanted: int | str) -> Contradiction:
    return Contradiction(
        equation=Equation.ENDS,
        where=f"{LEDGER}: closing.{side} {one.place}, {name}",
        found=found,
        other=other,
        wanted=wanted,
    )
