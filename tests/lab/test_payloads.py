"""Payloads of every kind through MM2: each topic its own, in one run; and a size that the source does not take."""

from __future__ import annotations

import random
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from clients.kafka import client_configuration
from lab.accounts import LOAD
from lab.handles import Lab
from tests.lab.runs import Run

PARTITIONS = 3
RECORDS = 2400
SCENARIO = """\
name: payloads
question: Does every kind of payload come through?
topics: {name: "{prefix}payload-{n}", count: 4, partitions: 3}
payload: [{bytes: 100B}, {bytes: 10KB, types: [transaction]}, {files: ["files/*"]}, {bytes: 100KB}]
producer: {compression: zstd, linger: 5ms}
canary: {patience: 60s}
phases:
  - {name: mixed, profile: nominal, rate: 240/s, duration: 10s}
  - {name: drain, profile: drain, patience: 20s, cap: 60s}
criteria:
  - {id: load_achieved, measure: load.achieved, go: "== 100 %"}
  - {id: arrived, measure: ledger.arrived, go: "== plan records"}
  - {id: corrupted, measure: ledger.corrupted, go: "== 0 records"}
"""


def test_four_topics_with_payloads_of_their_own_are_exact(lab: Lab, tmp_path: Path) -> None:
    files = {"order.json": b'{"order": 1}\n', "blob": random.Random(1).randbytes(20_000), "x": b"x"}
    (tmp_path / "files").mkdir()
    for name, content in files.items():
        (tmp_path / "files" / name).write_bytes(content)
    scenario = tmp_path / "payloads.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    run = Run.start(str(scenario), lab, tmp_path / "runs")
    assert run.wait() == 0, run.output
    counted = {name: count for name, count in run.totals.items() if count}
    assert counted == {"sent": RECORDS, "acked": RECORDS, "arrived": RECORDS}
    # Not in the ledger's words only: what lies on the mirrors, read with another client.
    small, transactions, own, large = (mirror_of(lab, number) for number in range(1, 5))
    assert {len(value) for value, _ in small} == {100}
    assert {(len(value), b'"type":"transaction"' in value) for value, _ in transactions} == {(10_240, True)}
    assert {value for value, _ in own} == set(files.values())
    assert all(name == "mm2gate" and len(content) == 48 for _, ((name, content),) in own)
    assert {len(value) for value, _ in large} == {102_400}
    assert sum(map(len, (small, transactions, own, large))) == RECORDS + 4 * PARTITIONS, "and the canaries"


def test_a_payload_too_large_for_the_source_ends_the_run_before_the_load(lab: Lab, tmp_path: Path) -> None:
    scenario = tmp_path / "large.yaml"
    text = SCENARIO.replace("payload-{n}", "large-{n}").replace("count: 4", "count: 1").replace("240/s", "5/s")
    payload = next(line for line in text.splitlines() if line.startswith("payload:"))
    scenario.write_text(text.replace(payload, "payload: {bytes: 3MB}"), encoding="utf-8")
    run = Run.start(str(scenario), lab, tmp_path / "runs")
    assert run.wait() == 40, run.output
    assert "refuses records of up to 3,145,728 bytes" in run.output
    assert "Traceback" not in run.output


def mirror_of(lab: Lab, number: int) -> list[tuple[bytes, list[tuple[str, bytes]]]]:
    """Values and headers of all records of a mirror."""
    seen = lab.seen_by(LOAD)
    environment = seen.environment
    topic = environment.topics.remote(f"{environment.topics.prefix}payload-{number}")
    reader = Consumer(client_configuration(environment.target, seen, "look") | {"group.id": "mm2gate-look"})
    places = [TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)]
    ends = [reader.get_watermark_offsets(place, timeout=10)[1] for place in places]
    reader.assign(places)
    found: list[tuple[bytes, list[tuple[str, bytes]]]] = []
    while len(found) < sum(ends):
        for message in reader.consume(500, 1.0):
            assert message.error() is None, message.error()
            found.append((message.value() or b"", list(message.headers() or [])))
    reader.close()
    return found
