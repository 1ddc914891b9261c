"""The algebra of verdicts."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.verdict import Verdict, judge_at_least, judge_value, worst
from scenarios.conditions import parse_condition

GO, GREY, NOGO, INCONCLUSIVE, NOT_RUN = Verdict


def interval(text):
    return None if text is None else parse_condition(text).interval(unit="ms", plan_records=100)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], INCONCLUSIVE),
        ([GO], GO),
        ([GO, GREY], GREY),
        ([GREY, INCONCLUSIVE], INCONCLUSIVE),
        ([INCONCLUSIVE, NOGO], NOGO),
        ([GO, NOT_RUN], INCONCLUSIVE),
        ([NOT_RUN, NOGO], NOGO),
    ],
)
def test_worst(verdicts, expected):
    assert worst(verdicts) is expected


@given(st.lists(st.sampled_from(Verdict)), st.lists(st.sampled_from(Verdict)))
def test_adding_a_criterion_never_improves_the_verdict(some, more):
    rank = [GO, GREY, INCONCLUSIVE, NOGO].index
    if some:
        assert rank(worst(some + more)) >= rank(worst(some))


@pytest.mark.parametrize(
    ("value", "go", "nogo", "expected"),
    [
        (99.9, "< 100 ms", "> 500 ms", GO),
        (100.0, "< 100 ms", "> 500 ms", GREY),
        (500.0, "< 100 ms", "> 500 ms", GREY),
        (500.1, "< 100 ms", "> 500 ms", NOGO),
        (100.0, "< 100 ms", None, NOGO),
        (math.inf, "< 100 ms", "> 500 ms", NOGO),
        (math.nan, "< 100 ms", None, INCONCLUSIVE),
        (math.nan, "< 100 ms", "> 500 ms", INCONCLUSIVE),
    ],
)
def test_a_value_in_its_zone(value, go, nogo, expected):
    assert judge_value(value, interval(go), interval(nogo)) is expected


@pytest.mark.parametrize(
    ("least", "go", "nogo", "expected"),
    [
        pytest.param(100.0, ">= 100 ms", None, GO, id="more than enough, whatever is missing"),
        pytest.param(99.0, ">= 100 ms", None, INCONCLUSIVE, id="what is missing may be the rest"),
        pytest.param(0.0, "== 0 ms", None, INCONCLUSIVE, id="none seen is not none"),
        pytest.param(1.0, "== 0 ms", None, NOGO, id="one seen is one too many"),
        pytest.param(1.0, "< 100 ms", "> 500 ms", INCONCLUSIVE, id="could be anything"),
        pytest.param(501.0, "< 100 ms", "> 500 ms", NOGO, id="already too slow"),
        pytest.param(200.0, "< 100 ms", "> 500 ms", INCONCLUSIVE, id="grey or worse"),
        pytest.param(math.nan, ">= 100 ms", None, INCONCLUSIVE, id="NaN"),
    ],
)
def test_a_lower_bound_is_a_verdict_only_if_every_value_above_gives_the_same(least, go, nogo, expected):
    assert judge_at_least(least, interval(go), interval(nogo)) is expected


@given(st.floats(0, 1000), st.floats(0, 1000))
def test_a_lower_bound_never_contradicts_the_true_value(least, more):
    for go, nogo in product(["< 100 ms", ">= 100 ms", "== 0 ms", "50..60 ms"], [None]):
        judged = judge_at_least(least, interval(go), interval(nogo))
        if judged is not INCONCLUSIVE:
            assert judge_value(least + more, interval(go), interval(nogo)) is judged
