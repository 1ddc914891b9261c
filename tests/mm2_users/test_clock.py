"""A wall clock that is set while a run goes on: latencies, pace and phases do not move; the record says what it did.

The step is put into the clock's source: `time.time` and `time.time_ns` of the whole process, or the master's own.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from locust_session.moments import MasterClock
from tests.locust_session.fakes import Stage, quick_plan
from tests.mm2_users.copier import Bench, Mock, small_plan, totals
from tests.mm2_users.memory import histogram_of

LOAD_S = 0.8


class Wall:
    """A wall clock that somebody sets."""

    def __init__(self) -> None:
        self.step_ns = 0
        self._time_ns = time.time_ns

    def time_ns(self) -> int:
        return self._time_ns() + self.step_ns

    def time(self) -> float:
        return self.time_ns() / 1e9


@pytest.fixture
def wall(monkeypatch):
    made = Wall()
    monkeypatch.setattr(time, "time_ns", made.time_ns)
    monkeypatch.setattr(time, "time", made.time)
    return made


@pytest.mark.parametrize("step_s", [5, -5])
def test_a_wall_clock_set_in_mid_load_moves_no_latency_and_no_record(wall, step_s):
    source, target = Mock(), Mock()
    made = Bench(small_plan(source, target, records=400, per_s=int(400 / LOAD_S)), real_clock=True)
    made.canaries()
    (engine,) = made.engines
    start_ns = time.monotonic_ns()
    engine.start(start_ns)
    made.pump(lambda: engine._sent >= 200, "the first half")
    wall.step_ns = step_s * 10**9
    made.pump(lambda: engine._pacer.done and not engine._outstanding, "the load")
    took_ms = (time.monotonic_ns() - start_ns) / 1e6
    assert took_ms == pytest.approx(1000 * LOAD_S, abs=2500), "the plan's pace, on the clock that nobody can set"
    made.arrivals(missing=0)
    took_ms = (time.monotonic_ns() - start_ns) / 1e6
    (account,) = made.finish()
    assert totals([account]).arrived == 400
    for kind in ("e2e", "e2e_from_sent", "send_delay", "ack"):
        histogram = histogram_of(account, kind)
        assert (histogram.count, histogram.negative) == (400, 0)
        # 5 s more or less would stand out of a run that took less than that.
        assert 0 <= histogram.max_ms < took_ms < 4000, kind


@pytest.mark.parametrize("step_s", [5, -5])
def test_a_wall_clock_set_in_mid_load_bends_no_phase_and_is_in_the_record(tmp_path, step_s):
    made, wall = quick_plan(load_s=2.5), Wall()
    played = Stage(tmp_path, made, clock=MasterClock(wall_ns=wall.time_ns))

    def step() -> None:
        wall.step_ns = step_s * 10**9

    record = played.play(played.when("two", step))
    assert record.manifest.ending.how == "completed"
    step_ns = pytest.approx(step_s * 10**9, abs=20_000_000)
    assert record.manifest.clock.largest_step_ns == step_ns
    for name, load in zip(("one", "two"), made.loads, strict=True):
        planned_s = load.profile.duration_s
        assert record.manifest.phase(name).duration_s == pytest.approx(planned_s, abs=1)
    ats_ns = [row.at_ns for row in record.timeline]
    assert all(0 < apart_ns < 3e9 for apart_ns in np.diff(ats_ns)), "rows a second apart, through the step"
    assert record.timeline[0].wall_step_ns == pytest.approx(0, abs=20_000_000)
    assert record.timeline[-1].wall_step_ns == step_ns
