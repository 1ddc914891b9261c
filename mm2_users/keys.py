"""Keys that Kafka's default partitioner would send to a chosen partition.

A sender writes to the partitions it owns. To stay a realistic load it uses, for each, only keys (key_1 … key_1000, the
runbook's) that hash there, so that a consumer of the user's that relies on key → partition sees nothing unusual.
"""

from __future__ import annotations

KEY_COUNT = 1000
_SEED = 0x9747B28C
_MIX = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """MurmurHash2 as org.apache.kafka.common.utils.Utils.murmur2 computes it, as an unsigned 32-bit number."""
    length = len(data)
    state = _SEED ^ length
    whole = length & ~3
    for start in range(0, whole, 4):
        block = int.from_bytes(data[start : start + 4], "little") * _MIX & _MASK
        block = (block ^ block >> 24) * _MIX & _MASK
        state = (state * _MIX & _MASK) ^ block
    if whole < length:
        state = (state ^ int.from_bytes(data[whole:], "little")) * _MIX & _MASK
    state = (state ^ state >> 13) * _MIX & _MASK
    return state ^ state >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that BuiltInPartitioner.partitionForKey chooses: Utils.toPositive(murmur2(key)) % partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def keys_by_partition(partitions: int) -> tuple[tuple[bytes, ...], ...]:
    """For each partition the keys that hash to it; a partition that none hits gets one made for it."""
    found: list[list[bytes]] = [[] for _ in range(partitions)]
    for number in range(1, KEY_COUNT + 1):
        key = b"key_%d" % number
        found[partition_of(key, partitions)].append(key)
    number, missing = KEY_COUNT, sum(not keys for keys in found)
    while missing:
        number += 1
        key = b"key_%d" % number
        partition = partition_of(key, partitions)
        if not found[partition]:
            found[partition].append(key)
            missing -= 1
    return tuple(map(tuple, found))
