"""The engine between two (mock) brokers: every count is the plant's, whatever is done to the records on the way."""

from __future__ import annotations

import json

import numpy as np
import pytest
from confluent_kafka import Producer

from mm2_users import engine as engine_module
from run_record.account import merge
from run_record.counts import Counts
from run_record.histogram import LatencyHistogram
from scenarios.errors import Mm2gateError
from tests.mm2_users.copier import PARTITIONS, TICK_NS, Bench, Mock, small_plan, totals

RECORDS = 80
EACH = RECORDS // PARTITIONS  # records of a partition: one tick is one record, and partitions take turns


@pytest.fixture(scope="module")
def source():
    return Mock()


@pytest.fixture(scope="module")
def target():
    return Mock()


@pytest.fixture
def bench(source, target):
    def make(plan=None, **more):
        return Bench(plan or small_plan(source, target, records=RECORDS), **more)

    return make


def play(made: Bench, committed=None, **awaited) -> list[dict]:
    made.canaries()
    made.send_all()
    made.arrivals(**awaited)
    return made.finish(committed)


def test_a_clean_run_is_exact(bench):
    made = bench()
    accounts = play(made, missing=0)
    assert totals(accounts) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS)
    assert accounts[0]["phases"]["one"] == Counts(sent=40, acked=40, arrived=40).to_json()
    assert accounts[0]["canary"] == {"sent": 4, "acked": 4, "arrived": 4, "missing": []}
    assert {row["partition"]: row["counts"]["sent"] for row in accounts[0]["streams"]} == dict.fromkeys(range(4), EACH)
    assert accounts[0]["last_error"] is None
    assert json.loads(json.dumps(accounts[0])) == accounts[0], "an account is plain data"
    for phase in ("one", "two"):
        for kind in ("e2e", "send_delay", "ack"):
            assert LatencyHistogram.from_json(accounts[0]["latency"][phase][kind]).count == 40
    assert made.screen == {}, "the screen is fed each second only"


@pytest.mark.parametrize(
    ("seq", "what"), [(0, "lost"), (EACH // 2, "lost"), (EACH - 1, "late")], ids=["first", "middle", "last"]
)
def test_one_record_dropped_is_one_record_missing(bench, seq, what):
    made = bench(plant={(2, seq): "lose"})
    (account,) = play(made, missing=1)
    assert totals([account]) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS - 1, **{what: 1})
    (row,) = [row for row in account["streams"] if row["examples"]]
    assert (row["partition"], row["examples"]) == (2, {what: [[seq, seq + 1]]})


def test_the_last_record_dropped_is_lost_when_mm2_has_committed_past_it(bench):
    made = bench(plant={(2, EACH - 1): "lose", (1, EACH - 1): "lose"})
    topic = made.plan.topics[0].source
    # A canary stands before the stream in each partition, so the last record has the offset EACH.
    accounts = play(made, {f"{topic}:2": EACH, f"{topic}:1": EACH - 1}, missing=2)
    assert totals(accounts) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS - 2, lost=1, late=1)


def test_a_whole_partition_dropped_is_late_since_nothing_came_behind_it(bench):
    made = bench(plant={(3, seq): "lose" for seq in range(EACH)})
    assert totals(play(made, missing=EACH)) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS - EACH, late=EACH)


def test_all_faults_of_the_path_at_once_are_each_counted_once(bench):
    made = bench(
        plant={
            (0, 0): "lose",
            (0, 7): "lose",
            (0, 8): "lose",
            (1, 3): "duplicate",
            (1, EACH - 1): "duplicate",
            (2, 5): "swap",
            (2, 9): "corrupt",
            (3, 2): "damage",
        }
    )
    accounts = play(made, missing=3, duplicated=2)
    assert totals(accounts) == Counts(
        sent=RECORDS,
        acked=RECORDS,
        arrived=RECORDS - 3,
        lost=3,
        duplicated=2,
        reordered=1,
        corrupted=2,  # the damaged one too: its key, its body and its neighbours say which one it was
    )
    examples = {row["partition"]: row["examples"] for row in accounts[0]["streams"]}
    assert examples == {
        0: {"lost": [[0, 1], [7, 9]]},
        1: {"duplicated": [3, EACH - 1]},
        2: {"reordered": [5], "corrupted": [9]},
        3: {"corrupted": [2]},
    }


def test_faults_of_the_source_are_failed_unknown_and_phantom(bench):
    made = bench(
        trouble={
            (0, 0): "refuse",
            (0, 5): "refuse",
            (1, 2): "keep",
            (1, EACH - 1): "deny",
            (2, 3): "silence",
            (2, EACH - 1): "drop",
        }
    )
    (account,) = play(made, missing=0, others=2)
    assert totals([account]) == Counts(
        sent=RECORDS,
        acked=RECORDS - 6,
        failed=4,
        unknown=2,
        arrived=RECORDS - 6,
        phantom=1,
        unknown_arrived=1,
    )
    assert totals([account]).balanced
    assert account["last_error"] is not None


def test_undelivered_records_are_counted_without_being_decoded(source, target, monkeypatch):
    """After a minute without the source its whole buffer fails in one call: each may cost the hub next to nothing."""
    made = Bench(small_plan(source, target), trouble={(0, seq): "drop" for seq in range(EACH)})
    made.canaries()
    made.arrivals(missing=0)
    monkeypatch.setattr("mm2_users.envelope._envelopes", lambda values: pytest.fail("a record was decoded"))
    made.send_all()
    assert made.engines[0].second().unknown == EACH
    monkeypatch.undo()
    assert totals(made.finish()).unknown == EACH


def test_a_batch_with_refusals_in_it_keeps_the_others(bench):
    made = bench(trouble={(0, 0): "refuse", (0, 3): "silence", (0, 7): "deny", (0, 9): "refuse"})
    made.canaries()
    made.engines[0].start(made.now_ns - 100 * TICK_NS)  # all is due at once: one batch for each partition
    for _ in range(3):
        made.engines[0].step()
    made.pump(lambda: not made.engines[0]._outstanding, "answers")
    made.arrivals(missing=0, others=1)
    counts = totals(made.finish())
    assert counts.balanced
    assert (counts.sent, counts.failed, counts.unknown, counts.unknown_arrived) == (RECORDS, 3, 1, 1)
    assert counts.arrived == RECORDS - 4


def test_records_that_librdkafka_refuses_at_once_are_failed_and_the_run_goes_on(source, target):
    plan = small_plan(source, target, records=20, payload="2KB")
    made = Bench(plan, producer_extra={"message.max.bytes": 1000})
    made.send_all()
    (account,) = made.finish()
    assert totals([account]) == Counts(sent=20, failed=20)
    assert account["last_error"] == "refused by the producer before sending"


def test_records_without_an_answer_at_the_end_are_unknown_never_lost(target, monkeypatch):
    monkeypatch.setattr(engine_module, "FLUSH_S", 0.1)
    doomed = Mock()
    made = Bench(small_plan(doomed, target, records=20))
    made.canaries()
    del doomed  # and with it its broker
    made.engines[0].start(made.now_ns)
    while not made.engines[0]._pacer.done:
        made.now_ns += TICK_NS
        made.engines[0].step()
    assert made.engines[0].second().pending == 20
    assert totals(made.finish()) == Counts(sent=20, unknown=20)


def test_a_mirror_that_appears_late_is_read_from_its_beginning(source, target):
    plan = small_plan(source, target, records=20, mirrors=False)
    made = Bench(plan)
    assert totals(play(made, missing=0)) == Counts(sent=20, acked=20, arrived=20)


def test_what_lay_on_the_mirror_before_is_not_read(source, target):
    plan = small_plan(source, target, records=20)
    writer = Producer({"bootstrap.servers": target.address})
    for number in range(40):
        writer.produce(plan.topics[0].remote, b"old", partition=number % PARTITIONS)
    assert writer.flush(5) == 0
    assert totals(play(Bench(plan), missing=0)) == Counts(sent=20, acked=20, arrived=20)


def test_foreign_records_are_counted_and_left_alone(source, target):
    plan = small_plan(source, target, records=20)
    made = Bench(plan)
    made.canaries()
    writer = Producer({"bootstrap.servers": target.address})
    for value in (b"hello", None, b'{"a": 1}'):
        writer.produce(plan.topics[0].remote, value, partition=1)
    assert writer.flush(5) == 0
    made.send_all()
    made.arrivals(missing=0)
    made.pump(lambda: made.engines[0]._arrivals._foreign == 3, "foreign records")
    assert totals(made.finish()) == Counts(sent=20, acked=20, arrived=20, foreign=3)


@pytest.mark.parametrize("senders", [3, 6])
def test_any_number_of_senders_adds_up_to_the_same(source, target, senders):
    plan = small_plan(source, target, records=60)
    made = Bench(plan, senders=senders, plant={(1, 2): "lose"})
    writer = Producer({"bootstrap.servers": target.address})
    made.canaries()
    writer.produce(plan.topics[0].remote, b"foreign", partition=1)
    assert writer.flush(5) == 0
    made.send_all()
    # With six senders two of them write to partition 1, and each has a record 2 there.
    gone = sum((stream.place.partition == 1) for engine in made.engines for stream in engine._streams)
    made.arrivals(missing=gone)
    made.pump(lambda: sum(engine._arrivals._foreign for engine in made.engines) == 1, "the foreign record")
    ledger, latency = merge(made.finish(), ["one", "two"])
    counts = Counts(**ledger["totals"])
    assert counts == Counts(sent=60, acked=60, arrived=60 - gone, lost=gone, foreign=1)
    assert ledger["canary"]["arrived"] == ledger["canary"]["sent"] == max(senders, PARTITIONS)
    assert sum(latency[phase]["send_delay"].count for phase in latency) == 60
    assert sum(row["counts"]["sent"] for row in ledger["streams"]) == 60


def test_several_topics_keep_their_records_apart(source, target):
    made = Bench(small_plan(source, target, records=48, topics=3), plant={(0, 1): "lose"})
    (account,) = play(made, missing=3)
    assert totals([account]) == Counts(sent=48, acked=48, arrived=45, lost=3)
    assert len({row["topic"] for row in account["streams"]}) == 3


def test_a_stall_of_the_sender_is_send_delay_and_no_record_is_skipped(bench):
    made = bench()
    made.canaries()
    engine = made.engines[0]
    engine.start(made.now_ns)
    made.now_ns += 50 * TICK_NS  # half a second without a step
    made.pump(lambda: engine._sent == 51, "the backlog goes out at once")
    delay = LatencyHistogram.from_json(engine.second().send_delay)
    assert delay.count == 51
    assert delay.max_ms == 500
    assert delay.to_json()["min_ns"] == 0
    assert delay.mean_ms == pytest.approx(250)
    made.now_ns += 50 * TICK_NS
    made.pump(lambda: engine._pacer.done and not engine._outstanding, "the rest")
    made.arrivals(missing=0)
    assert totals(made.finish()) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS)


def test_latency_runs_from_the_due_instant_through_a_freeze_of_the_path(bench):
    made = bench(plant={(partition, seq): "hold" for partition in range(4) for seq in range(EACH)})
    made.canaries()
    made.send_all()
    made.now_ns += 20 * TICK_NS
    made.pump(lambda: made.copier.done["hold"] == RECORDS, "all held")
    made.copier.leftovers()
    made.arrivals(missing=0)
    e2e = LatencyHistogram.from_json(made.engines[0].second().e2e)
    due_ms = np.arange(RECORDS) * 10.0
    wanted = np.sort((made.now_ns - made.engines[0]._start_ns) / 1e6 - due_ms)
    assert e2e.count == RECORDS
    assert (e2e.to_json()["min_ns"] / 1e6, e2e.max_ms) == (wanted[0], wanted[-1])
    assert e2e.percentile_ms(50) == pytest.approx(wanted[RECORDS // 2 - 1], rel=2e-3)
    made.finish()


def test_a_full_buffer_is_back_pressure_seen_as_send_delay_and_nothing_is_skipped(bench):
    made = bench()
    made.canaries()
    engine = made.engines[0]
    engine._room = 8
    engine.start(made.now_ns - 1000 * TICK_NS)
    engine.step()
    assert engine._sent <= 8 * engine_module.MOST_BATCHES_PER_STEP
    most = 0

    def all_sent() -> bool:
        nonlocal most
        most = max(most, engine._outstanding)
        return engine._pacer.done and not engine._outstanding

    made.pump(all_sent, "everything sent")
    assert most <= 8
    made.arrivals(missing=0)
    assert totals(made.finish()) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS)


def test_told_to_stop_it_sends_nothing_more_and_still_follows_what_it_sent(bench):
    made = bench()
    made.canaries()
    engine = made.engines[0]
    engine.start(made.now_ns)
    made.now_ns += 9 * TICK_NS
    engine.step()
    engine.stop_sending()
    made.now_ns += 1000 * TICK_NS
    made.pump(lambda: not engine._outstanding, "answers")
    made.arrivals(missing=0)
    second = engine.second()
    assert (second.sent, second.all_sent, second.quiet) == (10, False, True)
    assert totals(made.finish()) == Counts(sent=10, acked=10, arrived=10)


def test_a_second_holds_the_counts_so_far_and_the_latencies_since_the_last(bench):
    made = bench(plant={(0, 1): "lose", (1, 1): "duplicate"})
    made.canaries()
    assert made.engines[0].second().canaries_arrived == 4
    made.send_all()
    made.arrivals(missing=1, duplicated=1)
    second = made.engines[0].second()
    assert (second.sent, second.acked, second.arrived, second.missing) == (RECORDS, RECORDS, RECORDS - 1, 1)
    assert (second.pending, second.duplicated, second.all_sent, second.quiet) == (0, 1, True, True)
    assert second.e2e["count"] == RECORDS - 1
    assert second.send_delay["count"] == RECORDS
    assert made.screen == {
        "e2e": RECORDS - 1,
        "e2e_from_sent": RECORDS - 1,
        "send_delay": RECORDS,
        "ack": RECORDS,
    }
    assert made.engines[0].second().e2e["count"] == 0
    account = made.finish()[0]
    assert sum(LatencyHistogram.from_json(account["latency"][p]["e2e"]).count for p in ("one", "two")) == RECORDS - 1


def test_a_second_does_not_go_through_the_gaps(source, target, monkeypatch):
    """A filter on the way leaves hundreds of thousands of them, and each second the hub would stand still."""
    made = Bench(small_plan(source, target, records=RECORDS), plant={(0, seq): "lose" for seq in range(0, EACH, 2)})
    made.canaries()
    made.send_all()
    made.arrivals(missing=EACH // 2)
    monkeypatch.setattr("mm2_users.ledger.StreamLedger.missing", lambda _: pytest.fail("all gaps were looked at"))
    second = made.engines[0].second()
    monkeypatch.undo()
    assert (second.missing, second.arrived) == (EACH // 2, RECORDS - EACH // 2)
    assert totals(made.finish()).arrived == RECORDS - EACH // 2


def test_after_its_end_it_steps_and_reports_without_harm(bench):
    made = bench()
    made.canaries()
    made.finish()
    made.engines[0].step()
    assert made.engines[0].second().sent == 0


def test_a_load_that_was_not_prepared_does_not_send(bench):
    made = bench()
    made.finish()
    with pytest.raises(Mm2gateError, match="before it was prepared"):
        made.engines[0].send_canaries()


def test_records_of_another_run_on_the_same_topic_are_foreign(source, target):
    plan = small_plan(source, target, records=20)
    first, second = Bench(plan), Bench(plan, run_id="another")
    first.canaries()
    second.copier.close()
    second.copier = first.copier
    first.send_all()
    first.arrivals(missing=0)
    second.pump(lambda: second.engines[0]._arrivals._foreign == 24, "the other's records and canaries")
    account = second.engines[0].finish({})
    assert totals([account]) == Counts(foreign=24)
    assert totals(first.finish()) == Counts(sent=20, acked=20, arrived=20)
