"""A run whose canaries became of something else than in a healthy one: both crossed there, before the load."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from run_record.store import SEAL, sums
from tests.support.records import TOPIC


def with_canaries(directory: Path, *, in_time: int, arrived: int) -> None:
    """Of the two canaries of a synthetic run so many had crossed when the load began, and so many in the end."""
    record = directory / "record"
    missing = [{"topic": TOPIC, "partition": partition} for partition in range(arrived, 2)]
    ledger = json.loads((record / "ledger.json").read_text(encoding="utf-8"))
    ledger["canary"] = {"sent": 2, "acked": 2, "arrived": arrived, "missing": missing}
    (record / "ledger.json").write_text(json.dumps(ledger), encoding="utf-8")
    change_events(directory, lambda one: {**one, "arrived": in_time} if one["event"] == "canary" else one)


def change_events(directory: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Changes each event of a record, and seals it again if it was sealed."""
    record = directory / "record"
    events = [json.loads(line) for line in (record / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    (record / "events.jsonl").write_text("".join(json.dumps(change(one)) + "\n" for one in events), encoding="utf-8")
    if (record / SEAL).is_file():
        (record / SEAL).write_text(sums(record), encoding="utf-8")
