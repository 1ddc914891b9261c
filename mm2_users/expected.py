"""What is expected next on a mirror: a stream's records as they were sent, kept until they have arrived.

Nearly every record arrives next after the one before it, and byte for byte as it was sent. Comparing it with what was
sent is the strictest check there is, and costs a fraction of decoding it. Whatever is not as expected is decoded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class SentBatch(NamedTuple):  # several times quicker to make than a frozen dataclass, and made in each step
    """Records of one stream with consecutive sequence numbers, all of one phase and handed over at one instant."""

    first_seq: int
    phase: int
    sent_ns: int
    due_ns: NDArray[np.int64]
    values: Sequence[bytes | None]
    keys: Sequence[bytes | None]

    @property
    def end_seq(self) -> int:
        """One past its last sequence number."""
        return self.first_seq + len(self.values)


@dataclass(slots=True)
class Expected:
    """Of one stream, at most `most_records`: what is sent beyond them is decoded when it arrives."""

    most_records: int
    _batches: deque[SentBatch] = field(default_factory=deque)
    _records: int = 0

    def sent(self, batch: SentBatch) -> None:
        """Keeps what was handed to the producer, if there is room."""
        if self._records + len(batch.values) <= self.most_records:
            self._batches.append(batch)
            self._records += len(batch.values)

    def match(
        self, values: Sequence[bytes | None], keys: Sequence[bytes | None], next_seq: int, place: int = 0
    ) -> tuple[SentBatch, int, int] | None:
        """The batch and the stretch [start, end) of it that these, from `place` on, begin with; None when they are
        something else.

        `next_seq` follows the last that arrived; what lies before it is forgotten.
        """
        batches = self._batches
        while batches and batches[0].end_seq <= next_seq:
            self._records -= len(batches.popleft().values)
        if not batches or batches[0].first_seq > next_seq:
            return None
        batch = batches[0]
        start = next_seq - batch.first_seq
        count = min(len(values) - place, len(batch.values) - start)
        if count == len(values) == len(batch.values):  # all of both, as a rule: nothing need be copied to be compared
            same = values == batch.values and keys == batch.keys
        else:
            here, there = slice(place, place + count), slice(start, start + count)
            same = values[here] == batch.values[there] and keys[here] == batch.keys[there]
        return (batch, start, start + count) if same else None
