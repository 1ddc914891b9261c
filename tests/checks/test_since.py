"""Since when: from the first instant of a figure's trouble to the last; nothing where none shows it."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.case import Case
from checks.evaluate import measured
from checks.measures import measure
from checks.since import since
from run_record.counts import Counts
from run_record.store import SEAL, RunRecord, sums
from tests.support.phase2 import (
    COUNTS,
    END_S,
    RECORDS,
    START_S,
    during,
    growing,
    phase2_metrics,
    spoil,
    write_phase2,
)
from tests.support.records import T0_NS, T0_S, Role, scenario_text, write_evidence


@pytest.fixture
def since_of(tmp_path):
    """criterion → its "since" of NOGO criteria. `rows` changes a row of the timeline."""
    number = count()

    def build(metrics=None, ledger=None, baseline=None, rows=None, each=False, **settings):
        directory = write_phase2(tmp_path / str(next(number)), **settings)
        if rows is not None:
            file = directory / "record" / "timeline.jsonl"
            lines = [rows(json.loads(line)) for line in file.read_text().splitlines()]
            file.write_text("".join(json.dumps(line) + "\n" for line in lines))
            (directory / "record" / SEAL).write_text(sums(directory / "record"))
        if ledger is not None:
            file = directory / "record" / "ledger.json"
            content = json.loads(file.read_text())
            ledger(content)
            file.write_text(json.dumps(content))
            (directory / "record" / SEAL).write_text(sums(directory / "record"))
        if baseline is not None:
            (directory / "baseline.json").write_text(json.dumps(baseline))
        write_evidence(directory, metrics or phase2_metrics())
        record = RunRecord.open(directory)
        case = Case.of(record, record.evidence())
        return dict(_each(case)) if each or rows is not None or ledger is not None else case.since

    return build


def _each(case):
    """Of a record that was changed and contradicts itself elsewhere: each criterion by itself, as it was measured."""
    for criterion in case.scenario.criteria:
        found = since(case.run, criterion, measured(case.run, criterion.measure, measure))
        if found is not None:
            yield criterion.id, found


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


LOAD = '{id: load, measure: load.achieved, go: "== 100 %"}'
QUICK = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
#: A constant small backlog is a live load's, and no trouble.
NORMAL = st.integers(0, 40)
ONSET = st.integers(6, 54)


def second_of(row):
    return (row["at_ns"] - T0_NS) / 1e9 - START_S


def one_criterion(text):
    return scenario_text((LOAD, f"{{id: judged, {text}}}"))


@pytest.mark.parametrize(
    "criterion",
    [
        'measure: ledger.backlog_max, go: "< 10 records"',
        'measure: ledger.backlog_max, go: "< 1000 records", nogo: "> 1500 records"',
        'measure: backlog.last, go: "== 0 records"',
        'measure: ledger.backlog_end, go: "== 0 records"',
    ],
)
@given(normal=NORMAL, onset=ONSET)
@QUICK
def test_a_backlog_is_dated_where_it_rose_and_not_where_the_load_began(since_of, criterion, normal, onset):
    def rows(row):
        at_s = second_of(row)
        behind = 0 if at_s <= 0 else normal if at_s < onset else 2000
        return {**row, "arrived": row["acked"] - behind, "backlog": behind}

    found = since_of(
        rows=rows,
        scenario=one_criterion(criterion),
        counts=Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS - 2000, late=2000),
        anomalies_from=onset / 60,
    )["judged"]
    assert abs(load_s(found.start_s) - onset) <= 2
    if not found.about:  # those that are missing were sent when the trouble began, and it lasted
        assert load_s(found.end_s) >= END_S - START_S - 1


@pytest.mark.parametrize("kind", ["late", "lost"])
@given(onset=ONSET)
@QUICK
def test_missing_records_are_dated_by_their_places_in_every_criterion_on_them(since_of, kind, onset):
    measures = ("ledger.backlog_end", "ledger.arrived", f"ledger.{kind}")
    wanted = ("== 0 records", "== plan records", "== 0 records")
    criteria = [f'{{id: c{k}, measure: {m}, go: "{w}"}}' for k, (m, w) in enumerate(zip(measures, wanted, strict=True))]
    missing = RECORDS - RECORDS * onset // 60

    def lose(content):
        for stream in content["streams"]:
            stream["counts"] = {**stream["counts"], "sent": 6000}
            stream["examples"] = {kind: [[6000 * onset // 60, 6000]]}

    found = since_of(
        ledger=lose,
        backlog=lambda at_s: 30,
        scenario=scenario_text((LOAD, *criteria)),
        counts=Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS - missing, **{kind: missing}),
    )
    assert len(found) == 3
    for one in found.values():
        assert abs(load_s(one.start_s) - onset) <= 2
        assert one.about


@pytest.mark.parametrize(
    ("criterion", "shown"),
    [
        ('measure: e2e.mean, go: "< 100 ms", nogo: "> 500 ms"', "p50_ms"),
        ('measure: e2e.p50, go: "< 100 ms"', "p50_ms"),
        ('measure: e2e.p99, go: "< 500 ms", nogo: "> 900 ms"', "p99_ms"),
        ('measure: e2e.p99, go: "< 500 ms"', "max_ms"),
        ('measure: e2e.max, go: "< 500 ms"', "max_ms"),
    ],
)
@given(normal=st.integers(5, 90), onset=ONSET)
@QUICK
def test_a_latency_is_dated_where_it_rose(since_of, criterion, shown, normal, onset):
    def rows(row):
        at_s = second_of(row)
        if not 0 < at_s <= 60:
            return row
        return {**row, "e2e": {"count": 1000, shown: normal if at_s < onset else 1000}}

    found = since_of(rows=rows, scenario=one_criterion(criterion), e2e_ms=[1000.0] * RECORDS)["judged"]
    assert abs(load_s(found.start_s) - onset) <= 2


def test_late_arrivals_are_dated_from_where_nothing_came_through(since_of):
    def rows(row):
        at_s = second_of(row)
        if not 0 < at_s <= 60:
            return row
        if 30 < at_s <= 40:
            return {**row, "e2e": {"count": 0}, "backlog": round(1000 * (at_s - 30))}
        return {**row, "e2e": {"count": 1000, "p99_ms": 9000.0 if 40 < at_s <= 42 else 30.0}, "backlog": 30}

    text = one_criterion('measure: e2e.p99, go: "< 500 ms"')
    found = since_of(rows=rows, scenario=text, e2e_ms=[1000.0] * RECORDS)["judged"]
    assert (load_s(found.start_s), load_s(found.end_s)) == (31, 42)


def test_duplicates_are_dated_where_they_came_and_not_from_there_to_the_end(since_of):
    def rows(row):
        at_s = second_of(row)
        return {**row, "duplicated": int(max(min(at_s - 20, 3), 0)) * 50}

    found = since_of(
        rows=rows,
        scenario=one_criterion('measure: ledger.duplicated, go: "== 0 records"'),
        counts=Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS, duplicated=150),
    )["judged"]
    assert (load_s(found.start_s), load_s(found.end_s)) == (21, 23)
    assert not found.lasting


def test_a_counter_that_stood_still_is_dated_by_the_last_scrape_that_saw_it_move(since_of):
    stopped = spoil(phase2_metrics(), Role.POLL_TOTAL, growing(60.0, RECORDS / 4, until_s=START_S + 30))
    text = one_criterion('measure: connect.poll_total, go: ">= plan records"')
    found = since_of(stopped, scenario=text, each=True)["judged"]
    assert 28 <= load_s(found.start_s) <= 36
    assert found.lasting
    slow = spoil(phase2_metrics(), Role.POLL_TOTAL, growing(60.0, RECORDS / 4))
    assert "judged" not in since_of(slow, scenario=text, each=True), "it moved all the time: no instant is its"


def test_a_backlog_that_did_not_recover_is_dated_from_where_it_outgrew_what_is_normal(since_of):
    def rows(row):
        at_s = second_of(row)
        behind = 40 if at_s < 40 else 3000 if at_s < 75 else 0
        return {**row, "arrived": row["acked"] - behind, "backlog": behind}

    text = one_criterion('measure: backlog.recovery, go: "< 5 s"')
    found = since_of(rows=rows, scenario=text)["judged"]
    assert (load_s(found.start_s), load_s(found.end_s)) == (40, 74)
    assert not found.lasting


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
