"""Since when: the first and the last instant at which a figure was beyond its limit; nothing where none shows it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from checks.case import Case
from run_record.store import RunRecord
from tests.support.phase2 import COUNTS, END_S, START_S, during, phase2_metrics, spoil, write_phase2
from tests.support.records import T0_S, Role, scenario_text, write_evidence


@pytest.fixture
def since_of(tmp_path):
    """criterion → its "since" of NOGO criteria."""

    def build(metrics=None, baseline=None, **settings):
        directory = write_phase2(tmp_path, **settings)
        if baseline is not None:
            (directory / "baseline.json").write_text(json.dumps(baseline))
        write_evidence(directory, metrics or phase2_metrics())
        record = RunRecord.open(directory)
        return Case.of(record, record.evidence()).since

    return build


def load_s(at_s):
    return at_s - T0_S - START_S


def test_a_lag_beyond_its_limit_is_dated_from_its_first_second_to_its_last(since_of):
    """Nothing arrives from second 20 on: after five more, 5000 are behind."""
    found = since_of(backlog=lambda at_s: 6000 if 20 < at_s <= 40 else 10)["check_lag_max"]
    assert (load_s(found.start_s), load_s(found.end_s)) == (25, 40)
    assert not found.lasting


def test_one_that_lasts_to_the_end_says_so(since_of):
    found = since_of(backlog=lambda at_s: 20_000 if at_s > 40 else 10)["t30_lag"]
    assert (load_s(found.start_s), load_s(found.end_s)) == (50, END_S - START_S)
    assert found.lasting


def test_a_growing_lag_is_dated_from_where_it_left_the_ground(since_of):
    found = since_of(backlog=lambda at_s: 10 + max(at_s - 30, 0) * 100)["lag_growth"]
    assert load_s(found.start_s) == 30
    assert found.lasting


def test_a_gauge_of_mm2_is_dated_by_its_scrapes(since_of):
    value = during(90.0)
    metrics = spoil(phase2_metrics(), Role.LATENCY_MAX, lambda at_s: 6000.0 if 101 < at_s < 111 else value(at_s))
    found = since_of(metrics, e2e_ms=[20.0] * 1999 + [9000.0])["latency_max"]
    assert (load_s(found.start_s), load_s(found.end_s)) == (34, 39)


ONE_LOST = replace(COUNTS, arrived=COUNTS.acked - 1, lost=1)


def test_lost_records_are_dated_by_their_places(since_of):
    found = since_of(counts=ONE_LOST, anomalies_from=0.5)["lost"]
    assert load_s(found.start_s) == pytest.approx(30, abs=1)
    assert found.about


def test_the_first_record_was_sent_when_the_load_began(since_of):
    assert load_s(since_of(counts=ONE_LOST)["lost"].start_s) == 0


@pytest.mark.parametrize(
    "conditions",
    [
        'go: "<= baseline + max(50 %, 50 ms)"',
        'go: "<= baseline + max(10 %, 10 ms)", nogo: "> baseline + max(50 %, 50 ms)"',
    ],
)
def test_a_peak_above_a_baseline_is_dated_by_its_scrapes(since_of, conditions):
    load = '{id: load, measure: load.achieved, go: "== 100 %"}'
    criterion = f"{{id: near, measure: mm2.latency_max, {conditions}}}"
    text = scenario_text((load, criterion), name="phase2_nominal")
    value = during(90.0)
    metrics = spoil(phase2_metrics(), Role.LATENCY_MAX, lambda at_s: 6000.0 if 101 < at_s < 111 else value(at_s))
    kept = {
        "run_id": "20270101T080000Z-phase1_smoke",
        "verdict": "GO",
        "aborted": False,
        "clusters": {"source": "source-id", "target": "target-id"},
        "versions": {"mm2gate": "0.1.0", "connect": "4.3.1"},
        "values": {"mm2.latency_max": 90.0},
    }
    found = since_of(metrics, baseline=kept, scenario=text, e2e_ms=[20.0] * 1999 + [9000.0])["near"]
    assert (load_s(found.start_s), load_s(found.end_s)) == (34, 39)
    assert not found.lasting


def test_what_is_go_is_since_never(since_of):
    assert since_of() == {}
