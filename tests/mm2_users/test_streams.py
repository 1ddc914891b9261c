"""Who owns what: every partition has an owner, and only where senders outnumber partitions is one shared."""

from hypothesis import given
from hypothesis import strategies as st

from mm2_users.streams import StreamPlace, streams_of
from scenarios.plan import PlannedTopic


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
