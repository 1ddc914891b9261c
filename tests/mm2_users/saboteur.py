"""What a copier does to chosen records instead of copying them, and what a source does to them instead of taking them.

    lose · duplicate · swap (with the next of its partition) · hold (to the end) · replay (with the two before it)
    corrupt (its body) · damage (its envelope) · deface (its first bytes) · cut (its value short) · blank (its value)
    rekey · stray (to the next partition)

and at the source, SOURCE_TROUBLE:

    refuse (before it is sent) · deny (the broker says no, rightly) · keep (the broker says no, and has it)
    silence (no answer, and it has it) · drop (no answer, and it does not)
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mm2_users.envelope import CANARY, LAYOUT, _envelopes
from mm2_users.payload import HEAD_BYTES

#: The mock brokers create every topic with so many partitions; a path in memory has as many.
PARTITIONS = 4

PATH_TROUBLE = (
    "lose",
    "duplicate",
    "swap",
    "hold",
    "replay",
    "corrupt",
    "damage",
    "deface",
    "cut",
    "blank",
    "rekey",
    "stray",
)
SOURCE_TROUBLE = ("refuse", "deny", "keep", "silence", "drop")
REFUSED = frozenset({"refuse", "deny", "keep"})
UNANSWERED = frozenset({"silence", "drop"})
#: What of these never reaches the source's log.
NEVER_THERE = frozenset({"refuse", "deny", "drop"})

Place = tuple[int, int]
"""A record: (partition, sequence number of its stream)."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What is written on the mirror."""

    partition: int
    key: bytes | None
    value: bytes | None


def seq_of(value: bytes) -> int | None:
    """The sequence number in a value of any run of ours; None for a canary."""
    raw = _envelopes([value])
    assert raw is not None
    (fields,) = np.frombuffer(raw, dtype=LAYOUT)
    return None if fields["flags"] & CANARY else int(fields["seq"])


class Saboteur:
    """Turns each record of a source into what its mirror shall get; canaries are always copied."""

    def __init__(self, plant: Mapping[Place, str] | None = None) -> None:
        self._plant = dict(plant or {})
        self.done: Counter[str] = Counter()
        self._waiting: dict[tuple[str, int], Copy] = {}
        self._held: dict[str, list[Copy]] = defaultdict(list)
        self._latest: dict[tuple[str, int], deque[Copy]] = defaultdict(lambda: deque(maxlen=3))

    def copies(self, topic: str, partition: int, key: bytes, value: bytes) -> list[Copy]:
        """What to write for this record now."""
        seq, original = seq_of(value), Copy(partition, key, value)
        action = "copy" if seq is None else self._plant.get((partition, seq), "copy")
        self.done["canary" if seq is None else action] += 1
        waiting = self._waiting.pop((topic, partition), None)
        if seq is not None:
            self._latest[topic, partition].append(original)
        if action == "swap":
            self._waiting[topic, partition] = original
        if action == "hold":
            self._held[topic].append(original)
        out = {
            "lose": [],
            "swap": [],
            "hold": [],
            "duplicate": [original, original],
            "replay": [original, *self._latest[topic, partition]],
        }.get(action)
        if out is None:
            out = [_altered(action, original)]
        return [*out, waiting] if waiting is not None else out

    def leftovers(self, topic: str) -> list[Copy]:
        """What was held back, once: copied when all else has been."""
        swapped = [self._waiting.pop(place) for place in list(self._waiting) if place[0] == topic]
        return swapped + self._held.pop(topic, [])


def _altered(action: str, one: Copy) -> Copy:
    value = one.value or b""
    if action == "corrupt":
        return Copy(one.partition, one.key, value[:-3] + bytes([value[-3] ^ 1]) + value[-2:])
    if action == "damage":
        return Copy(one.partition, one.key, value[: HEAD_BYTES - 4] + b"=" + value[HEAD_BYTES - 3 :])
    if action == "deface":
        return Copy(one.partition, one.key, b"[" + value[1:])
    if action == "cut":
        return Copy(one.partition, one.key, value[: HEAD_BYTES - 1])
    if action == "blank":
        return Copy(one.partition, one.key, None)
    if action == "rekey":
        return Copy(one.partition, b"another", value)
    if action == "stray":
        return Copy((one.partition + 1) % PARTITIONS, one.key, value)
    assert action == "copy", action
    return one
