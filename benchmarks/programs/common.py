"""What the rivals share: logins, bodies like ours, an even schedule. Kept plain: they stand for what people write."""

from __future__ import annotations

import json
import os
from typing import Any

from mm2_users.payload import render_pool


def client_settings(cluster: str) -> dict[str, Any]:
    """librdkafka's settings for `source` or `target`."""
    settings: dict[str, Any] = json.loads(os.environ["BENCH_CLIENTS"])[cluster]
    return settings


def producer_settings(compression: str, linger_ms: int, batch_bytes: int) -> dict[str, Any]:
    """As our own producer is set up."""
    return client_settings("source") | {
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": compression,
        "linger.ms": linger_ms,
        "batch.size": batch_bytes,
        "queue.buffering.max.messages": 10_000_000,
        "queue.buffering.max.kbytes": 1_048_576,
    }


def bodies(record_bytes: int, room_bytes: int = 0) -> tuple[bytes, ...]:
    """The documents that our own load sends, less some room in front."""
    return tuple(value[-(record_bytes - room_bytes) :] for value in render_pool(record_bytes + 100).bodies)
