"""Tasks of one's own on Kafka. Use: locust -f locustfiles/custom_example.py --env ENVIRONMENT --headless -u 5 -t 1m."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from locust import between, task

# Locust puts the working directory first on sys.path; the packages beside this file are the ones that are meant.
PROJECT_ROOT = str(Path(__file__).resolve().parents[1])
if PROJECT_ROOT not in sys.path[:1]:
    sys.path.insert(0, PROJECT_ROOT)

from mm2_users.kafka_user import KafkaUser  # noqa: E402 - after the path

ORDERS = "{prefix}orders"


class Shop(KafkaUser):
    """Writes orders to the source."""

    wait_time = between(0.01, 0.05)

    def on_start(self) -> None:
        self.client.create(ORDERS, partitions=6)

    @task(10)
    def order(self) -> None:
        """One order, and the broker's answer is waited for."""
        customer = f"customer_{random.randrange(1000)}"
        order = {"customer": customer, "amount": round(random.uniform(1, 500), 2)}
        self.client.produce(ORDERS, json.dumps(order), key=customer, headers={"channel": b"web"})

    @task(1)
    def import_orders(self) -> None:
        """Many at once: they go out together, and their answers come as ACK."""
        for number in range(100):
            self.client.produce(ORDERS, json.dumps({"import": number}), key=f"import_{number}", wait=False)


class Accounting(KafkaUser):
    """Reads the orders from their mirror on the target."""

    cluster = "target"
    fixed_count = 1
    wait_time = between(0.01, 0.05)

    def on_start(self) -> None:
        self.mirror = self.client.mirror(ORDERS)
        self.client.assign(self.mirror)

    @task
    def read(self) -> None:
        """Whatever has come; an order without a key is a failure."""
        with self.client.consume(self.mirror, most=500, timeout_s=5.0, catch_response=True) as orders:
            if any(order.key is None for order in orders):
                orders.failure("an order without a key")
