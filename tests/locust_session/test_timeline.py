"""The timeline: nodes' counts are summed, their histograms merged, and a drain believes fresh news only."""

from __future__ import annotations

import time

import numpy as np

from locust_session.load import Second
from locust_session.moments import MasterClock
from locust_session.timeline import LATER_S, NodeStates, summary
from run_record.histogram import LatencyHistogram


def second(*milliseconds, **more) -> Second:
    histogram = LatencyHistogram()
    histogram.record_ns(np.array(milliseconds, dtype=np.int64) * 1_000_000)
    return Second(e2e=histogram.to_json(), **more)


def test_counts_are_those_of_the_latest_second_of_each_node():
    states = NodeStates()
    states.take("a", Second(sent=1))
    states.take("a", Second(sent=5))
    states.take("b", Second(sent=7))
    assert states.total("sent") == 12


def test_a_flag_is_set_when_it_is_set_on_every_node_and_never_without_one():
    states = NodeStates()
    assert not states.all("all_sent")
    states.take("a", Second(all_sent=True))
    states.take("b", Second())
    assert not states.all("all_sent")
    states.take("b", Second(all_sent=True))
    assert states.all("all_sent")


def test_a_lost_node_keeps_its_counts_and_is_not_waited_for():
    states = NodeStates()
    states.take("a", Second(sent=3, missing=2, all_sent=False, quiet=False))
    states.take("b", Second(sent=4, all_sent=True))
    states.gone.add("a")
    states.take("b", Second(sent=4, all_sent=True))
    states.take("b", Second(sent=4, all_sent=True))
    assert states.total("sent") == 7
    assert states.all("all_sent")
    assert states.settled


def test_what_several_nodes_saw_happen_happened_once_and_is_told_once():
    states = NodeStates()
    gone = {"event": "topic_changed", "side": "target", "topic": "t", "what": "gone"}
    states.take("a", Second(notes=(gone,)))
    states.take("b", Second(notes=(dict(gone), {**gone, "topic": "u"})))
    assert states.take_notes() == [gone, {**gone, "topic": "u"}]
    states.take("a", Second(notes=(gone,)))
    assert states.take_notes() == []


def test_settled_believes_only_the_second_report_after_the_mark():
    states = NodeStates()
    states.take("a", Second())
    states.mark()
    assert not states.settled
    states.take("a", Second())
    assert not states.settled
    states.take("a", Second())
    assert states.settled


def test_settled_waits_for_every_node_to_be_quiet_answered_and_complete():
    for open_end in (Second(quiet=False), Second(pending=1), Second(missing=1)):
        states = NodeStates()
        for _ in range(2):
            states.take("a", Second())
            states.take("b", open_end)
        assert not states.settled


def test_anything_that_moves_is_progress():
    states = NodeStates()
    seen = set()
    for moved in (
        Second(),
        Second(acked=1),
        Second(arrived=1),
        Second(failed=1),
        Second(unknown=1),
        Second(duplicated=1),
    ):
        states.take("a", moved)
        seen.add(states.progress)
    assert len(seen) == 6


def test_a_row_summarises_what_came_in_since_the_last_over_all_nodes():
    states = NodeStates()
    states.take("a", second(1, 2))
    states.take("b", second(3))
    first = states.summaries()["e2e"]
    assert (first.count, first.max_ms) == (3, 3)
    assert states.summaries()["e2e"].count == 0
    assert states.summaries()["send_delay"].max_ms is None


def test_histograms_come_every_ten_rows_then_every_sixty_and_hold_all_between():
    states, at = NodeStates(), []
    for row in range(1, LATER_S + 131):
        if row <= 30 or row > LATER_S:
            states.take("a", second(1))
        if (found := states.histograms()) is not None:
            at.append(row)
            assert found["e2e"]["count"] == (10 if row <= 30 else 60)
    assert at == [10, 20, 30, LATER_S + 60, LATER_S + 120]


def test_a_percentile_of_too_few_is_not_given():
    few, many = LatencyHistogram(), LatencyHistogram()
    few.record_ns(np.full(99, 10**6))
    many.record_ns(np.full(100, 10**6))
    assert summary(few).p99_ms is None
    assert summary(many).p99_ms == 1
    assert summary(None).count == 0


def test_values_off_the_scale_leave_no_infinity_in_a_row():
    off = LatencyHistogram()
    off.record_ns(np.full(100, 5 * 10**12))
    row = summary(off)
    assert (row.p50_ms, row.p99_ms, row.max_ms) == (None, None, 5_000_000)


# --- the master's clock ----------------------------------------------------------------------------------------------


def test_a_step_of_the_wall_clock_bends_no_instant_and_is_reported():
    wall_ns, monotonic_ns = 1_700_000_000 * 10**9, 5 * 10**9
    now = {"wall": wall_ns, "monotonic": monotonic_ns}
    clock = MasterClock(wall_ns=lambda: now["wall"], monotonic_ns=lambda: now["monotonic"])
    assert clock.now_ns() == wall_ns
    now["monotonic"] += 10**9
    now["wall"] += 10**9 - 5 * 10**9
    assert clock.now_ns() == wall_ns + 10**9
    assert clock.wall_step_ns() == -5 * 10**9
    now["wall"] += 5 * 10**9 + 7
    assert clock.wall_step_ns() == 7
    assert clock.largest_step_ns == -5 * 10**9


def test_the_clock_of_this_machine_is_unix_time():
    assert abs(MasterClock().now_ns() - time.time_ns()) < 10**8
