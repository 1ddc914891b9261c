"""What MM2 polled and wrote, of all its topics: how many are ours, and what the two say of each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks.case import Case
from checks.metric_profiles import Role
from checks.reasons import Code
from run_record.store import RunRecord
from tests.support.records import (
    HEALTHY,
    LOAD_START_S,
    always,
    growing,
    healthy_metrics,
    spoil,
    write_evidence,
    write_run,
)


@pytest.fixture
def verdicts(tmp_path):
    def build(metrics, **settings):
        directory = write_run(tmp_path, **settings)
        write_evidence(directory, metrics)
        record = RunRecord.open(directory)
        return {one.criterion.id: one for one in Case.of(record, record.evidence()).evaluation.results}

    return build


def grown(by, *, roles=(Role.POLL_TOTAL, Role.WRITE_TOTAL), metrics=None):
    """The healthy metrics with other growths of both tasks together."""
    for role in roles:
        metrics = spoil(metrics or healthy_metrics(), role, growing(6.0, by / 2))
    return metrics


SILENT = replace(HEALTHY, arrived=0, late=100)
HALF = replace(HEALTHY, arrived=50, late=50)


# Others' traffic.


def test_what_others_brought_is_told(verdicts):
    found = verdicts(grown(160))["poll_total"]
    assert (found.verdict, found.measurement.value, found.reason.code) == ("GO", 160, Code.OURS_AMONG_OTHERS)
    assert (found.measurement.detail("ours"), found.measurement.detail("others_at_most")) == (100, 60)


@pytest.mark.parametrize("name", ["poll_total", "write_total"])
def test_somebody_elses_records_are_no_go(verdicts, name):
    """MM2 carries another topic: 120 records, and none of ours."""
    metrics = grown(120)
    for role in (Role.RECORD_COUNT, Role.BYTE_COUNT):
        metrics = spoil(metrics, role, always(1.0))
    found = verdicts(metrics, counts=SILENT)[name]
    assert (found.verdict, found.reason.code) == ("INCONCLUSIVE", Code.OURS_AMONG_OTHERS)
    assert (found.reason.params["total"], found.reason.params["ours"]) == (120, 0)


def test_half_ours_is_no_go(verdicts):
    metrics = spoil(grown(100), Role.RECORD_COUNT, growing(1.0, 25.0))
    metrics = spoil(metrics, Role.BYTE_COUNT, growing(1024.0, 25.0 * 1024))
    found = verdicts(metrics, counts=HALF)
    assert {found[name].verdict.value for name in ("poll_total", "write_total")} == {"INCONCLUSIVE"}


def test_fewer_than_planned_is_nogo_whoever_they_are(verdicts):
    found = verdicts(grown(90), counts=HALF)["poll_total"]
    assert (found.verdict, found.measurement.value) == ("NOGO", 90)


def test_what_mm2s_mirrors_counted_is_ours_too(verdicts):
    """All was written, and the half that we did not read is still counted by MM2 on our topics."""
    found = verdicts(grown(100), counts=HALF)
    assert {found[name].verdict.value for name in ("poll_total", "write_total")} == {"GO"}


def test_what_was_polled_and_not_written_is_told_by_its_bytes(verdicts):
    metrics = spoil(grown(100, roles=(Role.POLL_TOTAL,)), Role.RECORD_COUNT, always(1.0))
    found = verdicts(spoil(metrics, Role.WRITE_TOTAL, always(6.0)), counts=SILENT)
    assert (found["poll_total"].verdict, found["write_total"].verdict) == ("GO", "NOGO")


def test_a_duplicate_is_no_other_record(verdicts):
    """95 of 100 came, and 5 of them twice: 100 were polled and written, and that is not the plan."""
    counts = replace(HEALTHY, arrived=95, late=5, duplicated=5)
    metrics = spoil(grown(100), Role.RECORD_COUNT, growing(1.0, 47.0))
    found = verdicts(spoil(metrics, Role.BYTE_COUNT, growing(1024.0, 47.0 * 1024)), counts=counts)
    assert {found[name].verdict.value for name in ("poll_total", "write_total")} == {"INCONCLUSIVE"}


# Ratio.


def test_a_ratio_of_different_tasks_is_none(verdicts):
    """One task's polls and all tasks' writes make 401 %."""
    metrics = grown(100)
    metrics[Role.POLL_TOTAL] = [{**metrics[Role.POLL_TOTAL][0]}]
    found = verdicts(metrics)["replication_ratio"]
    assert (found.verdict, found.reason.code) == ("INCONCLUSIVE", Code.TASKS_MISSING)


def test_a_ratio_above_what_was_polled_and_in_flight_is_none(verdicts):
    metrics = grown(401, roles=(Role.WRITE_TOTAL,))
    found = verdicts(metrics)["replication_ratio"]
    assert (found.verdict, found.reason.code) == ("INCONCLUSIVE", Code.WRITTEN_EXCEEDS_POLLED)
    assert (found.reason.params["written"], found.reason.params["polled"]) == (400, 100)


def test_what_was_in_flight_before_may_be_written_on_top(verdicts):
    metrics = grown(120, roles=(Role.WRITE_TOTAL,))
    waiting = spoil(metrics, Role.ACTIVE_COUNT, lambda at_s: 10.0 if at_s <= LOAD_START_S else 0.0)
    found = verdicts(waiting)["replication_ratio"]
    assert (found.verdict, found.measurement.value) == ("GO", pytest.approx(120))


def test_a_hundredth_more_is_the_scrapes_own(verdicts):
    found = verdicts(grown(101, roles=(Role.WRITE_TOTAL,), metrics=grown(102, roles=(Role.POLL_TOTAL,))))
    assert found["replication_ratio"].measurement.value == pytest.approx(100, abs=2)
