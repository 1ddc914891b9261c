"""Pacing: any number of senders adds up to the plan exactly, and nothing that is due is ever skipped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm2_users import pacing
from mm2_users.pacing import Pacer
from scenarios.plan import NS_PER_S
from tests.scenarios.examples import plan, with_phases

FOREVER = 10**18
RUN = plan(
    with_phases(
        "{name: up, profile: ramp, from_rate: 0/s, to_rate: 300/s, duration: 2s}",
        "{name: one, profile: nominal, rate: 1/s, duration: 3s}",
        "{name: peak, profile: burst, base_rate: 20/s, peak_rate: 900/s, peak_start: 1s, peak_duration: 100ms,"
        " duration: 2s}",
    )
)


def drained(pacer: Pacer, now_ns: int = FOREVER, most: int = 10**9) -> list[tuple[int, int]]:
    """(phase, due) of all that it hands out at an instant."""
    out = []
    while (due := pacer.due(now_ns, most)) is not None:
        assert 0 < len(due.due_ns) <= most
        out += [(due.phase, int(at)) for at in due.due_ns]
    return out


def whole_plan() -> list[tuple[int, int]]:
    return [
        (number, int(at))
        for number, load in enumerate(RUN.loads)
        for at in RUN.due_ns(load, np.arange(load.first_record, load.end_record))
    ]


@pytest.mark.parametrize("senders", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize("chunk", [1, 8, 8192])
def test_all_senders_together_send_the_plan_each_record_once(monkeypatch, senders, chunk):
    monkeypatch.setattr(pacing, "CHUNK_RECORDS", chunk)
    sent = [one for index in range(senders) for one in drained(Pacer(RUN, index=index, senders=senders))]
    assert sorted(sent) == sorted(whole_plan())


@given(st.lists(st.integers(1, NS_PER_S), max_size=40), st.integers(1, 50), st.integers(1, 4))
def test_by_any_instant_exactly_what_is_due_was_handed_out(steps, most, senders):
    plan_due = whole_plan()[0::senders]
    pacer, now_ns, sent = Pacer(RUN, index=0, senders=senders), -1, []
    assert drained(pacer, now_ns) == []
    for step in steps:
        now_ns += step
        sent += drained(pacer, now_ns, most)
        assert sent == [one for one in plan_due if one[1] <= now_ns]
    assert sent + drained(pacer) == plan_due
    assert pacer.done


def test_after_a_stall_everything_missed_is_due_at_once_and_in_order():
    pacer = Pacer(RUN, index=0, senders=1)
    before = drained(pacer, NS_PER_S)
    after = drained(pacer, 6 * NS_PER_S)
    assert before + after == [one for one in whole_plan() if one[1] <= 6 * NS_PER_S]
    assert {phase for phase, _ in after} == {0, 1, 2}


def test_what_is_handed_out_at_once_is_of_one_phase():
    pacer = Pacer(RUN, index=0, senders=1)
    phases = []
    while (due := pacer.due(FOREVER, 10**9)) is not None:
        phases.append(due.phase)
    assert phases == [0, 1, 2]


def test_without_room_nothing_is_handed_out_and_nothing_is_lost():
    pacer = Pacer(RUN, index=0, senders=1)
    assert pacer.due(FOREVER, 0) is None
    assert pacer.due(FOREVER, -5) is None
    assert not pacer.done
    assert len(drained(pacer)) == RUN.record_count


def test_a_sender_beyond_the_last_record_has_nothing_to_do():
    few = plan(with_phases("{name: a, profile: nominal, rate: 1/s, duration: 3s}"))
    pacers = [Pacer(few, index=index, senders=5) for index in range(5)]
    assert [pacer.done for pacer in pacers] == [False, False, False, True, True]
    assert pacers[4].due(FOREVER, 10) is None


def test_a_record_handed_out_keeps_its_due_instant_when_the_next_chunk_is_laid_out(monkeypatch):
    monkeypatch.setattr(pacing, "CHUNK_RECORDS", 4)
    pacer = Pacer(RUN, index=0, senders=1)
    first = pacer.due(FOREVER, 4)
    kept = first.due_ns.tolist()
    drained(pacer)
    assert first.due_ns.tolist() == kept
