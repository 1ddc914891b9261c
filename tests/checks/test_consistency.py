"""What no equation may hold against a healthy record, however it was played."""

from __future__ import annotations

import json

import pytest

from checks.judge import judge_run
from run_record.store import SEAL, RunRecord, sums
from tests.support.records import scenario_text, write_evidence, write_run


def with_payload(text: str, payload: str) -> str:
    """A scenario of these payloads."""
    lines = [line for line in text.splitlines() if not line.startswith("payload:")]
    return "\n".join([*lines, f"payload: {payload}", ""])


@pytest.mark.parametrize(
    ("payload", "record_bytes"), [("{files: [order.json]}", 29_853), ("{bytes: 300B}", 300), ("[{files: ['*']}]", 7)]
)
def test_sizes_of_the_users_own_files_are_told_by_no_text(tmp_path, payload, record_bytes):
    text = with_payload(scenario_text(), payload)
    run = write_run(tmp_path, scenario=text)
    manifest = run / "record" / "manifest.json"
    content = json.loads(manifest.read_text(encoding="utf-8")) | {"record_bytes": record_bytes}
    manifest.write_text(json.dumps(content), encoding="utf-8")
    (run / "record" / SEAL).write_text(sums(run / "record"), encoding="utf-8")
    write_evidence(run)
    judgement = judge_run(run)
    assert judgement.case.run.contradictions == ()
    assert RunRecord.open(run).manifest.record_bytes == record_bytes
    assert judgement.verdict == "GO"
