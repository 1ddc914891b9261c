"""The scenario that our own runs play: one rate for some seconds, and nothing lost."""

from __future__ import annotations

from pathlib import Path

PARTITIONS = 12
RECORD_BYTES = 1000
#: What all clients of a comparison use, ours and the rivals'.
COMPRESSION, LINGER_MS, BATCH_BYTES = "lz4", 5, 65_536

_TEXT = """\
name: {name}
question: How many records per second can be sent, verified and accounted for?
topics: {{name: "{{prefix}}bench-ours-{{n}}", count: {topics}, partitions: {partitions}}}
payload: {{bytes: {record_bytes}B}}
producer: {{compression: {compression}, linger: {linger_ms}ms, batch: {batch_bytes}B, buffer: 256MiB}}
canary: {{patience: 30s}}
phases:
  - {{name: {phase}, profile: nominal, rate: {records_per_s}/s, duration: {duration_s}s}}
  - {{name: drain, profile: drain, patience: 20s, cap: 60s}}
criteria:
  - {{id: load_achieved, measure: load.achieved, go: "== 100 %"}}
  - {{id: arrived, measure: ledger.arrived, go: "== plan records"}}
  - {{id: lost, measure: ledger.lost, go: "== 0 records"}}
  - {{id: late, measure: ledger.late, go: "== 0 records"}}
  - {{id: duplicated, measure: ledger.duplicated, go: "== 0 records"}}
  - {{id: corrupted, measure: ledger.corrupted, go: "== 0 records"}}
"""
PHASE = "steady"


def text(name: str, *, records_per_s: int, duration_s: int, topics: int = 1, partitions: int = PARTITIONS) -> str:
    """The scenario's text."""
    return _TEXT.format(
        name=name,
        topics=topics,
        partitions=partitions,
        record_bytes=RECORD_BYTES,
        compression=COMPRESSION,
        linger_ms=LINGER_MS,
        batch_bytes=BATCH_BYTES,
        phase=PHASE,
        records_per_s=records_per_s,
        duration_s=duration_s,
    )


def write(directory: Path, name: str, *, records_per_s: int, duration_s: int, topics: int = 1) -> Path:
    """Its file."""
    file = directory / f"{name}.yaml"
    file.write_text(text(name, records_per_s=records_per_s, duration_s=duration_s, topics=topics), encoding="utf-8")
    return file
