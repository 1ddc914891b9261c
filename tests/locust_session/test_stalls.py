"""A process that stood still: it knows how long, tells it once, and is no less patient for it."""

from __future__ import annotations

import gevent
import pytest
from gevent.monkey import get_original
from hypothesis import given
from hypothesis import strategies as st

from locust_session.stalls import LOOK_EVERY_S, STALL_S, Stall, Watch

NS_PER_S = 10**9


class Monotonic:
    """A monotonic clock that is turned by hand."""

    def __init__(self) -> None:
        self.ns = 5 * NS_PER_S

    def __call__(self) -> int:
        return self.ns

    def turn(self, seconds: float) -> None:
        self.ns += round(seconds * NS_PER_S)


@pytest.fixture
def clock():
    return Monotonic()


def test_a_freeze_is_told_once_with_its_length_when_it_is_over(clock):
    told: list[Stall] = []
    watch = Watch(told.append, monotonic_ns=clock)
    for step_s in (0.1, 0.1, 6.0, 0.1, 0.1):
        clock.turn(step_s)
        watch.ran_ns()
    (stall,) = told
    assert stall.lasted_s == 6.0
    assert stall.from_ns == round(5.2 * NS_PER_S)


def test_what_a_busy_machine_does_all_the_time_is_no_stall(clock):
    told: list[Stall] = []
    watch = Watch(told.append, monotonic_ns=clock)
    before_ns = watch.ran_ns()
    for _ in range(50):
        clock.turn(LOOK_EVERY_S + STALL_S - 0.01)
        watch.ran_ns()
    assert told == []
    assert watch.ran_ns() - before_ns == clock.ns - 5 * NS_PER_S


@given(st.lists(st.floats(min_value=0.001, max_value=100), max_size=30))
def test_the_time_that_the_process_ran_and_the_time_that_it_stood_still_make_up_all_of_it(steps_s):
    clock, told = Monotonic(), []
    watch = Watch(told.append, monotonic_ns=clock)
    began_ns, ran_before_ns = clock.ns, watch.ran_ns()
    for step_s in steps_s:
        clock.turn(step_s)
        watch.ran_ns()
    look_ns = round(LOOK_EVERY_S * NS_PER_S)
    stood_ns = sum(stall.to_ns - stall.from_ns - look_ns for stall in told)
    assert watch.ran_ns() - ran_before_ns + stood_ns == clock.ns - began_ns
    assert len(told) == sum(step_s >= LOOK_EVERY_S + STALL_S for step_s in (round(s * 1e9) / 1e9 for s in steps_s))


def test_who_waits_here_has_his_patience_after_the_freeze_too(clock):
    watch = Watch(monotonic_ns=clock)
    asked = []

    def condition() -> bool:
        asked.append(clock.ns)
        clock.turn(60.0 if len(asked) == 2 else 0.1)  # stood still while it waited
        return len(asked) == 8

    assert watch.until(condition, 1.0, every_s=0.0001)


def test_who_waits_for_what_does_not_come_gives_up_in_time(clock):
    watch = Watch(monotonic_ns=clock)
    began_ns = clock.ns
    assert not watch.until(lambda: clock.turn(0.1), 1.0, every_s=0.0001)
    assert (clock.ns - began_ns) / NS_PER_S == pytest.approx(1.0, abs=0.3)
    assert not watch.until(lambda: False, None, every_s=0.0001, unless=lambda: True)


def test_a_watch_that_is_kept_sees_a_freeze_of_the_real_clock(monkeypatch):
    monkeypatch.setattr("locust_session.stalls.STALL_S", 0.2)
    told: list[Stall] = []
    keeper = gevent.spawn(Watch(told.append).keep)
    gevent.sleep(0.15)
    get_original("time", "sleep")(0.6)  # nothing else runs meanwhile
    gevent.sleep(0.15)
    keeper.kill()
    assert any(0.5 < stall.lasted_s < 5 for stall in told)
