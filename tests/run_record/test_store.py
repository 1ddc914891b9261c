"""The run directory: sealed once, refused when tampered with, and readable after SIGKILL at any instant."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from run_record.counts import Counts
from run_record.histogram import LatencyHistogram
from run_record.manifest import (
    ClockCheck,
    ClusterSeen,
    Ending,
    EnvironmentSeen,
    Manifest,
    PhasePlayed,
    ScenarioText,
    TopicPlayed,
    Worker,
)
from run_record.store import SEAL, RunRecord, RunWriter, new_run_id, read_lines, write_json
from run_record.timeline import LatencySummary, TimelineRow
from scenarios.errors import ExitCode, RunRecordError

RUN_ID = "20260301T100000Z-small"
ENDING = Ending(how="completed", aborted=False, at_ns=3000)
COUNTS = Counts(sent=2, acked=2, arrived=2)
LEDGER = {
    "totals": COUNTS.to_json(),
    "canary": {"sent": 0, "acked": 0, "arrived": 0, "missing": []},
    "phases": {"smoke": COUNTS.to_json()},
    "unattributed": Counts().to_json(),
    "streams": [],
    "read_refused": [],
    "lost_places": [],
    "last_errors": [],
    "unaccounted": [],
}


def manifest(**changes) -> Manifest:
    cluster = ClusterSeen(alias="source", cluster_id="AAAA", bootstrap_servers="127.0.0.1:1")
    content = {
        "run_id": RUN_ID,
        "started_at_ns": 1000,
        "scenario": ScenarioText(name="small", file="small.yaml", sha256="0" * 64, text="name: small\n"),
        "environment": EnvironmentSeen(
            name="desk", production=False, file="desk.yaml", text="name: desk\n", source=cluster, target=cluster
        ),
        "planned_records": 100,
        "record_bytes": 200,
        "topics": (TopicPlayed(source="mm2gate.a", remote="source.mm2gate.a", partitions=4),),
        "versions": {"python": "3.11"},
    }
    return Manifest(**(content | changes))


def row(second: int) -> TimelineRow:
    empty = LatencySummary(count=0)
    numbers = dict.fromkeys(("wanted", "sent", "acked", "failed", "unknown", "arrived", "duplicated"), second)
    return TimelineRow(
        at_ns=second,
        phase="smoke",
        wanted_per_s=10.0,
        **numbers,
        backlog=0,
        e2e=LatencySummary(count=3, p50_ms=1.0, max_ms=2.0),
        send_delay=empty,
        wall_step_ns=-5,
        workers=1,
    )


def sealed_run(runs: Path) -> Path:
    writer = RunWriter.create(runs, RUN_ID)
    writer.manifest(manifest(ending=ENDING, phases=(PhasePlayed(name="smoke", kind="load", start_ns=1, end_ns=2),)))
    writer.event("run_started", at_ns=1, run_id=writer.run_id)
    writer.timeline(row(1))
    writer.timeline(row(2))
    writer.ledger(LEDGER)
    histogram = LatencyHistogram()
    histogram.record_ns(np.array([1_000_000, 2_000_000]))
    writer.latency({"smoke": {"e2e": histogram}})
    writer.seal()
    return writer.directory


def test_a_sealed_run_is_read_back_as_it_was_written(tmp_path):
    record = RunRecord.open(sealed_run(tmp_path))
    assert record.sealed
    assert record.torn == ()
    assert record.manifest.ending == ENDING
    assert [event["event"] for event in record.events] == ["run_started"]
    assert record.timeline == (row(1), row(2))
    assert record.counts() == COUNTS
    assert record.counts("smoke") == COUNTS
    assert record.counts("nowhere") is None
    assert record.faults == ()
    assert record.latency["smoke"]["e2e"].count == 2
    assert record.evidence() is None


def test_the_seal_is_one_that_sha256sum_checks(tmp_path):
    directory = sealed_run(tmp_path) / "record"
    assert subprocess.run(["sha256sum", "-c", SEAL], cwd=directory, capture_output=True, check=False).returncode == 0
    named = {line.split("  ")[1] for line in (directory / SEAL).read_text().splitlines()}
    assert named == {"manifest.json", "events.jsonl", "timeline.jsonl", "ledger.json", "latency.json"}


def changed(directory: Path) -> None:
    path = directory / "ledger.json"
    path.write_text(path.read_text().replace('"sent": 2', '"sent": 3', 1))


def removed(directory: Path) -> None:
    (directory / "timeline.jsonl").unlink()


def added(directory: Path) -> None:
    (directory / "notes.txt").write_text("all was well")


def resummed(directory: Path) -> None:
    (directory / SEAL).write_text("")


@pytest.mark.parametrize(
    ("tamper", "named"),
    [(changed, "ledger.json"), (removed, "timeline.jsonl"), (added, "notes.txt"), (resummed, "manifest.json")],
)
def test_a_record_that_was_touched_after_its_seal_is_refused_by_name(tmp_path, tamper, named):
    directory = sealed_run(tmp_path)
    tamper(directory / "record")
    with pytest.raises(RunRecordError, match="changed since the record was sealed") as refusal:
        RunRecord.open(directory)
    assert named in str(refusal.value)
    assert refusal.value.exit_code == ExitCode.INTERNAL


def test_a_seal_is_final(tmp_path):
    writer = RunWriter.create(tmp_path, RUN_ID)
    writer.manifest(manifest())
    writer.event("run_started", at_ns=1, run_id=RUN_ID)
    writer.seal()
    writer.event("too_late", at_ns=2)
    writer.timeline(row(1))
    writer.seal()
    assert [event["event"] for event in RunRecord.open(writer.directory).events] == ["run_started"]


# --- a disk that is full ---------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk():
    """No file may grow beyond so many bytes: the kernel's own refusal, in the middle of a line too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(most_bytes: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_on_a_full_disk_what_was_written_stays_whole_and_the_sentence_says_what_to_do(tmp_path, small_disk):
    writer = RunWriter.create(tmp_path, RUN_ID)
    writer.manifest(manifest())
    for second in range(1, 4):
        writer.timeline(row(second))
    timeline = writer.directory / "record" / "timeline.jsonl"
    whole = timeline.read_bytes()
    small_disk(len(whole) + 10)
    with pytest.raises(
        RunRecordError, match=r"timeline.jsonl: .* cannot be written \(File too large\); make room"
    ) as said:
        writer.timeline(row(4))
    assert f"mm2gate judge {writer.directory}" in str(said.value)
    with pytest.raises(RunRecordError, match=r"manifest\.json"):
        writer.manifest(manifest())
    with pytest.raises(RunRecordError, match=r"verdict\.json: cannot be written \(File too large\)"):
        write_json(writer.directory / "verdict.json", {"long": "x" * 10_000})
    assert sorted(path.name for path in writer.directory.iterdir()) == ["record"], "not half a file"
    assert timeline.read_bytes() == whole, "not half a row"
    record = RunRecord.open(writer.directory)
    assert (len(record.timeline), record.torn) == (3, ())
    small_disk(10**6)
    writer.timeline(row(5))
    writer.event("run_ended", at_ns=1)
    writer.seal()
    record = RunRecord.open(writer.directory)
    assert record.sealed
    assert [one.at_ns for one in record.timeline] == [row(second).at_ns for second in (1, 2, 3, 5)]


def test_what_is_no_run_directory_is_refused(tmp_path):
    with pytest.raises(RunRecordError, match="not a run directory"):
        RunRecord.open(tmp_path)


@pytest.mark.parametrize("text", ["{", "{}", '{"schema": 3}', ""])
def test_a_manifest_that_cannot_be_read_is_one_sentence(tmp_path, text):
    (tmp_path / "record").mkdir()
    (tmp_path / "record" / "manifest.json").write_text(text)
    with pytest.raises(RunRecordError, match="not of this version"):
        RunRecord.open(tmp_path)


# --- killed ----------------------------------------------------------------------------------------------------------


def test_a_torn_last_line_is_dropped_and_said(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "a"}\n{"event": "b"}\n{"eve')
    assert read_lines(path) == ([{"event": "a"}, {"event": "b"}], True)
    path.write_text('{"event": "a"}\n')
    assert read_lines(path) == ([{"event": "a"}], False)
    assert read_lines(tmp_path / "none.jsonl") == ([], False)


def test_a_character_cut_in_two_is_a_torn_line_too(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event": "a"}\n' + '{"detail": "é'.encode()[:-1])
    assert read_lines(path) == ([{"event": "a"}], True)


def test_a_killed_run_has_its_phases_from_its_events(tmp_path):
    writer = RunWriter.create(tmp_path, RUN_ID)
    writer.manifest(manifest())
    for at_ns, name, kind in ((10, "canary", "canary"), (20, "smoke", "load"), (30, "drain", "drain")):
        writer.event("phase_started", at_ns=at_ns, phase=name, kind=kind, records=5, planned_s=1.5)
    writer.timeline(row(1))
    for stream in writer._streams.values():
        stream.close()
    with (writer.directory / "record" / "events.jsonl").open("a") as stream:
        stream.write('{"at_ns": 40, "event": "phase_sta')
    record = RunRecord.open(writer.directory)
    assert not record.sealed
    assert record.torn == ("events.jsonl",)
    assert [(p.name, p.start_ns, p.end_ns) for p in record.manifest.phases] == [
        ("canary", 10, 20),
        ("smoke", 20, 30),
        ("drain", 30, None),
    ]
    assert record.counts() is None
    assert record.latency == {}
    assert len(record.timeline) == 1


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from run_record.store import RunWriter
from tests.run_record.test_store import manifest, row, LEDGER
writer = RunWriter.create(Path(sys.argv[1]), "killed")
writer.manifest(manifest())
print("going", flush=True)
second = 0
while True:
    second += 1
    writer.event("phase_started", at_ns=second, phase=f"p{second}", kind="load", records=1, planned_s=1.0)
    writer.timeline(row(second))
    writer.manifest(manifest())
    writer.ledger(LEDGER)
"""


def test_a_writer_killed_at_any_instant_leaves_a_record_that_can_be_read(tmp_path):
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path)],
        cwd=root,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    try:
        assert process.stdout.readline() == b"going\n"
        while len(read_lines(tmp_path / "killed" / "record" / "events.jsonl")[0]) < 20:
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    record = RunRecord.open(tmp_path / "killed")
    assert not record.sealed
    assert len(record.manifest.phases) >= 20
    assert len(record.timeline) in (len(record.events), len(record.events) - 1, len(record.events) + 1)
    assert record.counts() == COUNTS


# --- where it lies ---------------------------------------------------------------------------------------------------


def test_runs_that_start_in_the_same_second_get_a_number(tmp_path):
    names = [RunWriter.create(tmp_path, RUN_ID).run_id for _ in range(3)]
    assert names == [RUN_ID, f"{RUN_ID}-2", f"{RUN_ID}-3"]


def test_a_run_is_named_by_its_instant_in_utc():
    paris = timezone(timedelta(hours=1))
    assert new_run_id("small", datetime(2026, 3, 1, 11, 0, 0, tzinfo=paris)) == RUN_ID
    assert new_run_id("small", datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)) == RUN_ID


def test_runs_go_where_directories_are_made_on_the_way(tmp_path):
    assert RunWriter.create(tmp_path / "a" / "b", RUN_ID).directory.is_dir()


@pytest.mark.parametrize("place", ["/proc/runs", "file"])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, place):
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(RunRecordError, match="choose another with --runs-dir"):
        RunWriter.create(Path(place) if place.startswith("/") else tmp_path / place, RUN_ID)


def test_only_sealed_evidence_counts_and_the_newest_wins(tmp_path):
    directory = sealed_run(tmp_path)
    for number, is_sealed in (("001", True), ("002", True), ("003", False), ("010x", True)):
        (directory / "evidence" / number).mkdir(parents=True)
        if is_sealed:
            (directory / "evidence" / number / SEAL).write_text("")
    assert RunRecord.open(directory).evidence() == directory / "evidence" / "002"


# --- manifest and timeline -------------------------------------------------------------------------------------------


def test_a_manifest_comes_back_whole():
    written = manifest(
        rehearsal="1/30",
        workers=(Worker(index=0, id="local", host="h", pid=1),),
        phases=(
            PhasePlayed(name="canary", kind="canary", planned_s=60.0, start_ns=1, end_ns=2),
            PhasePlayed(name="smoke", kind="load", records=100, planned_s=10.0, start_ns=2, end_ns=10**9 + 2),
        ),
        clock=ClockCheck(wall_minus_monotonic_start_ns=1, wall_minus_monotonic_end_ns=2, largest_step_ns=-1),
        ending=ENDING,
    )
    again = Manifest.model_validate_json(json.dumps(written.to_json()))
    assert again == written
    assert again.to_json()["schema"] == 2
    assert again.is_rehearsal
    assert again.phase("smoke").duration_s == 1
    assert again.phase("nowhere") is None
    assert [phase.name for phase in again.of_kind("load")] == ["smoke"]


def test_a_manifest_from_elsewhere_is_not_guessed_at():
    with pytest.raises(ValueError, match="extra"):
        Manifest.model_validate({**manifest().to_json(), "verdict": "GO"})


def test_a_timeline_row_comes_back_from_its_line():
    assert TimelineRow.from_line(json.dumps(row(3).to_json())) == row(3)
