"""KafkaUser on mock brokers: what it does reaches Kafka, what comes of it reaches Locust, and the hub never stops."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from gevent.monkey import get_original
from locust import LoadTestShape, constant, task
from locust.exception import StopUser
from locust.runners import STATE_INIT, STATE_RUNNING, STATE_SPAWNING, STATE_STOPPED

from clients.kafka import RecordProducer
from clients.kafka_admin import Admin
from locustfiles import custom_example
from mm2_users import kafka_user, shared_clients
from mm2_users.kafka_user import SHARED, KafkaUser
from mm2_users.keys import partition_of
from scenarios.errors import ExitCode, Refused
from tests.mm2_users.copier import QUICK, Mock
from tests.mm2_users.kafka_users import PREFIX, content_of, distributed, environment_file, playing, until, write

_numbers = count(1)
#: Nothing listens there, and a connection is refused at once.
NOBODY = "127.0.0.1:9"


class Writer(KafkaUser):
    answer_within_s = 10.0


class Reader(KafkaUser):
    cluster = "target"


@pytest.fixture(scope="module")
def source():
    return Mock()


@pytest.fixture(scope="module")
def target():
    return Mock()


@pytest.fixture
def file(source, target, tmp_path):
    return environment_file(tmp_path, source, target)


@pytest.fixture
def topic(source, target):
    name = f"{PREFIX}orders-{next(_numbers)}"
    source.create(name)
    target.create(f"source.{name}")
    return name


# --- produce ---------------------------------------------------------------------------------------------------------


def test_a_record_that_is_waited_for_is_one_request_with_the_brokers_answer(file, source, topic):
    with playing(file, Writer) as (environment, counted):
        delivery = Writer(environment).client.produce(topic, b"hello", key="k", headers={"trace": b"\x01\x02"})
        assert delivery.ok
        assert (delivery.partition, delivery.offset) == (partition_of(b"k", 4), 0)
        event = counted.one("PRODUCE")
        assert counted.events == [event]
        assert (event["name"], event["response_length"], event["exception"]) == (topic, 5, None)
        assert 0 < event["response_time"] < 10_000
        assert event["response"] is delivery
    (record,) = content_of(source, topic)
    assert (record.key(), record.value(), record.headers()) == (b"k", b"hello", [("trace", b"\x01\x02")])


def test_a_record_that_is_not_waited_for_is_a_request_and_later_an_answer(file, topic):
    with playing(file, Writer) as (environment, counted):
        delivery = Writer(environment).client.produce(topic, "hello", wait=False)
        assert [event["request_type"] for event in counted.events] == ["PRODUCE"]
        assert delivery.wait(10)
        assert delivery.offset == 0
        produced, answered = counted.events
        assert answered["request_type"] == "ACK"
        assert produced["response_time"] < answered["response_time"] < 10_000
        assert answered["response_length"] == 5


def test_keys_go_where_kafkas_own_clients_put_them(file, source, topic):
    keys = [b"key_%d" % number for number in range(40)]
    with playing(file, Writer) as (environment, _):
        client = Writer(environment).client
        for key in keys:
            client.produce(topic, b"x", key=key, wait=False)
    found = {record.key(): record.partition() for record in content_of(source, topic)}
    assert found == {key: partition_of(key, 4) for key in keys}


def test_a_chosen_partition_a_tombstone_and_the_prefix(file, source, topic):
    with playing(file, Writer) as (environment, counted):
        client = Writer(environment).client
        assert client.produce(topic.replace(PREFIX, "{prefix}"), None, key=b"gone", partition=3).partition == 3
        assert counted.one("PRODUCE")["name"] == topic
        assert counted.one("PRODUCE")["response_length"] == 0
    (record,) = content_of(source, topic)
    assert (record.partition(), record.key(), record.value()) == (3, b"gone", None)


def test_all_users_of_a_process_share_one_connection(file, topic):
    with playing(file, Writer) as (environment, _):
        for _ in range(20):
            Writer(environment).client.produce(topic, b"x", wait=False)
        shared = vars(environment)[SHARED]
        assert len(shared._producers) == 1


def test_what_was_not_waited_for_is_answered_before_the_test_ends(file, source, topic):
    with playing(file, Writer) as (environment, counted):
        client = Writer(environment).client
        for _ in range(500):
            client.produce(topic, b"x", wait=False)
        environment.events.test_stop.fire(environment=environment)
        assert len(counted.of("ACK")) == 500
        assert all(event["exception"] is None for event in counted.events)
    assert len(content_of(source, topic)) == 500


# --- failures --------------------------------------------------------------------------------------------------------


def test_a_record_too_large_is_a_failed_request_and_no_exception(file, topic):
    with playing(file, Writer) as (environment, counted):
        delivery = Writer(environment).client.produce(topic, b"x" * 17_000_000)
        assert not delivery.ok
        assert "MSG_SIZE_TOO_LARGE" in str(counted.one("PRODUCE")["exception"])


def test_records_that_fail_alike_are_one_row_of_locusts_failures(file, topic):
    with playing(file, Writer) as (environment, _):
        client = Writer(environment).client
        for size in (17_000_000, 18_000_000):
            client.produce(topic, b"x" * size)
        (row,) = environment.stats.errors.values()
        assert (row.method, row.name, row.occurrences) == ("PRODUCE", topic, 2)


def test_a_broker_that_does_not_answer_is_a_failed_request_that_says_why(file, topic):
    class Impatient(Writer):
        answer_within_s = 1.0

    with playing(file, Impatient) as (environment, counted):
        unreachable(environment)
        client = Impatient(environment).client
        started_s = time.monotonic()
        delivery = client.produce(topic, b"x")
        assert 0.9 < time.monotonic() - started_s < 5
        assert not delivery.ok
        (event,) = counted.events
        assert str(event["exception"]).startswith("_MSG_TIMED_OUT: ")
        assert "refused" in str(event["exception"])
        assert event["response_time"] >= 900


def test_no_room_for_a_record_waits_and_then_fails(file, topic, monkeypatch):
    monkeypatch.setattr("mm2_users.shared_clients.FLUSH_S", 0.3)

    class Cramped(Writer):
        answer_within_s = 60.0

    with playing(file, Cramped) as (environment, counted):
        unreachable(environment, {"queue.buffering.max.messages": 3})
        client = Cramped(environment).client
        for _ in range(3):
            client.produce(topic, b"x", wait=False)
        assert [event["exception"] for event in counted.of("PRODUCE")] == [None] * 3
        client._answer_within_s = 0.2
        client.produce(topic, b"x", wait=False)
        assert str(counted.of("PRODUCE")[-1]["exception"]).startswith("_QUEUE_FULL: ")


def test_what_has_no_answer_when_the_test_stops_is_a_failed_ack(file, topic, monkeypatch):
    monkeypatch.setattr("mm2_users.shared_clients.FLUSH_S", 0.3)
    with playing(file, Writer) as (environment, counted):
        unreachable(environment)
        client = Writer(environment).client
        for _ in range(5):
            client.produce(topic, b"x", wait=False)
        environment.events.test_stop.fire(environment=environment)
        assert len(counted.of("ACK")) == 5
        assert all("_PURGE_QUEUE" in str(event["exception"]) for event in counted.of("ACK"))


def test_a_request_listener_may_wait_and_nothing_goes_uncounted(file, topic, monkeypatch):
    """librdkafka's poll runs no foreign code: a second poll beside one that waits would end the process in C."""
    polling, inside = [], []
    poll = RecordProducer.serve

    def serve(producer: RecordProducer) -> None:
        polling.append(producer)
        try:
            poll(producer)
        finally:
            polling.pop()

    monkeypatch.setattr(RecordProducer, "serve", serve)

    def to_a_server(**_: Any) -> None:
        if polling:
            inside.append(polling[-1])
        else:
            gevent.sleep(0.005)

    with playing(file, Writer) as (environment, counted):
        environment.events.request.add_listener(to_a_server)
        client = Writer(environment).client
        for _ in range(50):
            client.produce(topic, b"x", wait=False)
        environment.events.test_stop.fire(environment=environment)
        assert inside == []
        assert [event["exception"] for event in counted.of("ACK")] == [None] * 50


def test_a_slow_listener_delays_no_answer(file, topic):
    with playing(file, Writer) as (environment, counted):
        client = Writer(environment).client
        client.produce(topic, b"x")  # connections are made
        environment.events.request.add_listener(
            lambda *, request_type, **_: gevent.sleep(0.4) if request_type == "ACK" else None
        )
        for _ in range(10):
            client.produce(topic, b"x", wait=False)
        assert client.produce(topic, b"x").ok
        assert counted.of("PRODUCE")[-1]["response_time"] < 2000
        until(lambda: len(counted.of("ACK")) == 10)
        assert max(event["response_time"] for event in counted.of("ACK")) < 2000


def test_a_listener_that_never_returns_does_not_hold_the_end_of_the_test(file, topic, monkeypatch, caplog):
    monkeypatch.setattr("mm2_users.shared_clients.FLUSH_S", 0.3)
    with playing(file, Writer) as (environment, _):
        environment.events.request.add_listener(
            lambda *, request_type, **_: gevent.sleep(60) if request_type == "ACK" else None
        )
        client = Writer(environment).client
        for _ in range(3):
            client.produce(topic, b"x", wait=False)
        started_s = time.monotonic()
        environment.events.test_stop.fire(environment=environment)
        assert time.monotonic() - started_s < 10
        assert "answers that are not counted: 3; a listener of Locust's request event takes too long" in caplog.text


def unreachable(environment: Any, extra: dict[str, Any] | None = None) -> None:
    """From now on the clusters' addresses lead nowhere."""
    Writer(environment)
    shared = vars(environment)[SHARED]
    shared.check(frozenset({"source", "target"}))
    shared._extra = {"bootstrap.servers": NOBODY, **(extra or {})}


# --- consume ---------------------------------------------------------------------------------------------------------


def test_records_are_taken_one_by_one_or_in_batches_each_by_one_user(file, target, topic):
    mirror = f"source.{topic}"
    write(target, mirror, [b"%d" % number for number in range(10)])
    with playing(file, Reader) as (environment, counted):
        one, other = Reader(environment).client, Reader(environment).client
        assert one.mirror("{prefix}" + topic.removeprefix(PREFIX)) == mirror
        for client in (one, other):
            client.assign(mirror, start="beginning")
        (first,) = one.consume(mirror, timeout_s=10)
        assert (first.value, first.topic, first.partition, first.offset) == (b"0", mirror, 0, 0)
        until(lambda: len(vars(environment)[SHARED].consumer("target", None, "end")._untaken[mirror]) == 9)
        assert [record.value for record in other.consume(mirror, most=4)] == [b"1", b"2", b"3", b"4"]
        assert [record.value for record in one.consume(mirror, most=100)] == [b"5", b"6", b"7", b"8", b"9"]
        assert [event["request_type"] for event in counted.events] == ["CONSUME"] * 3
        assert [event["response_length"] for event in counted.events] == [1, 4, 5]


def test_a_reader_from_the_end_gets_only_what_comes_after(file, target, topic):
    mirror = f"source.{topic}"
    write(target, mirror, [b"old"])
    with playing(file, Reader) as (environment, _):
        client = Reader(environment).client
        client.assign(mirror)
        write(target, mirror, [b"new"])
        assert [record.value for record in client.consume(mirror, timeout_s=10)] == [b"new"]


def test_keys_and_headers_are_read(file, source, topic):
    with playing(file, Writer) as (environment, _):
        client = Writer(environment).client
        client.assign(topic, start="beginning")
        client.produce(topic, b"v", key=b"k", headers=[("a", b"1"), ("a", b"2"), ("none", None)])
        (record,) = client.consume(topic, timeout_s=10)
        assert (record.key, record.value) == (b"k", b"v")
        assert record.headers == (("a", b"1"), ("a", b"2"), ("none", None))
        assert abs(record.timestamp_ms / 1000 - time.time()) < 60


def test_a_group_is_joined_and_read(file, source, topic):
    write(source, topic, [b"1", b"2", b"3"])
    with playing(file, Writer) as (environment, _):
        client = Writer(environment).client
        client.subscribe(topic, group="mm2gate-readers", start="beginning")
        taken = []
        while len(taken) < 3:
            taken += client.consume(topic, most=3, timeout_s=10)
        assert [record.value for record in taken] == [b"1", b"2", b"3"]
        assert not environment.stats.errors
    looker = Consumer({"bootstrap.servers": source.address, "group.id": "mm2gate-readers", "log_level": 0})
    (place,) = looker.committed([TopicPartition(topic, 0)], timeout=10)
    assert place.offset == 3, "the next member of the group goes on there"
    looker.close()


def test_a_group_that_gives_nothing_in_time_is_a_failed_request(file, topic):
    with playing(file, Writer) as (environment, counted):
        Writer(environment).client.subscribe(topic, group="mm2gate-impatient", join_within_s=0.1)
        assert "the group gave no partitions within 0.1 s" in str(counted.one("CONSUME")["exception"])


def test_nothing_to_read_is_a_failure_unless_it_may_be(file, topic):
    with playing(file, Writer) as (environment, counted):
        client = Writer(environment).client
        client.assign(topic)
        assert list(client.consume(topic, timeout_s=0.05, allow_empty=True)) == []
        assert counted.events == []
        assert not client.consume(topic, timeout_s=0.05).ok
        assert "no record within 0.05 s" in str(counted.one("CONSUME")["exception"])
        assert 50 <= counted.one("CONSUME")["response_time"] < 5000


def test_a_partition_that_does_not_exist_is_a_failed_request(file, topic):
    with playing(file, Writer) as (environment, counted):
        Writer(environment).client.assign(topic, partitions=[0, 4])
        assert "has 4 partitions, and none with number 4" in str(counted.one("CONSUME")["exception"])


def test_a_topic_that_is_not_taken_from_is_not_read_without_end(file, target, topic, monkeypatch):
    monkeypatch.setattr("clients.kafka_shared.MOST_UNTAKEN_RECORDS", 100)
    monkeypatch.setattr("clients.kafka_shared.MOST_READ_AT_ONCE", 50)
    mirror = f"source.{topic}"
    write(target, mirror, [b"%d" % number for number in range(1000)])
    with playing(file, Reader) as (environment, _):
        client = Reader(environment).client
        client.assign(mirror, start="beginning")
        untaken = client._readers[mirror]._untaken[mirror]
        until(lambda: len(untaken) >= 100)
        gevent.sleep(0.3)
        assert len(untaken) < 200
        taken: list[bytes | None] = []
        while len(taken) < 1000:
            taken += [record.value for record in client.consume(mirror, most=30, timeout_s=10)]
        assert taken == [b"%d" % number for number in range(1000)], "nothing lost or twice around the pauses"


def test_a_few_large_records_are_not_read_without_end_either(file, target, topic, monkeypatch):
    monkeypatch.setattr("clients.kafka_shared.MOST_UNTAKEN_BYTES", 1_000_000)
    monkeypatch.setattr("clients.kafka_shared.MOST_READ_AT_ONCE", 5)
    mirror = f"source.{topic}"
    large = [b"%03d" % number + bytes(100_000) for number in range(40)]  # the mock keeps 5 MB
    write(target, mirror, large)
    with playing(file, Reader) as (environment, _):
        client = Reader(environment).client
        client.assign(mirror, start="beginning")
        untaken = client._readers[mirror]._untaken[mirror]
        until(lambda: len(untaken) >= 10)
        gevent.sleep(0.3)
        assert len(untaken) < 20
        taken: list[bytes | None] = []
        while len(taken) < 40:
            taken += [record.value for record in client.consume(mirror, most=7, timeout_s=10)]
        assert taken == large, "nothing lost or twice around the pauses"


def test_a_mirror_that_did_not_appear_in_time_is_a_failed_request_each_time(file, topic):
    with playing(file, Reader) as (environment, counted):
        unreachable(environment)
        client = Reader(environment).client
        mirror = client.mirror(topic)
        client.assign(mirror, appear_within_s=0.2)
        for _ in range(2):
            assert not client.consume(mirror, timeout_s=0.05).ok
        assert [str(event["exception"]).partition(":")[0] for event in counted.of("CONSUME")][1:] == ["_TIMED_OUT"] * 2


def test_a_topic_that_is_added_while_another_is_paused_stops_no_reader(file, target, topic, monkeypatch, caplog):
    monkeypatch.setattr("clients.kafka_shared.MOST_UNTAKEN_RECORDS", 10)
    mirror, other = f"source.{topic}", f"source.{topic}-other"
    target.create(other)
    write(target, mirror, [b"x"] * 100)
    with playing(file, Reader) as (environment, _):
        client = Reader(environment).client
        consumer = vars(environment)[SHARED].consumer("target", None, "end")
        pausing = gevent.event.Event()

        def slow_pause(function: Callable[..., Any], *arguments: Any) -> Any:
            pausing.set()
            gevent.sleep(0.2)
            return function(*arguments)

        monkeypatch.setattr("clients.kafka_shared.off_hub", slow_pause)
        client.assign(mirror, start="beginning")
        pausing.clear()
        assert pausing.wait(10)
        consumer._expect(other)
        gevent.sleep(0.4)
        assert "stumbled" not in caplog.text


# --- judging a request -----------------------------------------------------------------------------------------------


def test_a_task_may_judge_what_came(file, topic):
    with playing(file, Writer) as (environment, counted):
        client = Writer(environment).client
        client.assign(topic, start="beginning")
        with client.produce(topic, b"v", catch_response=True) as delivery:
            assert counted.events == [], "counted when it is judged"
            delivery.failure("a partition that I do not like")
        with client.consume(topic, timeout_s=10, catch_response=True) as consumed:
            if consumed[0].value != b"w":
                consumed.failure("not what I expected")
        with client.consume(topic, timeout_s=0.05, catch_response=True) as consumed:
            consumed.success()
        with pytest.raises(ZeroDivisionError), client.produce(topic, b"v", catch_response=True):
            _ = 1 / 0
        said = [event["exception"] and str(event["exception"]) for event in counted.events]
        assert said == ["a partition that I do not like", "not what I expected", "division by zero"]


def test_a_with_block_needs_catch_response(file, topic):
    with playing(file, Writer) as (environment, _):
        client = Writer(environment).client
        with pytest.raises(TypeError, match="catch_response=True"), client.produce(topic, b"v"):
            pass
        with pytest.raises(TypeError, match="wait=False"):
            client.produce(topic, b"v", wait=False, catch_response=True)


def test_a_request_may_have_a_name_and_a_context_of_its_own(file, topic):
    class Named(Writer):
        def context(self) -> dict[str, Any]:
            return {"user": "u"}

    with playing(file, Named) as (environment, counted):
        Named(environment).client.produce(topic, b"v", name="an order", context={"size": "small"})
        event = counted.one("PRODUCE")
        assert (event["name"], event["context"]) == ("an order", {"user": "u", "size": "small"})


# --- guards ----------------------------------------------------------------------------------------------------------


def refusal(environment: Any, capsys: Any) -> str:
    assert environment.process_exit_code == ExitCode.REFUSED
    return str(capsys.readouterr().err)


def test_a_topic_outside_the_prefix_ends_the_test_with_a_sentence(file, capsys):
    with playing(file, Writer) as (environment, counted):
        with pytest.raises(StopUser):
            Writer(environment).client.produce("payroll", b"x")
        assert "topic payroll is outside the prefix mm2gate. of environment desk" in refusal(environment, capsys)
        assert counted.events == []


def test_mirrors_may_be_read_on_the_target_and_not_written(file, target, topic, capsys):
    class TargetWriter(KafkaUser):
        cluster = "target"

    with playing(file, TargetWriter) as (environment, _):
        client = TargetWriter(environment).client
        client.assign(f"source.{topic}")
        with pytest.raises(StopUser):
            client.produce(f"source.{topic}", b"x")
        assert "outside the prefix" in refusal(environment, capsys)


def test_a_user_class_may_leave_the_prefix_when_it_says_so(file, source):
    class Anywhere(Writer):
        stay_inside_prefix = False

    source.create("elsewhere")
    with playing(file, Anywhere) as (environment, _):
        assert Anywhere(environment).client.produce("elsewhere", b"x").ok


def test_a_production_environment_wants_its_name_typed_out(source, target, tmp_path, topic, capsys):
    file = environment_file(tmp_path, source, target, ("name: desk", "name: desk\nproduction: true"))
    with playing(file, Writer) as (environment, _):
        with pytest.raises(StopUser):
            Writer(environment).client.produce(topic, b"x")
        assert "desk is a production environment; start it headless, with --confirm desk" in refusal(
            environment, capsys
        )
    with playing(file, Writer, confirm="desk") as (environment, _):
        assert Writer(environment).client.produce(topic, b"x").ok


def test_another_cluster_than_the_environments_is_left_alone(source, target, tmp_path, topic, capsys):
    file = environment_file(tmp_path, target, source)
    file.write_text(file.read_text().replace(source.address, "?").replace(target.address, source.address))
    with playing(file, Writer) as (environment, _):
        with pytest.raises(StopUser):
            Writer(environment).client.produce(topic, b"x")
        assert "this is another cluster, so nothing was touched" in refusal(environment, capsys)
    assert content_of(source, topic) == []


def test_a_wrong_producer_setting_is_a_sentence(file):
    class Wrong(Writer):
        producer = {"compression": "rar"}  # noqa: RUF012 - as a user writes it

    with playing(file, Wrong) as (environment, _), pytest.raises(Refused, match=r"Wrong\.producer: compression: "):
        Wrong(environment)


def test_no_process_goes_beyond_the_environments_rate(source, target, tmp_path, topic):
    file = environment_file(tmp_path, source, target, ("records_per_s: 100000/s", "records_per_s: 50/s"))
    with playing(file, Writer) as (environment, _):
        client = Writer(environment).client
        until(lambda: time.monotonic() % 1 < 0.3)
        client.produce(topic, b"x")
        started_s = time.monotonic()
        for _ in range(101):
            client.produce(topic, b"x", wait=False)
        assert time.monotonic() - started_s > 1


class Idle(Writer):
    """Has a task, which a runner asks for."""

    wait_time = constant(0.1)

    @task
    def rest(self) -> None: ...


class Outside(Writer):
    """Plays where it may not."""

    wait_time = constant(0.1)

    @task
    def pay(self) -> None:
        self.client.produce("payroll", b"x")


def test_each_test_that_a_web_uis_form_starts_is_refused_with_a_sentence(file, tmp_path, topic, capsys):
    with playing(tmp_path / "wrong.yaml", Idle) as (environment, _):
        environment.web_ui = SimpleNamespace(app=None)
        kafka_user._init(environment)
        for _ in range(2):
            environment.runner.start(2, spawn_rate=2)
            environment.runner.spawning_greenlet.join()
            assert capsys.readouterr().err.count("wrong.yaml") == 1
            assert environment.runner.user_count == 0
        environment.parsed_options.env = str(file)
        environment.runner.start(1, spawn_rate=1)
        until(lambda: environment.runner.state == STATE_RUNNING)
        assert Writer(environment).client.produce(topic, b"x").ok
        assert environment.process_exit_code is None


class Steady(LoadTestShape):
    def tick(self) -> tuple[int, float]:
        return 1, 1.0


def test_a_shape_that_was_refused_can_be_started_again(file, tmp_path, capsys):
    with distributed(tmp_path / "wrong.yaml", Idle, web_ui=True) as (master, worker):
        master.shape_class = Steady()
        for _ in range(2):
            master.runner.start_shape()
            until(lambda: master.runner.shape_greenlet is None)
            assert capsys.readouterr().err.count("wrong.yaml") == 1
        master.parsed_options.env = str(file)
        master.runner.start_shape()
        until(lambda: worker.runner.user_count == 1)


def test_a_wrong_form_leaves_the_workers_to_the_next_test(file, tmp_path, capsys):
    with distributed(tmp_path / "wrong.yaml", Idle, web_ui=True) as (master, worker):
        for _ in range(2):
            gevent.spawn(master.runner.start, 1, 1).join()
            assert capsys.readouterr().err.count("wrong.yaml") == 1
            gevent.sleep(0.2)
            assert worker.runner.worker_state == STATE_INIT, "no worker has heard of it"
        master.parsed_options.env = str(file)
        gevent.spawn(master.runner.start, 1, 1).join()
        until(lambda: worker.runner.user_count == 1)
        assert master.runner.state == STATE_RUNNING
        assert worker.process_exit_code is None
        assert capsys.readouterr().err == ""


def test_what_a_worker_alone_refuses_ends_the_test_and_no_process_behind_a_web_ui(file, capsys):
    with distributed(file, Outside, web_ui=True) as (master, worker):
        for _ in range(2):
            until(lambda: master.runner.clients.ready)
            gevent.spawn(master.runner.start, 20, 2)  # and it goes on adding users
            until(lambda: master.runner.state == STATE_SPAWNING)
            until(lambda: master.runner.state == STATE_STOPPED)
            gevent.sleep(1.5)
            assert worker.runner.user_count == 0, "the test does not begin again"
            assert master.runner.state == STATE_STOPPED
            said = capsys.readouterr().err
            assert said.count("topic payroll is outside the prefix") == 2
            assert f"worker {worker.runner.client_id}: topic payroll" in said
        assert master.process_exit_code is None


def test_a_worker_with_another_environment_behind_the_same_name_asks_no_cluster_and_ends_the_test(
    file, tmp_path, capsys, monkeypatch
):
    other = tmp_path / "other.yaml"
    other.write_text(file.read_text() + "# another\n")
    asked = []
    monkeypatch.setattr(shared_clients, "identify", lambda _, where: asked.append(where.file))
    with distributed(file, Idle) as (master, worker):
        monkeypatch.setattr(kafka_user, "_options", lambda one: (str(other if one is worker else file), ""))
        gevent.spawn(master.runner.start, 1, 1)
        until(lambda: len(worker.runner.greenlet) == 0)  # it was told to quit
        assert master.process_exit_code == ExitCode.REFUSED
    said = capsys.readouterr().err
    assert f"{other} (environment " in said
    assert "is not the master's" in said
    assert set(asked) == {file}


def test_what_a_worker_alone_refuses_ends_a_headless_test_with_its_exit_code_everywhere(file, capsys):
    with distributed(file, Outside) as (master, worker):
        gevent.spawn(master.runner.start, 2, 2)
        until(lambda: len(worker.runner.greenlet) == 0)  # it was told to quit
        assert master.process_exit_code == worker.process_exit_code == ExitCode.REFUSED


# --- the example -----------------------------------------------------------------------------------------------------


def test_the_documentation_shows_the_example_that_is_tested():
    root = Path(__file__).resolve().parents[2]
    (shown,) = re.findall(
        r"^```python\n(.*?)^```", (root / "docs" / "custom-users.md").read_text(), flags=re.DOTALL | re.MULTILINE
    )
    written = Path(custom_example.__file__).read_text()
    assert shown.partition("ORDERS = ")[2] == written.partition("ORDERS = ")[2]


def test_the_example_runs_on_mock_clusters(file, source, target, monkeypatch):
    # The mock creates topics when they are asked for, but does not know the request to create one.
    monkeypatch.setattr(Admin, "create_topics", lambda self, topics, config: source.create(dict(topics).popitem()[0]))
    topic = f"{PREFIX}orders"
    source.create(topic)
    target.create(f"source.{topic}")
    with playing(file, custom_example.Shop, custom_example.Accounting) as (environment, counted):
        copying = gevent.spawn(copy, source, target, topic)
        environment.runner.start(5, spawn_rate=5)
        until(lambda: len(counted.of("ACK")) >= 100 and counted.of("CONSUME"), within_s=60)
        gevent.sleep(0.5)
        environment.runner.stop()
        copying.kill()
        assert not environment.stats.errors
        assert {event["request_type"] for event in counted.events} == {"PRODUCE", "ACK", "CONSUME"}
        produced = len(counted.of("PRODUCE"))
    orders = content_of(source, topic)
    assert len(orders) == produced
    assert all(order.partition() == partition_of(order.key(), 4) for order in orders)
    (taken,) = {sum(len(event["response"]) for event in counted.of("CONSUME"))}
    assert 0 < taken <= produced


def copy(source: Mock, target: Mock, topic: str) -> None:
    """MM2's part, for as long as it is left alone."""
    settings = {"group.id": "copy", "log_level": 0, **QUICK}
    reader = Consumer({"bootstrap.servers": source.address, **settings})
    reader.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(4)])
    writer = Producer({"bootstrap.servers": target.address, "linger.ms": 0, "log_level": 0})
    while True:
        for message in reader.consume(100, 0):
            writer.produce(f"source.{topic}", message.value(), message.key(), message.partition())
        writer.poll(0)
        gevent.sleep(0.005)


# --- the hub ---------------------------------------------------------------------------------------------------------


native_sleep = get_original("time", "sleep")


class Timer:
    """A greenlet that wants to run every 5 ms, and how long it was kept from it at worst: in ticks of 5 ms of a native
    thread, which stands still when the machine does, and goes on while a call holds up the hub."""

    def __init__(self) -> None:
        self.ticks = 0
        self.late_ticks: list[int] = []
        self._over = False
        get_original("_thread", "start_new_thread")(self._tick, ())
        self._greenlet = gevent.spawn(self._run)

    def _tick(self) -> None:
        while not self._over:
            native_sleep(0.005)
            self.ticks += 1

    def _run(self) -> None:
        while True:
            before = self.ticks
            gevent.sleep(0.005)
            self.late_ticks.append(self.ticks - before)

    def worst(self) -> int:
        self._over = True
        self._greenlet.kill()
        assert len(self.late_ticks) >= 20, "it hardly ran at all"
        return max(self.late_ticks)


STALLED_TICKS = 40


def test_the_timer_sees_a_call_that_stops_the_hub(source):
    reader = Consumer({"bootstrap.servers": source.address, "group.id": "x", "log_level": 0})
    timer = Timer()
    until(lambda: len(timer.late_ticks) >= 20)
    before = timer.ticks
    while timer.ticks < before + 2 * STALLED_TICKS:
        reader.poll(0.05)
    until(lambda: len(timer.late_ticks) >= 40)
    assert timer.worst() > STALLED_TICKS
    reader.close()


def test_the_hub_goes_on_while_users_wait(file, source, topic):
    other = f"{topic}-other"
    source.create(other)

    class Waiting(Writer):
        wait_time = constant(0)

        def on_start(self) -> None:
            self.client.assign(topic)
            self.client.subscribe(other, group="mm2gate-hub")

        @task
        def round_trip(self) -> None:
            self.client.produce(topic, b"x" * 1000)
            self.client.consume(topic, timeout_s=1.0)
            self.client.consume(other, most=100, timeout_s=0.2, allow_empty=True)

    with playing(file, Waiting) as (environment, counted):
        timer = Timer()
        environment.runner.start(10, spawn_rate=10)
        until(lambda: min(len(counted.of("PRODUCE")), len(counted.of("CONSUME"))) > 10, within_s=60)
        gevent.sleep(2)
        environment.runner.stop()
        assert timer.worst() < STALLED_TICKS


def test_the_hub_goes_on_while_users_wait_for_a_broker_that_is_not_there(file, topic, monkeypatch):
    monkeypatch.setattr("mm2_users.shared_clients.FLUSH_S", 0.5)

    class Waiting(Writer):
        wait_time = constant(0)
        answer_within_s = 0.6

        def on_start(self) -> None:
            self.client.assign(topic, appear_within_s=1.0)

        @task
        def send(self) -> None:
            self.client.produce(topic, b"x", wait=False)
            self.client.produce(topic, b"x")

    with playing(file, Waiting) as (environment, counted):
        unreachable(environment)
        timer = Timer()
        environment.runner.start(5, spawn_rate=5)
        until(lambda: counted.of("ACK"), within_s=60)
        assert {str(event["exception"]).split(":")[0] for event in counted.of("ACK")} == {"_MSG_TIMED_OUT"}
        gevent.sleep(1)
        environment.runner.stop()
        assert timer.worst() < STALLED_TICKS
        assert counted.of("CONSUME"), "assign said that it could not ask"
