"""Who owns what: every partition has an owner, and only where senders outnumber partitions is one shared."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm2_users.streams import StreamPlace, streams_of, turns_of
from scenarios.plan import PlannedTopic
from scenarios.scenario import HotPartition


def topics(*partitions):
    return [PlannedTopic(source=f"t{n}", remote=f"r{n}", partitions=count) for n, count in enumerate(partitions)]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 40))
def test_every_partition_is_owned_and_once_where_senders_do_not_outnumber_them(partitions, senders):
    planned = topics(*partitions)
    owned = [place for index in range(senders) for place in streams_of(planned, index=index, senders=senders)]
    places = {StreamPlace(topic, number) for topic, count in enumerate(partitions) for number in range(count)}
    assert set(owned) == places
    if senders <= len(places):
        assert len(owned) == len(places)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 40))
def test_no_sender_is_idle_and_shares_differ_by_one_at_most(partitions, senders):
    counts = [len(streams_of(topics(*partitions), index=index, senders=senders)) for index in range(senders)]
    assert min(counts) >= 1
    assert max(counts) - min(counts) <= 1


def test_senders_beyond_the_partitions_share_them_in_turn():
    shares = [streams_of(topics(2), index=index, senders=5) for index in range(5)]
    assert shares == [[StreamPlace(0, k % 2)] for k in range(5)]


def test_a_short_run_touches_every_topic_first():
    assert streams_of(topics(2, 1, 3), index=0, senders=1) == [
        StreamPlace(0, 0),
        StreamPlace(1, 0),
        StreamPlace(2, 0),
        StreamPlace(0, 1),
        StreamPlace(2, 1),
        StreamPlace(2, 2),
    ]


# --- a hot partition -------------------------------------------------------------------------------------------------

HOT = HotPartition(partition=2, weight=10)


def shares(planned, senders, hot):
    """Partition → share of all records, if every sender has as many records as any other."""
    found = Counter()
    for index in range(senders):
        places = streams_of(planned, index=index, senders=senders, hot=hot)
        turns = turns_of(places, planned, hot)
        for turn in turns:
            found[places[turn]] += 1 / len(turns) / senders
    return found


@pytest.mark.parametrize("senders", [1, 2, 3, 5, 11])
def test_hot_partition_has_ten_times_the_records_of_the_others(senders):
    found = shares(topics(12, 12), senders, HOT)
    hot = [found.pop(StreamPlace(topic, 2)) for topic in (0, 1)]
    assert len(found) == 22
    assert hot == pytest.approx([10 / 42] * 2)
    assert sum(found.values()) / len(found) == pytest.approx(1 / 42)


def test_turns_of_the_hot_partition_are_spread_over_the_round():
    places = streams_of(topics(12), index=0, senders=1, hot=HOT)
    turns = turns_of(places, topics(12), HOT)
    hot = [k for k, turn in enumerate(turns) if places[turn].partition == 2]
    assert len(turns) == 21
    assert max(after - before for before, after in itertools.pairwise(hot)) <= 3 or len(hot) == 10


def test_without_a_hot_partition_every_place_has_one_turn():
    places = streams_of(topics(3, 2), index=0, senders=1)
    assert turns_of(places, topics(3, 2), None) == [0, 1, 2, 3, 4]


@given(st.integers(2, 9), st.integers(1, 20), st.integers(2, 50))
def test_every_partition_is_served_with_a_hot_one_too(partitions, senders, weight):
    hot = HotPartition(partition=1, weight=weight)
    assert set(shares(topics(partitions), senders, hot)) == {StreamPlace(0, n) for n in range(partitions)}
