"""The capacity that the verdicts on the steps prove: a figure, a lower bound with its reason, or nothing at all."""

from __future__ import annotations

import pytest

from checks.capacity import ladder_of, measured_capacity
from checks.reasons import Code, Reason
from checks.verdict import Verdict, judge_at_least, judge_value
from scenarios.scenario import load

RAMP = load("phase4_ramp").scenario
ALL = {f"step_{rate}": "GO" for rate in (1000, 2500, 5000, 7500, 10000)}


def capacity(verdicts: dict[str, str], name: str = "capacity.confirmed"):
    assert set(verdicts) <= {step.name for step in ladder_of(RAMP)}
    return measured_capacity(name, RAMP, {step: Verdict(verdict) for step, verdict in verdicts.items()})


def judged(verdicts: dict[str, str]) -> str:
    """The verdict on the ramp's own criterion."""
    (criterion,) = [one for one in RAMP.criteria if one.measure == "capacity.confirmed"]
    found = capacity(verdicts)
    judge = judge_at_least if found.at_least else judge_value
    go, nogo = (one.interval(unit=found.unit, plan_records=1) for one in (criterion.go, criterion.nogo))
    return judge(found.value, go, nogo).value


def test_it_is_the_highest_step_that_was_go_and_go_again():
    found = capacity({"step_1000": "GO", "step_2500": "GO", "step_5000": "NOGO", "step_2500_again": "GO"})
    assert (found.value, found.at_least, found.note) == (2500, False, None)
    assert (found.detail("confirmed"), found.detail("refused")) == (1, 5000)


def test_the_recommended_rate_leaves_thirty_percent():
    verdicts = {"step_1000": "GO", "step_2500": "NOGO", "step_1000_again": "GO"}
    assert capacity(verdicts, "capacity.recommended").value == pytest.approx(700)


def test_a_step_that_was_not_go_again_bounds_it():
    verdicts = {"step_1000": "GO", "step_2500": "GO", "step_5000": "NOGO"}
    found = capacity({**verdicts, "step_2500_again": "NOGO", "step_1000_again": "GO"})
    assert (found.value, found.at_least) == (1000, False)


def test_the_lowest_step_that_failed_and_one_that_failed_when_played_again_are_a_capacity_of_0():
    for verdicts in ({"step_1000": "NOGO"}, {"step_1000": "GO", "step_2500": "NOGO", "step_1000_again": "NOGO"}):
        found = capacity(verdicts)
        assert (found.value, found.at_least, judged(verdicts)) == (0, False, "NOGO")


@pytest.mark.parametrize(
    ("verdicts", "value", "step"),
    [
        # It ended in the rest before the confirmation.
        ({"step_1000": "GO", "step_2500": "NOGO"}, 0, "step_1000"),
        ({"step_1000": "GO", "step_2500": "GO", "step_5000": "NOGO"}, 0, "step_2500"),
        (ALL, 0, "step_10000"),
        # 2500/s looked GO while the ramp was climbed, so that 2500/s was what was played again; it was GREY in the end.
        (
            {"step_1000": "GO", "step_2500": "GREY", "step_5000": "NOGO", "step_2500_again": "GO"},
            0,
            "step_1000",
        ),
        # 2500/s looked GREY, and was GO in the end.
        (
            {"step_1000": "GO", "step_2500": "GO", "step_5000": "NOGO", "step_1000_again": "GO"},
            1000,
            "step_2500",
        ),
        # The first confirmation failed, and it ended before the next.
        (
            {"step_1000": "GO", "step_2500": "GO", "step_5000": "NOGO", "step_2500_again": "NOGO"},
            0,
            "step_1000",
        ),
    ],
)
def test_a_step_that_was_go_and_was_never_played_again_makes_it_a_lower_bound_and_no_nogo(verdicts, value, step):
    found = capacity(verdicts)
    assert (found.value, found.at_least) == (value, True)
    assert found.note == Reason.of(Code.STEP_NOT_CONFIRMED, step=step)
    assert judged(verdicts) == "INCONCLUSIVE"


def test_it_is_a_lower_bound_where_every_step_was_go_and_where_the_step_above_could_not_be_judged():
    found = capacity({**ALL, "step_10000_again": "GO"})
    assert (found.value, found.at_least, found.note.code) == (10_000, True, Code.ALL_STEPS_GO)
    found = capacity({"step_1000": "GO", "step_2500": "INCONCLUSIVE", "step_1000_again": "GO"})
    assert (found.value, found.at_least, found.note.code) == (1000, True, Code.STEP_UNKNOWN)


def test_a_confirmation_that_could_not_be_judged_makes_it_a_lower_bound():
    verdicts = {"step_1000": "GO", "step_2500": "NOGO", "step_1000_again": "INCONCLUSIVE"}
    found = capacity(verdicts)
    assert (found.value, found.at_least, found.note) == (
        0,
        True,
        Reason.of(Code.STEP_UNKNOWN, step="step_1000_again"),
    )
    assert judged(verdicts) == "INCONCLUSIVE"


@pytest.mark.parametrize("verdicts", [{}, {"step_1000": "INCONCLUSIVE"}])
def test_nothing_judged_is_no_capacity(verdicts):
    found = capacity(verdicts)
    assert (found.value, found.why_not.code) == (None, Code.NO_STEP_JUDGED)
