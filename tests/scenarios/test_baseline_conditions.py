"""Conditions on a baseline, on nothing, and on the plan; and what a file with a wrong field is told besides."""

from __future__ import annotations

import math

import pytest

from scenarios.conditions import parse_condition
from scenarios.errors import SpecError
from scenarios.scenario import load, parse_scenario
from tests.scenarios.examples import SCENARIO, plan

RELATIVE = "<= baseline + max(50 %, 20 ms)"


def criterion(line, text=SCENARIO):
    head = text[: text.index("criteria:")]
    return f"{head}criteria:\n  - {{id: a, {line}}}\n"


@pytest.mark.parametrize(("baseline_ms", "limit_ms"), [(0, 20), (10, 30), (40, 60), (100, 150), (1000, 1500)])
def test_value_is_worse_only_when_it_is_worse_by_share_and_by_slack(baseline_ms, limit_ms):
    interval = parse_condition(RELATIVE).interval(unit="ms", plan_records=1, baseline=baseline_ms)
    assert interval.holds(limit_ms)
    assert not interval.holds(limit_ms + 0.001)


def test_slack_is_in_its_own_unit():
    interval = parse_condition("< baseline + max(10 %, 2 s)").interval(unit="ms", plan_records=1, baseline=100)
    assert interval.high == 2100


def test_without_a_baseline_nothing_holds():
    interval = parse_condition(RELATIVE).interval(unit="ms", plan_records=1, baseline=math.nan)
    assert not interval.holds(0)


@pytest.mark.parametrize(
    "text", ["<= baseline", "<= baseline + 20 ms", "== baseline + max(5 %, 1 ms)", "<= baseline + max(5, 1 ms)"]
)
def test_a_share_alone_or_a_slack_alone_is_refused(text):
    with pytest.raises(ValueError, match="not a condition"):
        parse_condition(text)


def test_unit_of_the_slack_must_be_the_measures():
    with pytest.raises(SpecError, match=r"is in records, but e2e\.mean is measured in ms"):
        parse_scenario(criterion('measure: e2e.mean, go: "<= baseline + max(5 %, 1 records)"'), file="x")


def test_two_limits_on_a_baseline_that_overlap_anywhere_are_refused():
    apart = 'measure: e2e.mean, go: "<= baseline + max(50 %, 20 ms)", nogo: "> baseline + max(100 %, 50 ms)"'
    parse_scenario(criterion(apart), file="x")
    crossing = 'measure: e2e.mean, go: "<= baseline + max(50 %, 20 ms)", nogo: "> baseline + max(10 %, 50 ms)"'
    with pytest.raises(SpecError, match="overlap"):
        parse_scenario(criterion(crossing), file="x")


def test_never_is_for_nogo_only():
    parse_scenario(criterion('measure: e2e.mean, go: "< 5 ms", nogo: "never"'), file="x")
    with pytest.raises(SpecError, match="could never be met"):
        parse_scenario(criterion('measure: e2e.mean, go: "never"'), file="x")


def test_plan_and_a_literal_are_compared_at_the_plans_own_size():
    """The plan of the example has 100 records."""
    plan(criterion('measure: ledger.arrived, go: ">= plan records", nogo: "< 90 records"'))
    with pytest.raises(SpecError, match=r"a: of the plan's 100 records go .* and nogo '< 101 records' overlap"):
        plan(criterion('measure: ledger.arrived, go: ">= plan records", nogo: "< 101 records"'))
    # Rehearsed, the plan is smaller.
    with pytest.raises(SpecError, match="of the plan's 50 records"):
        plan(criterion('measure: ledger.arrived, go: ">= plan records", nogo: "< 90 records"'), rehearsal="1/2")


PHASE1 = load("phase1_smoke").text


def problems_of(text):
    with pytest.raises(SpecError) as caught:
        parse_scenario(text, file="x.yaml")
    return [problem.message for problem in caught.value.problems]


def test_fence_is_missed_even_where_another_field_is_wrong():
    """Pydantic asks how fields fit together only when all of them are right."""
    text = PHASE1.replace("duration: 66s", "duration: 6s").replace("runbook_phase: 1", "runbook_phase: 11")
    found = problems_of(text)
    assert any("must come first (it is 6s)" in message for message in found)
    assert any("less than or equal to 8" in message for message in found)


def test_fence_is_missed_even_where_a_criterion_is_wrong():
    text = PHASE1.replace("duration: 66s", "duration: 6s").replace(
        "measure: ledger.acked, go", "measure: ledger.akked, go"
    )
    found = problems_of(text)
    assert any("must come first (it is 6s)" in message for message in found)
    assert any("unknown measure 'ledger.akked'" in message for message in found)


def test_gauge_beside_a_criterion_is_fenced_too():
    found = problems_of(criterion('measure: e2e.mean, go: "< 5 ms", beside: mm2.latency_avg'))
    assert any(message.startswith("phases: a read MM2 gauges that look back 60 s") for message in found)


def test_steps_are_fenced_by_their_rests():
    text = load("phase4_ramp").text.replace("rest: 2min", "rest: 30s")
    assert any("a rest of at least 65s must part the steps (it is 30s)" in message for message in problems_of(text))


def test_phase_that_is_none_is_refused():
    found = problems_of(criterion('measure: e2e.mean, go: "< 5 ms", phase: smok'))
    assert found == ["criteria: a looks at 'smok', no load phase; there are smoke"]
