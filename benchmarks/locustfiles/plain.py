"""The public pattern, as in locust-plugins' KafkaUser: a Producer per user, a blocking poll() after each message."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from confluent_kafka import KafkaError, Message, Producer
from locust import User, events, task

TOPIC = os.environ["BENCH_TOPIC"]
VALUE = b"x" * int(os.environ["BENCH_RECORD_BYTES"])
_answered: list[float] = []


class PlainKafkaUser(User):
    """Sends, waits for the answer, fires an event."""

    def on_start(self) -> None:
        self.producer = Producer(json.loads(os.environ["BENCH_CLIENTS"])["source"])

    @task
    def send(self) -> None:
        """One message."""
        started_s = time.time()

        def delivered(error: KafkaError | None, _: Message) -> None:
            _answered.append(time.time())
            self.environment.events.request.fire(
                request_type="ENQUEUE",
                name=TOPIC,
                response_time=(time.time() - started_s) * 1000,
                response_length=len(VALUE),
                exception=error,
                context={},
            )

        self.producer.produce(TOPIC, VALUE, on_delivery=delivered)
        self.producer.poll()


@events.quitting.add_listener
def _report(**_: Any) -> None:
    inside = [at_s for at_s in _answered if at_s > _answered[0] + 2]
    print(json.dumps({"records_per_s": (len(inside) - 1) / (inside[-1] - inside[0])}), flush=True)
