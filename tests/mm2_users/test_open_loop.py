"""The load is open loop: records are sent when the plan wants them, whatever the path does; latencies run from then.

All on a path in memory, on a clock that the test turns, so every figure can be worked out by hand; the last tests go
through librdkafka.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm2_users.pacing import Pacer
from run_record.account import merge
from run_record.counts import Counts
from run_record.histogram import LatencyHistogram
from scenarios.plan import RunPlan
from tests.mm2_users.copier import Bench, Mock, small_plan, totals
from tests.mm2_users.memory import NS_PER_MS, NS_PER_S, SECOND_0_NS, Path, Stage, frozen_between, histogram_of
from tests.mm2_users.saboteur import PARTITIONS
from tests.scenarios.examples import plan, with_phases


def steady(per_s: int = 1000, seconds: float = 60, buffer: str = "32MiB") -> RunPlan:
    text = with_phases(
        f"{{name: one, profile: nominal, rate: {per_s}/s, duration: {seconds * 1000:.0f}ms}}",
        topics=f"{{count: 1, partitions: {PARTITIONS}}}",
    )
    return plan(text.replace("canary:", f"producer: {{buffer: {buffer}}}\ncanary:"))


def played(path: Path) -> tuple[Stage, dict]:
    stage = Stage(path)
    stage.canaries()
    stage.start()
    stage.play_on()
    (account,) = stage.finish()
    return stage, account


def percentile_ms(latencies_ms: np.ndarray, percentile: float) -> float:
    """The nearest-rank percentile, on the raw values."""
    return float(np.sort(latencies_ms)[int(np.ceil(len(latencies_ms) * percentile / 100)) - 1])


# --- coordinated omission --------------------------------------------------------------------------------------------

FREEZE = frozen_between(SECOND_0_NS + 30 * NS_PER_S, SECOND_0_NS + 32 * NS_PER_S)
#: 60 000 records, 2000 of them due in the freeze, which wait 2 s, 1.999 s … 1 ms; the 600 worst wait 1.4 s or more.
P99_MS = 2000 - 600
P99_HELD_UP_MS = 1900 - 600


def test_a_path_that_freezes_for_2_s_is_in_the_p99_from_due_as_arithmetic_says():
    _, account = played(Path(made=steady(), arrivals=FREEZE))
    assert totals([account]) == Counts(sent=60_000, acked=60_000, arrived=60_000)
    e2e = histogram_of(account, "e2e")
    assert e2e.percentile_ms(99) == pytest.approx(P99_MS, rel=0.01)
    assert e2e.percentile_ms(50) == pytest.approx(5, abs=1.1)
    assert e2e.max_ms == pytest.approx(2005, abs=6)
    # The sender was not held up, so nothing was omitted: both figures say the same.
    assert histogram_of(account, "send_delay").max_ms <= 1
    assert histogram_of(account, "e2e_from_sent").percentile_ms(99) == pytest.approx(P99_MS, rel=0.01)


def test_a_source_that_freezes_for_2_s_holds_the_sender_up_and_only_the_figure_from_due_says_so():
    """The case that closed-loop tools omit: while nothing can be sent, nothing is slow."""
    path = Path(made=steady(buffer="20KB"), acks=FREEZE)  # 102 records wait in the producer, then it is full
    stage, account = played(path)
    assert totals([account]) == Counts(sent=60_000, acked=60_000, arrived=60_000)
    corrected, plain = histogram_of(account, "e2e"), histogram_of(account, "e2e_from_sent")
    # About 100 of the 2000 got out before the producer was full, the others wait: the 600 worst of them 1.3 s or more.
    assert corrected.percentile_ms(99) == pytest.approx(P99_HELD_UP_MS, rel=0.05)
    assert plain.percentile_ms(99) <= 7
    assert plain.max_ms <= 7
    assert histogram_of(account, "send_delay").percentile_ms(99) == pytest.approx(P99_HELD_UP_MS, rel=0.05)
    assert stage.producers[0].most_waiting <= 102


def test_a_load_that_was_held_sends_nothing_meanwhile_and_what_fell_due_at_once_afterwards():
    stage = Stage(Path(made=steady(seconds=4)))
    stage.canaries()
    stage.start()
    (engine,) = stage.engines
    stage.steps(1000, NS_PER_MS)
    engine.hold_sending()
    held = engine.second().sent
    stage.steps(2000, NS_PER_MS)
    second = engine.second()
    assert (second.sent, second.arrived, second.quiet) == (held, held, False), "what was sent is followed"
    assert second.due == pytest.approx(held + 2000, abs=5)
    engine.resume_sending()
    stage.steps(2, NS_PER_MS)
    assert engine.second().sent == pytest.approx(held + 2000, abs=5)
    stage.play_on()
    (account,) = stage.finish()
    assert totals([account]) == Counts(sent=4000, acked=4000, arrived=4000)
    assert histogram_of(account, "send_delay").max_ms == pytest.approx(2000, abs=5)


def test_a_load_that_was_stopped_for_good_is_not_resumed():
    stage = Stage(Path(made=steady(seconds=1)))
    stage.canaries()
    stage.start()
    (engine,) = stage.engines
    stage.steps(100, NS_PER_MS)
    engine.hold_sending()
    engine.stop_sending()
    engine.resume_sending()
    sent = engine.second().sent
    stage.steps(100, NS_PER_MS)
    assert (engine.second().sent, engine.second().quiet) == (sent, True)
    stage.finish()


def test_both_figures_stand_side_by_side_in_the_record():
    _, account = played(Path(made=steady(seconds=1)))
    _, latency = merge([account], ["one"])
    assert {"e2e", "e2e_from_sent", "send_delay", "ack"} == set(latency["one"])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 600), st.integers(1, 300), st.integers(1, 40))
def test_the_histograms_hold_what_arithmetic_says_for_any_freeze(start_ms, freeze_ms, latency_ms):
    freeze = frozen_between(SECOND_0_NS + start_ms * NS_PER_MS, SECOND_0_NS + (start_ms + freeze_ms) * NS_PER_MS)
    stage, account = played(Path(made=steady(seconds=0.7), arrivals=freeze, latency_ns=latency_ms * NS_PER_MS))
    due_ms = np.arange(700)
    # Sent at the tick at which it is due; arrives latency later, or at the end of the freeze; is read at that tick.
    arrive_ms = due_ms + latency_ms
    frozen = (arrive_ms >= start_ms) & (arrive_ms < start_ms + freeze_ms)
    wanted_ms = np.where(frozen, start_ms + freeze_ms, arrive_ms) - due_ms
    e2e = histogram_of(account, "e2e")
    assert np.sort(np.concatenate(stage.raw["e2e"])).tolist() == (np.sort(wanted_ms) * NS_PER_MS).tolist()
    assert (e2e.count, e2e.max_ms, e2e.to_json()["min_ns"] / NS_PER_MS) == (700, wanted_ms.max(), wanted_ms.min())
    for percentile in (50, 90, 99, 99.9):
        assert e2e.percentile_ms(percentile) == pytest.approx(percentile_ms(wanted_ms, percentile), rel=1e-3)


# --- the rate --------------------------------------------------------------------------------------------------------


def stepped(made: RunPlan, pauses_ns: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """(when sent, when due) of every record of a pacer that is asked after each of these pauses, then each ms."""
    pacer, now_ns = Pacer(made, index=0, senders=1), 0
    sent, dues = [], []
    pauses = iter(pauses_ns)
    while not pacer.done:
        now_ns += next(pauses, NS_PER_MS)
        while (due := pacer.due(now_ns, 500)) is not None:
            sent.append(np.full(len(due.due_ns), now_ns))
            dues.append(due.due_ns)
    return np.concatenate(sent), np.concatenate(dues)


PAUSES = st.lists(
    st.one_of(st.integers(1, 2 * NS_PER_MS), st.integers(1, 12 * NS_PER_MS), st.integers(1, 2 * NS_PER_S)),
    max_size=60,
)


@settings(max_examples=40, deadline=None)
@given(PAUSES)
def test_the_count_sent_is_the_plans_within_a_thousandth_once_steady(pauses):
    made = steady(per_s=2000, seconds=20)
    sent_ns, due_ns = stepped(made, pauses)
    assert len(sent_ns) == 40_000, "every late record is sent, and counted"
    assert (sent_ns >= due_ns).all(), "nothing is sent before it is due"
    steady_from_ns = sum(pauses) + 2 * NS_PER_S
    for at_ns in range(steady_from_ns, 20 * NS_PER_S, 77 * NS_PER_MS):
        wanted = int((due_ns <= at_ns).sum())
        assert abs(int((sent_ns <= at_ns).sum()) - wanted) <= max(1, wanted // 1000)


@settings(max_examples=40, deadline=None)
@given(PAUSES)
def test_no_burst_above_110_percent_while_the_send_delay_is_under_10_ms(pauses):
    """In any 100 ms. After a longer stall all that is due goes out at once, and its send delay says so."""
    per_s, window_ns = 2000, 100 * NS_PER_MS
    sent_ns, due_ns = stepped(steady(per_s=per_s, seconds=5), pauses)
    late = sent_ns - due_ns >= 10 * NS_PER_MS
    for start_ns in np.unique(sent_ns):
        inside = (sent_ns >= start_ns) & (sent_ns < start_ns + window_ns)
        if not late[inside].any():
            assert inside.sum() <= 1.1 * per_s * window_ns / NS_PER_S + 1


@given(st.integers(0, 3 * NS_PER_S), st.integers(1, 5), st.lists(st.integers(1, NS_PER_S), max_size=6))
@settings(max_examples=60, deadline=None)
def test_what_is_due_by_an_instant_is_told_whether_it_was_handed_out_or_not(at_ns, senders, asked_ns):
    made = plan(
        with_phases(
            "{name: up, profile: ramp, from_rate: 0/s, to_rate: 300/s, duration: 1s}",
            "{name: on, profile: nominal, rate: 70/s, duration: 1s}",
        )
    )
    whole = np.concatenate([made.due_ns(load, np.arange(load.first_record, load.end_record)) for load in made.loads])
    for index in range(senders):
        pacer = Pacer(made, index=index, senders=senders)
        for instant in sorted(asked_ns):
            if instant <= at_ns:
                pacer.due(instant, 10**6)
        exact = int((whole[index::senders] <= at_ns).sum())
        assert abs(pacer.due_by(at_ns) - exact) <= 1


def test_a_second_tells_what_was_due_when_it_was_taken():
    stage = Stage(Path(made=steady(seconds=2)))
    stage.canaries()
    assert stage.engines[0].second().due == 0
    stage.start()
    for _ in range(40):
        stage.steps(37, NS_PER_MS)
        second = stage.engines[0].second()
        assert second.due - second.sent in (0, 1)
    stage.path.now_ns += 300 * NS_PER_MS  # a stall: nothing was sent, and it shows
    second = stage.engines[0].second()
    assert second.due - second.sent == pytest.approx(300, abs=1)
    stage.play_on()
    assert stage.engines[0].second().due == stage.engines[0].second().sent == 2000


# --- back-pressure ---------------------------------------------------------------------------------------------------


def test_a_tiny_buffer_on_a_slow_broker_is_send_delay_and_no_record_is_lost_skipped_or_out_of_order():
    """Ten records fit the buffer, the broker takes 20 ms to answer, and 2000/s are wanted: about 500/s can be had."""
    source, target = Mock(rtt_ms=20), Mock()
    made = Bench(small_plan(source, target, records=400, per_s=2000, buffer="2KB"), real_clock=True)
    made.canaries()
    (engine,) = made.engines
    most, some_unsent_s = 0, 0.0

    def done() -> bool:
        nonlocal most, some_unsent_s
        most = max(most, engine._outstanding)
        if engine._sent < 400:
            some_unsent_s = time.monotonic() - began_s
        return engine._pacer.done and not engine._outstanding

    began_s = time.monotonic()
    engine.start(time.monotonic_ns())
    made.pump(done, "the load")
    took_s = time.monotonic() - began_s
    assert most <= 10
    assert took_s > 0.4, "the broker was not slow enough for this test to mean anything"
    made.arrivals(missing=0)
    delay = LatencyHistogram.from_json(engine.second().send_delay)
    (account,) = made.finish()
    assert totals([account]) == Counts(sent=400, acked=400, arrived=400)
    delay = histogram_of(account, "send_delay")
    assert delay.count == 400
    # The last record was due after 0.2 s, and was sent when those before it had been answered.
    assert 1000 * (some_unsent_s - 0.2) * 0.99 <= delay.max_ms <= 1000 * (took_s - 0.2) * 1.01 + 1
    assert histogram_of(account, "e2e").max_ms >= delay.max_ms
    assert histogram_of(account, "e2e_from_sent").max_ms < delay.max_ms


def test_the_buffer_of_a_scenario_never_outgrows_librdkafkas_own(monkeypatch):
    source, target = Mock(), Mock()
    made = Bench(small_plan(source, target, records=20, buffer="4GiB"))
    assert made.engines[0]._room <= 2_500_000
    made.canaries()
    made.send_all()
    made.arrivals(missing=0)
    assert totals(made.finish()).arrived == 20


# --- several nodes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("senders", [1, 2, 4])
def test_totals_and_percentiles_of_the_run_are_exactly_those_of_its_nodes_values(senders):
    path = Path(made=steady(per_s=1000, seconds=4), arrivals=FREEZE_EARLY)
    stage = Stage(path, senders=senders)
    stage.canaries()
    stage.start()
    stage.play_on()
    for engine in stage.engines:
        engine.second()
    ledger, latency = merge(stage.finish(), ["one"])
    assert Counts(**ledger["totals"]) == Counts(sent=4000, acked=4000, arrived=4000)
    for kind in ("e2e", "e2e_from_sent", "send_delay", "ack"):
        values_ns = np.concatenate(stage.raw[kind])
        alone = LatencyHistogram()
        alone.record_ns(values_ns)
        merged = latency["one"][kind]
        assert merged.to_json() == alone.to_json()
        assert merged.count == 4000
        for percentile in (50, 90, 99, 99.9, 100):
            exact_ms = percentile_ms(values_ns / NS_PER_MS, percentile)
            assert merged.percentile_ms(percentile) == pytest.approx(exact_ms, rel=1e-3, abs=1e-3)


FREEZE_EARLY = frozen_between(SECOND_0_NS + NS_PER_S, SECOND_0_NS + 2 * NS_PER_S)


def test_one_two_or_four_nodes_measure_the_same_latencies():
    shapes = []
    for senders in (1, 2, 4):
        path = Path(made=steady(per_s=1000, seconds=2), arrivals=FREEZE_EARLY)
        stage = Stage(path, senders=senders)
        stage.canaries()
        stage.start()
        stage.play_on()
        _, latency = merge(stage.finish(), ["one"])
        shapes.append(latency["one"]["e2e"].to_json())
    assert shapes[0] == shapes[1] == shapes[2]
