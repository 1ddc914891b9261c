"""The envelope: what a probe carries, in 64 characters at a fixed place of a valid JSON document.

48 bytes, little-endian, in base64 (48 is a multiple of 3, so envelopes encoded in a row can be cut apart):

    run      u64  the run, hashed: records of other runs on the same topic are foreign, not ours
    sender   u16  which sender of the run
    phase    u8   index of the load phase of the due instant
    flags    u8   1: canary
    topic    u16  index of the topic in the plan
    partition u16
    seq      i64  place in the stream: 0, 1, 2 …
    due_ns   i64  when the schedule wanted it, on the load's clock
    sent_ns  i64  when it was handed to the producer, on the load's clock
    body     u16  number of the body in the pool
    version  u16
    crc      u32  CRC-32 of the body followed by the 44 bytes above

Encoding and decoding go by batches: numpy lays out and reads the fields, and the verifier never parses JSON.
"""

from __future__ import annotations

import binascii
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm2_users.payload import ENVELOPE_CHARACTERS, HEAD_BYTES, PREFIX, BodyPool

VERSION = 1
CANARY = 1
LAYOUT = np.dtype(
    [
        ("run", "<u8"),
        ("sender", "<u2"),
        ("phase", "u1"),
        ("flags", "u1"),
        ("topic", "<u2"),
        ("partition", "<u2"),
        ("seq", "<i8"),
        ("due_ns", "<i8"),
        ("sent_ns", "<i8"),
        ("body", "<u2"),
        ("version", "<u2"),
        ("crc", "<u4"),
    ]
)
_BYTES = LAYOUT.itemsize
_SUMMED_BYTES = _BYTES - 4
_PREFIX_BYTES = len(PREFIX)


def run_number(run_id: str) -> int:
    """The run's number in envelopes."""
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], "little")


def encode(fields: NDArray[np.void], pool: BodyPool) -> list[bytes]:
    """The values of a batch; `fields` has LAYOUT, with `crc` still to be filled (it is, in place)."""
    raw, crcs, bodies = fields.tobytes(), pool.crcs, fields["body"].tolist()
    fields["crc"] = [
        zlib.crc32(raw[start : start + _SUMMED_BYTES], crcs[body])
        for start, body in zip(range(0, len(raw), _BYTES), bodies, strict=True)
    ]
    text = binascii.b2a_base64(fields.tobytes(), newline=False)
    pooled = pool.bodies
    return [
        b"".join((PREFIX, text[start : start + ENVELOPE_CHARACTERS], pooled[body]))
        for start, body in zip(range(0, len(text), ENVELOPE_CHARACTERS), bodies, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch as read. `fields` holds the records whose envelope is whole and of this run, in the order read;
    `intact[k]` says whether the body of `fields[k]` is the one sent, `places[k]` where in the batch it stood."""

    fields: NDArray[np.void]
    intact: NDArray[np.bool_]
    places: NDArray[np.intp]
    foreign: int
    """Records of other runs, or with no envelope of ours at all."""
    unreadable: int
    """Records with our prefix whose envelope does not check out: corrupted, and it does not say which they were."""
    nameless: tuple[int, ...] = ()
    """Where in the batch those stood that have no prefix of ours, or whose envelope does not check out."""

    def between(self, start: int, end: int) -> Decoded:
        """The named records that stood in [start, end) of the batch."""
        first, last = np.searchsorted(self.places, (start, end))
        return Decoded(self.fields[first:last], self.intact[first:last], self.places[first:last], 0, 0)


def decode(values: Sequence[bytes | None], run: int, pool: BodyPool) -> Decoded:
    """Reads a batch of values."""
    ours = [value for value in values if value is not None and value.startswith(PREFIX)]
    foreign = len(values) - len(ours)
    places = np.arange(len(values))
    if foreign:
        places = places[[value is not None and value.startswith(PREFIX) for value in values]]
    raw = _envelopes(ours)
    if raw is None:
        parts = [_envelopes([value]) for value in ours]
        places = places[[part is not None for part in parts]]
        ours = [value for value, part in zip(ours, parts, strict=True) if part is not None]
        raw = b"".join(part for part in parts if part is not None)
    fields = np.frombuffer(raw, dtype=LAYOUT)
    crcs, bodies, size, pooled = pool.crcs, pool.bodies, pool.value_bytes, len(pool.bodies)
    whole, intact = [], []
    numbers = zip(ours, range(0, len(raw), _BYTES), fields["body"].tolist(), fields["crc"].tolist(), strict=True)
    for value, start, body, crc in numbers:
        # Another run may have had another pool; its envelope is still checked, over its own body.
        same = body < pooled and len(value) == size and value.endswith(bodies[body])
        body_crc = crcs[body] if body < pooled else 0
        summed = raw[start : start + _SUMMED_BYTES]
        checks = zlib.crc32(summed, body_crc) == crc or zlib.crc32(summed, zlib.crc32(value[HEAD_BYTES:])) == crc
        whole.append(checks)
        intact.append(same)
    readable = np.array(whole, dtype=np.bool_)
    mine = readable & (fields["run"] == run) & (fields["version"] == VERSION)
    if len(mine) == len(values) and mine.all():
        return Decoded(fields, np.array(intact, dtype=np.bool_), places, 0, 0)
    unreadable = len(values) - foreign - int(readable.sum())
    nameless = np.setdiff1d(np.arange(len(values)), places[readable])
    foreign += int((readable & ~mine).sum())
    return Decoded(
        fields[mine],
        np.array(intact, dtype=np.bool_)[mine],
        places[mine],
        foreign,
        unreadable,
        tuple(nameless.tolist()),
    )


def _envelopes(values: Sequence[bytes]) -> bytes | None:
    """The raw envelopes in a row; None when some are cut short, or hold a character that is not base64."""
    text = b"".join([value[_PREFIX_BYTES:HEAD_BYTES] for value in values])
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return None
    # Padding at the end is good base64, and makes it shorter.
    return raw if len(raw) == _BYTES * len(values) else None
