"""Keys: murmur2 is Kafka's own, and a key goes to the partition that Kafka would choose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm2_users.keys import keys_by_partition, murmur2, partition_of


@pytest.mark.parametrize(
    ("data", "hashed"),  # org.apache.kafka.common.utils.UtilsTest.testMurmur2
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(data, hashed):
    assert murmur2(data) == hashed & 0xFFFFFFFF


@given(st.binary(max_size=40), st.integers(1, 500))
def test_a_key_goes_to_a_partition_that_exists(key, partitions):
    assert 0 <= partition_of(key, partitions) < partitions


@pytest.mark.parametrize("partitions", [1, 3, 4, 12, 100, 1500])
def test_every_partition_has_keys_of_its_own(partitions):
    keys = keys_by_partition(partitions)
    assert len(keys) == partitions
    for partition, some in enumerate(keys):
        assert some
        assert {partition_of(key, partitions) for key in some} == {partition}


def test_the_runbooks_thousand_keys_are_all_used():
    assert {key for some in keys_by_partition(12) for key in some} == {b"key_%d" % n for n in range(1, 1001)}
