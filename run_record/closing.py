"""The closing facts: what lay on both clusters when the run ended, beside what lay there when it began.

Each node writes those of its own partitions (`mm2_users/watch.py`); `merge` makes them one, the key `closing` of
ledger.json. What a cluster did not tell is None, and `untold` says why. None of it is worked out twice: what the facts
come to (`disturbances`) is asked of here by the load, which then reads a mirror again, and by the judge.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, ValidationError

from scenarios.yaml_file import StrictModel

Side = Literal["source", "target"]
#: gone: a topic that was there is not. remade: it has another topic id. fewer_partitions: a mirror has fewer than its
#: topic. truncated: a partition ends before where it had ended. trimmed: it begins behind records of this run.
What = Literal["gone", "remade", "fewer_partitions", "truncated", "trimmed"]

#: A broker's clock and ours may differ, and retention is looked after every few minutes: so much is no offence.
SLACK_SHARE = 0.1
MOST_SLACK_S = 60.0
#: What a partition holds is known in records, retention.bytes is in bytes: strangers' may be larger, up to this.
LARGER_RECORDS = 2


class TopicFacts(StrictModel):
    """A topic of one side. `partitions_start` and `_end`: 0 when it did not exist. `ids`: topic ids in the order in
    which they were seen; a second one is a topic that was deleted and made again."""

    topic: str
    partitions_start: int | None
    partitions_end: int | None
    ids: tuple[str, ...]
    retention_ms: int | None = Field(description="retention.ms when the run began; -1: for ever")
    retention_bytes: int | None
    cleanup_policy: str | None
    untold: dict[str, str] = Field(description="what was not told: start, end or retention → why")

    @property
    def existed(self) -> bool | None:
        """Whether it was there at any time; None where that is not told."""
        if self.ids or self.partitions_start or self.partitions_end:
            return True
        return None if self.partitions_start is None and self.partitions_end is None else False

    @property
    def absent(self) -> bool:
        """Whether it was never there."""
        return self.partitions_end == 0 and self.existed is False


class Trim(StrictModel):
    """A partition was seen to begin behind records that were written during this run."""

    low: int = Field(description="where it began then")
    seen_s: float = Field(description="when that was seen, in seconds of the load's clock")
    youngest_s: float = Field(description="the most that the age of the youngest record that was gone can have been")
    left_records: int = Field(description="records that it still held")


class PartitionFacts(StrictModel):
    """A partition of one side: where it began and ended when the run did. Ends are those of what can be read (behind
    the last record of a transaction that is over)."""

    topic: str
    partition: int
    low_start: int | None
    high_start: int | None
    low_end: int | None
    high_end: int | None
    high_most: int | None = Field(description="the highest end that was ever seen")
    committed: int | None = Field(None, description="source: the last offset that MM2 has committed, as Connect told")
    position: int | None = Field(None, description="target: where our reader stood; None before its first record")
    read_to_end: bool | None = Field(
        None, description="target: nothing of ours lay behind that; None where nobody asked"
    )
    held: int | None = Field(None, description="target: our records that were found when it was read again")
    held_whole: bool = Field(False, description="target: it was read again from its beginning to its end")
    trim: Trim | None = None

    @property
    def place(self) -> str:
        """As the ledger names partitions."""
        return f"{self.topic}:{self.partition}"


class SideFacts(StrictModel):
    """What one cluster told."""

    topics: tuple[TopicFacts, ...]
    partitions: tuple[PartitionFacts, ...]

    def topic(self, name: str) -> TopicFacts | None:
        """Of this name."""
        return next((one for one in self.topics if one.topic == name), None)


class Change(StrictModel):
    """Something that happened to a topic while the run went on, and when it was first seen."""

    side: Side
    topic: str
    what: What
    seen_s: float = Field(description="seconds of the load's clock")
    partition: int | None = None


class Restart(StrictModel):
    """Our own reader stood still though records lay before it, and was started again."""

    seen_s: float
    places: tuple[str, ...]


class ClosingUnreadable(ValueError):
    """The closing facts of a record are not in their form."""


class Closing(StrictModel):
    """All closing facts of a run, or of one node."""

    source: SideFacts
    target: SideFacts
    changes: tuple[Change, ...]
    restarts: tuple[Restart, ...]

    @classmethod
    def of(cls, ledger: Mapping[str, Any]) -> Self | None:
        """Those of a ledger; None where it has none, as before schema 2. Raises ClosingUnreadable."""
        content = ledger.get("closing")
        if content is None:
            return None
        try:
            return cls.from_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            raise ClosingUnreadable(f"closing.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """The inverse of `to_json`. Raises pydantic's ValidationError, which is a ValueError."""
        return cls.model_validate_json(json.dumps(content))  # strict, where lists are tuples all the same

    def to_json(self) -> dict[str, Any]:
        """In the form that `of` reads."""
        return self.model_dump(mode="json")

    def side(self, name: Side) -> SideFacts:
        """One of the two."""
        return self.source if name == "source" else self.target

    def seen_s(self, side: Side, topic: str, *whats: What) -> float | None:
        """When one of these was first seen to have happened to a topic."""
        return min(
            (c.seen_s for c in self.changes if (c.side, c.topic) == (side, topic) and c.what in whats), default=None
        )


def empty() -> Closing:
    """Of a node that owns nothing."""
    none = SideFacts(topics=(), partitions=())
    return Closing(source=none, target=none, changes=(), restarts=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """What happened to a partition so that what was read there proves nothing of what lies there now. `sure`: False
    where it may have been the topic's own retention, which is not told."""

    topic: str
    partition: int
    what: What
    seen_s: float | None
    sure: bool = True


def disturbances(closing: Closing, side: Side = "target", *, record_bytes: int = 0) -> Iterator[Disturbance]:
    """The partitions of a side that do not hold what they held, though their own retention would have kept it."""
    facts = closing.side(side)
    topics = {one.topic: one for one in facts.topics}
    for partition in facts.partitions:
        topic = topics.get(partition.topic)
        if topic is None:
            continue
        found = _happened(closing, side, topic, partition, record_bytes)
        if found is not None:
            what, sure = found
            whats: tuple[What, ...] = ("gone", "remade") if what in ("gone", "remade") else (what,)
            seen_s = closing.seen_s(side, topic.topic, *whats)
            if seen_s is None and what == "trimmed" and partition.trim is not None:
                seen_s = partition.trim.seen_s
            yield Disturbance(topic=topic.topic, partition=partition.partition, what=what, seen_s=seen_s, sure=sure)


def _happened(
    closing: Closing, side: Side, topic: TopicFacts, partition: PartitionFacts, record_bytes: int
) -> tuple[What, bool] | None:
    changed = {
        change.what
        for change in closing.changes
        if (change.side, change.topic) == (side, topic.topic) and change.partition in (None, partition.partition)
    }
    if len(topic.ids) > 1 or "remade" in changed:
        return "remade", True
    if topic.partitions_end == 0 and topic.existed:
        return "gone", True
    if "gone" in changed:  # it came back, and no topic id tells whether as the same
        return "remade", True
    if topic.partitions_end and partition.partition >= topic.partitions_end:
        return "fewer_partitions", True
    return _moved(changed, topic, partition, record_bytes)


def _moved(
    changed: set[What], topic: TopicFacts, partition: PartitionFacts, record_bytes: int
) -> tuple[What, bool] | None:
    """What the offsets of a partition, whose topic is the same, say of it."""
    most = max((one for one in (partition.high_most, partition.position) if one is not None), default=0)
    if "truncated" in changed or (partition.high_end is not None and partition.high_end < most):
        return "truncated", True
    if partition.trim is None:
        return None
    allowed = kept_long_enough(partition.trim, topic, record_bytes)
    return None if allowed else ("trimmed", allowed is not None)


def kept_long_enough(trim: Trim, topic: TopicFacts, record_bytes: int) -> bool | None:
    """Whether a topic's own retention explains that a partition begins behind records of the run; None where its
    retention is not told. After kafka.log.UnifiedLog: whole segments, when their youngest record is older than
    retention.ms, or while the rest is at least retention.bytes."""
    if topic.cleanup_policy is None or topic.retention_ms is None or topic.retention_bytes is None:
        return None
    if "delete" not in topic.cleanup_policy:
        return False
    keeps_s = topic.retention_ms / 1000
    if topic.retention_ms >= 0 and trim.youngest_s >= keeps_s - min(MOST_SLACK_S, SLACK_SHARE * keeps_s):
        return True
    left_bytes = trim.left_records * record_bytes * LARGER_RECORDS
    return 0 <= topic.retention_bytes <= left_bytes


def merge(parts: Sequence[Closing]) -> Closing:
    """The facts of all nodes in one. Where several read a partition, the one that stood furthest behind counts, and
    what each found there is added up."""
    return Closing(
        source=_one_side([part.source for part in parts]),
        target=_one_side([part.target for part in parts]),
        changes=tuple(_first_seen(change for part in parts for change in part.changes)),
        restarts=tuple(sorted((one for part in parts for one in part.restarts), key=lambda one: one.seen_s)),
    )


def _one_side(sides: Sequence[SideFacts]) -> SideFacts:
    topics: dict[str, TopicFacts] = {}
    partitions: dict[tuple[str, int], PartitionFacts] = {}
    for side in sides:
        for topic in side.topics:
            before = topics.get(topic.topic)
            topics[topic.topic] = topic if before is None else _same_topic(before, topic)
        for one in side.partitions:
            seen = partitions.get(place := (one.topic, one.partition))
            partitions[place] = one if seen is None else _same_partition(seen, one)
    return SideFacts(
        topics=tuple(topics[name] for name in sorted(topics)),
        partitions=tuple(partitions[place] for place in sorted(partitions)),
    )


def _same_topic(one: TopicFacts, other: TopicFacts) -> TopicFacts:
    told = one if not one.untold else other
    ids = [*one.ids, *(number for number in other.ids if number not in one.ids)]
    return told.model_copy(update={"ids": tuple(ids)})


def _same_partition(one: PartitionFacts, other: PartitionFacts) -> PartitionFacts:
    positions = [None if each.position is None else each.position for each in (one, other)]
    reads = (one.read_to_end, other.read_to_end)
    trims = [each.trim for each in (one, other) if each.trim is not None]
    held = [each.held for each in (one, other) if each.held is not None]
    return one.model_copy(
        update={
            "position": None if None in positions else min(p for p in positions if p is not None),
            "read_to_end": None if None in reads else all(reads),
            "trim": min(trims, key=lambda trim: trim.youngest_s, default=None),
            "held": sum(held) if held else None,
            "held_whole": one.held_whole and other.held_whole,
            "high_most": max((e.high_most for e in (one, other) if e.high_most is not None), default=None),
        }
    )


def _first_seen(changes: Iterable[Change]) -> list[Change]:
    first: dict[tuple[str, str, str, int | None], Change] = {}
    for change in sorted(changes, key=lambda change: change.seen_s):
        first.setdefault((change.side, change.topic, change.what, change.partition), change)
    return list(first.values())
