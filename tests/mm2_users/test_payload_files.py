"""The user's own files as payload: sent and mirrored untouched, the envelope in a header, every fault told apart."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import count

import numpy as np
import pytest
from confluent_kafka import KafkaError, Message, Producer

from clients.kafka import RecordProducer
from mm2_users.envelope import CANARY, HEADER, LAYOUT
from mm2_users.payload import PREFIX, pool_of
from run_record.counts import Counts
from scenarios.errors import Refused
from scenarios.plan import RunPlan, make_plan
from scenarios.scenario import parse_scenario
from tests.mm2_users.copier import PARTITIONS, Bench, Copier, Mock, totals
from tests.mm2_users.kafka_users import content_of
from tests.scenarios.examples import ENVIRONMENT, environment, with_phases

RECORDS = 80
EACH = RECORDS // PARTITIONS
_numbers = count(1)

Headers = list[tuple[str, bytes]]
Spoil = Callable[[bytes, Headers], list[tuple[bytes, Headers]]]
"""What a copier makes of a record, given its value and headers."""


@pytest.fixture(scope="module")
def source():
    return Mock()


@pytest.fixture(scope="module")
def target():
    return Mock()


@pytest.fixture
def contents(tmp_path):
    """Files of all kinds: JSON, bytes that are no text, one that begins like a record of ours, a single byte."""
    files = {
        "a.json": b'{"order": 1}\n',
        "b.bin": random.Random(1).randbytes(5000),
        "c.json": PREFIX + b'AAAA"}',
        "d": b"x",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return files


def plan_of(source: Mock, target: Mock, directory, payload: str, *, topics: int = 1, producer: str = "{}") -> RunPlan:
    where = environment(ENVIRONMENT.replace("127.0.0.1:1", source.address).replace("127.0.0.1:2", target.address))
    text = with_phases(
        "{name: one, profile: nominal, rate: 100/s, duration: 800ms}",
        topics=f'{{count: {topics}, partitions: {PARTITIONS}, name: "{{prefix}}f{next(_numbers)}-{{n}}"}}',
        payload=payload,
    ).replace("canary:", f"producer: {producer}\ncanary:")
    scenario = parse_scenario(text, file="s.yaml", environment=where.environment, directory=directory)
    made = make_plan(scenario, where, rehearsal=Fraction(1))
    for topic in made.topics:
        source.create(topic.source)
        target.create(topic.remote)
    return made


class WholeCopier(Copier):
    """Copies records with their headers, as MM2 does, but for what is to be spoiled: (partition, seq) → how."""

    def __init__(self, made: RunPlan, spoil: dict[tuple[int, int], Spoil] | None = None) -> None:
        super().__init__(made, made.loaded_environment)
        self.spoil = spoil or {}
        address = made.environment.target.bootstrap_servers
        self._writer = Producer(
            {"bootstrap.servers": address, "linger.ms": 0, "message.max.bytes": 10**7, "log_level": 0}
        )

    def step(self) -> None:
        for message in self._reader.consume(500, 0):
            assert message.error() is None, message.error()
            value, headers = message.value() or b"", list(message.headers() or [])
            copies = [(value, headers)]
            for name, raw in headers:
                (fields,) = np.frombuffer(raw, dtype=LAYOUT)
                if name == HEADER and not fields["flags"] & CANARY:
                    copies = self.spoil.get((message.partition(), int(fields["seq"])), lambda *a: [a])(value, headers)
            for changed, with_headers in copies:
                self._writer.produce(
                    self._mirrors[message.topic()], changed, message.key(), message.partition(), headers=with_headers
                )
        self._writer.poll(0)


@pytest.fixture
def bench(source, target, tmp_path, contents):
    def make(spoil: dict[tuple[int, int], Spoil] | None = None, payload: str = "{files: ['*']}", **more) -> Bench:
        made = plan_of(source, target, tmp_path, payload, **more)
        found = Bench(made)
        found.copier.close()
        found.copier = WholeCopier(made, spoil)
        return found

    return make


def play(made: Bench, **awaited) -> Counts:
    made.canaries()
    made.send_all()
    made.arrivals(**awaited)
    return totals(made.finish())


def other_body(value: bytes, headers: Headers) -> list[tuple[bytes, Headers]]:
    return [(value[:-1] + bytes([value[-1] ^ 1]), headers)]


def longer_body(value: bytes, headers: Headers) -> list[tuple[bytes, Headers]]:
    return [(value + b" ", headers)]


def other_header(value: bytes, headers: Headers) -> list[tuple[bytes, Headers]]:
    ((name, raw),) = headers
    return [(value, [(name, raw[:20] + bytes([raw[20] ^ 1]) + raw[21:])])]


def short_header(value: bytes, headers: Headers) -> list[tuple[bytes, Headers]]:
    ((name, raw),) = headers
    return [(value, [(name, raw[:-1])])]


def no_header(value: bytes, headers: Headers) -> list[tuple[bytes, Headers]]:
    return [(value, [])]


def one_header_more(value: bytes, headers: Headers) -> list[tuple[bytes, Headers]]:
    return [(value, [("trace", b"1"), *headers])]


def lost(value: bytes, headers: Headers) -> list[tuple[bytes, Headers]]:
    return []


def twice(value: bytes, headers: Headers) -> list[tuple[bytes, Headers]]:
    return [(value, headers), (value, headers)]


def nothing_of_it(value: bytes, headers: Headers) -> list[tuple[bytes, Headers]]:
    return [(b"somebody else's", [])]


def test_files_arrive_untouched_and_every_record_is_accounted_for(bench, target, contents):
    made = bench()
    assert play(made, missing=0) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS)
    there = content_of(target, made.plan.topics[0].remote)
    assert {record.value() for record in there} == set(contents.values())
    assert len(there) == RECORDS + PARTITIONS, "and a canary for each partition"
    assert all([name for name, _ in record.headers()] == [HEADER] for record in there)


def test_the_canaries_are_the_largest_file(bench, source, contents):
    made = bench()
    made.canaries()
    made.finish()
    sent = content_of(source, made.plan.topics[0].source)
    assert {record.value() for record in sent} == {contents["b.bin"]}


@pytest.mark.parametrize("spoil", [other_body, longer_body, other_header, short_header, no_header])
@pytest.mark.parametrize("seq", [0, EACH // 2, EACH - 1], ids=["first", "middle", "last"])
def test_a_changed_body_or_header_is_one_corrupted_record(bench, spoil, seq):
    assert play(bench({(2, seq): spoil}), missing=0) == Counts(
        sent=RECORDS, acked=RECORDS, arrived=RECORDS, corrupted=1
    )


def test_a_header_that_was_added_changes_nothing(bench):
    made = bench({(1, 3): one_header_more})
    assert play(made, missing=0) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS)


def test_lost_duplicated_and_replaced_records_are_told_apart(bench):
    made = bench({(0, 4): lost, (1, 5): twice, (3, 6): nothing_of_it})
    wanted = Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS - 2, lost=2, duplicated=1, foreign=1)
    assert play(made, missing=2, duplicated=1) == wanted


def test_records_of_an_earlier_run_are_foreign(bench):
    made = bench()
    play(made, missing=0)
    again = Bench(made.plan, run_id="another")
    again.copier.close()
    again.copier = WholeCopier(made.plan)
    # Its copier starts at the beginning, so the first run's records come once more.
    again.canaries()
    again.send_all()
    again.arrivals(missing=0)
    assert totals(again.finish()) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS, foreign=RECORDS + PARTITIONS)


def test_answers_to_records_with_headers_name_them(bench, monkeypatch):
    real, dead, denied = RecordProducer.send_each, {(0, 2), (0, 3)}, {(1, 0)}

    def send_each(self, topic, partition, messages):
        kept = []
        for message in messages:
            (fields,) = np.frombuffer(message["headers"][0][1], dtype=LAYOUT)
            place = (partition, int(fields["seq"]))
            if not fields["flags"] & CANARY and place in dead | denied:
                code = KafkaError._MSG_TIMED_OUT if place in dead else KafkaError.TOPIC_AUTHORIZATION_FAILED
                message["on_delivery"](KafkaError(code), Message(topic=topic, partition=partition, offset=-1))
            else:
                kept.append(message)
        return real(self, topic, partition, kept)

    monkeypatch.setattr(RecordProducer, "send_each", send_each)
    assert play(bench(), missing=0) == Counts(sent=RECORDS, acked=RECORDS - 3, failed=1, unknown=2, arrived=RECORDS - 3)


def test_a_file_that_changed_after_the_plan_is_refused(source, target, tmp_path, contents):
    made = plan_of(source, target, tmp_path, "{files: [a.json, d]}")
    (tmp_path / "d").write_bytes(b"longer")
    with pytest.raises(Refused, match=r"d has changed: 6 bytes, not 1"):
        pool_of(made.scenario.payload.root[0])
    (tmp_path / "d").unlink()
    with pytest.raises(Refused, match="cannot be read"):
        pool_of(made.scenario.payload.root[0])
