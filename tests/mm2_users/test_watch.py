"""What one node sees of its topics: looking fails nobody, forgets nothing that was told, and accuses nobody falsely."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.kafka_topics import Ends, Retention, TopicSeen
from mm2_users.watch import MOST_ENDS, RETENTION_ASKED, Watch
from run_record.closing import Closing, SideFacts, disturbances, kept_long_enough, merge

TOPIC = "mirror"
HOUR_S, S = 3600, 1_000_000_000
PLACE = (TOPIC, 0)


class Looks:
    """A topic of one partition, as the test has it."""

    def __init__(self, **seen: Any) -> None:
        self.topic: TopicSeen | str = TopicSeen(partitions=1, id="one")
        self.end: Ends | str = Ends(low=0, high=0)
        self.kept: Retention | str = Retention(ms=HOUR_S * 1000, bytes=-1, policy="delete")
        self.asked = 0
        vars(self).update(seen)

    def topics(self, names, *, timeout_s):
        return dict.fromkeys(names, self.topic)

    def ends(self, places, *, timeout_s):
        return dict.fromkeys(places, self.end)

    def retention(self, names, *, timeout_s):
        self.asked += len(names)
        return dict.fromkeys(names, self.kept)

    def close(self):
        pass


def watch_of(looks: Looks) -> Watch:
    watch = Watch("target", looks, {TOPIC: 1}, [PLACE])
    watch.begin(0)
    return watch


def look(watch: Watch, at_s: float, *, read: int = 0, e2e_s: float = 0.0) -> list:
    return watch.look(round(at_s * S), read={PLACE: read}, longest_e2e_ns=round(e2e_s * S))


def closing_of(watch: Watch) -> Closing:
    nothing = SideFacts(topics=(), partitions=())
    return Closing(source=nothing, target=watch.facts(0), changes=watch.changes(0), restarts=())


def test_what_is_not_told_by_one_look_is_told_by_the_next_and_changes_nothing():
    looks = Looks()
    watch = watch_of(looks)
    looks.topic = looks.end = "timed out"
    assert look(watch, 5) == []
    assert watch.is_there(PLACE) is None
    assert (watch.ends(PLACE), watch.is_same(TOPIC)) == (Ends(low=0, high=0), True)
    assert closing_of(watch).target.topics[0].untold == {"end": "timed out"}
    looks.topic, looks.end = TopicSeen(partitions=1, id="one"), Ends(low=0, high=9)
    assert look(watch, 10) == []
    assert closing_of(watch).target.topics[0].untold == {}


def test_the_first_look_may_fail_too_and_then_what_is_of_the_run_is_what_came_after_the_first_that_told():
    looks = Looks(topic="timed out", end="timed out")
    watch = watch_of(looks)
    looks.topic, looks.end = TopicSeen(partitions=1, id="one"), Ends(low=3, high=7)
    look(watch, 5)
    looks.end = Ends(low=7, high=9)
    look(watch, 10)
    (partition,) = closing_of(watch).target.partitions
    assert (partition.low_start, partition.trim, watch.of_run(PLACE)) == (None, None, 7)
    looks.end = Ends(low=8, high=9)
    look(watch, 15)
    assert closing_of(watch).target.partitions[0].trim is not None


def test_a_mirror_that_mm2_makes_while_the_run_goes_on_is_no_change():
    looks = Looks(topic=TopicSeen(partitions=0, id=None))
    watch = watch_of(looks)
    assert watch.is_there(PLACE) is False
    looks.topic = TopicSeen(partitions=1, id="new")
    assert look(watch, 5) == []
    (topic,) = closing_of(watch).target.topics
    assert (topic.partitions_start, topic.partitions_end, topic.ids, topic.absent) == (0, 1, ("new",), False)
    assert looks.asked == 1, "its retention is asked for as soon as it is there, once"


def test_retention_is_asked_for_until_it_is_told_and_a_refusal_only_so_often():
    told, refused = Looks(), Looks(kept="not authorized")
    for looks, asked in ((told, 1), (refused, RETENTION_ASKED)):
        watch = watch_of(looks)
        for at_s in range(5, 50, 5):
            look(watch, at_s)
        assert looks.asked == asked
    late = Looks(kept="timed out")
    watch = watch_of(late)
    late.kept = Retention(ms=1, bytes=2, policy="delete")
    look(watch, 5)
    assert closing_of(watch).target.topics[0].retention_ms == 1


def test_a_topic_deleted_and_made_again_is_told_each_time_it_is_seen():
    looks = Looks()
    watch = watch_of(looks)
    told = []
    for at_s, topic in enumerate([("one", 1), (None, 0), ("two", 1), ("two", 1), ("three", 1), (None, 0)]):
        looks.topic = TopicSeen(id=topic[0], partitions=topic[1])
        told += [(one.at_ns // S, one.what) for one in look(watch, at_s)]
    assert told == [(1, "gone"), (2, "remade"), (4, "remade"), (5, "gone")]
    assert {one.what for one in disturbances(closing_of(watch))} == {"remade"}


def test_a_topic_that_a_broker_did_not_know_for_a_moment_is_the_same_if_its_id_is():
    looks = Looks()
    watch = watch_of(looks)
    looks.topic = TopicSeen(partitions=0, id=None)
    assert [one.what for one in look(watch, 5)] == ["gone"]
    assert not watch.is_same(TOPIC)
    looks.topic = TopicSeen(partitions=1, id="one")
    assert look(watch, 10) == []
    assert watch.is_same(TOPIC)
    assert list(disturbances(closing_of(watch))) == []
    looks.topic = TopicSeen(partitions=0, id=None)
    look(watch, 15)
    looks.topic = TopicSeen(partitions=1, id=None)  # who knows
    look(watch, 20)
    assert not watch.is_same(TOPIC)
    assert [one.what for one in disturbances(closing_of(watch))] == ["remade"]


def test_a_reader_thrown_out_is_a_sign_of_a_lost_end_only_where_the_beginning_stands():
    looks = Looks(end=Ends(low=3, high=9))
    watch = watch_of(looks)
    look(watch, 5)
    assert [one.what for one in watch.thrown_out(PLACE, 5)] == ["truncated"]
    assert watch.thrown_out(PLACE, 6) == [], "once"
    looks = Looks(end=Ends(low=3, high=9))
    watch = watch_of(looks)
    looks.end = Ends(low=5, high=9)
    look(watch, 5)
    assert watch.thrown_out(PLACE, 5) == []


# --- retention -------------------------------------------------------------------------------------------------------


def soak(*, hours: float, deletes, every_s: float = 60.0, per_s: int = 10, e2e_s: float = 1.0) -> Watch:
    """A partition that grows for so long, and begins where `deletes` says: seconds → the age of what is deleted."""
    looks = Looks()
    watch = watch_of(looks)
    low = 0
    for step in range(1, round(hours * HOUR_S / every_s) + 1):
        at_s = step * every_s
        high = round(at_s * per_s)
        low = max(low, round((at_s - deletes(at_s)) * per_s))
        looks.end = Ends(low=low, high=high)
        look(watch, at_s, read=high, e2e_s=e2e_s)
    return watch


def test_a_day_with_an_hours_retention_is_no_fault():
    watch = soak(hours=24, deletes=lambda at_s: min(at_s, HOUR_S))
    assert list(disturbances(closing_of(watch), record_bytes=1000)) == []


def test_a_deletion_in_the_midst_of_a_day_that_its_retention_does_not_explain_is_seen():
    watch = soak(hours=24, deletes=lambda at_s: 60 if 12 * HOUR_S < at_s < 12.5 * HOUR_S else HOUR_S)
    (found,) = disturbances(closing_of(watch), record_bytes=1000)
    assert (found.what, found.sure) == ("trimmed", True)
    assert found.seen_s == pytest.approx(12 * HOUR_S, abs=HOUR_S)


@given(
    st.floats(600, 7200),
    st.floats(1.0, 3.0),
    st.integers(0, 50),
    st.floats(0.0, 30.0),
    st.sampled_from([5.0, 61.0, 300.0]),
)
def test_retention_that_deletes_nothing_younger_than_it_may_is_never_accused(keeps_s, lazy, jitter, e2e_s, every_s):
    """Whole segments go, at times of the broker's own, so what goes is at least as old as retention says."""
    watch = soak(
        hours=3, deletes=lambda at_s: keeps_s * lazy + (at_s * 7919) % (jitter + 1), every_s=every_s, e2e_s=e2e_s
    )
    topic, (one,) = closing_of(watch).target.topics[0], closing_of(watch).target.partitions
    kept = topic.model_copy(update={"retention_ms": round(keeps_s * 1000)})
    assert one.trim is None or kept_long_enough(one.trim, kept, 1000)


def test_what_is_kept_of_ends_is_bounded():
    watch = soak(hours=24, deletes=lambda at_s: at_s, every_s=5.0)
    assert len(watch._partitions[PLACE].ends) <= MOST_ENDS


# --- several nodes ---------------------------------------------------------------------------------------------------


def test_of_a_partition_that_several_read_the_one_furthest_behind_counts_and_what_each_found_is_added_up():
    told = closing_of(watch_of(Looks()))
    (one,) = told.target.partitions

    def of(**changed):
        side = told.target.model_copy(update={"partitions": (one.model_copy(update=changed),)})
        return told.model_copy(update={"target": side})

    first = of(position=5, read_to_end=True, held=3, held_whole=True)
    second = of(position=7, read_to_end=False, held=4, held_whole=True)
    (both,) = merge([first, second]).target.partitions
    assert (both.position, both.read_to_end, both.held, both.held_whole) == (5, False, 7, True)
    (unsure,) = merge([first, of(position=None, read_to_end=None, held_whole=False)]).target.partitions
    assert (unsure.position, unsure.read_to_end, unsure.held, unsure.held_whole) == (None, None, 3, False)
    assert merge([told]) == told
