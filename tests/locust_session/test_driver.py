"""What steps a load: one that failed is left alone, and a process that lives on keeps nothing of a run."""

from __future__ import annotations

import gc
import time
import weakref

import gevent
import pytest

from locust_session.driver import LEAST_PAUSE_S, drive


@pytest.fixture(autouse=True)
def _thawed():
    yield
    gc.unfreeze()


class Load:
    """In a reference cycle, as an engine is; breaks at a step, if it is told at which."""

    step_every_s = 0.002

    def __init__(self, breaks_at: int = 0) -> None:
        self.itself = self
        self.breaks_at = breaks_at
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.breaks_at:
            raise RuntimeError("boom")


def driven_for_a_while(load) -> float:
    """How long, in seconds, from its first step on."""
    driver = gevent.spawn(drive, load)
    with gevent.Timeout(5):
        while not load.steps:
            gevent.sleep(0.001)
    began_s = time.monotonic()
    with gevent.Timeout(10):
        while load.steps <= 5:
            gevent.sleep(0.01)
    driver.kill()
    return time.monotonic() - began_s


def test_a_load_is_stepped_as_often_as_it_asks():
    load = Load()
    lasted_s = driven_for_a_while(load)
    assert 5 < load.steps <= lasted_s / load.step_every_s + 2


def test_a_load_that_failed_is_not_stepped_again():
    load = Load(breaks_at=2)
    with pytest.raises(RuntimeError, match="boom"):
        drive(load)
    assert load.steps == 2


def test_a_load_that_is_always_due_leaves_others_their_turn():
    load = Load()
    load.step_every_s = 0.0
    lasted_s = driven_for_a_while(load)
    assert load.steps <= lasted_s / LEAST_PAUSE_S + 2


def test_a_run_frees_what_the_run_before_it_left_in_memory():
    first = Load()
    gone = weakref.ref(first)
    driven_for_a_while(first)
    del first
    driven_for_a_while(Load())
    assert gone() is None
