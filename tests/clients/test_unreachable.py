"""A broker that goes away after the guards, while a run is prepared, is one sentence and exit 40, not a bug of ours."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from clients.kafka import RecordConsumer, RecordProducer
from clients.kafka_admin import Admin
from scenarios.errors import Unreachable
from scenarios.scenario import ProducerSettings
from tests.scenarios.examples import environment


def test_reading_positions_that_cannot_be_had_name_the_cluster():
    where = environment()
    consumer = RecordConsumer(where.environment.target, where, name="run")
    with pytest.raises(Unreachable, match=r"^target cluster at 127\.0\.0\.1:2: .*is it up\?$") as refused:
        consumer.start_at_end([("source.mm2gate.a", 0)], timeout_s=0.2)
    consumer.close()
    assert refused.value.exit_code == 40


class JustMade:
    """A consumer of a cluster whose partition is led by nobody yet, as the broker says so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def get_watermark_offsets(self, _partition, timeout):
        if self.left:
            self.left -= 1
            raise KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))
        return 0, 7


def test_a_partition_that_was_made_a_moment_ago_is_waited_for(monkeypatch):
    monkeypatch.setattr("clients.kafka.NOT_YET_PAUSE_S", 0.001)
    where = environment()
    reader = RecordConsumer(where.environment.target, where, name="run")
    monkeypatch.setattr(reader, "_consumer", JustMade(3))
    assert reader._end_of("source.mm2gate.a", 0, 5.0) == 7
    monkeypatch.setattr(reader, "_consumer", JustMade(10**6))
    with pytest.raises(KafkaException):
        reader._end_of("source.mm2gate.a", 0, 0.05)


def test_metadata_that_cannot_be_had_names_cluster_and_topic():
    where = environment()
    producer = RecordProducer(where.environment.source, where, ProducerSettings())
    with pytest.raises(Unreachable, match=r"^source cluster at 127\.0\.0\.1:1: no metadata of mm2gate\.a"):
        producer.know(["mm2gate.a"], timeout_s=0.2)
    producer.close(0.1)


def test_a_topic_whose_creation_nobody_answers_names_cluster_and_topic(monkeypatch):
    monkeypatch.setattr("clients.kafka_admin.TIMEOUT_S", 0.2)
    where = environment()
    admin = Admin(where.environment.source, where)
    said = r"^source cluster at 127\.0\.0\.1:1: topic mm2gate\.a could not be created: no answer within 0\.2 s; "
    with pytest.raises(Unreachable, match=said) as refused:
        admin.create_topics([("mm2gate.a", 1)], config={})
    assert refused.value.exit_code == 40
