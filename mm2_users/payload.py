"""Bodies of records: JSON documents of the runbook's five types, rendered once, reused by number.

A record's value is `{"_mm2gate":"` + 64 characters of envelope + its body. Bodies come from a pool that every node
renders alike (fixed seed), so the reader can compare all bytes of a body at the price of one memcmp.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
    """`bodies[k]` completes a value of exactly `value_bytes`; `crcs[k]` is its CRC-32."""

    value_bytes: int
    bodies: tuple[bytes, ...]
    crcs: tuple[int, ...]


def render_pool(value_bytes: int, size: int | None = None) -> BodyPool:
    """The pool for values of this size, at least 100 bytes."""
    if size is None:
        size = max(min(POOL_SIZE, POOL_BYTES // value_bytes), len(TYPES))
    rng = random.Random(_SEED)  # noqa: S311 - payload, not a secret
    tail_bytes = value_bytes - HEAD_BYTES
    kinds = list(TYPES.items())
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
