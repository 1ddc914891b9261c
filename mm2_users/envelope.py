"""The envelope: what a probe carries, in 64 characters at a fixed place of a valid JSON document.

48 bytes, little-endian, in base64 (48 is a multiple of 3, so envelopes encoded in a row can be cut apart). A user's own
file is not touched: there the 48 bytes are a header of the record.

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
from itertools import repeat
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from mm2_users.payload import ENVELOPE_CHARACTERS, HEAD_BYTES, PREFIX, BodyPool

Headers = Sequence[tuple[str, str | bytes | None]]

VERSION = 1
#: The header that carries the envelope of a user's own file.
HEADER = "mm2gate"
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
_SEQ = Struct("<16xq")  # of LAYOUT
# numpy cuts a batch apart cheaper than slices do; as V, since S would drop zeros at the end.
_SUMMED = np.dtype(f"V{_SUMMED_BYTES}")
_TEXT = np.dtype(f"V{ENVELOPE_CHARACTERS}")
#: The same memory, with what says where a record belongs, from sender to partition, as one number.
_ADDRESSED = np.dtype({"names": ["address"], "formats": ["<u8"], "offsets": [8], "itemsize": _BYTES})
_PREFIX_BYTES = len(PREFIX)


def run_number(run_id: str) -> int:
    """The run's number in envelopes."""
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], "little")


class Envelopes:
    """Lays out one sender's envelopes, a batch at a time, always in the same memory: what is the same in all of them is
    written once, and as few calls of numpy as can be are made for each batch, however small."""

    def __init__(self, *, run: int, sender: int, most: int) -> None:
        """`most`: records of the largest batch."""
        self._fields = np.zeros(most, dtype=LAYOUT)
        self._fields["run"], self._fields["version"] = run, VERSION
        self._sender = sender
        self._addresses = self._fields.view(_ADDRESSED)["address"]
        self._seqs, self._due_ns, self._sent_ns, self._bodies = (
            self._fields[name] for name in ("seq", "due_ns", "sent_ns", "body")
        )

    def lay_out(
        self,
        *,
        topic: int,
        partition: int,
        first_seq: int,
        bodies: NDArray[np.int64],
        due_ns: NDArray[np.int64] | int = 0,
        sent_ns: int = 0,
        phase: int = 0,
        flags: int = 0,
    ) -> NDArray[np.void]:
        """One envelope for each of `bodies`, the numbers of theirs, with LAYOUT and without `crc`; the sequence numbers
        go up from the first. They are there until the next call."""
        count = len(bodies)
        self._addresses[:count] = self._sender | phase << 16 | flags << 24 | topic << 32 | partition << 48
        self._seqs[:count] = np.arange(first_seq, first_seq + count)
        self._due_ns[:count] = due_ns
        self._sent_ns[:count] = sent_ns
        self._bodies[:count] = bodies
        return self._fields[:count]


def encode(fields: NDArray[np.void], pool: BodyPool) -> list[bytes]:
    """The values of a batch; `fields` has LAYOUT, with `crc` still to be filled (it is, in place)."""
    numbers = fields["body"].tolist()
    bodies, crcs = [pool.bodies[number] for number in numbers], [pool.crcs[number] for number in numbers]
    return enclose(fields, bodies, crcs, in_headers=pool.in_headers)


def enclose(
    fields: NDArray[np.void], bodies: Sequence[bytes], crcs: Sequence[int], *, in_headers: bool = False
) -> list[bytes]:
    """The same, where the bodies and their CRCs are at hand."""
    summed = np.ndarray(len(fields), _SUMMED, fields.tobytes(), strides=(_BYTES,)).tolist()
    fields["crc"] = list(map(zlib.crc32, summed, crcs))
    if in_headers:
        return list(bodies)
    text = binascii.b2a_base64(fields.tobytes(), newline=False)
    return list(
        map(b"".join, zip(repeat(PREFIX, len(fields)), np.frombuffer(text, _TEXT).tolist(), bodies, strict=True))
    )


def headers_of(fields: NDArray[np.void]) -> list[list[tuple[str, bytes]]]:
    """The headers of a batch whose values have been encoded, for a pool with the envelope in headers."""
    raw = fields.tobytes()
    return [[(HEADER, raw[start : start + _BYTES])] for start in range(0, len(raw), _BYTES)]


def seq_of(value: bytes) -> int:
    """The sequence number in a value that our own producer gives back: nobody has altered it, so nothing is checked.

    After an outage of the source they come by the hundred thousand, and the hub stands still until they are counted.
    """
    seq: int
    (seq,) = _SEQ.unpack_from(binascii.a2b_base64(value[_PREFIX_BYTES:HEAD_BYTES]))
    return seq


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
    nameless: tuple[tuple[int, bool], ...] = ()
    """Where in the batch those stood whose envelope does not check out, and whether they have none at all."""

    def between(self, start: int, end: int) -> Decoded:
        """The named records that stood in [start, end) of the batch."""
        first, last = np.searchsorted(self.places, (start, end))
        return Decoded(self.fields[first:last], self.intact[first:last], self.places[first:last], 0, 0)


def decode(values: Sequence[bytes | None], run: int, pool: BodyPool, headers: Sequence[Headers | None] = ()) -> Decoded:
    """Reads a batch of values, with its headers where the pool has the envelopes in them."""
    join = _carried if pool.in_headers else _envelopes
    ours = list(map(_our_header, headers) if pool.in_headers else map(_our_value, values))
    places = np.flatnonzero([one is not None for one in ours])
    foreign = len(values) - len(places)
    raw = join(named := [one for one in ours if one is not None])
    if raw is None:
        parts = [join([one]) for one in named]
        places = places[[part is not None for part in parts]]
        raw = b"".join(part for part in parts if part is not None)
    fields = np.frombuffer(raw, dtype=LAYOUT)
    crcs, pooled = pool.crcs, len(pool.bodies)
    whole, intact = [], []
    numbers = zip(
        places.tolist(), range(0, len(raw), _BYTES), fields["body"].tolist(), fields["crc"].tolist(), strict=True
    )
    for place, start, body, crc in numbers:
        value = values[place] or b""
        # Another run may have had another pool; its envelope is still checked, over its own body.
        same = pool.holds(body, value)
        body_crc = crcs[body] if body < pooled else 0
        summed = raw[start : start + _SUMMED_BYTES]
        checks = zlib.crc32(summed, body_crc) == crc or zlib.crc32(summed, zlib.crc32(pool.body_of(value))) == crc
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
        tuple((place, ours[place] is None) for place in nameless.tolist()),
    )


def _our_value(value: bytes | None) -> bytes | None:
    """A value with the prefix of ours, else None."""
    return value if value is not None and value.startswith(PREFIX) else None


def _our_header(headers: Headers | None) -> bytes | None:
    """The content of the header of ours, the last if there are several; None when there is none."""
    found = None
    for name, content in headers or ():
        if name == HEADER:
            found = content if isinstance(content, bytes) else b""
    return found


def _carried(contents: Sequence[bytes]) -> bytes | None:
    """The raw envelopes of headers in a row; None when some are cut short."""
    return b"".join(contents) if all(len(content) == _BYTES for content in contents) else None


def _envelopes(values: Sequence[bytes]) -> bytes | None:
    """The raw envelopes of values in a row; None when some are cut short, or hold a character that is not base64."""
    text = b"".join([value[_PREFIX_BYTES:HEAD_BYTES] for value in values])
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return None
    # Padding at the end is good base64, and makes it shorter.
    return raw if len(raw) == _BYTES * len(values) else None
