"""The reader's door: it knows when a partition has been read to its end, and when its place is gone."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import KafkaError, Producer, TopicPartition

from clients.kafka import RecordConsumer
from tests.mm2_users.copier import PARTITIONS, QUICK, Mock, small_plan


@pytest.fixture(scope="module")
def clusters():
    return Mock(), Mock()


@pytest.fixture
def made(clusters):
    return small_plan(*clusters)


@pytest.fixture
def reader(made):
    consumer = RecordConsumer(made.environment.target, made.loaded_environment, name="test", extra=QUICK)
    yield consumer
    consumer.close()


def places(made, partitions=range(PARTITIONS)):
    return [(made.topics[0].remote, partition) for partition in partitions]


def write(made, partition: int, count: int = 1) -> None:
    writer = Producer({"bootstrap.servers": made.environment.target.bootstrap_servers, "log_level": 0})
    for _ in range(count):
        writer.produce(made.topics[0].remote, b"x", partition=partition)
    assert writer.flush(10) == 0


def read(reader: RecordConsumer, *, until: int) -> list:
    found, deadline_s = [], time.monotonic() + 10
    while len(found) < until and time.monotonic() < deadline_s:
        found += reader.read(100)
        time.sleep(0.01)
    return found


def test_what_lay_there_before_is_behind_the_start_so_the_end_is_reached_at_once(made, reader):
    write(made, 1, 3)
    assert reader.start_at_end(places(made)) == {}
    assert reader.read_to_end() == set(places(made))


def test_a_partition_with_something_unread_is_not_read_to_its_end(made, reader):
    reader.start_at_end(places(made))
    write(made, 1)
    assert reader.read_to_end() == set(places(made, [0, 2, 3]))
    assert len(read(reader, until=1)) == 1
    assert reader.read_to_end() == set(places(made))


def test_what_was_fetched_and_not_handed_over_is_unread(made, reader):
    reader.start_at_end(places(made))
    write(made, 2, 50)
    assert len(reader.read(1)) <= 1
    time.sleep(0.3)  # the rest waits in librdkafka
    assert reader.read_to_end() == set(places(made, [0, 1, 3]))


def test_a_mirror_that_never_was_has_nothing_unread(clusters, reader):
    absent = small_plan(*clusters, mirrors=False)
    # (The mock makes a topic of whatever is asked for by name, so only the partition is one that never was.)
    beyond = [(absent.topics[0].remote, PARTITIONS + 3)]
    assert reader.start_at_end(beyond) == {absent.topics[0].remote: 1}
    assert reader.read_to_end() == set(beyond)


def test_a_broker_that_does_not_answer_proves_nothing():
    source, target = Mock(), Mock()
    made = small_plan(source, target)
    reader = RecordConsumer(made.environment.target, made.loaded_environment, name="test", extra=QUICK)
    reader.start_at_end(places(made))
    del target  # and with it its broker
    began_s = time.monotonic()
    assert reader.read_to_end(timeout_s=1.0) == frozenset()
    assert time.monotonic() - began_s < 5
    reader.close()


def test_a_place_that_is_gone_is_told_once_and_reading_starts_again(made, reader):
    write(made, 0, 5)
    reader.start_at_end(places(made))
    reader._consumer.incremental_unassign(reader._consumer.assignment())
    topic = made.topics[0].remote
    reader._consumer.incremental_assign([TopicPartition(topic, 0, 1000)])
    (event,) = read(reader, until=1)
    assert (event.error().code(), event.topic(), event.partition()) == (KafkaError._AUTO_OFFSET_RESET, topic, 0)
    reader.start_again(topic, 0)
    assert [message.offset() for message in read(reader, until=5)] == [0, 1, 2, 3, 4]
