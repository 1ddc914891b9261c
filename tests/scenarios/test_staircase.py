"""A staircase: which step comes next, and which capacity the played ones prove."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.phases import Steps
from scenarios.staircase import capacity_of, next_step
from tests.scenarios.examples import plan, with_phases

RATES = (1000.0, 2500.0, 5000.0, 7500.0, 10_000.0)


def ladder(*, finer: int = 0, confirm: bool = True, rates=RATES, warm="0s"):
    content = {
        "name": "step",
        "profile": "steps",
        "rates": [f"{rate:g}/s" for rate in rates],
        "duration": "5min",
        "rest": "2min",
        "warm": warm,
        "finer": finer,
        "confirm": confirm,
    }
    return Steps.model_validate_json(json.dumps(content)).ladder()


def climb(steps, verdict_of):
    """Plays a staircase; `verdict_of` tells the verdict of a step. (names in order, verdicts)"""
    verdicts: dict[str, str] = {}
    while (step := next_step(steps, verdicts)) is not None:
        assert step.name not in verdicts, "a step is played once"
        verdicts[step.name] = verdict_of(step)
    return list(verdicts), verdicts


def carrying(limit: float):
    """A system that carries so many records/s."""
    return lambda step: "GO" if step.rate_per_s <= limit else "NOGO"


def test_first_failing_step_ends_the_ramp_and_the_best_is_played_again():
    names, verdicts = climb(ladder(), carrying(6000))
    assert names == ["step_1000", "step_2500", "step_5000", "step_7500", "step_5000_again"]
    found = capacity_of(ladder(), verdicts)
    assert (found.rate_per_s, found.refused.rate_per_s, found.confirmed) == (5000, 7500, True)


@pytest.mark.parametrize(
    ("limit", "capacity", "refused"),
    [(500, 0, 1000), (1000, 1000, 2500), (1800, 1000, 2500), (6000, 5000, 7500), (9999, 7500, 10_000)],
)
def test_capacity_lies_between_the_right_two_steps(limit, capacity, refused):
    found = capacity_of(ladder(), climb(ladder(), carrying(limit))[1])
    assert (found.rate_per_s, found.refused.rate_per_s) == (capacity, refused)


def test_nothing_is_refused_where_all_steps_are_go():
    names, verdicts = climb(ladder(), carrying(1e9))
    assert names[-1] == "step_10000_again"
    found = capacity_of(ladder(), verdicts)
    assert (found.rate_per_s, found.refused) == (10_000, None)


@pytest.mark.parametrize("verdict", ["NOGO", "INCONCLUSIVE", "NOT_RUN"])
def test_what_is_neither_go_nor_grey_ends_the_ramp(verdict):
    names, _ = climb(ladder(confirm=False), lambda step: verdict if step.rate_per_s == 2500 else "GO")
    assert names == ["step_1000", "step_2500"]


def test_grey_step_lets_the_ramp_go_on_and_bounds_the_capacity():
    names, verdicts = climb(ladder(), lambda step: "GREY" if step.rate_per_s == 5000 else "GO")
    assert "step_10000" in names
    assert capacity_of(ladder(), verdicts).rate_per_s == 2500


def test_step_that_is_not_go_again_is_no_capacity_and_the_next_lower_is_tried():
    def flaky(step):
        return "NOGO" if step.name in ("step_7500", "step_5000_again") else "GO"

    names, verdicts = climb(ladder(), flaky)
    assert names[-2:] == ["step_5000_again", "step_2500_again"]
    found = capacity_of(ladder(), verdicts)
    assert found.rate_per_s == 2500
    assert [step.name for step in found.unconfirmed] == ["step_5000"]


def test_steps_that_were_go_and_never_played_again_are_neither_confirmed_nor_refuted():
    verdicts = {"step_1000": "GO", "step_2500": "GO", "step_5000": "NOGO", "step_2500_again": "NOGO"}
    found = capacity_of(ladder(), verdicts)
    assert (found.rate_per_s, found.confirmed) == (0, False)
    assert [step.name for step in found.unconfirmed] == ["step_2500"]
    assert [step.name for step in found.unasked] == ["step_1000"]


def test_a_whole_climb_leaves_no_confirmation_out():
    for limit in (500, 1000, 6000, 1e9):
        assert capacity_of(ladder(), climb(ladder(), carrying(limit))[1]).unasked == ()


def test_staircase_that_does_not_confirm_leaves_none_out():
    verdicts = {"step_1000": "GO", "step_2500": "NOGO"}
    found = capacity_of(ladder(confirm=False), verdicts)
    assert (found.rate_per_s, found.unasked) == (1000, ())


def test_finer_search_halves_the_gap():
    names, verdicts = climb(ladder(finer=2), carrying(6300))
    assert names[4:] == ["step_6250", "step_6875", "step_6250_again"]
    found = capacity_of(ladder(finer=2), verdicts)
    assert (found.rate_per_s, found.refused.rate_per_s) == (6250, 6875)


def test_warm_up_comes_first_and_proves_nothing_either_way():
    names, verdicts = climb(ladder(warm="30s"), lambda step: "NOGO" if step.kind == "warm" else carrying(1800)(step))
    assert names == ["step_warm", "step_1000", "step_2500", "step_1000_again"]
    assert capacity_of(ladder(warm="30s"), verdicts).rate_per_s == 1000


def test_finer_steps_are_judged_like_the_step_above_them():
    by_name = {step.name: step for step in ladder(finer=1)}
    assert by_name["step_1750"].like == "step_2500"
    assert by_name["step_1750_again"].like == "step_2500"


@given(st.integers(0, 3), st.booleans(), st.dictionaries(st.integers(0, 40), st.sampled_from(["GO", "GREY", "NOGO"])))
def test_any_verdicts_come_to_an_end_and_never_prove_more_than_was_go(finer, confirm, odd):
    steps = ladder(finer=finer, confirm=confirm)
    _, verdicts = climb(steps, lambda step: odd.get(steps.index(step), "GO"))
    found = capacity_of(steps, verdicts)
    if found.step is not None:
        below = [s for s in steps if s.kind != "confirm" and s.rate_per_s <= found.rate_per_s and s.name in verdicts]
        assert all(verdicts[step.name] == "GO" for step in below)
        assert not confirm or verdicts[f"{found.step.name}_again"] == "GO"


# --- the plan of one --------------------------------------------------------------------------------------------------

STAIRS = with_phases("{name: step, profile: steps, rates: [10/s, 20/s, 40/s], duration: 60s, rest: 70s, finer: 1}")


def test_plan_expects_the_ramp_and_one_confirmation():
    run = plan(STAIRS)
    assert [load.name for load in run.expected] == ["step_10", "step_20", "step_40", "step_40_again"]
    assert run.record_count == 60 * (10 + 20 + 40 + 40)
    assert [load.start_s for load in run.expected] == [0, 130, 260, 390]
    assert run.load_duration_s == 4 * 130


def test_rehearsal_scales_steps_and_neither_rates_nor_rests():
    run = plan(STAIRS, rehearsal="1/6")
    assert run.record_count == 10 * (10 + 20 + 40 + 40)
    assert run.load_duration_s == 4 * 80


def test_warm_up_is_not_scaled():
    run = plan(STAIRS.replace("rest: 70s", "rest: 70s, warm: 30s"), rehearsal="1/6")
    assert [load.profile.duration_s for load in run.expected] == [30, 10, 10, 10, 10]
    assert run.expected[0].name == "step_warm"


def test_ceilings_are_asked_of_the_most_that_may_be_played():
    run = plan(STAIRS)
    assert run.most_records >= 60 * (10 + 20 + 40 + 30 + 40)
