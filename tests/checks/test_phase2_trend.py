"""Stable or growing: the slope against a reference, the verdict on synthetic lags, the curve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from checks.chart import Mark, curve, round_above
from checks.judge import judge_run
from checks.reasons import Code
from checks.trend import BLOCKS, theil_sen, trend_of
from checks.verdict import Verdict, judge_interval
from scenarios.conditions import Interval
from tests.support.phase2 import COUNTS, phase2_metrics, stopped_after, write_phase2
from tests.support.records import stopped, write_evidence

EVEN_S = np.arange(10.0) * 5


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        # scipy 1.16, scipy.stats.theilslopes(y, x, 0.90)
        (EVEN_S, [40, 43, 38, 45, 44, 47, 43, 50, 49, 52], (0.25, 0.17142857142857143, 0.36666666666666664)),
        (EVEN_S, [40, 40, 40, 41, 40, 40, 39, 40, 41, 40], (0.0, 0.0, 0.0)),
        (
            EVEN_S + np.array([0, 1, 0, 2, 0, 1, 0, 0, 1, 0]),
            [12, 30, 25, 80, 95, 70, 130, 145, 160, 155],
            (3.6097560975609757, 2.727272727272727, 4.166666666666667),
        ),
    ],
)
def test_slope_and_interval_are_those_of_the_reference(x, y, expected):
    found = theil_sen(np.array(x, dtype=float), np.array(y, dtype=float))
    assert (found.value, found.low, found.high) == pytest.approx(expected)


def test_constant_lag_has_no_slope_and_no_doubt():
    found = theil_sen(EVEN_S, np.full(10, 7.0))
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_too_few_points_for_blocks_are_refused():
    with pytest.raises(ValueError, match="do not fill"):
        trend_of(np.arange(BLOCKS - 1.0), np.zeros(BLOCKS - 1))


def autocorrelated(count, *, seed, phi=0.8, spread=10.0, level=40.0):
    """Lag as it is: each second remembers the one before."""
    noise = np.random.default_rng(seed).normal(0, spread * np.sqrt(1 - phi**2), count)
    values = np.zeros(count)
    for i in range(1, count):
        values[i] = phi * values[i - 1] + noise[i]
    return np.maximum(level + values, 0)


def verdict_of(times_s, lag):
    return judge_interval(*trend_of(times_s, lag).interval, Interval(high=1.0, high_open=False), Interval(low=1.0))


class TestHalfAnHour:
    times_s = np.arange(1800.0)

    def test_a_stable_lag_is_go_however_it_remembers(self):
        found = [verdict_of(self.times_s, autocorrelated(1800, seed=seed, phi=0.95)) for seed in range(40)]
        assert set(found) == {Verdict.GO}

    def test_two_records_a_second_too_many_is_nogo(self):
        lag = autocorrelated(1800, seed=1) + 2 * self.times_s
        assert verdict_of(self.times_s, lag) is Verdict.NOGO

    def test_a_lag_that_doubles_within_the_tolerance_is_no_growth_that_matters(self):
        lag = autocorrelated(1800, seed=2) + 40 * self.times_s / 1800
        assert verdict_of(self.times_s, lag) is Verdict.GO

    def test_slope_at_the_tolerance_is_for_a_person(self):
        lag = autocorrelated(1800, seed=3, spread=200, level=2000) + 1.0 * self.times_s
        assert verdict_of(self.times_s, lag) is Verdict.GREY

    def test_signals_that_disagree_are_for_a_person(self):
        """Flat for most of the time, and then a step at the end: the slope says stable, the balance does not."""
        lag = np.where(self.times_s > 1500, 40 + 5000.0, 40.0)
        assert verdict_of(self.times_s, lag) is Verdict.GREY

    def test_peak_that_goes_away_is_no_trend(self):
        lag = autocorrelated(1800, seed=4)
        lag[600:630] += 4000
        assert verdict_of(self.times_s, lag) is Verdict.GO


@pytest.mark.parametrize(
    ("low", "high", "nogo", "verdict"),
    [
        (-1, 0.5, Interval(low=1), Verdict.GO),
        (1.1, 2, Interval(low=1), Verdict.NOGO),
        (0.5, 2, Interval(low=1), Verdict.GREY),
        (1.1, 2, None, Verdict.NOGO),
        (0.5, 2, None, Verdict.GREY),
        (float("nan"), 2, None, Verdict.INCONCLUSIVE),
    ],
)
def test_interval_is_judged_whole(low, high, nogo, verdict):
    assert judge_interval(low, high, Interval(high=1, high_open=False), nogo) is verdict


class TestInTheFiche:
    @pytest.fixture
    def judged(self, tmp_path):
        def build(backlog, **settings):
            directory = write_phase2(tmp_path, backlog=backlog, **settings)
            write_evidence(directory, phase2_metrics())
            result = judge_run(directory).evaluation.result("lag_growth")
            fiche = (directory / "fiche.md").read_text(encoding="utf-8").replace("\u00a0", " ").replace("\u202f", " ")
            return result, fiche

        return build

    def test_stable(self, judged):
        result, fiche = judged(lambda at_s: 40 + at_s % 7)
        assert result.verdict is Verdict.GO
        assert "Tendance du lag : **stable** | ≤ 1 enr./s" in fiche
        assert "T0        T+5min              T+15min                       T+30min" in fiche

    def test_growing(self, judged):
        result, fiche = judged(lambda at_s: 40 + 500 * at_s)
        assert (result.verdict, result.reason.code) == (Verdict.NOGO, Code.INTERVAL_IN_NOGO)
        assert result.measurement.value == pytest.approx(500)
        assert "Tendance du lag : **croissante**" in fiche

    def test_start_of_a_cold_mm2_is_no_trend(self, judged):
        result, _ = judged(lambda at_s: 3000 - 350 * at_s if at_s < 8 else 40)
        assert result.verdict is Verdict.GO

    def test_too_short_a_load_says_so(self, judged):
        counts = replace(COUNTS, sent=25_000, acked=25_000, arrived=25_000)
        result, fiche = judged(lambda _: 40, phases=stopped_after(25), counts=counts, ending=stopped(at_s=98))
        assert (result.verdict, result.reason.code) == (Verdict.INCONCLUSIVE, Code.TOO_FEW_SAMPLES)
        assert "Tendance du lag : **inconnue**" in fiche

    def test_interval_is_in_the_verdict_file(self, tmp_path):
        import json

        directory = write_phase2(tmp_path, backlog=lambda at_s: 500 * at_s)
        write_evidence(directory, phase2_metrics())
        judge_run(directory)
        content = json.loads((directory / "verdict.json").read_text(encoding="utf-8"))
        found = next(one for one in content["criteria"] if one["id"] == "lag_growth")
        assert found["interval"] == pytest.approx([500, 500])


class TestCurve:
    marks = (Mark(label="T0", at_s=0), Mark(label="T+30", at_s=60))

    def test_same_points_same_bytes_and_one_width(self):
        drawn = [curve(range(60), range(60), duration_s=60, marks=self.marks, least_top=10) for _ in range(2)]
        assert drawn[0] == drawn[1]
        assert max(len(line) for line in drawn[0].split("\n")[:-1]) <= 66
        assert drawn[0].split("\n")[-1].strip().startswith("T0")

    def test_growing_lag_climbs_and_a_small_one_lies_flat(self):
        steep = curve(range(60), [160 * n for n in range(60)], duration_s=60, marks=(), least_top=500)
        flat = curve(range(60), [5] * 60, duration_s=60, marks=(), least_top=500)
        assert steep.split("\n")[0].rstrip().endswith(("█", "▇", "▆", "▅", "▄", "▃", "▂", "▁"))
        assert steep.split("\n")[0].startswith("10000 │")
        assert "".join(flat.split("\n")[:7]).strip("50 │") == ""
        assert flat.split("\n")[7].endswith("▁" * 60)

    def test_no_seconds_leave_a_hole_not_a_zero(self):
        drawn = curve([0, 59], [10, 10], duration_s=60, marks=(), least_top=10)
        assert drawn.split("\n")[7].count("█") == 2

    @pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (7, 10), (500, 500), (501, 1000), (21_792, 30_000)])
    def test_scale_ends_at_a_round_number(self, value, top):
        assert round_above(value) == top
