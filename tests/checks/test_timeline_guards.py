"""The timeline must tell of what is looked at: two rows of a load say nothing of the rest."""

from __future__ import annotations

import json

import pytest

from checks.evidence import Evidence
from checks.measurement import Window
from checks.measures import Run, measure
from checks.reasons import Code
from checks.record_inputs import environment_of
from checks.windows import Windows
from run_record.store import SEAL, RunRecord, sums
from tests.support.phase2 import END_S, START_S, WATCHED_S, phase2_metrics, write_phase2
from tests.support.records import T0_NS, T0_S, write_evidence

LOAD = ("backlog.last", "backlog.growth", "arrivals.rate")
READERS = (*LOAD, "backlog.recovery", "ledger.backlog_max")
WHERE = "record/timeline.jsonl"


@pytest.fixture
def run_of(tmp_path):
    def build(keep=lambda _: True):
        directory = write_phase2(tmp_path, run_id=f"run-{len(list(tmp_path.iterdir()))}")
        path = directory / "record" / "timeline.jsonl"
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        kept = [row for row in rows if keep((row["at_ns"] - T0_NS) / 1e9)]
        path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        (directory / "record" / SEAL).write_text(sums(directory / "record"), encoding="utf-8")
        write_evidence(directory, phase2_metrics())
        record = RunRecord.open(directory)
        environment = environment_of(record.manifest).environment
        return Run(
            record=record,
            evidence=Evidence.open(record.evidence()),
            environment=environment,
            windows=Windows.of(record, environment),
        )

    return build


@pytest.mark.parametrize("name", READERS)
def test_a_whole_timeline_tells(run_of, name):
    assert measure(name, run_of()).value is not None


@pytest.mark.parametrize("name", ["backlog.last", "arrivals.rate", "ledger.backlog_max"])
def test_two_rows_of_a_load_are_not_enough(run_of, name):
    found = measure(name, run_of(lambda at_s: at_s in (START_S + 1, END_S)))
    assert (found.value, found.why_not.code, found.why_not.params["where"]) == (None, Code.LOW_COVERAGE, WHERE)


@pytest.mark.parametrize("name", [*LOAD, "ledger.backlog_max"])
@pytest.mark.parametrize(
    "gone",
    [(0, START_S + 20), (START_S + 20, START_S + 40), (END_S - 20, 1e9)],
    ids=["at the start", "in the middle", "at the end"],
)
def test_a_third_of_the_load_without_a_row_leaves_no_figure(run_of, name, gone):
    found = measure(name, run_of(lambda at_s: not gone[0] <= at_s <= gone[1]))
    assert (found.value, found.why_not.code) == (None, Code.LOW_COVERAGE)


def test_a_recovery_that_nobody_saw_is_none(run_of):
    found = measure("backlog.recovery", run_of(lambda at_s: at_s <= END_S + 2 or at_s >= WATCHED_S - 1))
    assert (found.value, found.why_not.code) == (None, Code.LOW_COVERAGE)


@pytest.mark.parametrize("name", LOAD)
@pytest.mark.parametrize(
    ("gone", "code"),
    [((START_S, START_S + 4), Code.STARTS_LATE), ((END_S - 4, END_S + 1), Code.STALE)],
)
def test_a_load_whose_edge_nobody_saw_leaves_no_figure(run_of, name, gone, code):
    found = measure(name, run_of(lambda at_s: not gone[0] <= at_s <= gone[1]))
    assert (found.value, found.why_not.code) == (None, code)


def test_a_row_that_is_missing_now_and_then_changes_nothing(run_of):
    spotty = run_of(lambda at_s: at_s % 20 != 7)
    assert [measure(name, spotty).value for name in READERS] == pytest.approx(
        [measure(name, run_of()).value for name in READERS]
    )


def test_a_long_hole_is_none_of_the_tenth_that_may_be_missing(run_of):
    """Twelve seconds of the two minutes from the load's start to the watch's end."""
    found = measure("ledger.backlog_max", run_of(lambda at_s: not START_S + 20 <= at_s < START_S + 31))
    assert (found.value, found.why_not.code, found.why_not.params["where"]) == (None, Code.HOLE, WHERE)


@pytest.mark.parametrize("name", ["e2e.p99", "ledger.backlog_max", "backlog.last"])
def test_a_stretch_must_be_told_of_by_itself(run_of, name):
    run = run_of(lambda at_s: not START_S + 12 <= at_s <= START_S + 18)
    stretch = Window(start_s=T0_S + START_S + 10, end_s=T0_S + START_S + 30)
    assert measure(name, run.over(stretch)).why_not.code is Code.LOW_COVERAGE


def test_no_row_at_all_is_no_crash(run_of):
    assert all(measure(name, run_of(lambda _: False)).value is None for name in READERS)
