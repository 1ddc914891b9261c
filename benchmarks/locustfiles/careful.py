"""How a careful author writes it: one shared Producer, poll(0), and one Locust event per message. It only produces."""

from __future__ import annotations

import itertools
import json
import os
import time
from typing import Any

import gevent
from confluent_kafka import KafkaError, Message, Producer
from locust import User, events, task

from benchmarks.programs.common import bodies, producer_settings

TOPIC = os.environ["BENCH_TOPIC"]
RATE, DURATION_S, PARTITIONS = (int(os.environ[f"BENCH_{name}"]) for name in ("RATE", "DURATION_S", "PARTITIONS"))
TICK_S = 0.001
_reports: list[dict[str, float]] = []


class CarefulKafkaUser(User):
    """One user that sends all that is due, and lets the others run."""

    def on_start(self) -> None:
        settings = json.loads(os.environ["BENCH_PRODUCER"])
        self.producer = Producer(producer_settings(**settings))
        self.acked = 0

    @task
    def send(self) -> None:
        """The whole load."""
        fire = self.environment.events.request.fire
        producer = self.producer
        values, targets = (
            itertools.cycle(bodies(int(os.environ["BENCH_RECORD_BYTES"]))),
            itertools.cycle(range(PARTITIONS)),
        )
        keys = itertools.cycle([b"key_%d" % number for number in range(1, 1001)])
        sent, total = 0, RATE * DURATION_S

        def delivered(error: KafkaError | None, message: Message) -> None:
            self.acked += 1
            fire(
                request_type="PRODUCE",
                name=TOPIC,
                response_time=(message.latency() or 0.0) * 1000,
                response_length=len(message),
                exception=error,
                context={},
            )

        started_s = time.monotonic()
        while sent < total:
            due = min(int((time.monotonic() - started_s) * RATE), total)
            while sent < due:
                producer.produce(TOPIC, next(values), next(keys), next(targets), on_delivery=delivered)
                sent += 1
            producer.poll(0)
            gevent.sleep(TICK_S)
        ended_s = time.time()
        rate = sent / (time.monotonic() - started_s)
        deadline_s = time.monotonic() + 5
        while len(producer) and time.monotonic() < deadline_s:
            producer.poll(0)
            gevent.sleep(TICK_S)
        _reports.append({"end_s": ended_s, "records_per_s": rate, "acked": self.acked})
        self.environment.runner.quit()


@events.quitting.add_listener
def _report(**_: Any) -> None:
    for report in _reports:
        print(json.dumps(report), flush=True)
