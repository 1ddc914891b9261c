"""Whose turn it is: to which of a sender's streams the next records go.

As with Kafka's own partitioner (KIP-480), a partition keeps its turn until a batch is full or `linger` is over: records
that the producer would send together anyway go to one partition, so every client and broker on the way has fewer and
larger batches to handle. Seen over some rounds, each partition gets as much as its turns are many.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from mm2_users.streams import Stream


class Turns:
    """Over the streams in their order, again and again."""

    def __init__(self, streams: Sequence[Stream], *, lasts_ns: int, most_records: int) -> None:
        self._lasts_ns = lasts_ns
        self._most_records = most_records
        self._streams = cycle(streams)
        self._current = next(self._streams)
        self._began_ns: int | None = None
        self._records = 0

    def take(self, count: int, now_ns: int) -> Stream:
        """The stream that sends `count` records now."""
        if self._began_ns is None:
            self._began_ns = now_ns
        elif self._records >= self._most_records or now_ns - self._began_ns >= self._lasts_ns:
            self._current = next(self._streams)
            self._began_ns, self._records = now_ns, 0
        self._records += count
        return self._current
