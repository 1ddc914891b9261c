"""Reads stretches of partitions once more, with a client of its own: what lies there now, whatever was read before."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from clients.kafka import client_configuration
from scenarios.environment import Cluster, LoadedEnvironment

Place = tuple[str, int]
#: Partition → first offset, and the one behind the last.
Stretches = Mapping[Place, tuple[int, int]]
Take = Callable[[list[Message]], None]
MOST_AT_ONCE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """`whole`: the partitions whose stretch was read from its first offset to its last. `refused`: why others were not,
    where the cluster said so; else time ran out."""

    whole: frozenset[Place]
    refused: str = ""


class Rereader:
    """One cluster's. `settings` come after those of every client."""

    def __init__(self, cluster: Cluster, environment: LoadedEnvironment, settings: Mapping[str, Any] = {}) -> None:
        self._configuration = (
            client_configuration(cluster, environment, "reread")
            | {"group.id": "mm2gate-reread", "enable.auto.commit": False, "error_cb": lambda _: None}
            | dict(settings)
            # A stretch whose beginning is gone was not read whole, and must not be taken for one that was.
            | {"auto.offset.reset": "error", "enable.partition.eof": True}
        )

    def __call__(self, stretches: Stretches, take: Take, *, timeout_s: float, first_only: bool = False) -> Reread:
        """Hands the records of these stretches to `take`, in this thread, in the order of each partition; `first_only`:
        one of each. Blocks: call it `off_hub`."""
        left = {place: stretch for place, stretch in stretches.items() if stretch[0] < stretch[1]}
        whole = set(stretches) - set(left)
        refused = ""
        if not left:
            return Reread(whole=frozenset(whole))
        deadline_s = time.monotonic() + timeout_s
        consumer = Consumer(self._configuration)
        try:
            consumer.assign([TopicPartition(*place, start) for place, (start, _) in left.items()])
            while left and time.monotonic() < deadline_s:
                messages = consumer.consume(MOST_AT_ONCE, 0.1)
                records, over, ended = _sorted_out(messages, left, first_only=first_only)
                if records:
                    take(records)
                refused = next((why for why in over.values() if why), refused)
                whole |= ended
                done = [place for place in (*over, *ended) if left.pop(place, None) is not None]
                if done:
                    consumer.incremental_unassign([TopicPartition(*place) for place in done])
        finally:
            consumer.close()
        return Reread(whole=frozenset(whole), refused=refused)


def _sorted_out(
    messages: list[Message], left: Stretches, *, first_only: bool
) -> tuple[list[Message], dict[Place, str], set[Place]]:
    """The records that were asked for; the partitions that cannot be read on, with what the cluster says; those that
    were read to the end of their stretch."""
    records: list[Message] = []
    over: dict[Place, str] = {}
    ended: set[Place] = set()
    for message in messages:
        place = message.topic() or "", -1 if (partition := message.partition()) is None else partition
        if place not in left or place in ended:
            continue
        error, (_, end) = message.error(), left[place]
        if error is None:
            offset = message.offset() or 0
            if offset < end:
                records.append(message)
            if first_only or offset >= end - 1:
                ended.add(place)
        elif error.code() == KafkaError._PARTITION_EOF:
            ended.add(place)
        elif not error.retriable():
            over[place] = error.str()
    return records, over, ended
