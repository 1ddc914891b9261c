"""Which partitions a sender owns: it writes them at the source and reads their mirrors on the target.

MM2 keeps partition numbers, so one clock times both ends and ledgers are local. With more senders than partitions,
senders share a partition, each with its own stream of sequence numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scenarios.plan import PlannedTopic


@dataclass(frozen=True, slots=True)
class StreamPlace:
    """Index of the topic in the plan, and the partition."""

    topic: int
    partition: int


def streams_of(topics: Sequence[PlannedTopic], *, index: int, senders: int) -> list[StreamPlace]:
    """The partitions of sender `index` of `senders`, in the order in which it serves them.

    Partition 0 of every topic comes first, then partition 1 …, so that a short run touches every topic.
    """
    most = max(topic.partitions for topic in topics)
    places = [
        StreamPlace(number, partition)
        for partition in range(most)
        for number, topic in enumerate(topics)
        if partition < topic.partitions
    ]
    return places[index::senders] if index < len(places) else [places[index % len(places)]]
