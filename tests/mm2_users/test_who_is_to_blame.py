"""Who is to blame: what our producer, our reader, a stranger, the source or somebody on the target did is told from
what MM2 did, exactly, and what cannot be told is nobody's. With the whole engine on a path in memory."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.kafka_topics import Retention
from mm2_users.lookout import MOST_RESTARTS
from run_record.account import merge
from run_record.closing import Closing, disturbances
from run_record.counts import Counts, total
from tests.mm2_users.copier import Bench, Mock, small_plan
from tests.mm2_users.memory import NS_PER_MS, NS_PER_S, Path, Stage
from tests.mm2_users.saboteur import PARTITIONS, Place
from tests.mm2_users.test_planted_truth import EACH, RECORDS, committed_past_everything, memory_plan

ALL = Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS)


def stage_of(**path: Any) -> Stage:
    return Stage(Path(made=memory_plan(), **path))


def half_way(stage: Stage) -> None:
    """Canaries, and half of the load, all of which has arrived and been looked at."""
    stage.canaries()
    stage.start()
    stage.steps(40, NS_PER_MS)
    stage.rest()
    stage.look()


def the_rest(stage: Stage) -> None:
    while not all(engine._pacer.done for engine in stage.engines):
        stage.step(NS_PER_MS)
    stage.settle()


def reckoned(stage: Stage, committed: dict[str, int] | None = None, *, hurried: bool = False) -> tuple[dict, Closing]:
    """The ledger of all nodes, and its closing facts."""
    ledger, _ = merge(stage.finish(committed, hurried=hurried), ["one", "two"])
    for counts in (*ledger["phases"].values(), *(stream["counts"] for stream in ledger["streams"])):
        assert Counts(**counts).balanced, counts
    closing = Closing.of(ledger)
    assert closing is not None
    return ledger, closing


def totals(ledger: dict) -> Counts:
    return Counts(**ledger["totals"])


def names(stage: Stage) -> tuple[str, str]:
    topic = stage.path.made.topics[0]
    return topic.source, topic.remote


def happened(closing: Closing) -> list[tuple[str, str]]:
    return [(change.side, change.what) for change in closing.changes]


# --- nothing is wrong ------------------------------------------------------------------------------------------------


def test_a_run_without_a_hitch_blames_nobody_and_reads_nothing_again():
    stage = stage_of()
    half_way(stage)
    the_rest(stage)
    stage.look()
    ledger, closing = reckoned(stage, committed_past_everything(stage.path))
    assert totals(ledger) == ALL
    assert (closing.changes, closing.restarts, list(disturbances(closing))) == ((), (), [])
    assert (stage.rereads["source"].read, stage.rereads["target"].read) == (0, 0)
    source, mirror = names(stage)
    (topic,) = closing.target.topics
    assert (topic.topic, topic.partitions_start, topic.partitions_end, topic.ids) == (mirror, 4, 4, ("t1",))
    assert (topic.retention_ms, topic.retention_bytes, topic.cleanup_policy) == (604_800_000, -1, "delete")
    for one in closing.target.partitions:
        assert (one.low_start, one.high_start, one.low_end, one.high_end) == (0, 0, 0, EACH + 1)
        assert one.position == EACH + 1
    for one in closing.source.partitions:
        assert (one.topic, one.high_start, one.high_end, one.committed) == (source, 0, EACH + 1, EACH)


@pytest.mark.parametrize("senders", [1, 2, 4, 8])
def test_the_facts_of_any_number_of_nodes_are_each_partitions_once(senders):
    stage = Stage(Path(made=memory_plan()), senders=senders)
    stage.play()
    ledger, closing = reckoned(stage)
    assert totals(ledger) == ALL
    for side in (closing.source, closing.target):
        assert [one.partition for one in side.partitions] == list(range(PARTITIONS))
        assert len(side.topics) == 1


# --- a mirror that is not what it was --------------------------------------------------------------------------------


def test_of_a_mirror_made_anew_only_what_is_there_now_is_held():
    stage = stage_of()
    half_way(stage)
    _, mirror = names(stage)
    stage.path.make_again(mirror)
    the_rest(stage)
    ledger, closing = reckoned(stage, committed_past_everything(stage.path))
    assert totals(ledger) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS, gone=40)
    assert totals(ledger).on_target == 40
    assert happened(closing) == [("target", "remade")]
    assert {one.held for one in closing.target.partitions} == {10}
    assert {one.what for one in disturbances(closing)} == {"remade"}
    assert len(ledger["lost_places"]) == PARTITIONS


def test_a_mirror_made_anew_is_named_at_the_instant_at_which_a_look_first_saw_it():
    stage = stage_of()
    half_way(stage)
    stage.path.make_again(names(stage)[1])
    stage.look()
    seen_s = (stage.path.now_ns - stage.engines[0]._start_ns) / NS_PER_S
    notes = [note for engine in stage.engines for note in engine.second().notes]
    assert notes == [{"event": "topic_changed", "side": "target", "topic": names(stage)[1], "what": "remade"}]
    the_rest(stage)
    _, closing = reckoned(stage)
    (change,) = closing.changes
    assert change.seen_s == pytest.approx(seen_s)
    assert {one.seen_s for one in disturbances(closing)} == {change.seen_s}


def test_a_reader_that_goes_on_in_a_mirror_made_anew_has_lost_nothing_of_what_it_never_read_there():
    """It has grown past the reader's place before the reader looked, so nothing tells it that this is another topic."""
    stage = stage_of()
    half_way(stage)
    _, mirror = names(stage)
    stage.path.make_again(mirror)
    asleep = stage.consumers[0].stuck
    asleep |= {(mirror, partition) for partition in range(PARTITIONS)}
    for partition in range(PARTITIONS):  # a stranger's, so that the mirror is longer than the old one was
        stage.path.logs[mirror, partition] += [(b"k", b"x")] * 8
    the_rest(stage)
    asleep.clear()
    stage.steps(5, NS_PER_MS)
    ledger, closing = reckoned(stage, committed_past_everything(stage.path))
    counts = totals(ledger)
    assert counts.lost == 0
    assert counts.unread == counts.late == RECORDS - counts.arrived > 0
    assert counts.gone == 40
    assert happened(closing) == [("target", "remade")]


def test_of_a_mirror_that_stays_away_nothing_is_held_and_nothing_more_is_lost():
    stage = stage_of()
    half_way(stage)
    stage.path.delete(names(stage)[1])
    the_rest(stage)
    ledger, closing = reckoned(stage, committed_past_everything(stage.path))
    assert totals(ledger) == Counts(sent=RECORDS, acked=RECORDS, arrived=40, late=40, gone=40)
    assert {one.what for one in disturbances(closing)} == {"gone"}
    assert {(one.held, one.held_whole) for one in closing.target.partitions} == {(0, True)}


def test_a_mirror_that_came_back_unseen_is_told_by_its_id():
    """Between two looks: it was never seen to be away."""
    stage = stage_of()
    half_way(stage)
    stage.path.make_again(names(stage)[1])
    the_rest(stage)
    _, closing = reckoned(stage)
    assert [topic.ids for topic in closing.target.topics] == [("t1", "again")]


def test_without_topic_ids_a_mirror_that_was_seen_away_is_another_and_one_that_shrank_was_truncated():
    for seen_away in (True, False):
        stage = stage_of()
        _, mirror = names(stage)
        stage.path.ids[mirror] = ""
        half_way(stage)
        stage.path.delete(mirror)
        if seen_away:
            stage.look()
        stage.path.make_again(mirror, "")
        the_rest(stage)
        ledger, closing = reckoned(stage)
        what = "remade" if seen_away else "truncated"
        assert {one.what for one in disturbances(closing)} == {what}
        assert totals(ledger).gone == 40


def test_a_mirror_that_lost_its_end_is_truncated_and_what_our_reader_read_twice_is_nobodys():
    stage = stage_of()
    half_way(stage)
    _, mirror = names(stage)
    del stage.path.logs[mirror, 1][-3:]
    the_rest(stage)
    ledger, closing = reckoned(stage)
    counts = totals(ledger)
    assert [(one.partition, one.what) for one in disturbances(closing)] == [(1, "truncated")]
    assert counts.gone == 3
    assert counts.duplicated == counts.duplicated_untold > 0


@pytest.mark.parametrize(
    ("retention", "what"),
    [
        (Retention(ms=7 * 24 * 3_600_000, bytes=-1, policy="delete"), ["trimmed"]),
        (Retention(ms=-1, bytes=-1, policy="compact"), ["trimmed"]),
        (Retention(ms=10, bytes=-1, policy="delete"), []),
        (Retention(ms=-1, bytes=100, policy="compact,delete"), []),
        (Retention(ms=-1, bytes=10**9, policy="delete"), ["trimmed"]),
        ("not authorized", ["trimmed"]),
    ],
    ids=["a week", "compacted", "10 ms", "100 bytes", "a gigabyte", "not told"],
)
def test_records_that_left_a_mirror_are_gone_unless_its_own_retention_may_have_taken_them(retention, what):
    stage = stage_of(retention=retention)
    half_way(stage)
    _, mirror = names(stage)
    the_rest(stage)
    stage.path.truncate((mirror, 2), 6)  # a canary and five records
    ledger, closing = reckoned(stage)
    assert [one.what for one in disturbances(closing, record_bytes=200)] == what
    assert [one.sure for one in disturbances(closing, record_bytes=200)] == [retention != "not authorized"] * len(what)
    sure = what and retention != "not authorized"
    assert totals(ledger) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS, gone=5 if sure else 0)


def test_what_lay_on_a_mirror_before_the_run_may_leave_it():
    path = Path(made=memory_plan(), retention="not told")
    mirror = path.made.topics[0].remote
    path.logs[mirror, 0] += [(b"k", b"old")] * 30
    stage = Stage(path)
    half_way(stage)
    path.truncate((mirror, 0), 30)
    the_rest(stage)
    ledger, closing = reckoned(stage)
    assert (totals(ledger), list(disturbances(closing))) == (ALL + Counts(), [])


def test_a_mirror_with_fewer_partitions_is_told_and_nothing_is_lost_on_those_that_are_not_there():
    stage = stage_of(plant={(3, seq): "lose" for seq in range(EACH)})
    mirror = names(stage)[1]
    stage.path.partition_counts[mirror] = 3
    stage.canaries()
    stage.start()
    the_rest(stage)
    ledger, closing = reckoned(stage, committed_past_everything(stage.path))
    assert (totals(ledger).lost, totals(ledger).late) == (0, EACH)
    assert [(one.partition, one.what) for one in disturbances(closing)] == [(3, "fewer_partitions")]


def test_a_mirror_that_is_not_told_at_the_end_says_why():
    stage = stage_of()
    half_way(stage)
    the_rest(stage)
    stage.path.silent.add("target")
    ledger, closing = reckoned(stage, committed_past_everything(stage.path))
    (topic,) = closing.target.topics
    assert (topic.partitions_start, topic.partitions_end, topic.untold) == (4, None, {"end": "no answer"})
    assert {one.high_end for one in closing.target.partitions} == {None}
    assert totals(ledger) == ALL


def test_what_is_not_told_at_the_end_is_asked_again_before_it_stays_untold():
    stage = stage_of()
    half_way(stage)
    the_rest(stage)
    stage.path.silent.add("target")
    topics = stage.engines[0]._lookout.target._looks.topics

    def again(names, *, timeout_s):
        told = topics(names, timeout_s=timeout_s)
        stage.path.silent.clear()
        return told

    stage.engines[0]._lookout.target._looks.topics = again
    _, closing = reckoned(stage)
    assert [(topic.partitions_end, topic.untold) for topic in closing.target.topics] == [(4, {})]


# --- loss that is none -----------------------------------------------------------------------------------------------


def test_loss_is_never_proven_on_a_mirror_that_does_not_exist():
    """It was named wrongly: MM2 commits past everything, and mirrors it somewhere else."""
    path = Path(made=memory_plan())
    path.ids[path.made.topics[0].remote] = None
    stage = Stage(path)
    for engine in stage.engines:
        engine.send_canaries()
    stage.start()
    the_rest(stage)
    ledger, closing = reckoned(stage, committed_past_everything(path))
    assert totals(ledger) == Counts(sent=RECORDS, acked=RECORDS, late=RECORDS)
    assert [topic.absent for topic in closing.target.topics] == [True]


def test_a_commit_that_lies_behind_the_sources_end_is_of_an_earlier_topic_and_proves_nothing():
    stage = stage_of(plant={(1, EACH - 1): "lose"})
    stage.play()
    source, _ = names(stage)
    ledger, _ = reckoned(stage, {f"{source}:1": 10**6})
    assert (totals(ledger).lost, totals(ledger).late) == (0, 1)


def test_a_source_topic_that_was_made_anew_makes_commits_prove_nothing():
    stage = stage_of(plant={(1, EACH - 1): "lose"})
    half_way(stage)
    source, _ = names(stage)
    the_rest(stage)
    stage.path.ids[source] = "another"
    ledger, closing = reckoned(stage, committed_past_everything(stage.path))
    assert (totals(ledger).lost, totals(ledger).late) == (0, 1)
    assert happened(closing) == [("source", "remade")]


def test_what_another_reads_to_the_end_is_lost_by_a_commit_as_if_we_had_read_it():
    stage = stage_of(plant={(1, EACH - 1): "lose"})
    half_way(stage)
    the_rest(stage)
    mirror = names(stage)[1]
    stage.path.logs[mirror, 1].append((b"k", b"somebody else's"))
    stage.consumers[0].stuck.add((mirror, 1))
    ledger, _ = reckoned(stage, committed_past_everything(stage.path))
    assert (totals(ledger).lost, totals(ledger).late, totals(ledger).unread) == (1, 0, 0)


# --- purged at the source --------------------------------------------------------------------------------------------


def purge(stage: Stage, partition: int, upto_seq: int) -> None:
    source, _ = names(stage)
    stage.path.truncate((source, partition), stage.path.seq_offsets[source, partition, upto_seq])


@pytest.mark.parametrize("looked", [True, False])
def test_what_the_source_lost_before_mm2_read_it_is_purged_and_lost(looked):
    stage = stage_of()
    half_way(stage)
    stage.path.stop()
    the_rest(stage)
    stage.look()
    purge(stage, 2, 15)
    if looked:
        stage.look()
    stage.path.go_on()
    stage.settle()
    ledger, closing = reckoned(stage, committed_past_everything(stage.path))
    assert totals(ledger) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS - 5, lost=5, purged=5)
    examples = [row["examples"] for row in ledger["streams"] if row["examples"]]
    assert examples == [{"lost": [[10, 15]], "purged": [[10, 15]]}]
    assert [one.low_end for one in closing.source.partitions] == [0, 0, 16, 0]


def test_what_was_purged_to_the_end_is_lost_though_nothing_came_behind_it():
    stage = stage_of()
    half_way(stage)
    stage.path.stop()
    the_rest(stage)
    stage.look()
    source, _ = names(stage)
    stage.path.truncate((source, 0), EACH + 1)
    ledger, _ = reckoned(stage)
    assert totals(ledger) == Counts(sent=RECORDS, acked=RECORDS, arrived=40, lost=10, purged=10, late=30)


def test_in_a_hurry_what_may_be_on_its_way_inside_mm2_is_late_though_the_source_has_lost_it():
    stage = stage_of()
    half_way(stage)
    stage.path.stop()
    the_rest(stage)
    stage.path.truncate((names(stage)[0], 0), EACH + 1)
    ledger, _ = reckoned(stage, hurried=True)
    assert (totals(ledger).lost, totals(ledger).late) == (0, 40)


def test_what_mm2_lost_before_the_source_did_is_no_purge():
    stage = stage_of(plant={(1, 3): "lose", (1, 12): "lose"})
    half_way(stage)
    purge(stage, 1, 8)  # past record 3, behind which others had arrived while it was there
    stage.look()
    the_rest(stage)
    ledger, _ = reckoned(stage)
    assert totals(ledger) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS - 2, lost=2)


def test_what_arrived_before_it_left_the_source_is_nobodys_loss():
    stage = stage_of()
    half_way(stage)
    for partition in range(PARTITIONS):
        purge(stage, partition, 9)
    the_rest(stage)
    stage.look()
    ledger, closing = reckoned(stage)
    assert (totals(ledger), list(disturbances(closing))) == (ALL, [])


# --- twice, or altered -----------------------------------------------------------------------------------------------

DOUBLED = frozenset({(0, 3), (1, 0), (2, EACH - 1)})


def test_duplicates_that_the_source_holds_are_our_producers_and_the_others_mm2s():
    stage = stage_of(doubled=DOUBLED, plant={(3, 5): "duplicate", (3, 9): "replay"})
    stage.play()
    ledger, _ = reckoned(stage)
    counts = totals(ledger)
    assert (counts.duplicated, counts.duplicated_at_source, counts.duplicated_untold) == (7, 3, 0)
    assert (counts.arrived, counts.lost, counts.late) == (RECORDS, 0, 0)


def test_where_the_source_may_not_be_read_what_it_may_hold_twice_is_nobodys():
    stage = stage_of(doubled=DOUBLED, plant={(3, 5): "duplicate"}, unreadable_source="not authorized")
    stage.play()
    counts = totals(reckoned(stage)[0])
    # Of partition 3 the source got just what it acknowledged, so it cannot hold anything twice.
    assert (counts.duplicated, counts.duplicated_at_source, counts.duplicated_untold) == (4, 0, 3)


def test_where_it_is_not_told_how_much_the_source_got_no_duplicate_is_anybodys():
    stage = stage_of(plant={(3, 5): "duplicate"}, unreadable_source="not authorized", silent={"source"})
    stage.play()
    counts = totals(reckoned(stage)[0])
    assert (counts.duplicated, counts.duplicated_untold) == (1, 1)


def test_a_stranger_who_writes_our_record_again_altered_is_to_blame_for_both():
    stage = stage_of(plant={(2, 7): "corrupt"})
    half_way(stage)
    source, _ = names(stage)
    key, value = stage.path.logs[source, 1][4]
    stage.path.write(source, 1, key, value[:-3] + b"!!!")
    the_rest(stage)
    ledger, _ = reckoned(stage)
    counts = totals(ledger)
    assert (counts.duplicated, counts.duplicated_at_source) == (1, 1)
    assert (counts.corrupted, counts.corrupted_at_source) == (2, 1)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.frozensets(st.tuples(st.integers(0, PARTITIONS - 1), st.integers(0, EACH - 1)), max_size=8),
    st.dictionaries(
        st.tuples(st.integers(0, PARTITIONS - 1), st.integers(0, EACH - 1)),
        st.sampled_from(["duplicate", "lose", "corrupt"]),
        max_size=8,
    ),
    st.sampled_from([1, 4, 40]),
    st.sampled_from(["", "not authorized"]),
)
def test_mm2_is_never_blamed_for_what_our_producer_wrote_twice(doubled, plant, tick_ms, unreadable):
    plant = {place: action for place, action in plant.items() if place not in doubled}
    stage = stage_of(doubled=doubled, plant=plant, unreadable_source=unreadable)
    stage.play(tick_ns=tick_ms * NS_PER_MS)
    counts = totals(reckoned(stage)[0])
    by_mm2, by_us = stage.path.saboteur.done["duplicate"], stage.path.doubled_done
    assert counts.duplicated == by_mm2 + by_us
    left_to_mm2 = counts.duplicated - counts.duplicated_at_source - counts.duplicated_untold
    if unreadable:
        assert left_to_mm2 <= by_mm2
    else:
        assert (left_to_mm2, counts.duplicated_untold) == (by_mm2, 0)
    assert counts.corrupted - counts.corrupted_at_source == stage.path.saboteur.done["corrupt"]


# --- strangers -------------------------------------------------------------------------------------------------------


def half_an_envelope(stage: Stage, partition: int) -> bytes:
    source, _ = names(stage)
    _, value = stage.path.logs[source, partition][3]
    return value[:40] + b"garbage"


def test_half_an_envelope_by_a_stranger_is_foreign_when_none_of_ours_is_missing():
    stage = stage_of()
    half_way(stage)
    source, mirror = names(stage)
    garbage = half_an_envelope(stage, 1)
    stage.path.write(source, 1, b"k", garbage)
    stage.path.logs[mirror, 2].append((b"k", garbage))
    the_rest(stage)
    ledger, _ = reckoned(stage)
    assert totals(ledger) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS, foreign=2)


def test_it_is_foreign_though_one_of_ours_is_missing_when_the_source_holds_it_just_so():
    stage = stage_of(plant={(1, 5): "lose"})
    half_way(stage)
    stage.path.write(names(stage)[0], 1, b"k", half_an_envelope(stage, 1))
    the_rest(stage)
    counts = totals(reckoned(stage)[0])
    assert (counts.lost, counts.corrupted, counts.foreign) == (1, 0, 1)


def test_garbage_on_a_mirror_that_misses_one_of_ours_may_be_that_one():
    stage = stage_of(plant={(1, 5): "cut", (1, 6): "cut"})
    half_way(stage)
    the_rest(stage)
    counts = totals(reckoned(stage)[0])
    assert (counts.lost, counts.corrupted, counts.foreign) == (2, 2, 0)


def test_no_more_garbage_can_be_ours_than_is_missing():
    stage = stage_of(plant={(1, 5): "cut"})
    half_way(stage)
    stage.path.logs[names(stage)[1], 1] += [(b"k", half_an_envelope(stage, 1))] * 4
    the_rest(stage)
    counts = totals(reckoned(stage)[0])
    assert (counts.lost, counts.corrupted, counts.foreign) == (1, 1, 4)


def test_a_partition_that_several_share_has_its_garbage_told_apart_by_all_that_misses_there():
    stage = Stage(Path(made=memory_plan(), plant={(1, 3): "cut"}), senders=8)
    stage.play()
    ledger, _ = merge(stage.finish(), ["one", "two"])
    counts = totals(ledger)
    # Two streams share the partition, and the plant hits a record 3 in each.
    assert (counts.lost, counts.corrupted, counts.foreign) == (2, 2, 0)


# --- our own reader --------------------------------------------------------------------------------------------------


def test_a_reader_that_stands_still_is_started_again_while_the_run_goes_on():
    stage = stage_of()
    half_way(stage)
    mirror = names(stage)[1]
    stage.consumers[0].stuck.add((mirror, 3))
    the_rest(stage)
    for _ in range(3):
        stage.look()
        stage.path.now_ns += 5 * NS_PER_S
    stage.settle()
    assert stage.consumers[0].renewed == 1
    (note,) = stage.engines[0].second().notes
    assert note == {"event": "reader_restarted", "restart": 1, "places": [f"{mirror}:3"], "count": 1}
    ledger, closing = reckoned(stage)
    assert totals(ledger) == ALL
    assert [restart.places for restart in closing.restarts] == [(f"{mirror}:3",)]


def test_a_reader_with_nothing_before_it_or_that_moves_is_left_alone():
    stage = stage_of()
    half_way(stage)
    stage.consumers[0].most_per_read = 1
    for _ in range(6):
        stage.look()
        stage.path.now_ns += 5 * NS_PER_S
        stage.step(NS_PER_MS)
    the_rest(stage)
    assert stage.consumers[0].renewed == 0


def test_what_our_own_reader_never_read_is_unread_and_neither_lost_nor_late_by_mm2():
    """Seen once: nothing of it was read, and all of it lay in the mirrors."""
    stage = stage_of()
    stage.canaries()
    mirror = names(stage)[1]
    stage.consumers[0].stuck |= {(mirror, partition) for partition in range(PARTITIONS)}
    stage.start()
    the_rest(stage)
    ledger, closing = reckoned(stage, committed_past_everything(stage.path))
    assert totals(ledger) == Counts(sent=RECORDS, acked=RECORDS, late=RECORDS, unread=RECORDS)
    assert {(one.position, one.read_to_end, one.high_end) for one in closing.target.partitions} == {
        (1, False, EACH + 1)
    }


def test_what_lies_unread_is_told_from_what_is_late_and_from_what_is_lost():
    stage = stage_of(plant={(0, 12): "lose", (1, EACH - 1): "lose", (2, EACH - 1): "lose"})
    half_way(stage)
    source, mirror = names(stage)
    stage.consumers[0].stuck |= {(mirror, 0), (mirror, 1)}
    the_rest(stage)
    ledger, _ = reckoned(stage, {f"{source}:1": EACH})
    by_partition = {row["partition"]: Counts(**row["counts"]) for row in ledger["streams"]}
    assert (by_partition[0].unread, by_partition[0].late, by_partition[0].lost) == (9, 10, 0)
    assert (by_partition[1].unread, by_partition[1].late, by_partition[1].lost) == (9, 9, 1)
    assert (by_partition[2].unread, by_partition[2].late, by_partition[2].lost) == (0, 1, 0)
    assert by_partition[3] == Counts(sent=EACH, acked=EACH, arrived=EACH)


@pytest.mark.parametrize(("looked_s", "unread"), [(None, 0), (0, RECORDS - 40), (8, 0)])
def test_what_a_late_mm2_wrote_just_before_the_end_is_late_and_not_left_unread_by_our_reader(looked_s, unread):
    """`looked_s`: a look between its writing and the end, so long after it. 9 s after it is the end."""
    stage = stage_of()
    half_way(stage)
    _, mirror = names(stage)
    stage.consumers[0].stuck |= {(mirror, partition) for partition in range(PARTITIONS)}
    the_rest(stage)
    written_ns = stage.path.now_ns
    if looked_s is not None:
        stage.path.now_ns = written_ns + looked_s * NS_PER_S
        stage.look()
    stage.path.now_ns = written_ns + 9 * NS_PER_S
    ledger, _ = reckoned(stage, committed_past_everything(stage.path))
    counts = totals(ledger)
    assert (counts.arrived, counts.lost, counts.late, counts.unread) == (40, 0, RECORDS - 40, unread)


@pytest.mark.parametrize("ours", [True, False])
def test_what_lies_behind_our_reader_though_nothing_is_missing_is_looked_at(ours):
    """A second copy of a record, or somebody else's."""
    stage = stage_of()
    half_way(stage)
    the_rest(stage)
    mirror = names(stage)[1]
    stage.consumers[0].stuck.add((mirror, 1))
    log = stage.path.logs[mirror, 1]
    log.append(log[-1] if ours else (b"k", b"somebody else's"))
    ledger, closing = reckoned(stage, committed_past_everything(stage.path))
    assert totals(ledger) == ALL
    behind = {one.partition: one.read_to_end for one in closing.target.partitions if one.position < one.high_end}
    assert behind == {1: not ours}


def test_a_reader_that_cannot_be_helped_is_not_started_again_for_ever():
    stage = stage_of()
    half_way(stage)
    mirror = names(stage)[1]
    the_rest(stage)
    stage.path.logs[mirror, 3].append((b"k", b"one more"))
    for _ in range(4 * MOST_RESTARTS):
        stage.consumers[0].stuck.add((mirror, 3))
        stage.look()
        stage.path.now_ns += 5 * NS_PER_S
    assert stage.consumers[0].renewed == MOST_RESTARTS


@pytest.fixture(scope="module")
def mocks():
    return Mock(), Mock()


def test_a_reader_that_hangs_reads_on_through_brokers_and_is_named(mocks):
    made = Bench(small_plan(*mocks, records=RECORDS))
    made.canaries()
    (engine,) = made.engines
    engine._consumer._consumer.pause(engine._consumer._consumer.assignment())
    made.send_all()
    made.pump(lambda: made.copier.done["copy"] == RECORDS, "the copier")
    made.copier.flush()
    made.wait(0.2)
    assert made.counted().arrived < RECORDS
    for _ in range(3):
        engine.look()
        made.now_ns += 5 * NS_PER_S
    made.arrivals(missing=0)
    (account,) = made.finish()
    assert Counts(**account["phases"]["one"]) + Counts(**account["phases"]["two"]) == ALL
    assert len(account["closing"]["restarts"]) == 1


def test_what_a_reader_that_hangs_left_unread_is_found_on_the_brokers_at_the_end(mocks):
    made = Bench(small_plan(*mocks, records=RECORDS), plant={(1, 4): "lose"})
    made.canaries()
    (engine,) = made.engines
    engine._consumer._consumer.pause(engine._consumer._consumer.assignment())
    made.send_all()
    made.pump(lambda: made.copier.done["copy"] == RECORDS - 1, "the copier")
    made.copier.flush()
    read = made.counted().arrived
    (account,) = made.finish({f"{made.plan.topics[0].source}:1": EACH})
    counts = total(Counts(**counts) for counts in account["phases"].values())
    assert counts == Counts(
        sent=RECORDS, acked=RECORDS, arrived=read, lost=1, late=RECORDS - read - 1, unread=RECORDS - read - 1
    )


def test_the_plant_hits_what_it_names():
    """Twice at the source, carried, purged: a plant that never happens would make every test above pass."""
    doubled: frozenset[Place] = frozenset({(0, 3)})
    stage = stage_of(doubled=doubled)
    stage.play()
    source, mirror = names(stage)
    assert len(stage.path.logs[source, 0]) == len(stage.path.logs[mirror, 0]) == EACH + 2
    stage = stage_of()
    half_way(stage)
    stage.path.stop()
    the_rest(stage)
    assert [len(stage.path.logs[mirror, p]) for p in range(PARTITIONS)] == [11] * PARTITIONS
    purge(stage, 2, 15)
    stage.path.go_on()
    stage.settle()
    assert [len(stage.path.logs[mirror, p]) for p in range(PARTITIONS)] == [21, 21, 16, 21]
    assert stage.consumers[0].renewed == 0
