"""What is read at once is told apart by mirror, in the order read."""

from __future__ import annotations

from itertools import pairwise

from confluent_kafka import KafkaError, Message
from hypothesis import given
from hypothesis import strategies as st

from mm2_users.arrivals import _runs

PLACES = st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([0, 1, 2]))


@given(st.lists(st.tuples(PLACES, st.integers(1, 3)), min_size=1, max_size=6))
def test_stretches_of_one_mirror_are_all_that_was_read_in_its_order(stretches):
    places = [place for place, count in stretches for _ in range(count)]
    messages = [Message(topic=topic, partition=partition, error=None) for topic, partition in places]
    runs = _runs(messages)
    assert [place for place, start, end in runs for _ in range(start, end)] == [
        (message.topic(), message.partition()) for message in messages
    ]
    assert [start for _, start, _ in runs] == [0, *(end for _, _, end in runs[:-1])]
    assert all(before[0] != after[0] for before, after in pairwise(runs))


def test_an_error_of_the_whole_client_is_of_no_mirror():
    error = Message(error=KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert _runs([error]) == [((None, error.partition()), 0, 1)]
