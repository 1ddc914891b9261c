"""What one node sees of its topics on one cluster, from before the canary to the run's end.

It looks every few seconds, at which topics they are and where their partitions begin and end, and says at once when one
was deleted, made again or cut short; at the end it gives the closing facts. Looking never fails a run: what is not told
is noted as such, and asked again by the next look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from clients.kafka_topics import Ends, Place, Retention, TopicSeen, Untold, existing
from run_record.closing import Change, PartitionFacts, Side, SideFacts, TopicFacts, Trim, What
from scenarios.plan import NS_PER_S

#: A look that takes longer tells nothing; the next one may.
LOOK_WITHIN_S = 5.0
#: Ends kept of a partition, with when each was seen: enough to tell a quarter of an hour of a day.
MOST_ENDS = 128
#: How often a topic's settings are asked for where they are not told: a refusal stays one.
RETENTION_ASKED = 3
NOT_ASKED = "not asked"


class Looks(Protocol):
    """`clients.kafka_topics.TopicLooks`, as far as it is needed."""

    def topics(self, names: Sequence[str], *, timeout_s: float) -> dict[str, TopicSeen | Untold]: ...
    def ends(self, places: Sequence[Place], *, timeout_s: float) -> dict[Place, Ends | Untold]: ...
    def retention(self, names: Sequence[str], *, timeout_s: float) -> dict[str, Retention | Untold]: ...
    def close(self) -> None: ...


class Happened(NamedTuple):
    """Something that a look found to have happened since the one before."""

    at_ns: int
    topic: str
    what: What
    partition: int | None = None


@dataclass(slots=True)
class _Topic:
    name: str
    planned: int  # partitions that it should have
    start: TopicSeen | Untold = NOT_ASKED
    now: TopicSeen | Untold = NOT_ASKED  # by the latest look
    told: TopicSeen | None = None  # by the latest look that was told
    ids: list[str] = field(default_factory=list)
    retention: Retention | Untold | None = None
    retention_asked: int = 0


@dataclass(slots=True)
class _Partition:
    place: Place
    of_run: int | None = None  # records from this offset on were written during the run
    start: Ends | None = None
    now: Ends | None = None
    told: Ends | None = None
    high_most: int | None = None
    trim: Trim | None = None
    ends: list[tuple[int, int]] = field(default_factory=list)  # (instant, where it ended then), in order

    def see(self, ends: Ends, at_ns: int) -> None:
        self.now = self.told = ends
        self.of_run = ends.high if self.of_run is None else self.of_run
        self.high_most = max(ends.high, self.high_most or 0)
        if len(self.ends) > 1 and self.ends[-1][1] == self.ends[-2][1] == ends.high:
            self.ends.pop()
        self.ends.append((at_ns, ends.high))
        if len(self.ends) > MOST_ENDS:
            del self.ends[1:-1:2]

    def begin_anew(self) -> None:
        """Its topic is another of the same name."""
        self.of_run, self.told, self.high_most, self.trim = 0, None, None, None
        self.ends.clear()

    def not_before_ns(self, offset: int) -> int | None:
        """The latest instant at which the record at this offset was not there yet; None when that is not known."""
        return next((at_ns for at_ns, high in reversed(self.ends) if high <= offset), None)


class Watch:
    """Of one side. Instants are nanoseconds of the engine's own clock; `zero_ns` is second 0 of the load."""

    def __init__(self, side: Side, looks: Looks, topics: Mapping[str, int], places: Sequence[Place]) -> None:
        """`topics`: name → partitions that it should have. `places`: the node's own."""
        self._side: Side = side
        self._looks = looks
        self._topics = {name: _Topic(name, planned) for name, planned in topics.items()}
        self._partitions = {place: _Partition(place) for place in places}
        self._happened: list[Happened] = []
        self._taken_back: set[Happened] = set()  # of which a later look told that it had not happened
        self._began_ns = 0

    def begin(self, at_ns: int) -> None:
        """The first look, before the run has written anything. Waits."""
        self._began_ns = at_ns
        self._look(at_ns, LOOK_WITHIN_S)
        for topic in self._topics.values():
            topic.start = topic.now
        for partition in self._partitions.values():
            partition.start = partition.now
            if self.is_there(partition.place) is False:
                partition.of_run = 0

    def look(
        self, at_ns: int, *, read: Mapping[Place, int], longest_e2e_ns: int, within_s: float = LOOK_WITHIN_S
    ) -> list[Happened]:
        """Looks, and waits for it; what has happened since, each once.

        `read`: where our own reader stands; `longest_e2e_ns`: the longest that a record of ours has taken to it.
        """
        known = len(self._happened)
        before = {place: partition.told for place, partition in self._partitions.items()}
        remade = self._look(at_ns, within_s)
        for place, partition in self._partitions.items():
            now, then = partition.now, before[place]
            if now is None:
                continue
            if place[0] not in remade and then is not None and now.high < then.high:
                self._note(at_ns, place[0], "truncated", place[1])
            self._trimmed(partition, now, at_ns, read.get(place), longest_e2e_ns)
        return self._happened[known:]

    def thrown_out(self, place: Place, at_ns: int) -> list[Happened]:
        """Our reader's position was gone. Where the partition still begins where it did, and is the same, its end has
        been cut off, even if it has grown again before any look."""
        partition, topic = self._partitions[place], place[0]
        known = any(one[1:] == (topic, "truncated", place[1]) for one in self._happened)
        began = 0 if partition.start is None else partition.start.low
        if known or partition.now is None or partition.now.low != began or not self.is_same(topic):
            return []
        self._note(at_ns, topic, "truncated", place[1])
        return self._happened[-1:]

    def ends(self, place: Place) -> Ends | None:
        """Where a partition began and ended by the latest look that was told."""
        return self._partitions[place].told

    def ended_at(self, place: Place, at_ns: int, *, within_ns: int) -> int | None:
        """Where a partition ended by the last look before an instant; None if there was none for so long before it."""
        before = [(seen_ns, high) for seen_ns, high in self._partitions[place].ends if seen_ns <= at_ns]
        after = next((high for seen_ns, high in self._partitions[place].ends if seen_ns > at_ns), None)
        if not before or (before[-1][0] < at_ns - within_ns and before[-1][1] != after):
            return None
        return before[-1][1]

    def of_run(self, place: Place) -> int | None:
        """The offset from which on its records were written during the run; None where that is not told."""
        return self._partitions[place].of_run

    def is_there(self, place: Place) -> bool | None:
        """Whether a partition exists, by the latest look; None where it was not told."""
        now = self._topics[place[0]].now
        return None if isinstance(now, str) else place[1] < now.partitions

    def is_same(self, topic: str) -> bool:
        """Whether a topic is the one that it was when it was first seen, as far as that is told: one that was not seen
        for a while is, if it is there with the same id."""
        return len(self._topics[topic].ids) < 2 and not any(
            one.topic == topic and one.what == "gone" for one in self._happened if one not in self._taken_back
        )

    @property
    def all_told(self) -> bool:
        """Whether the latest look was told of every topic, and of every partition that there is."""
        return all(isinstance(topic.now, TopicSeen) for topic in self._topics.values()) and all(
            one.now is not None or self.is_there(place) is False for place, one in self._partitions.items()
        )

    def facts(self, zero_ns: int) -> SideFacts:
        """The closing facts of this side, as the latest look had them."""
        return SideFacts(
            topics=tuple(_topic_facts(topic) for topic in self._topics.values()),
            partitions=tuple(_partition_facts(one, zero_ns) for one in self._partitions.values()),
        )

    def note(self, one: Happened) -> dict[str, Any]:
        """What has happened as an event of the record."""
        note = {"event": "topic_changed", "side": self._side, "topic": one.topic, "what": one.what}
        return note if one.partition is None else note | {"partition": one.partition}

    def changes(self, zero_ns: int) -> tuple[Change, ...]:
        """All that happened to the topics of this side."""
        return tuple(
            Change(
                side=self._side,
                topic=one.topic,
                what=one.what,
                partition=one.partition,
                seen_s=(one.at_ns - zero_ns) / NS_PER_S,
            )
            for one in self._happened
            if one not in self._taken_back
        )

    def close(self) -> None:
        """Blocks: call it `off_hub`."""
        self._looks.close()

    # --- parts -------------------------------------------------------------------------------------------------------

    def _look(self, at_ns: int, within_s: float) -> set[str]:
        """Takes down what there is now; the topics that are others than before."""
        seen = self._looks.topics(list(self._topics), timeout_s=within_s)
        told = any(isinstance(one, TopicSeen) for one in seen.values())
        remade = {name for name, topic in self._topics.items() if self._see(topic, seen[name], at_ns)}
        for place, partition in self._partitions.items():
            partition.now = None
            if place[0] in remade:
                partition.begin_anew()
        unasked = [topic.name for topic in self._topics.values() if _wants_retention(topic)]
        for name, retention in self._looks.retention(unasked, timeout_s=within_s).items():
            self._topics[name].retention = retention
            self._topics[name].retention_asked += 1
        # A cluster that has told nothing so far is not asked again by this look.
        places = existing(self._partitions, seen) if told else []
        for place, ends in self._looks.ends(places, timeout_s=within_s).items():
            if isinstance(ends, Ends):
                self._partitions[place].see(ends, at_ns)
        return remade

    def _see(self, topic: _Topic, seen: TopicSeen | Untold, at_ns: int) -> bool:
        """Whether it is another topic than before, of the same name."""
        topic.now, before = seen, topic.told
        if isinstance(seen, str):
            return False
        topic.told = seen
        if seen.partitions == 0:
            if before is not None and before.partitions:
                self._note(at_ns, topic.name, "gone")
            return False
        if seen.partitions < topic.planned and (before is None or before.partitions != seen.partitions):
            self._note(at_ns, topic.name, "fewer_partitions")
        if seen.id is None:
            return False
        if topic.ids and topic.ids[-1] == seen.id:
            if before is not None and before.partitions == 0:  # a broker had not known it for a moment
                self._taken_back |= {one for one in self._happened if (one.topic, one.what) == (topic.name, "gone")}
            return False
        topic.ids.append(seen.id)
        if len(topic.ids) > 1:
            self._note(at_ns, topic.name, "remade")
        return len(topic.ids) > 1

    def _trimmed(self, one: _Partition, now: Ends, at_ns: int, read: int | None, longest_e2e_ns: int) -> None:
        """Whether it begins behind records of this run, and how old the youngest of those that are gone can be."""
        if one.of_run is None or now.low <= one.of_run:
            return
        since_ns = self._began_ns
        if read is not None and read >= now.low:
            # Our reader has read it, so it was written no earlier than the last look that did not see it, but for its
            # way there.
            since_ns = max((one.not_before_ns(now.low - 1) or since_ns) - longest_e2e_ns, since_ns)
        youngest_s = (at_ns - since_ns) / NS_PER_S
        if one.trim is None or youngest_s < one.trim.youngest_s:
            seen_s = at_ns / NS_PER_S  # second 0 of the load is not known yet: `facts` takes it off
            one.trim = Trim(low=now.low, seen_s=seen_s, youngest_s=youngest_s, left_records=now.high - now.low)

    def _note(self, at_ns: int, topic: str, what: What, partition: int | None = None) -> None:
        self._happened.append(Happened(at_ns, topic, what, partition))


def _wants_retention(topic: _Topic) -> bool:
    """Whether its settings are still to be asked for: it is there, and they were not told so far, nor refused again and
    again."""
    there = isinstance(topic.now, TopicSeen) and topic.now.partitions > 0
    return there and not isinstance(topic.retention, Retention) and topic.retention_asked < RETENTION_ASKED


def _topic_facts(topic: _Topic) -> TopicFacts:
    kept = topic.retention if isinstance(topic.retention, Retention) else None
    return TopicFacts(
        topic=topic.name,
        partitions_start=None if isinstance(topic.start, str) else topic.start.partitions,
        partitions_end=None if isinstance(topic.now, str) else topic.now.partitions,
        ids=tuple(topic.ids),
        retention_ms=None if kept is None else kept.ms,
        retention_bytes=None if kept is None else kept.bytes,
        cleanup_policy=None if kept is None else kept.policy,
        untold=dict(_untold(topic)),
    )


def _untold(topic: _Topic) -> Iterator[tuple[str, str]]:
    for name, told in (("start", topic.start), ("end", topic.now), ("retention", topic.retention)):
        if isinstance(told, str):
            yield name, told


def _partition_facts(one: _Partition, zero_ns: int) -> PartitionFacts:
    start, end, trim = one.start, one.now, one.trim
    return PartitionFacts(
        topic=one.place[0],
        partition=one.place[1],
        low_start=None if start is None else start.low,
        high_start=None if start is None else start.high,
        low_end=None if end is None else end.low,
        high_end=None if end is None else end.high,
        high_most=one.high_most,
        trim=trim and trim.model_copy(update={"seen_s": trim.seen_s - zero_ns / NS_PER_S}),
    )
