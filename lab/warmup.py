"""Twenty seconds of records through MM2 before anybody measures: cold JVMs are not what is tested.

A JVM that just started compiles as it runs, and for its first seconds mirrors several times slower than it will
(end-to-end p50 150 ms instead of 40). The records go to a topic of their own and are counted on the other side: a
lab that does not mirror them is not up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clients.kafka import RecordProducer
from lab.accounts import REMOTE_PREFIX, TOPIC_PREFIX
from scenarios.environment import LoadedEnvironment
from scenarios.errors import LabError
from scenarios.scenario import ProducerSettings

TOPIC = f"{TOPIC_PREFIX}warmup"
REMOTE_TOPIC = f"{REMOTE_PREFIX}warmup"
PARTITIONS = 12

_RATE_PER_S = 800
_VALUE = b"w" * 1024
_TICK_S = 0.005
_FLUSH_TIMEOUT_S = 10.0
_ARRIVAL_TIMEOUT_S = 30.0
_PRODUCER = ProducerSettings(compression="lz4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmed:
    """What crossed."""

    records: int
    took_s: float


def warm(
    load: LoadedEnvironment,
    *,
    sent: Callable[[], int],
    arrived: Callable[[], int],
    duration_s: float,
    tick: Callable[[float], None],
) -> Warmed:
    """Send for that long, then wait until the target has all that the source has; both are asked for their counts.

    `tick` gets the elapsed seconds, and may interrupt. Raises LabError when records are refused or do not arrive.
    """
    started = time.monotonic()
    _send(load, duration_s=duration_s, tick=tick)
    expected = sent()
    deadline = time.monotonic() + _ARRIVAL_TIMEOUT_S
    while (counted := arrived()) < expected:
        if time.monotonic() > deadline:
            raise LabError(
                f"MM2 does not mirror: {counted} of {expected} warm-up records reached {REMOTE_TOPIC} "
                f"within {_ARRIVAL_TIMEOUT_S:.0f} s"
            )
        tick(time.monotonic() - started)
        time.sleep(0.2)
    return Warmed(records=expected, took_s=time.monotonic() - started)


def _send(load: LoadedEnvironment, *, duration_s: float, tick: Callable[[float], None]) -> None:
    problems: list[str] = []
    producer = RecordProducer(load.environment.source, load, _PRODUCER)
    producer.know([TOPIC])

    def delivered(error: Any, _message: Any) -> None:
        if error is not None:
            problems.append(error.str())

    started, sent = time.monotonic(), 0
    while True:
        elapsed_s = time.monotonic() - started
        if elapsed_s > duration_s or problems:
            break
        due = int(elapsed_s * _RATE_PER_S)
        # Each record to the next partition, so that it is a batch of its own: what a load over many partitions asks of
        # the brokers is requests and batches, and their code is what has to be compiled.
        for number in range(sent, due):
            producer.send(TOPIC, number % PARTITIONS, [{"value": _VALUE}], delivered)
        sent = due
        producer.serve()
        tick(elapsed_s)
        time.sleep(_TICK_S)
    unsent = producer.close(_FLUSH_TIMEOUT_S)
    if problems or unsent:
        reason = problems[0] if problems else f"{unsent} records are not acknowledged after {_FLUSH_TIMEOUT_S:.0f} s"
        where = load.environment.source.bootstrap_servers
        raise LabError(f"warm-up records cannot be written to {TOPIC} on {where}: {reason}")
