"""Profiles: F and F⁻¹ are inverse, due instants ascend inside the phase, and round plans give round counts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.errors import SpecError
from scenarios.plan import NS_PER_S, parse_rehearsal
from scenarios.profile import Profile, Segment, burst, nominal, ramp, soak, spike, steps
from tests.scenarios.examples import plan, with_phases

RATES = st.one_of(st.just(0.0), st.integers(1, 3000).map(float), st.floats(0.05, 3000))
SEGMENTS = st.builds(Segment, duration_s=st.floats(0.05, 30), from_per_s=RATES, to_per_s=RATES)
PROFILES = st.builds(Profile, segments=st.lists(SEGMENTS, min_size=1, max_size=4).map(tuple))


def all_due(profile: Profile) -> np.ndarray:
    return profile.due_s(np.arange(profile.record_count, dtype=np.int64))


def some_indices(profile: Profile) -> np.ndarray:
    count = profile.record_count
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, 300)).astype(np.int64))


@given(PROFILES)
def test_f_of_f_inverse_is_the_record(profile):
    indices = some_indices(profile)
    due = profile.due_s(indices)
    back = np.array([profile.records_by(at_s) for at_s in due.tolist()])
    assert np.allclose(back, indices, rtol=1e-9, atol=2e-6 * max(profile.peak_per_s, 1))


@given(PROFILES)
def test_due_instants_ascend_and_lie_inside_the_phase(profile):
    due = profile.due_s(some_indices(profile))
    assert (np.diff(due) >= 0).all()
    assert (due >= 0).all()
    assert (due <= profile.duration_s + 1e-9).all()


@given(PROFILES, st.integers(1, 7))
def test_senders_that_share_the_indices_add_up_to_the_plan(profile, senders):
    indices = some_indices(profile)
    whole = profile.due_s(indices)
    parts = np.concatenate([profile.due_s(indices[sender::senders]) for sender in range(senders)])
    assert np.array_equal(np.sort(parts), np.sort(whole))


@given(PROFILES)
def test_f_never_falls_and_ends_at_the_count(profile):
    at = np.linspace(-1, profile.duration_s + 1, 50)
    by = [profile.records_by(one) for one in at.tolist()]
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(by))
    assert by[0] == 0
    assert profile.record_count - 1 <= by[-1] + 2e-6 * max(1, by[-1]) <= profile.record_count + 1


@given(st.integers(1, 5000), st.integers(1, 3600))
def test_a_round_rate_for_a_round_time_gives_the_round_count(rate, seconds):
    assert nominal(rate_per_s=float(rate), duration_s=float(seconds)).record_count == rate * seconds


@given(st.integers(1, 5000), st.integers(1, 120), st.integers(1, 60))
def test_a_rehearsal_of_a_divisible_time_gives_the_round_count(rate, seconds, factor):
    scaled = with_phases(f"{{name: a, profile: nominal, rate: {rate}/s, duration: {seconds * factor}s}}")
    assert plan(scaled, rehearsal=f"1/{factor}").record_count == rate * seconds


def test_a_nominal_record_is_due_every_tenth_of_a_second():
    assert all_due(nominal(rate_per_s=10, duration_s=1)).tolist() == pytest.approx([k / 10 for k in range(10)])


def test_the_last_record_is_due_before_the_end_and_none_at_it():
    profile = nominal(rate_per_s=10, duration_s=10)
    assert profile.record_count == 100
    assert all_due(profile)[-1] == pytest.approx(9.9)


@pytest.mark.parametrize(
    ("profile", "count", "at", "by"),
    [
        (ramp(from_per_s=0, to_per_s=100, duration_s=10), 500, 5, 125),
        (ramp(from_per_s=100, to_per_s=0, duration_s=10), 500, 5, 375),
        (ramp(from_per_s=100, to_per_s=200, duration_s=10), 1500, 5, 625),
        (ramp(from_per_s=100, to_per_s=100, duration_s=10), 1000, 5, 500),
        (burst(base_per_s=10, peak_per_s=100, peak_start_s=5, peak_duration_s=2, duration_s=10), 280, 6, 150),
        (burst(base_per_s=0, peak_per_s=100, peak_start_s=5, peak_duration_s=2, duration_s=10), 200, 5, 0),
        (burst(base_per_s=10, peak_per_s=100, peak_start_s=0, peak_duration_s=10, duration_s=10), 1000, 5, 500),
        (burst(base_per_s=0, peak_per_s=10, peak_start_s=0, peak_duration_s=0.95, duration_s=10), 10, 5, 9.5),
    ],
)
def test_ramp_and_burst_arithmetic(profile, count, at, by):
    assert profile.record_count == count
    assert profile.records_by(at) == pytest.approx(by)
    assert len(all_due(profile)) == count


def test_the_rate_is_that_of_the_segment_and_nothing_outside():
    profile = burst(base_per_s=10, peak_per_s=100, peak_start_s=5, peak_duration_s=2, duration_s=10)
    assert [profile.records_per_s(at) for at in (-0.1, 0, 4.99, 5, 6.99, 7, 9.99, 10)] == [
        0,
        10,
        10,
        100,
        100,
        10,
        10,
        0,
    ]
    assert profile.peak_per_s == 100
    assert ramp(from_per_s=0, to_per_s=10, duration_s=10).records_per_s(5) == pytest.approx(5)


def test_records_of_a_peak_are_due_inside_it():
    profile = burst(base_per_s=1, peak_per_s=100, peak_start_s=5, peak_duration_s=2, duration_s=10)
    due = all_due(profile)
    assert ((due >= 5) & (due < 7)).sum() == 200


def test_a_hundred_million_records_keep_their_order_and_their_spacing():
    profile = nominal(rate_per_s=30_000, duration_s=3600)
    due = profile.due_s(np.arange(107_990_000, 108_000_000, dtype=np.int64))
    assert profile.record_count == 108_000_000
    assert np.allclose(np.diff(due), 1 / 30_000, rtol=1e-3)


# --- the plan of several phases --------------------------------------------------------------------------------------

THREE = with_phases(
    "{name: warm, profile: ramp, from_rate: 0/s, to_rate: 100/s, duration: 3s}",
    "{name: steady, profile: nominal, rate: 33/s, duration: 3.1s}",
    "{name: peak, profile: burst, base_rate: 7/s, peak_rate: 90/s, peak_start: 1s, peak_duration: 1s, duration: 3s}",
)


def test_phases_follow_one_another_in_time_and_in_records():
    loads = plan(THREE).loads
    assert [load.start_s for load in loads] == pytest.approx([0, 3, 6.1])
    assert [load.first_record for load in loads] == [0, 150, 253]
    assert [load.end_record for load in loads] == [150, 253, 357]


def test_due_instants_ascend_across_the_seams_of_phases():
    run = plan(THREE)
    due = np.concatenate([run.due_ns(load, np.arange(load.first_record, load.end_record)) for load in run.loads])
    assert (np.diff(due) >= 0).all()
    assert len(due) == run.record_count
    for load in run.loads:
        own = due[load.first_record : load.end_record]
        assert own[0] == round(load.start_s * NS_PER_S)
        assert own[-1] < round(load.end_s * NS_PER_S)


def test_wanted_records_run_on_over_the_phases():
    run = plan(THREE)
    assert run.records_by(-1) == 0
    assert run.records_by(3) == pytest.approx(150)
    assert run.records_by(1000) == pytest.approx(150 + 102.3 + 104)
    assert run.records_per_s(4) == pytest.approx(33)


def test_a_rehearsal_scales_the_load_and_nothing_else():
    run = plan(THREE, rehearsal="1/2")
    assert run.load_duration_s == pytest.approx(9.1 / 2)
    assert run.scenario.drain.cap == 20
    assert run.is_rehearsal
    assert [load.profile.peak_per_s for load in run.loads] == [100, 33, 90]


@pytest.mark.parametrize(
    ("text", "factor"), [("1", 1), ("1/30", 1 / 30), ("0.5", 0.5), (" 1/2 ", 0.5), ("1.0", 1), ("3/3", 1)]
)
def test_a_rehearsal_is_a_share(text, factor):
    assert float(parse_rehearsal(text)) == pytest.approx(factor)


@pytest.mark.parametrize(
    "text", ["0", "-1/2", "2", "31/30", "1/0", "", "a", "1/30x", "nan", "inf", "1e-999999999", "1/2/3", "½"]
)
def test_what_is_no_share_is_refused(text):
    with pytest.raises(SpecError, match="write it as in 1/30"):
        parse_rehearsal(text)


def test_one_is_no_rehearsal_however_it_is_written():
    assert not plan(rehearsal="3/3").is_rehearsal


# --- spikes, soaks and steps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "count", "at", "by"),
    [
        (spike(base_per_s=0, peak_per_s=100, start_s=0, rise_s=2, hold_s=6, fall_s=2, duration_s=10), 800, 5, 400),
        (spike(base_per_s=10, peak_per_s=110, start_s=2, rise_s=2, hold_s=0, fall_s=2, duration_s=10), 300, 4, 140),
        (spike(base_per_s=10, peak_per_s=100, start_s=5, rise_s=0, hold_s=2, fall_s=0, duration_s=10), 280, 6, 150),
        (soak(rate_per_s=100, rise_s=0, duration_s=10), 1000, 5, 500),
        (soak(rate_per_s=100, rise_s=4, duration_s=10), 800, 4, 200),
    ],
)
def test_spike_and_soak_arithmetic(profile, count, at, by):
    assert profile.record_count == count
    assert profile.records_by(at) == pytest.approx(by)
    due = all_due(profile)
    assert len(due) == count
    assert (np.diff(due) >= 0).all()


def test_a_spike_without_slopes_is_a_burst():
    square = spike(base_per_s=10, peak_per_s=100, start_s=5, rise_s=0, hold_s=2, fall_s=0, duration_s=10)
    assert square == burst(base_per_s=10, peak_per_s=100, peak_start_s=5, peak_duration_s=2, duration_s=10)


SPIKE = "{{name: a, profile: spike, base_rate: 1/s, peak_rate: 9/s, {}, duration: 3s}}"


def test_steps_are_a_profile_each():
    made = steps(rates_per_s=[10, 25], duration_s=4)
    assert [one.record_count for one in made] == [40, 100]
    assert [one.duration_s for one in made] == [4, 4]


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        (
            SPIKE.format("start: 1s, rise: 1s, hold: 1s, fall: 1s"),
            "ends after the phase's duration",
        ),
        (
            SPIKE.format("start: 1s, rise: 0s, hold: 0s, fall: 0s"),
            "a spike must last",
        ),
        ("{name: a, profile: soak, rate: 1/s, rise: 5s, duration: 5s}", "nothing of it would be steady"),
        ("{name: a, profile: steps, rates: [2/s, 1/s], duration: 5s, rest: 5s}", "rates must ascend"),
        ("{name: a, profile: steps, rates: [0/s, 1/s], duration: 5s, rest: 5s}", "rates must ascend, from above 0"),
    ],
)
def test_shape_that_cannot_be_is_refused(phase, said):
    with pytest.raises(SpecError, match=said):
        plan(with_phases(phase))


def test_staircase_is_the_only_load_of_its_scenario():
    other = "{name: warm, profile: nominal, rate: 1/s, duration: 5s}"
    with pytest.raises(SpecError, match="must be the only load of its scenario"):
        plan(with_phases(other, "{name: a, profile: steps, rates: [1/s], duration: 5s, rest: 5s}"))
