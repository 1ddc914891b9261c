"""The door to topics themselves: what a cluster tells of them, and why it tells nothing; stretches read once more."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Producer

from clients.kafka import RecordConsumer
from clients.kafka_reread import Rereader
from clients.kafka_topics import Ends, TopicLooks, TopicSeen, absent, existing
from tests.mm2_users.copier import PARTITIONS, QUICK, Mock, small_plan


@pytest.fixture(scope="module")
def clusters():
    return Mock(), Mock()


@pytest.fixture
def made(clusters):
    return small_plan(*clusters)


@pytest.fixture
def looks(made):
    looks = TopicLooks(made.environment.target, made.loaded_environment)
    yield looks
    looks.close()


@pytest.fixture
def reread(made):
    return Rereader(made.environment.target, made.loaded_environment, QUICK)


def write(made, partition: int, values) -> None:
    writer = Producer({"bootstrap.servers": made.environment.target.bootstrap_servers, "log_level": 0})
    for value in values:
        writer.produce(made.topics[0].remote, value, partition=partition)
    assert writer.flush(10) == 0


def test_where_partitions_begin_and_end_is_told_of_all_of_them_at_once(made, looks):
    mirror = made.topics[0].remote
    write(made, 1, [b"a", b"b", b"c"])
    places = [(mirror, partition) for partition in range(PARTITIONS)]
    wanted = {place: Ends(low=0, high=3 if place[1] == 1 else 0) for place in places}
    assert looks.ends(places, timeout_s=5) == wanted
    write(made, 2, [b"d"])
    assert looks.ends(places, timeout_s=5)[mirror, 2] == Ends(low=0, high=1)
    assert looks.ends([], timeout_s=5) == {}


def test_a_partition_that_is_not_there_is_told_apart_from_those_that_are(made, looks):
    mirror = made.topics[0].remote
    found = looks.ends([(mirror, 0), (mirror, 99)], timeout_s=5)
    assert found[mirror, 0] == Ends(low=0, high=0)
    assert "Unknown partition" in found[mirror, 99]


def test_a_cluster_without_a_controller_tells_at_least_which_topics_there_are(made, looks):
    """As the mock brokers are, which know no topic ids."""
    began_s = time.monotonic()
    assert looks.topics([made.topics[0].remote], timeout_s=2) == {
        made.topics[0].remote: TopicSeen(partitions=PARTITIONS, id=None)
    }
    assert time.monotonic() - began_s < 4


def test_what_is_not_told_comes_back_as_a_sentence_and_in_time():
    source, target = Mock(), Mock()
    made = small_plan(source, target)
    looks = TopicLooks(made.environment.target, made.loaded_environment)
    mirror = made.topics[0].remote
    assert isinstance(looks.ends([(mirror, 0)], timeout_s=2)[mirror, 0], Ends)
    del target  # and with it its broker
    began_s = time.monotonic()
    (topic,) = looks.topics([mirror], timeout_s=1).values()
    (ends,) = looks.ends([(mirror, 0)], timeout_s=1).values()
    (retention,) = looks.retention([mirror], timeout_s=1).values()
    for told in (topic, ends, retention):
        assert isinstance(told, str)
        assert told
    assert time.monotonic() - began_s < 12
    looks.close()


def test_what_is_not_told_is_not_known_to_be_absent():
    seen = {"there": TopicSeen(partitions=2, id="x"), "gone": TopicSeen(partitions=0, id=None), "untold": "timed out"}
    places = [("there", 0), ("there", 2), ("gone", 0), ("untold", 0)]
    assert existing(places, seen) == [("there", 0), ("untold", 0)]
    assert not absent(seen["untold"], 7)


# --- read once more --------------------------------------------------------------------------------------------------


def values_of(messages) -> list[bytes]:
    return [message.value() for message in messages]


def test_a_stretch_is_read_from_its_first_offset_to_its_last_whoever_read_it_before(made, reread):
    mirror, found = made.topics[0].remote, []
    write(made, 0, [b"%d" % number for number in range(10)])
    done = reread({(mirror, 0): (3, 7)}, found.extend, timeout_s=10)
    assert (values_of(found), done.whole, done.refused) == ([b"3", b"4", b"5", b"6"], {(mirror, 0)}, "")


def test_a_stretch_that_ends_behind_the_partition_is_read_to_the_partitions_end(made, reread):
    mirror, found = made.topics[0].remote, []
    write(made, 0, [b"a"])
    stretches = {(mirror, 0): (0, 50), (mirror, 1): (0, 50), (mirror, 2): (7, 7)}
    assert reread(stretches, found.extend, timeout_s=10).whole == set(stretches)
    assert values_of(found) == [b"a"]


def test_a_stretch_whose_beginning_is_not_there_was_not_read_whole(made, reread):
    mirror, found = made.topics[0].remote, []
    done = reread({(mirror, 0): (40, 50)}, found.extend, timeout_s=10)
    assert (found, done.whole) == ([], frozenset())
    assert "not available" in done.refused


def test_what_is_not_read_in_time_was_not_read_whole(clusters):
    source, target = Mock(), Mock()
    made = small_plan(source, target)
    reread = Rereader(made.environment.target, made.loaded_environment, QUICK)
    del target
    began_s = time.monotonic()
    done = reread({(made.topics[0].remote, 0): (0, 5)}, lambda _: None, timeout_s=0.5)
    assert done.whole == frozenset()
    assert time.monotonic() - began_s < 5


def test_one_of_each_is_enough_to_know_that_there_is_something(made, reread):
    mirror, found = made.topics[0].remote, []
    for partition in (0, 1):
        write(made, partition, [b"x"] * 30)
    reread({(mirror, partition): (0, 30) for partition in (0, 1, 2)}, found.extend, timeout_s=10, first_only=True)
    assert {message.partition() for message in found} == {0, 1}


# --- a reader that is started again ----------------------------------------------------------------------------------


def read(reader: RecordConsumer, *, until: int) -> list[bytes]:
    found, deadline_s = [], time.monotonic() + 10
    while len(found) < until and time.monotonic() < deadline_s:
        found += reader.read(100)
        time.sleep(0.01)
    assert not [message for message in found if message.error() is not None]
    return values_of(found)


def test_a_reader_that_stood_still_reads_on_from_where_it_stood_and_nothing_twice(made):
    reader = RecordConsumer(made.environment.target, made.loaded_environment, name="test", extra=QUICK)
    mirror = made.topics[0].remote
    write(made, 0, [b"before"])
    reader.start_at_end([(mirror, partition) for partition in range(PARTITIONS)])
    write(made, 0, [b"a", b"b"])
    assert read(reader, until=2) == [b"a", b"b"]
    reader._consumer.pause(reader._consumer.assignment())  # as good as a client that hangs
    write(made, 0, [b"c"])
    write(made, 1, [b"d"])
    time.sleep(0.3)
    assert reader.read(100) == []
    assert reader.positions() == {(mirror, 0): 3, (mirror, 1): 0, (mirror, 2): 0, (mirror, 3): 0}
    close = reader.renew()
    assert sorted(read(reader, until=2)) == [b"c", b"d"]
    close()
    assert reader.read_to_end() == {(mirror, partition) for partition in range(PARTITIONS)}
    reader.close()
