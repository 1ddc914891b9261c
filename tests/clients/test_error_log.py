"""What librdkafka says of its connections is logged once, however long each attempt took."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from clients.kafka import REPEAT_LOG_S, ErrorLog, identify
from scenarios.errors import Unreachable
from tests.scenarios.examples import environment

BROKER = "sasl_plaintext://127.0.0.1:9092/1"


@pytest.fixture
def clock_s(monkeypatch):
    now_s = [1000.0]
    monkeypatch.setattr("clients.kafka.time.monotonic", lambda: now_s[0])
    return now_s


def refused(timing: str, *, port: int = 9092) -> KafkaError:
    why = f"{BROKER.replace('9092', str(port))}: Connect to ipv4#127.0.0.1:{port} failed: Connection refused"
    return KafkaError(KafkaError._TRANSPORT, f"{why} (after {timing})")


def test_the_same_refusal_is_one_sentence_whatever_time_it_took(clock_s, caplog):
    log = ErrorLog("source")
    for timing in ("0ms in state CONNECT", "1ms in state CONNECT, 30 identical error(s) suppressed"):
        log(refused(timing))
    assert [record.getMessage() for record in caplog.records] == [refused("0ms in state CONNECT").str()]
    assert len(log._logged_at_s) == 1, "nothing grows for as long as the broker is down"
    assert log.last is not None
    assert "1ms" in log.last.str(), "the last one is known in full"


def test_it_is_said_again_after_a_while_and_another_one_at_once(clock_s, caplog):
    log = ErrorLog("source")
    log(refused("1ms in state CONNECT"))
    log(refused("1ms in state CONNECT", port=9093))
    assert len(caplog.records) == 2, "another broker is another sentence"
    clock_s[0] += REPEAT_LOG_S
    log(refused("2ms in state CONNECT"))
    assert len(caplog.records) == 3


def test_who_identifies_a_cluster_says_nothing_and_takes_nobody_elses_word(clock_s, caplog):
    where = environment()
    with pytest.raises(Unreachable, match="refused"):
        identify(where.environment.source, where, timeout_s=-1)  # asks once
    assert caplog.records == []
    ErrorLog(where.environment.source.alias)(refused("1ms in state CONNECT"))
    assert len(caplog.records) == 1
