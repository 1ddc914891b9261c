"""Planted truth on real Kafka: a copier in MM2's place does what it was told to chosen records; every count is so."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Message, Producer

from clients.kafka import RecordConsumer, client_configuration
from lab.accounts import ADMIN, LOAD
from lab.handles import Lab
from tests.mm2_users.copier import QUICK, Bench, kafka_plan
from tests.mm2_users.saboteur import PARTITIONS, PATH_TROUBLE, SOURCE_TROUBLE, Place
from tests.mm2_users.test_planted_truth import EACH, RECORDS, check, truths
from tests.mm2_users.truth import truth_of

CONNECTOR = "mm2-source-connector"


@pytest.fixture(scope="module")
def without_mm2(lab: Lab) -> Iterator[Lab]:
    """The lab with MM2 out of the way of the copier."""
    lab.connect.pause(CONNECTOR)
    lab.connect.wait(
        CONNECTOR, lambda status: {task.state for task in status.tasks} == {"PAUSED"}, what="PAUSED", timeout_s=60
    )
    try:
        yield lab
    finally:
        lab.connect.resume(CONNECTOR)
        lab.connect.wait_running(CONNECTOR)


def bench(lab: Lab, plant: dict[Place, str], trouble: dict[Place, str]) -> Bench:
    admin = lab.seen_by(ADMIN)
    made = kafka_plan(lab.seen_by(LOAD), admin, records=RECORDS)
    return Bench(made, copier=admin, plant=plant, trouble=trouble)


def test_nothing_planted_is_nothing_counted(without_mm2: Lab) -> None:
    made = bench(without_mm2, {}, {})
    made.canaries()
    made.send_all()
    streams = truths(made, plant={}, trouble={})
    made.counts_are(truth_of(streams))
    check(made.finish(), streams)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_count_equals_the_plant_on_real_kafka(without_mm2: Lab, seed: int) -> None:
    """Each kind of trouble, at the first, a middle or the last record of a partition, a range, a whole partition."""
    rng = random.Random(seed)
    plant = {
        (rng.randrange(PARTITIONS), seq): action
        for number, action in enumerate(PATH_TROUBLE)
        for seq in [(0, EACH // 2, EACH - 1)[(number + seed) % 3]]
    }
    start = rng.randrange(EACH - 6)
    plant |= {(1, seq): "lose" for seq in range(start, start + 5)}
    if seed == 2:
        plant |= {(3, seq): "lose" for seq in range(EACH)}
    trouble = {(rng.randrange(PARTITIONS), rng.randrange(EACH)): action for action in SOURCE_TROUBLE}
    made = bench(without_mm2, plant, trouble)
    made.canaries()
    made.send_all()
    streams = truths(made, plant=plant, trouble=trouble)
    made.counts_are(truth_of(streams))
    check(made.finish(), streams)


def test_a_commit_past_the_last_record_proves_it_lost_when_the_mirror_was_read_to_its_end(without_mm2: Lab) -> None:
    plant = {(partition, EACH - 1): "lose" for partition in range(PARTITIONS)}
    made = bench(without_mm2, plant, {})
    made.canaries()
    made.send_all()
    made.counts_are(truth_of(truths(made, plant=plant, trouble={})))
    topic = made.plan.topics[0].source
    committed = {f"{topic}:{partition}": EACH for partition in range(3)}  # a canary, then the stream
    check(
        made.finish(committed), truths(made, plant=plant, trouble={}, committed_seqs=[(k, EACH - 1) for k in range(3)])
    )


def test_what_was_not_read_yet_is_late_though_the_commit_is_past_it(without_mm2: Lab) -> None:
    made = bench(without_mm2, {}, {})
    made.canaries()
    made.send_all()
    (engine,) = made.engines
    assert engine._consumer is not None
    engine._consumer.read = lambda most: []  # type: ignore[method-assign]
    before = made.counted()
    made.pump(lambda: sum(made.copier.done.values()) == RECORDS + PARTITIONS, "the copier")
    made.copier.flush()
    topic = made.plan.topics[0].source
    (account,) = made.finish({f"{topic}:{partition}": EACH for partition in range(PARTITIONS)})
    unread = sum(row["counts"]["late"] for row in account["streams"])
    assert unread == RECORDS - before.arrived > 0
    assert sum(row["counts"]["lost"] for row in account["streams"]) == 0


def test_markers_of_transactions_behind_the_last_record_are_nothing_unread(without_mm2: Lab) -> None:
    """MM2 with exactly-once leaves one behind each batch, so the last record need not be at the log's end."""
    made = kafka_plan(without_mm2.seen_by(LOAD), without_mm2.seen_by(ADMIN), records=RECORDS)
    mirror, admin = made.topics[0].remote, without_mm2.seen_by(ADMIN)
    reader = RecordConsumer(made.environment.target, made.loaded_environment, name="markers", extra=QUICK)
    reader.start_at_end([(mirror, partition) for partition in range(PARTITIONS)])
    writer = Producer(
        client_configuration(admin.environment.target, admin, "transactions") | {"transactional.id": "mm2gate-test"}
    )
    writer.init_transactions(20)
    writer.begin_transaction()
    writer.produce(mirror, b"value", b"key", 0)
    assert writer.flush(20) == 0
    assert (mirror, 0) not in reader.read_to_end(), "a transaction that is still open holds a record"
    writer.commit_transaction(20)
    assert (mirror, 0) not in reader.read_to_end()
    read: list[Message] = []
    deadline_s = time.monotonic() + 10
    while not read and time.monotonic() < deadline_s:
        read += reader.read(10)
    assert read
    assert reader.read_to_end(timeout_s=30) == {(mirror, partition) for partition in range(PARTITIONS)}
    reader.close()
