"""Every kind of payload between two mock brokers: sizes, types, compressions, and several kinds side by side."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from confluent_kafka import KafkaError

from clients.kafka import RecordProducer
from mm2_users.payload import TYPES
from run_record.counts import Counts
from scenarios.errors import Refused
from tests.mm2_users.copier import PARTITIONS, Bench, Mock
from tests.mm2_users.kafka_users import content_of
from tests.mm2_users.test_payload_files import RECORDS, WholeCopier, plan_of, play

CLEAN = Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS)


@pytest.fixture(scope="module")
def source():
    return Mock()


@pytest.fixture(scope="module")
def target():
    return Mock()


def bench_of(made, **more) -> Bench:
    bench = Bench(made, **more)
    bench.copier.close()
    bench.copier = WholeCopier(made)
    return bench


@pytest.mark.parametrize("size", ["100B", "1KB", "10KB", "100KB"])
def test_every_size_is_exact(source, target, tmp_path, size):
    assert play(bench_of(plan_of(source, target, tmp_path, f"{{bytes: {size}}}")), missing=0) == CLEAN


def test_a_record_above_librdkafkas_own_limit_is_left_to_the_brokers(source, target, tmp_path):
    bench = bench_of(plan_of(source, target, tmp_path, "{bytes: 2MB}"))
    bench.canaries()
    bench.finish()


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_is_sent_alone_when_it_is_asked_for(source, target, tmp_path, kind):
    made = plan_of(source, target, tmp_path, f"{{bytes: 1KB, types: [{kind}]}}")
    assert play(bench_of(made), missing=0) == CLEAN
    there = content_of(target, made.topics[0].remote)
    assert {json.loads(record.value())["type"] for record in there} == {kind}


def test_every_partition_gets_all_five_types_in_turn(source, target, tmp_path):
    made = plan_of(source, target, tmp_path, "{bytes: 1KB}")
    play(bench_of(made), missing=0)
    seen = Counter((r.partition(), json.loads(r.value())["type"]) for r in content_of(target, made.topics[0].remote))
    assert len(seen) == PARTITIONS * len(TYPES)
    assert set(seen.values()) <= {4, 5}, "20 records and a canary in each"


def test_topics_with_payloads_of_their_own_in_one_run(source, target, tmp_path):
    (tmp_path / "order.xml").write_bytes(b"<order/>")
    made = plan_of(
        source,
        target,
        tmp_path,
        "[{bytes: 100B}, {bytes: 10KB, types: [transaction]}, {files: [order.xml]}, {bytes: 100KB}]",
        topics=4,
    )
    assert play(bench_of(made), missing=0) == CLEAN
    small, transactions, orders, large = ([r.value() for r in content_of(target, t.remote)] for t in made.topics)
    assert {len(value) for value in small} == {100}
    assert {(len(value), json.loads(value)["type"]) for value in transactions} == {(10_240, "transaction")}
    assert set(orders) == {b"<order/>"}
    assert {len(value) for value in large} == {102_400}


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_exact_and_compresses(source, target, tmp_path, compression):
    seen: list[dict] = []
    made = plan_of(
        source, target, tmp_path, "{bytes: 10KB}", producer=f"{{compression: {compression}, linger: 5ms, batch: 64KB}}"
    )
    statistics = {"statistics.interval.ms": 100, "stats_cb": lambda text: seen.append(json.loads(text))}
    bench = bench_of(made, producer_extra=statistics)
    bench.canaries()
    bench.send_all()
    bench.arrivals(missing=0)
    seen.clear()
    bench.pump(lambda: len(seen) >= 2, "statistics")
    assert bench.counted() == CLEAN
    bench.finish()
    sent_bytes = sum(broker["txbytes"] for broker in seen[-1]["brokers"].values())
    share = sent_bytes / ((RECORDS + PARTITIONS) * 10_240)
    # Snappy finds little in random digits, and less in batches of one record, which a slow machine sends.
    assert (share > 1) if compression == "none" else (0.3 < share < 1), share


def test_a_source_that_refuses_the_canary_for_its_size_ends_the_run_before_the_load(
    source, target, tmp_path, monkeypatch
):
    bench = bench_of(plan_of(source, target, tmp_path, "{bytes: 2MB}"))

    def send(self, topic, partition, messages, on_delivery):
        on_delivery(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), None)
        return []

    monkeypatch.setattr(RecordProducer, "send", send)
    (engine,) = bench.engines
    engine.send_canaries()
    with pytest.raises(
        Refused, match=r"source cluster: mm2gate\.f.* refuses records of up to 2,097,152 bytes .*lower payload"
    ):
        engine.second()
    bench.finish()
