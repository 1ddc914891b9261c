"""Runs under which somebody does something to the topics themselves, so that it is not MM2 that is to blame.

One after the other, on the lab that is put out of order: a mirror is deleted while the load goes on; records are
deleted from the source before MM2 has read them; a stranger writes half envelopes into our topic.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from clients.kafka import client_configuration
from lab.accounts import ADMIN, REMOTE_PREFIX, TOPIC_PREFIX
from lab.handles import Lab
from tests.lab.broken import AT_LENGTH, admin
from tests.lab.runs import MM2GATE, Run, faults
from tests.lab.truths import CONNECTOR

PARTITIONS = 4
#: The mirror is made again by MM2's next look at its topics, ten seconds later at most.
PATIENT = ("patience: 5s, cap: 40s", "patience: 20s, cap: 60s")
MORE = ("duplicated", "corrupted")
SEND_ERRORS = '  - {id: send_errors, measure: ledger.send_errors, go: "== 0 records"}\n'
MORE_CRITERIA = (
    SEND_ERRORS,
    SEND_ERRORS + "".join(f'  - {{id: {name}, measure: ledger.{name}, go: "== 0 records"}}\n' for name in MORE),
)


@dataclass
class Played:
    """A run, and what the test's own client saw of the topics."""

    run: Run
    topic: str
    mirror: str
    seen: dict[str, Any] = field(default_factory=dict)


def ends(client: AdminClient, topic: str) -> dict[int, int]:
    asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in range(PARTITIONS)}  # type: ignore[no-untyped-call]
    return {place.partition: future.result(10).offset for place, future in client.list_offsets(asked).items()}


def held(lab: Lab, mirror: str) -> int:
    """Records that anybody can read on a mirror, canaries left out: those whose value is no canary's."""
    seen = lab.seen_by(ADMIN)
    reader = Consumer(client_configuration(seen.environment.target, seen, "test") | {"group.id": "mm2gate-test"})
    last = ends(admin(lab, "target"), mirror)
    reader.assign([TopicPartition(mirror, number, 0) for number in range(PARTITIONS)])
    found, deadline_s = 0, time.monotonic() + 20
    while found < sum(last.values()) and time.monotonic() < deadline_s:
        found += sum(message.error() is None for message in reader.consume(500, 0.2))
    reader.close()
    return found


def start(lab: Lab, directory: Path, name: str, *changes: tuple[str, str], scenario: str = "") -> Played:
    scenario = scenario or faults(name, directory, PATIENT, MORE_CRITERIA, *changes)
    run = Run.start(scenario, lab, directory / "runs", (*MM2GATE, "run"))
    return Played(run, f"{TOPIC_PREFIX}faults-{name}-1", f"{REMOTE_PREFIX}faults-{name}-1")


def mirror_deleted(lab: Lab, directory: Path) -> Played:
    played = start(lab, directory, "remade", AT_LENGTH)
    played.run.until(lambda: played.run.arrived > 600)
    client = admin(lab, "target")
    client.delete_topics([played.mirror])[played.mirror].result(10)
    played.run.wait()
    played.seen["held"] = held(lab, played.mirror)
    return played


def purged(lab: Lab, directory: Path) -> Played:
    """MM2 is paused, the source loses what it has not read, and MM2 goes on with what is left."""
    played = start(lab, directory, "purged", AT_LENGTH)
    played.run.until(lambda: played.run.arrived > 600)
    lab.connect.pause(CONNECTOR)
    try:
        paused = lambda status: {task.state for task in status.tasks} == {"PAUSED"}  # noqa: E731
        lab.connect.wait(CONNECTOR, paused, what="PAUSED", timeout_s=60)
        time.sleep(2)
        source, target = admin(lab, "source"), admin(lab, "target")
        upto = ends(source, played.topic)
        deleted = source.delete_records([TopicPartition(played.topic, n, offset) for n, offset in upto.items()])
        for future in deleted.values():
            future.result(10)
    finally:
        lab.connect.resume(CONNECTOR)
        lab.connect.wait_running(CONNECTOR)
    played.run.wait()
    # Both topics are of this run alone: what the mirror has less was never carried.
    played.seen["purged"] = sum(ends(source, played.topic).values()) - sum(ends(target, played.mirror).values())
    return played


def garbage(lab: Lab, directory: Path) -> Played:
    """A stranger cuts records of ours in half and writes them into our source topic, one to each partition."""
    played = start(lab, directory, "garbage")
    played.run.until(lambda: played.run.arrived > 300)
    seen = lab.seen_by(ADMIN)
    settings = client_configuration(seen.environment.source, seen, "test")
    reader = Consumer(settings | {"group.id": "mm2gate-test"})
    reader.assign([TopicPartition(played.topic, number, 1) for number in range(PARTITIONS)])
    values: dict[int, bytes] = {}
    deadline_s = time.monotonic() + 20
    while len(values) < PARTITIONS and time.monotonic() < deadline_s:
        for message in reader.consume(10, 0.2):
            if message.error() is None:
                values[message.partition() or 0] = message.value() or b""
    reader.close()
    writer = Producer(settings)
    for number, value in values.items():
        writer.produce(played.topic, value[:50], b"k", number)
        writer.produce(played.topic, value[:50] + value[60:] + b"0123456789", b"k", number)
    assert writer.flush(20) == 0
    played.seen["garbage"] = 2 * len(values)
    played.run.wait()
    return played


class Blamed:
    """The runs, each a future."""

    def __init__(self, lab: Lab, directory: Path, pool: Executor) -> None:
        self.lab = lab
        self._directory, self._pool = directory, pool
        self.remade = self._play(mirror_deleted, "remade")
        self.purged = self._play(purged, "purged")
        self.garbage = self._play(garbage, "garbage")

    def _play(self, what: Callable[[Lab, Path], Played], name: str) -> Future[Played]:
        directory = self._directory / name
        directory.mkdir()
        return self._pool.submit(what, self.lab, directory)
