"""Twenty seconds of records through MM2 before anybody measures: cold JVMs are not what is tested.

A JVM that just started compiles as it runs, and for its first seconds mirrors several times slower than it will
(end-to-end p50 150 ms instead of 40). The records go to a topic of their own and are counted on the other side: a
lab that does not mirror them is not up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Producer

from lab.accounts import REMOTE_PREFIX, TOPIC_PREFIX
from lab.kafka_admin import QUIET, Login, end_offsets
from scenarios.errors import LabError

TOPIC = f"{TOPIC_PREFIX}warmup"
REMOTE_TOPIC = f"{REMOTE_PREFIX}warmup"
PARTITIONS = 12

_RATE_PER_S = 800
_RECORD_BYTES = 1024
_TICK_S = 0.05
_ARRIVAL_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmed:
    """What crossed."""

    records: int
    took_s: float


def warm(source: Login, target: Login, *, duration_s: float, tick: Callable[[float], None]) -> Warmed:
    """Send for that long, then wait until the target has all. `tick` gets the elapsed seconds, and may interrupt."""
    started = time.monotonic()
    _send(source, duration_s=duration_s, tick=tick)
    expected = end_offsets(source, TOPIC, partitions=PARTITIONS)
    deadline = time.monotonic() + _ARRIVAL_TIMEOUT_S
    while (arrived := end_offsets(target, REMOTE_TOPIC, partitions=PARTITIONS)) < expected:
        if time.monotonic() > deadline:
            raise LabError(
                f"MM2 does not mirror: {arrived} of {expected} warm-up records reached {REMOTE_TOPIC} "
                f"within {_ARRIVAL_TIMEOUT_S:.0f} s"
            )
        tick(time.monotonic() - started)
        time.sleep(0.2)
    return Warmed(records=expected, took_s=time.monotonic() - started)


def _send(source: Login, *, duration_s: float, tick: Callable[[float], None]) -> None:
    problems: list[KafkaError] = []
    config = {**source.client_config(), "enable.idempotence": True, "linger.ms": 5, "compression.type": "lz4"}
    producer = Producer(config, logger=QUIET)
    value = b"w" * _RECORD_BYTES

    def delivered(error: KafkaError | None, _message: object) -> None:
        if error is not None:
            problems.append(error)

    started, sent = time.monotonic(), 0
    try:
        while (elapsed_s := time.monotonic() - started) < duration_s and not problems:
            while sent < elapsed_s * _RATE_PER_S:
                producer.produce(TOPIC, value, partition=sent % PARTITIONS, on_delivery=delivered)
                sent += 1
            producer.poll(_TICK_S)
            tick(elapsed_s)
        unsent = producer.flush(10.0)
    except (BufferError, KafkaException) as error:
        raise LabError(f"warm-up records cannot be written to {TOPIC}: {error}") from None
    if problems or unsent:
        reason = problems[0].str() if problems else f"{unsent} records are not acknowledged after 10 s"
        raise LabError(f"warm-up records cannot be written to {TOPIC} on {source.bootstrap_servers}: {reason}")
