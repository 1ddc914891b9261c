"""What a record of a stream holds: its key and its body, as functions of its sequence number alone.

So the reader knows which key a record must arrive with, and can tell a record whose envelope was damaged on the way by
its key, its body and its place behind those that arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mm2_users.payload import BodyPool

#: A damaged record is looked for so far behind the last that arrived: within this stretch no two have the same body.
RECOGNISED_WITHIN = 64
#: The canary stands before the stream, and has the body of the record before its first.
CANARY_SEQ = -1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Content:
    """Of one stream. `shift` differs from run to run, so that what an earlier run left behind looks different."""

    keys: Sequence[bytes]
    pool: BodyPool
    shift: int

    def keys_from(self, first_seq: int, count: int) -> list[bytes]:
        """The keys of `count` records in a row, from this one on."""
        return list(_in_turn(self.keys, first_seq + self.shift, count))

    def bodies_from(self, first_seq: int, count: int) -> tuple[NDArray[np.int64], Sequence[bytes], Sequence[int]]:
        """Their bodies: number in the pool, bytes and CRC-32 of each."""
        pool, at, pooled = self.pool, first_seq + self.shift, len(self.pool.bodies)
        start = at % pooled
        numbers = np.arange(start, start + count)
        if start + count > pooled:
            numbers %= pooled
        return numbers, _in_turn(pool.bodies, at, count), _in_turn(pool.crcs, at, count)

    def keys_of(self, seqs: NDArray[np.int64]) -> list[bytes]:
        """The keys of these records."""
        return list(map(self.keys.__getitem__, ((seqs + self.shift) % len(self.keys)).tolist()))

    def body_numbers_of(self, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of their bodies in the pool."""
        numbers: NDArray[np.int64] = (seqs + self.shift) % len(self.pool.bodies)
        return numbers

    def recognise(self, key: bytes | None, value: bytes, *, after: int, before: int) -> int | None:
        """The sequence number in [after, before) of a record with this key and this body; None when none is near."""
        nearest = np.arange(after, min(after + min(RECOGNISED_WITHIN, len(self.pool.bodies)), before), dtype=np.int64)
        if not self.pool.fits(value):
            return None
        for seq, own_key, body in zip(
            nearest.tolist(), self.keys_of(nearest), self.body_numbers_of(nearest).tolist(), strict=True
        ):
            if own_key == key and self.pool.holds(body, value):
                return int(seq)
        return None


def _in_turn(things: Sequence[T], first: int, count: int) -> Sequence[T]:
    """`count` of these in turn, from number `first` on. A slice costs a tenth of looking each of them up."""
    start = first % len(things)
    if start + count > len(things):
        things = [*things] * (2 + count // len(things))
    return things[start : start + count]
