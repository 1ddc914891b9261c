"""Bodies of records: JSON documents of the runbook's five types, rendered once, or the user's files; reused by number.

A record's value is `{"_mm2gate":"` + 64 characters of envelope + its body. Bodies come from a pool that every node
renders alike (fixed seed), so the reader can compare all bytes of a body at the price of one memcmp. A user's file is
the whole value, untouched, and the envelope travels in a header.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scenarios.errors import Refused
from scenarios.payload import Payload, PayloadFile

PREFIX = b'{"_mm2gate":"'
ENVELOPE_CHARACTERS = 64
HEAD_BYTES = len(PREFIX) + ENVELOPE_CHARACTERS
POOL_SIZE = 500
#: Large bodies are fewer, so that the pool fits any node.
POOL_BYTES = 64 * 1024**2
_SEED = 20260301
_OPENING = '",'


def _user_activity(rng: random.Random) -> dict[str, Any]:
    return {
        "user_id": f"user_{rng.randrange(10_000)}",
        "action": rng.choice(("login", "logout", "view_page", "search", "add_to_cart", "purchase")),
        "page": rng.choice(("/", "/products", "/cart", "/checkout", "/account")),
        "session_id": f"{rng.getrandbits(64):016x}",
        "duration_ms": rng.randrange(60_000),
    }


def _system_metrics(rng: random.Random) -> dict[str, Any]:
    return {
        "host": f"server-{rng.randrange(100):02d}",
        "cpu_percent": round(rng.uniform(0, 100), 2),
        "memory_percent": round(rng.uniform(0, 100), 2),
        "disk_io_mb_per_s": round(rng.uniform(0, 500), 2),
        "network_mb_per_s": round(rng.uniform(0, 1000), 2),
    }


def _transaction(rng: random.Random) -> dict[str, Any]:
    return {
        "transaction_id": f"{rng.getrandbits(96):024x}",
        "amount": round(rng.uniform(1, 5000), 2),
        "currency": rng.choice(("EUR", "USD", "GBP", "CHF")),
        "status": rng.choice(("pending", "completed", "failed", "refunded")),
        "merchant": f"merchant_{rng.randrange(500)}",
    }


def _log_event(rng: random.Random) -> dict[str, Any]:
    return {
        "level": rng.choice(("DEBUG", "INFO", "WARN", "ERROR")),
        "service": rng.choice(("api", "auth", "billing", "catalog", "search")),
        "message": f"request {rng.getrandbits(48):012x} handled in {rng.randrange(2000)} ms",
        "trace_id": f"{rng.getrandbits(128):032x}",
    }


def _sensor_data(rng: random.Random) -> dict[str, Any]:
    return {
        "sensor_id": f"sensor_{rng.randrange(1000):04d}",
        "temperature_c": round(rng.uniform(-20, 50), 2),
        "humidity_percent": round(rng.uniform(0, 100), 1),
        "pressure_hpa": round(rng.uniform(950, 1050), 1),
        "battery_percent": rng.randrange(101),
    }


TYPES: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "user_activity": _user_activity,
    "system_metrics": _system_metrics,
    "transaction": _transaction,
    "log_event": _log_event,
    "sensor_data": _sensor_data,
}


@dataclass(frozen=True, slots=True)
class BodyPool:
    """`bodies[k]` completes a value of exactly `value_bytes`, or is one `in_headers`; `crcs[k]` is its CRC-32."""

    value_bytes: int
    """Of every value; of the largest, when the envelope is in headers."""
    bodies: tuple[bytes, ...]
    crcs: tuple[int, ...]
    in_headers: bool = False
    """Whether the envelope travels in a header, and the body is the whole value."""

    def holds(self, number: int, value: bytes) -> bool:
        """Whether this is the size and the body of a value with the body of that number."""
        if number >= len(self.bodies):
            return False
        body = self.bodies[number]
        return value == body if self.in_headers else len(value) == self.value_bytes and value.endswith(body)

    def fits(self, value: bytes) -> bool:
        """Whether a value has the size of one of ours."""
        return len(value) <= self.value_bytes if self.in_headers else len(value) == self.value_bytes

    def body_of(self, value: bytes) -> bytes:
        """A value without what the envelope takes of it."""
        return value if self.in_headers else value[HEAD_BYTES:]

    @property
    def largest(self) -> int:
        """Number of the largest body."""
        return max(range(len(self.bodies)), key=lambda number: len(self.bodies[number]))


def pool_of(payload: Payload) -> BodyPool:
    """The pool of a scenario's payload. Raises Refused when a file has changed or gone since the plan was made."""
    if payload.files is not None:
        return _pool_of_files(payload.files)
    return render_pool(payload.bytes, types=payload.types or tuple(TYPES))


def _pool_of_files(files: Sequence[PayloadFile]) -> BodyPool:
    bodies = tuple(map(_content, files))
    return BodyPool(
        value_bytes=max(map(len, bodies)), bodies=bodies, crcs=tuple(map(zlib.crc32, bodies)), in_headers=True
    )


def _content(file: PayloadFile) -> bytes:
    if file.path is None:
        raise Refused(f"payload file {file.name}: the scenario was read without its directory; load it by its path")
    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise Refused(f"payload file {file.path} cannot be read ({error.strerror})") from None
    if len(content) != file.size_bytes:
        raise Refused(f"payload file {file.path} has changed: {len(content):,} bytes, not {file.size_bytes:,}")
    return content


def render_pool(value_bytes: int, size: int | None = None, *, types: Sequence[str] = tuple(TYPES)) -> BodyPool:
    """The pool for values of this size, at least 100 bytes, of these types in turn."""
    if size is None:
        size = max(min(POOL_SIZE, POOL_BYTES // value_bytes), len(TYPES))
    rng = random.Random(_SEED)  # noqa: S311 - payload, not a secret
    tail_bytes = value_bytes - HEAD_BYTES
    kinds = [(kind, TYPES[kind]) for kind in types]
    bodies = tuple(_body(*kinds[number % len(kinds)], number, tail_bytes, rng) for number in range(size))
    return BodyPool(value_bytes=value_bytes, bodies=bodies, crcs=tuple(map(zlib.crc32, bodies)))


def _body(
    kind: str, make: Callable[[random.Random], dict[str, Any]], number: int, tail_bytes: int, rng: random.Random
) -> bytes:
    document = {
        "type": kind,
        "data": make(rng),
        "_metadata": {
            "generated_at": f"2026-01-01T00:{number // 60 % 60:02d}:{number % 60:02d}Z",
            "message_id": f"{rng.getrandbits(128):032x}",
            "version": "1.0",
            "source": "mm2gate",
        },
    }
    inner = json.dumps(document, separators=(",", ":"))[1:-1] + ","
    if len(_OPENING) + len(inner) + len('"p":""}') > tail_bytes:
        inner = ""  # too small for a document; the padding alone keeps it valid JSON
    padding_bytes = tail_bytes - len(_OPENING) - len(inner) - len('"p":""}')
    # Digits of a random number compress about as well as the ids and measurements of real events do.
    padding = f"{rng.getrandbits(4 * max(padding_bytes, 1)):0{max(padding_bytes, 1)}x}"[:padding_bytes]
    return f'{_OPENING}{inner}"p":"{padding}"}}'.encode()
