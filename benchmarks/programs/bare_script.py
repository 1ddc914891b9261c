"""The bare minimum that still measures a mirror: one producer, one consumer, a timestamp in each value.

No ledger, no Locust, no check of what the value holds; latencies in a list. What anybody would write in an hour who
knows confluent-kafka well.
"""

from __future__ import annotations

import argparse
import itertools
import json
import struct
import time

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from benchmarks.programs.common import bodies, client_settings, producer_settings

STAMP = struct.Struct("<d")
READY_WITHIN_S = 60.0
DRAIN_S = 10.0
TICK_S = 0.001


class Script:
    """Sends at a rate and reads the mirror back, in one thread."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.producer = Producer(producer_settings(options.compression, options.linger_ms, options.batch_bytes))
        self.consumer = Consumer(client_settings("target") | {"group.id": "mm2gate-bare", "enable.auto.commit": False})
        self.acked = self.failed = 0
        self.latencies_s: list[float] = []
        self.bodies = bodies(options.record_bytes, STAMP.size)

    def delivered(self, error: KafkaError | None, _: Message) -> None:
        """Of every record."""
        if error is None:
            self.acked += 1
        else:
            self.failed += 1

    def wait_for_the_mirror(self) -> None:
        """One record to each partition, until all are there."""
        partitions = range(self.options.partitions)
        self.consumer.assign([TopicPartition(self.options.mirror, number, -1) for number in partitions])
        deadline_s, seen = time.monotonic() + READY_WITHIN_S, set[int | None]()
        while len(seen) < self.options.partitions:
            for number in set(partitions) - seen:
                self.producer.produce(self.options.topic, b"ready?", partition=number)
            self.producer.poll(0)
            until_s = time.monotonic() + 1
            while time.monotonic() < until_s:
                seen |= {one.partition() for one in self.consumer.consume(100, 0.1) if one.error() is None}
            if time.monotonic() > deadline_s:
                raise SystemExit(f"no mirror of {self.options.topic} within {READY_WITHIN_S:g} s")
        self.producer.flush()
        while self.consumer.consume(1000, 0.5):
            pass

    def play(self) -> None:
        """The load, then what is still under way."""
        options = self.options
        total, sent = options.rate * options.duration_s, 0
        targets = itertools.cycle(range(options.partitions))
        values = itertools.cycle(self.bodies)
        keys = itertools.cycle([b"key_%d" % number for number in range(1, 1001)])
        produce, poll, topic, pack = self.producer.produce, self.producer.poll, options.topic, STAMP.pack
        started_s, offset_s = time.monotonic(), time.time() - time.monotonic()
        while sent < total:
            now_s = time.monotonic()
            due = min(int((now_s - started_s) * options.rate), total)
            while sent < due:
                produce(topic, pack(now_s) + next(values), next(keys), next(targets), on_delivery=self.delivered)
                sent += 1
            poll(0)
            self.read()
            time.sleep(TICK_S)
        ended_s = time.monotonic()
        self.producer.flush(DRAIN_S)
        while len(self.latencies_s) < total and time.monotonic() < ended_s + DRAIN_S:
            self.read()
            time.sleep(TICK_S)
        latencies_s = sorted(self.latencies_s)
        report = {
            "end_s": ended_s + offset_s,
            "records_per_s": sent / (ended_s - started_s),
            "acked": self.acked,
            "arrived": len(latencies_s),
            "e2e_p50_ms": latencies_s[len(latencies_s) // 2] * 1000,
            "e2e_p99_ms": latencies_s[len(latencies_s) * 99 // 100] * 1000,
        }
        print(json.dumps(report))

    def read(self) -> None:
        """What has arrived, and how old it is."""
        messages = self.consumer.consume(2000, 0)
        now_s = time.monotonic()
        for message in messages:
            value = message.value()
            if value is not None:
                self.latencies_s.append(now_s - STAMP.unpack_from(value)[0])


def main() -> None:
    """Plays the options of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--topic", required=True)
    parser.add_argument("--mirror", required=True)
    for number in ("partitions", "rate", "duration-s", "record-bytes", "linger-ms", "batch-bytes"):
        parser.add_argument(f"--{number}", type=int, required=True)
    parser.add_argument("--compression", required=True)
    script = Script(parser.parse_args())
    script.wait_for_the_mirror()
    script.play()
    script.consumer.close()


if __name__ == "__main__":
    main()
