"""librdkafka's mock broker in a process of its own; prints its address, and lives until it is ended."""

from __future__ import annotations

import threading

from confluent_kafka import Producer


def main() -> None:
    """Serves for ever."""
    owner = Producer({"bootstrap.servers": "x:1", "test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = owner.list_topics(timeout=10).brokers.values()
    print(f"{broker.host}:{broker.port}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
