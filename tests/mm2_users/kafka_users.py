"""Users of one's own between two mock clusters: an environment file that means them, and what Locust counted."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
from confluent_kafka import Consumer, Producer, TopicPartition
from locust.env import Environment
from locust.event import Events

from mm2_users import kafka_user
from mm2_users.kafka_user import SHARED, KafkaUser
from tests.mm2_users.copier import QUICK, Mock
from tests.scenarios.examples import ENVIRONMENT

PREFIX = "mm2gate."


def cluster_id(mock: Mock) -> str:
    """What the mock answers when it is asked who it is."""
    return str(mock._owner.list_topics(timeout=10).cluster_id)


def environment_file(directory: Path, source: Mock, target: Mock, *more: tuple[str, str]) -> Path:
    """An environment file of the two; `more` are replacements in its text."""
    text = ENVIRONMENT
    for old, new in (
        ("127.0.0.1:1", source.address),
        ("127.0.0.1:2", target.address),
        ("AAAA", cluster_id(source)),
        ("BBBB", cluster_id(target)),
        *more,
    ):
        assert old in text
        text = text.replace(old, new)
    path = directory / "mock.yaml"
    path.write_text(text, encoding="utf-8")
    return path


class Counted:
    """Locust's request events, as a listener gets them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, **event: Any) -> None:
        self.events.append(event)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["request_type"] == kind]

    def one(self, kind: str) -> dict[str, Any]:
        (event,) = self.of(kind)
        return event


@contextmanager
def playing(file: Path, *user_classes: type[KafkaUser], confirm: str = "") -> Iterator[tuple[Environment, Counted]]:
    """A Locust environment of this process, its test not started; closed as Locust closes a test."""
    counted = Counted()
    environment = Environment(
        user_classes=list(user_classes),
        events=Events(),
        parsed_options=Namespace(env=str(file), confirm=confirm, headless=True),
    )
    environment.create_local_runner()
    environment.events.request.add_listener(counted)
    try:
        yield environment, counted
    finally:
        environment.runner.quit()
        if SHARED in vars(environment):
            vars(environment)[SHARED].close()


@contextmanager
def distributed(
    file: Path, *user_classes: type[KafkaUser], web_ui: bool = False
) -> Iterator[tuple[Environment, Environment]]:
    """A master and its one worker, set up as their processes set themselves up; their test is not started."""
    master, worker = (
        Environment(
            user_classes=list(user_classes),
            events=Events(),
            parsed_options=Namespace(env=str(file), confirm="", web_base_path="", enable_rebalancing=False),
        )
        for _ in range(2)
    )
    master.web_ui = SimpleNamespace(app=None) if web_ui else None
    master.create_master_runner("127.0.0.1", 0)
    worker.create_worker_runner("127.0.0.1", master.runner.server.port)
    try:
        for environment in (master, worker):
            kafka_user._init(environment)
        yield master, worker
    finally:
        master.runner.quit()
        worker.runner.quit()
        vars(worker)[SHARED].close()


def content_of(mock: Mock, topic: str, partitions: int = 4) -> list[Any]:
    """All that lies in a topic, read with another client than ours."""
    reader = Consumer({"bootstrap.servers": mock.address, "group.id": "look", "log_level": 0, **QUICK})
    places = [TopicPartition(topic, number, 0) for number in range(partitions)]
    ends = [reader.get_watermark_offsets(place, timeout=10)[1] for place in places]
    reader.assign(places)
    messages: list[Any] = []
    with gevent.Timeout(15):
        while len(messages) < sum(ends):
            messages += reader.consume(100, 0.05)
            gevent.sleep(0.001)  # or the timeout would never come
    reader.close()
    return messages


def write(mock: Mock, topic: str, values: list[bytes], partition: int = 0) -> None:
    """Puts records there, with another client than ours."""
    writer = Producer({"bootstrap.servers": mock.address, "linger.ms": 0, "log_level": 0})
    for value in values:
        writer.produce(topic, value, partition=partition)
    assert writer.flush(10) == 0


def until(condition: Callable[[], object], within_s: float = 15.0) -> None:
    """Lets greenlets run until it holds."""
    with gevent.Timeout(within_s):
        while not condition():
            gevent.sleep(0.01)
