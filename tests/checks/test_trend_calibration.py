"""The tolerance on the lag's growth, on lags that labs recorded: what docs/criteria.md claims of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.verdict import Verdict
from scenarios.scenario import load
from tests.trend_calibration import DURATIONS_S, TOLERANCE, recorded, shares, table, verdict_of

CRITERIA = Path(__file__).resolve().parents[2] / "docs" / "criteria.md"
LAGS = recorded()


@pytest.mark.parametrize("run", LAGS["stable"])
def test_a_recorded_run_in_which_mm2_kept_up_is_go(run):
    assert verdict_of(LAGS["stable"][run]) is Verdict.GO


@pytest.mark.parametrize("run", LAGS["growing"])
def test_a_recorded_run_in_which_mm2_fell_behind_is_nogo(run):
    assert verdict_of(LAGS["growing"][run]) is Verdict.NOGO


@pytest.mark.parametrize("duration_s", DURATIONS_S)
def test_a_stable_lag_is_never_refused_and_twice_the_tolerance_never_passes(duration_s):
    assert shares(duration_s, 0.0, draws=100)[Verdict.NOGO] == 0
    assert shares(duration_s, 2 * TOLERANCE, draws=100)[Verdict.GO] == 0


def test_half_an_hour_decides_what_lies_off_the_tolerance():
    assert shares(1800, 0.5, draws=100)[Verdict.GO] == 100
    assert shares(1800, 2.0, draws=100)[Verdict.NOGO] == 100


def test_a_tenth_of_the_tolerance_cannot_be_told_from_nothing():
    assert {verdict_of(lag, tolerance=TOLERANCE / 10) for lag in LAGS["stable"].values()} != {Verdict.GO}


def test_the_page_has_the_table():
    assert table() in CRITERIA.read_text(encoding="utf-8"), "run: python -m tests.trend_calibration"


def test_the_tolerance_is_the_scenarios():
    (criterion,) = [one for one in load("phase2_nominal").scenario.criteria if one.measure == "backlog.growth"]
    assert (criterion.go.number, criterion.spec.unit) == (TOLERANCE, "records/s")
