"""The ledger against planted truth: every count is the plant's, both equations hold, and nothing is lost that could
still come. A record without an answer is unknown: it is never lost, and its arrival is no phantom."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm2_users import ledger as ledger_module
from mm2_users.ledger import MOST_EXAMPLES, StreamLedger
from run_record.counts import Counts, total


def arrive(ledger: StreamLedger, *seqs: int, phases=None, corrupted=()) -> list[bool]:
    """The mask of first arrivals."""
    mask = ledger.arrive(
        np.array(seqs, dtype=np.int64),
        np.array(phases if phases is not None else [0] * len(seqs), dtype=np.uint8),
        np.array([seq not in corrupted for seq in seqs], dtype=np.bool_),
    )
    return [True] * len(seqs) if mask is None else mask.tolist()


def acked(count: int, *, except_for=()) -> StreamLedger:
    """A stream of one phase whose records were all acknowledged, but some that were left without an answer."""
    ledger = StreamLedger()
    ledger.take(count, 0)
    for seq in range(count):
        if seq not in except_for:
            ledger.ack(seq, seq + 1)
    return ledger


def counts_of(ledger: StreamLedger, committed=None) -> Counts:
    return total(ledger.counts(committed).values())


# --- stories ---------------------------------------------------------------------------------------------------------


def test_all_acknowledged_and_arrived_is_all_there_is():
    ledger = acked(5)
    assert arrive(ledger, 0, 1, 2, 3, 4) == [True] * 5
    assert counts_of(ledger) == Counts(sent=5, acked=5, arrived=5)
    assert ledger.examples() == {}


@pytest.mark.parametrize("gone", [0, 1, 3])
def test_a_missing_record_with_a_later_one_arrived_is_lost(gone):
    ledger = acked(5)
    arrive(ledger, *[seq for seq in range(5) if seq != gone])
    assert counts_of(ledger) == Counts(sent=5, acked=5, arrived=4, lost=1)
    assert ledger.examples() == {"lost": [[gone, gone + 1]]}


def test_the_last_record_missing_is_late_since_nothing_came_behind_it():
    ledger = acked(5)
    arrive(ledger, 0, 1, 2, 3)
    assert counts_of(ledger) == Counts(sent=5, acked=5, arrived=4, late=1)
    assert ledger.examples() == {"late": [[4, 5]]}


def test_the_last_record_missing_is_lost_when_mm2_has_committed_past_it():
    ledger = acked(5)
    ledger.anchor(0, 5, 100)
    arrive(ledger, 0, 1, 2, 3)
    assert counts_of(ledger, 103).late == 1
    assert counts_of(ledger, 104).lost == 1
    assert counts_of(ledger, 104).late == 0


def test_a_whole_stream_missing_is_late_not_lost():
    assert counts_of(acked(5)) == Counts(sent=5, acked=5, late=5)


def test_unacked_probe_missing_on_target_is_unknown_not_lost():
    ledger = acked(5, except_for=[2])
    arrive(ledger, 0, 1, 3, 4)
    assert counts_of(ledger) == Counts(sent=5, acked=4, unknown=1, arrived=4)


def test_unacked_probe_that_arrives_is_no_phantom():
    ledger = acked(5, except_for=[2])
    arrive(ledger, 0, 1, 2, 3, 4)
    assert counts_of(ledger) == Counts(sent=5, acked=4, unknown=1, arrived=4, unknown_arrived=1)


def test_refused_probe_that_arrives_is_a_phantom():
    ledger = acked(5, except_for=[2])
    ledger.refuse(2)
    arrive(ledger, 0, 1, 2, 3, 4)
    assert counts_of(ledger) == Counts(sent=5, acked=4, failed=1, arrived=4, phantom=1)


def test_refused_probe_that_does_not_arrive_is_only_failed():
    ledger = acked(5, except_for=[2])
    ledger.refuse(2)
    arrive(ledger, 0, 1, 3, 4)
    assert counts_of(ledger) == Counts(sent=5, acked=4, failed=1, arrived=4)
    assert ledger.examples() == {"failed": [[2, 3]]}


def test_an_unknown_record_that_arrives_proves_those_before_it_lost():
    ledger = acked(3, except_for=[2])
    arrive(ledger, 0, 2)
    assert counts_of(ledger) == Counts(sent=3, acked=2, unknown=1, arrived=1, lost=1, unknown_arrived=1)


def test_a_replay_after_a_fault_is_duplicates_not_reorder():
    ledger = acked(6)
    arrive(ledger, 0, 1, 2, 3)
    assert arrive(ledger, 1, 2, 3, 4, 5) == [False, False, False, True, True]
    assert counts_of(ledger) == Counts(sent=6, acked=6, arrived=6, duplicated=3)


def test_two_swapped_records_are_one_reorder():
    ledger = acked(4)
    assert arrive(ledger, 0, 2, 1, 3) == [True] * 4
    assert counts_of(ledger) == Counts(sent=4, acked=4, arrived=4, reordered=1)
    assert ledger.examples() == {"reordered": [1]}


def test_a_swap_at_the_ends_of_a_batch_is_seen():
    ledger = acked(4)
    arrive(ledger, 1)
    arrive(ledger, 0)
    arrive(ledger, 2, 3)
    assert counts_of(ledger).reordered == 1


def test_a_batch_whose_ends_fit_and_whose_middle_does_not_is_looked_into():
    ledger = acked(5)
    assert arrive(ledger, 0, 1, 1, 3, 4) == [True, True, False, True, True]
    assert counts_of(ledger) == Counts(sent=5, acked=5, arrived=4, lost=1, duplicated=1)


def test_a_record_gone_at_first_and_come_in_the_end_is_arrived_and_reordered():
    ledger = acked(3)
    arrive(ledger, 0, 2)
    assert counts_of(ledger).lost == 1
    arrive(ledger, 1)
    assert counts_of(ledger) == Counts(sent=3, acked=3, arrived=3, reordered=1)


def test_a_corrupted_record_has_arrived_and_is_counted_apart():
    ledger = acked(3)
    arrive(ledger, 0, 1, 2, corrupted=[1])
    assert counts_of(ledger) == Counts(sent=3, acked=3, arrived=3, corrupted=1)
    assert ledger.examples() == {"corrupted": [1]}


def test_an_arrival_before_its_acknowledgement_is_arrived_once_it_is_acknowledged():
    ledger = StreamLedger()
    ledger.take(2, 0)
    arrive(ledger, 0, 1)
    assert counts_of(ledger) == Counts(sent=2, unknown=2, unknown_arrived=2)
    ledger.ack(0, 2)
    assert counts_of(ledger) == Counts(sent=2, acked=2, arrived=2)


def test_a_stream_that_sent_nothing_has_no_counts():
    assert StreamLedger().counts() == {}
    assert StreamLedger().counts(5) == {}
    assert StreamLedger().examples(5) == {}


def test_examples_stay_short_and_counts_stay_whole():
    ledger = acked(200)
    arrive(ledger, *range(1, 200, 2), *range(1, 200, 2), 0, 2, 4, corrupted=range(200))
    assert all(len(some) <= MOST_EXAMPLES for some in ledger.examples().values())
    assert counts_of(ledger).duplicated == 100
    assert counts_of(ledger).lost == 97


def test_records_belong_to_the_phase_of_their_due_instant():
    ledger = StreamLedger()
    for phase, count in ((0, 3), (2, 2), (3, 1)):
        first = ledger.take(count, phase)
        ledger.ack(first, first + count)
    arrive(ledger, 0, 1, 3, 4, 4, phases=[0, 0, 2, 2, 2])
    assert ledger.counts() == {
        0: Counts(sent=3, acked=3, arrived=2, lost=1),
        2: Counts(sent=2, acked=2, arrived=2, duplicated=1),
        3: Counts(sent=1, acked=1, late=1),
    }


# --- committed source offsets ----------------------------------------------------------------------------------------


def test_records_of_others_in_the_partition_do_not_prove_ours_lost():
    ledger = StreamLedger()
    ledger.take(20, 0)
    ledger.ack(0, 20)
    ledger.anchor(0, 10, 0)  # 10 to 14 are another writer's; ours go on at 15, cut into several requests: no anchor
    assert counts_of(ledger, 12).lost == 10
    assert counts_of(ledger, 12).late == 10


def test_a_commit_before_our_first_record_proves_nothing():
    ledger = acked(5)
    ledger.anchor(0, 5, 100)
    assert counts_of(ledger, 99).lost == 0


def test_a_topic_made_again_starts_new_offsets_that_prove_nothing_of_the_old():
    ledger = acked(10)
    ledger.anchor(0, 5, 1000)
    ledger.anchor(5, 10, 0)
    assert counts_of(ledger, 1).lost == 7


def test_anchors_stay_few_when_others_write_between_and_never_prove_too_much(monkeypatch):
    monkeypatch.setattr(ledger_module, "MOST_ANCHORS", 16)
    ledger = acked(1000)
    for first in range(0, 1000, 2):
        ledger.anchor(first, first + 2, 2 * first)  # two of ours, two of another's
    assert len(ledger._offset_anchors) <= 17
    for committed in range(0, 2000, 7):
        passed = sum(2 * (seq - seq % 2) + seq % 2 <= committed for seq in range(1000))
        assert counts_of(ledger, committed).lost <= passed
    assert counts_of(ledger, 2000).lost == 1000


# --- planted truth ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class History:
    """What happened to the records 0 … of a stream, and the order in which the target read them."""

    phases: list[int]
    fates: list[str]  # acked, failed, unknown
    batches: list[list[tuple[int, bool]]]  # arrivals as read: (seq, intact)
    offsets: dict[int, int]
    batch_cuts: list[int]
    committed: int | None


@st.composite
def histories(draw) -> History:
    count = draw(st.integers(1, 40))
    phases = sorted(draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    usual = st.sampled_from(["acked"] * 12 + ["failed", "unknown"])
    fates = draw(st.lists(usual, min_size=count, max_size=count))
    arriving = [
        seq
        for seq, fate in enumerate(fates)
        if draw(st.sampled_from([True] * 9 + [False] if fate != "failed" else [True] + [False] * 9))
    ]
    order = list(arriving)
    for _ in range(draw(st.integers(0, 3))):  # swaps
        if len(order) > 1:
            one, other = draw(st.integers(0, len(order) - 1)), draw(st.integers(0, len(order) - 1))
            order[one], order[other] = order[other], order[one]
    for _ in range(draw(st.integers(0, 3))):  # replays: a stretch that was read is read again, right behind or later
        if order:
            start = draw(st.integers(0, len(order) - 1))
            end = draw(st.integers(start + 1, len(order)))
            at = draw(st.integers(end, len(order)))
            order[at:at] = order[start:end]
    reads = [(seq, draw(st.sampled_from([True] * 15 + [False]))) for seq in order]
    batches, rest = [], reads
    while rest:
        size = draw(st.integers(1, len(rest)))
        batches.append(rest[:size])
        rest = rest[size:]
    cuts = sorted(draw(st.sets(st.integers(1, count), max_size=5)) | {count})
    offsets, at = {}, draw(st.integers(0, 50))
    for seq, fate in enumerate(fates):
        if fate == "acked" or seq in arriving:
            at += draw(st.sampled_from([0] * 8 + [1, 5]))  # records of others
            offsets[seq] = at
            at += 1
    committed = draw(st.none() | st.integers(-1, at + 5))
    return History(phases, fates, batches, offsets, cuts, committed)


def played(history: History) -> StreamLedger:
    """The ledger that was told the history, in the order in which an engine would tell it."""
    ledger, start = StreamLedger(), 0
    for seq, phase in enumerate(history.phases):
        assert ledger.take(1, phase) == seq
    for cut in history.batch_cuts:
        seqs = range(start, cut)
        offsets = [history.offsets.get(seq) for seq in seqs]
        if all(history.fates[seq] == "acked" for seq in seqs) and offsets[-1] == offsets[0] + len(offsets) - 1:
            ledger.anchor(start, cut, offsets[0])
        for seq in seqs:
            if history.fates[seq] == "acked":
                ledger.ack(seq, seq + 1)
            elif history.fates[seq] == "failed":
                ledger.refuse(seq)
        start = cut
    for batch in history.batches:
        seqs = np.array([seq for seq, _ in batch], dtype=np.int64)
        phases = np.array([history.phases[seq] for seq, _ in batch], dtype=np.uint8)
        ledger.arrive(seqs, phases, np.array([intact for _, intact in batch], dtype=np.bool_))
    return ledger


def planted(history: History) -> tuple[Counter, set[int]]:
    """(phase, what) → number, by definition alone; and the acknowledged records that did not arrive."""
    truth: Counter = Counter()
    seen: set[int] = set()
    for seq, intact in (one for batch in history.batches for one in batch):
        phase = history.phases[seq]
        truth[phase, "corrupted"] += not intact
        if seq in seen:
            truth[phase, "duplicated"] += 1
            continue
        truth[phase, "reordered"] += seq < max(seen, default=-1)
        seen.add(seq)
    for seq, fate in enumerate(history.fates):
        phase, came = history.phases[seq], seq in seen
        truth[phase, "sent"] += 1
        truth[phase, fate] += 1
        truth[phase, {"acked": "arrived", "failed": "phantom", "unknown": "unknown_arrived"}[fate]] += came
        if fate == "acked" and not came:
            truth[phase, "overtaken"] += seq < max(seen, default=-1)
    return truth, {seq for seq, fate in enumerate(history.fates) if fate == "acked"} - seen


@settings(max_examples=200)
@given(histories())
def test_every_count_equals_the_plant(history):
    ledger = played(history)
    truth, missing = planted(history)
    counts = ledger.counts()
    for phase in set(history.phases):
        for name in [
            "sent",
            "acked",
            "failed",
            "unknown",
            "arrived",
            "duplicated",
            "reordered",
            "corrupted",
            "phantom",
            "unknown_arrived",
        ]:
            assert getattr(counts[phase], name) == truth[phase, name], (phase, name)
        assert counts[phase].lost == truth[phase, "overtaken"]
        assert counts[phase].balanced
    assert ledger.missing().count() == len(missing)
    assert all(len(some) <= MOST_EXAMPLES for some in ledger.examples().values())


@settings(max_examples=200)
@given(histories())
def test_a_committed_offset_never_proves_lost_what_mm2_had_not_passed(history):
    ledger = played(history)
    _, missing = planted(history)
    plainly_lost = {seq for start, end in ledger.lost() for seq in range(start, end)}
    lost = {seq for start, end in ledger.lost(history.committed) for seq in range(start, end)}
    assert plainly_lost <= lost <= missing
    if history.committed is not None:
        assert all(history.offsets[seq] <= history.committed for seq in lost - plainly_lost)
    for counts in ledger.counts(history.committed).values():
        assert counts.balanced
    assert counts_of(ledger, history.committed).lost == len(lost)


@settings(max_examples=100)
@given(histories())
def test_the_size_of_the_batches_read_changes_nothing(history):
    one_by_one = [[read] for batch in history.batches for read in batch]
    at_once = [[read for batch in history.batches for read in batch]] if history.batches else []
    ledgers = [
        played(History(**{**vars(history), "batches": batches})) for batches in (history.batches, one_by_one, at_once)
    ]
    assert ledgers[0].counts() == ledgers[1].counts() == ledgers[2].counts()


EVENTS = [
    (what, seq) for seq in range(10) for what in ("ack", "arrive", "arrive", "arrive next", "arrive damaged", "refuse")
]


@settings(max_examples=200)
@given(st.permutations(EVENTS), st.data())
def test_how_many_are_missing_is_known_at_any_time_in_any_order(events, data):
    """Answers may come after arrivals, and arrivals twice."""
    ledger, answered, taken = StreamLedger(), set(), 0
    ledger.take(10, 0)
    while taken < len(events):
        (what, seq), taken = events[taken], taken + 1
        if what == "arrive":
            end = data.draw(st.integers(seq + 1, 10))
            arrive(ledger, *range(seq, end))
        elif what == "arrive next" and ledger.arrived.end < 10:
            ledger.arrive_next(data.draw(st.integers(1, 10 - ledger.arrived.end)))
        elif what == "arrive damaged" and ledger.arrived.end <= seq:
            ledger.arrive_damaged(seq)
        elif what in ("ack", "refuse") and seq not in answered:
            end = seq + 1
            while what == "ack" and end < 10 and end not in answered and data.draw(st.booleans()):
                end += 1
            answered.update(range(seq, end))
            ledger.ack(seq, end) if what == "ack" else ledger.refuse(seq)
        assert ledger.missing_count == ledger.missing().count()


def test_acknowledging_nothing_is_nothing_missing():
    ledger = acked(5)
    arrive(ledger, 0, 1, 3)
    ledger.ack(2, 2)
    assert ledger.missing_count == ledger.missing().count() == 2


def test_ten_million_records_in_order_are_no_anomaly_and_one_range():
    ledger, size = StreamLedger(), 10_000
    phases, intact = np.zeros(size, dtype=np.uint8), np.ones(size, dtype=np.bool_)
    block = np.arange(size, dtype=np.int64)
    for _ in range(1000):
        first = ledger.take(size, 0)
        ledger.anchor(first, first + size, first)
        ledger.ack(first, first + size)
        assert ledger.arrive(block + first, phases, intact) is None
    assert counts_of(ledger) == Counts(sent=10**7, acked=10**7, arrived=10**7)
    assert len(ledger.arrived) == len(ledger.acked) == len(ledger._offset_anchors) == 1
