"""Planted truth: whatever is done to chosen records on the way, every count is the plant's, exactly.

Many histories with the whole engine on a path in memory, a few with librdkafka's mock brokers in between;
tests/lab/test_planted_truth.py does the same on real Kafka.
"""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mm2_users.ledger import StreamLedger
from run_record.counts import Counts, total
from tests.mm2_users.copier import Bench, Mock, small_plan, totals
from tests.mm2_users.memory import NS_PER_MS, Path, Stage, histogram_of
from tests.mm2_users.saboteur import PARTITIONS, PATH_TROUBLE, SOURCE_TROUBLE, Place
from tests.mm2_users.truth import Truth, truth_of
from tests.scenarios.examples import plan, with_phases

RECORDS = 80
EACH = RECORDS // PARTITIONS


@cache
def memory_plan(records: int = RECORDS, per_s: int = 1000, topics: int = 1):
    """Half of the records in each of two phases."""
    half = f"rate: {per_s}/s, duration: {1000 * records / 2 / per_s:.0f}ms"
    return plan(
        with_phases(
            f"{{name: one, profile: nominal, {half}}}",
            f"{{name: two, profile: nominal, {half}}}",
            topics=f'{{count: {topics}, partitions: {PARTITIONS}, name: "{{prefix}}t-{{n}}"}}',
        )
    )


def truths(stage_or_bench, *, plant, trouble, committed_seqs=()) -> list[Truth]:
    """Of each stream, by what the engines have sent to it."""
    return [
        Truth(
            records=stream.ledger.next_seq,
            partition=stream.place.partition,
            plant=plant,
            trouble=trouble,
            committed_seq=dict(committed_seqs).get(stream.place.partition, -1),
        )
        for engine in stage_or_bench.engines
        for stream in engine._streams
    ]


def check(accounts, streams: list[Truth]) -> None:
    """Counts are the truth's, both equations hold everywhere, and there are as many latencies as first arrivals."""
    assert totals(accounts) == truth_of(streams)
    for account in accounts:
        for counts in (*account["phases"].values(), *(row["counts"] for row in account["streams"])):
            assert Counts(**counts).balanced, counts
    timed = sum(stream.timed() for stream in streams)
    for kind in ("e2e", "e2e_from_sent"):
        assert sum(histogram_of(account, kind).count for account in accounts) == timed
    assert sum(histogram_of(account, "send_delay").count for account in accounts) == totals(accounts).sent


def places() -> st.SearchStrategy[Place]:
    """Any record; the first and the last of a partition more often than the others."""
    seqs = st.one_of(st.integers(0, EACH - 1), st.sampled_from([0, EACH - 1]))
    return st.tuples(st.integers(0, PARTITIONS - 1), seqs)


@st.composite
def plants(draw) -> dict[Place, str]:
    """Single records, ranges, whole partitions."""
    plant = draw(st.dictionaries(places(), st.sampled_from(PATH_TROUBLE), max_size=12))
    for _ in range(draw(st.integers(0, 2))):
        (partition, start), size = draw(places()), draw(st.integers(1, EACH))
        action = draw(st.sampled_from(PATH_TROUBLE))
        plant |= {(partition, seq): action for seq in range(start, min(start + size, EACH))}
    if draw(st.integers(0, 9)) == 0:
        whole = draw(st.integers(0, PARTITIONS - 1))
        plant |= {(whole, seq): draw(st.sampled_from(["lose", "hold", "stray", "corrupt"])) for seq in range(EACH)}
    return plant


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    plants(),
    st.dictionaries(places(), st.sampled_from(SOURCE_TROUBLE), max_size=8),
    st.sampled_from([1, 3, 10, 200]),
    st.lists(st.tuples(st.integers(0, PARTITIONS - 1), st.integers(-1, EACH - 1)), max_size=PARTITIONS),
)
def test_every_count_equals_the_plant_in_any_history(plant, trouble, tick_ms, committed_seqs):
    path = Path(made=memory_plan(), plant=plant, trouble=trouble)
    stage = Stage(path)
    stage.play(tick_ns=tick_ms * NS_PER_MS)
    topic = path.made.topics[0].source
    committed = {}
    for partition, seq in dict(committed_seqs).items():
        before = [path.seq_offsets.get((topic, partition, k), 0) for k in range(seq + 1)]
        committed[f"{topic}:{partition}"] = max(before, default=0)  # 0 is the canary's offset
    accounts = stage.finish(committed)
    found, least, most = (
        totals(accounts),
        truth_of(truths(stage, plant=plant, trouble=trouble)),
        truth_of(truths(stage, plant=plant, trouble=trouble, committed_seqs=committed_seqs)),
    )
    # Where refused records cut a batch apart, its offsets are not known, and a commit proves less; never too much.
    assert least.lost <= found.lost <= most.lost
    streams = truths(stage, plant=plant, trouble=trouble, committed_seqs=committed_seqs if not trouble else ())
    if trouble:
        accounts = [moved(account, found.lost - least.lost) for account in accounts]
        assert totals(accounts) == truth_of(streams)
    else:
        check(accounts, streams)
    for account in accounts:
        assert all(Counts(**counts).balanced for counts in account["phases"].values())


def moved(account, lost: int):
    """The account with so many lost ones counted as late."""
    first, *rest = account["phases"]
    counts = dict(account["phases"][first])
    return account | {
        "phases": {
            first: counts | {"lost": counts["lost"] - lost, "late": counts["late"] + lost},
            **{name: account["phases"][name] for name in rest},
        }
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plants(), st.dictionaries(places(), st.sampled_from(SOURCE_TROUBLE), max_size=8), st.sampled_from([1, 2, 3, 4]))
def test_any_number_of_senders_counts_the_same_plant(plant, trouble, senders):
    stage = Stage(Path(made=memory_plan(), plant=plant, trouble=trouble), senders=senders)
    stage.play(tick_ns=3 * NS_PER_MS)
    accounts = stage.finish()
    check(accounts, truths(stage, plant=plant, trouble=trouble))


@pytest.fixture(scope="module")
def mocks():
    return Mock(), Mock()


SINGLE = [(action, seq) for action in PATH_TROUBLE for seq in (0, EACH // 2, EACH - 1)]


@pytest.mark.parametrize("seed", range(4))
def test_every_count_equals_the_plant_through_brokers(mocks, seed):
    """All kinds of trouble at the first, a middle and the last record of some partition, and at random ones."""
    rng = random.Random(seed)
    plant = {(rng.randrange(PARTITIONS), seq): action for action, seq in SINGLE[seed::4]}
    plant |= {(rng.randrange(PARTITIONS), rng.randrange(EACH)): rng.choice(PATH_TROUBLE) for _ in range(8)}
    trouble = {(rng.randrange(PARTITIONS), rng.randrange(EACH)): rng.choice(SOURCE_TROUBLE) for _ in range(6)}
    if seed == 3:
        plant |= {(2, seq): "lose" for seq in range(EACH)}
    made = Bench(small_plan(*mocks, records=RECORDS), plant=plant, trouble=trouble)
    made.canaries()
    made.send_all()
    streams = truths(made, plant=plant, trouble=trouble)
    made.counts_are(truth_of(streams))
    check(made.finish(), streams)


def test_a_hundred_million_records_in_order_are_no_anomaly_and_take_no_memory():
    partitions, batch, per_partition = 120, 5000, 840_000
    ledgers = [StreamLedger() for _ in range(partitions)]
    block, phases, intact = np.arange(batch), np.zeros(batch, dtype=np.uint8), np.ones(batch, dtype=np.bool_)
    tracemalloc.start()
    try:
        for first in range(0, per_partition, batch):
            for ledger in ledgers:
                assert ledger.take(batch, 0) == first
                # The arrivals run half a batch behind the acknowledgements, as they do.
                ledger.ack(first, first + batch)
                ledger.anchor(first, first + batch, first + 1)
                seqs = block[: batch // 2] if first == 0 else block + (first - batch // 2)
                assert ledger.arrive(seqs, phases[: len(seqs)], intact[: len(seqs)]) is None
        for ledger in ledgers:
            seqs = block[: batch // 2] + (per_partition - batch // 2)
            assert ledger.arrive(seqs, phases[: len(seqs)], intact[: len(seqs)]) is None
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    everything = partitions * per_partition
    assert everything >= 10**8
    counts = total(part for ledger in ledgers for part in ledger.counts().values())
    assert counts == Counts(sent=everything, acked=everything, arrived=everything)
    assert all(ledger.examples() == {} for ledger in ledgers)
    assert most_bytes <= 20 * 2**20, f"{most_bytes / 2**20:.2f} MiB"


# --- what a slow or a lost reader must never do ----------------------------------------------------------------------


def committed_past_everything(path: Path) -> dict[str, int]:
    return {f"{topic}:{partition}": end - 1 for (topic, partition), end in path.offsets.items()}


def test_what_a_slow_reader_has_not_read_yet_is_late_though_mm2_has_committed_past_it():
    path = Path(made=memory_plan())
    stage = Stage(path, most_per_read=10**9)
    stage.canaries()
    stage.consumers[0].most_per_read = 1  # a record a millisecond: never done before the drain is
    stage.start()
    stage.steps(80, NS_PER_MS // 4 * 5)
    stage.path.now_ns += NS_PER_MS
    stage.consumers[0].most_per_read = 0
    stage.steps(10, NS_PER_MS)
    (account,) = stage.finish(committed_past_everything(path))
    counts = totals([account])
    assert counts.sent == counts.acked
    assert counts.late > 0
    assert counts.late == counts.acked - counts.arrived
    assert counts.lost == 0, "nothing was lost: it was not read"


def test_a_commit_proves_loss_in_the_partitions_that_were_read_to_their_end_and_only_there():
    plant = {(partition, EACH - 1): "lose" for partition in range(PARTITIONS)}
    path = Path(made=memory_plan(), plant=plant)
    stage = Stage(path)
    stage.play()
    mirror = path.made.topics[0].remote
    path.logs[mirror, 0].append((b"key", b"somebody else's, not read yet"))
    path.logs[mirror, 3].append((b"key", b"somebody else's, not read yet"))
    stage.consumers[0].most_per_read = 0
    stage.rereads["target"].out_of_time = {(mirror, 0), (mirror, 3)}
    (account,) = stage.finish(committed_past_everything(path))
    assert (totals([account]).lost, totals([account]).late) == (2, 2)
    assert {row["partition"]: list(row["examples"]) for row in account["streams"]} == {
        0: ["late"],
        1: ["lost"],
        2: ["lost"],
        3: ["late"],
    }


def test_a_reader_thrown_out_of_its_place_proves_nothing_of_what_was_missing_then():
    path = Path(made=memory_plan(), plant={(0, 3): "lose", (0, 17): "lose", (1, 3): "lose"})
    stage = Stage(path)
    stage.canaries()
    stage.start()
    stage.steps(40, NS_PER_MS)
    mirror = path.made.topics[0].remote
    stage.consumers[0].jump((mirror, 0), 0)
    while not stage.engines[0]._pacer.done:
        stage.step(NS_PER_MS)
    stage.settle()
    (account,) = stage.finish(committed_past_everything(path))
    # Record 3 of partition 0 was missing when the place was lost; 17 was sent later, and read past.
    assert (totals([account]).lost, totals([account]).late) == (2, 1)
    assert account["lost_places"] == [f"{mirror}:0"]


def test_a_reader_that_the_broker_threw_out_says_so_and_calls_nothing_lost(mocks):
    """The mock keeps 5 MB a partition: a reader that sleeps meanwhile finds its place gone."""
    little = {"queued.min.messages": 1, "queued.max.messages.kbytes": 64, "fetch.message.max.bytes": 20_000}
    made = Bench(small_plan(*mocks, records=4000, payload="10KB"), consumer_extra=little)
    made.canaries()
    (engine,) = made.engines
    asleep = engine._consumer.read
    engine._consumer.read = lambda most: []
    engine._room = 500
    engine.start(made.now_ns - 10**12)
    made.pump(lambda: engine._pacer.done and not engine._outstanding, "the load", within_s=60)
    made.pump(lambda: made.copier.done["copy"] >= 4000, "the copier", within_s=60)
    made.copier.flush()
    engine._consumer.read = asleep
    made.pump(lambda: len(engine._arrivals.lost_places) == PARTITIONS, "the reader to notice")
    before = -1
    while before != (before := sum(stream.ledger.arrived.count() for stream in engine._streams)):
        made.wait(0.5)
    topic = made.plan.topics[0].source
    (account,) = made.finish({f"{topic}:{partition}": 10**6 for partition in range(PARTITIONS)})
    counts = totals([account])
    assert counts.lost == 0
    assert counts.late == 4000 - counts.arrived > 0
    assert len(account["lost_places"]) == PARTITIONS


def test_keys_and_partitions_are_verified_by_name():
    path = Path(made=memory_plan(), plant={(1, 4): "rekey", (2, EACH - 1): "stray"})
    stage = Stage(path)
    stage.play()
    (account,) = stage.finish()
    counts = totals([account])
    assert counts == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS - 1, late=1, corrupted=1, misplaced=1)
    examples = {row["partition"]: row["examples"] for row in account["streams"] if row["examples"]}
    assert examples == {1: {"corrupted": [4], "rekeyed": [4]}, 2: {"late": [[EACH - 1, EACH]]}}


def test_a_damaged_record_is_counted_once_where_its_neighbours_prove_which_one_it_was():
    plant: dict[Place, str] = {(0, 0): "damage", (1, 5): "deface", (2, EACH - 1): "damage"}
    plant |= {(3, seq): "damage" for seq in range(3, 9)} | {(3, 9): "lose"}
    stage = Stage(Path(made=memory_plan(), plant=plant))
    stage.play()
    (account,) = stage.finish()
    assert totals([account]) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS - 1, lost=1, corrupted=9)
    assert account["unattributed"] == Counts().to_json()


def test_a_damaged_record_of_a_shared_partition_could_be_anyones_and_is_named_for_nobody():
    plant: dict[Place, str] = {(1, 3): "damage"}
    stage = Stage(Path(made=memory_plan(), plant=plant), senders=8)
    stage.play()
    accounts = stage.finish()
    counts = totals(accounts)
    # Two streams share the partition, and the plant hits a record 3 in each.
    assert counts == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS - 2, lost=2, corrupted=2)
    assert totals([{"phases": {}, "unattributed": one["unattributed"]} for one in accounts]).corrupted == 2


def test_a_damaged_copy_of_a_record_that_has_arrived_is_not_taken_for_another():
    stage = Stage(Path(made=memory_plan()))
    stage.canaries()
    stage.start()
    stage.steps(40, NS_PER_MS)
    mirror = stage.path.made.topics[0].remote
    log = stage.path.logs[mirror, 1]
    key, value = log[-1]
    log.append((key, value[:40] + b"=" + value[41:]))
    stage.play_on()
    (account,) = stage.finish()
    assert totals([account]) == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS, corrupted=1)
    assert account["unattributed"]["corrupted"] == 1


def test_the_plants_of_this_file_hit_what_they_name():
    """A plant that never happens would make every test above pass."""
    seen: Counter[str] = Counter()
    plant = {(k % PARTITIONS, k): action for k, action in enumerate(PATH_TROUBLE)}
    stage = Stage(Path(made=memory_plan(), plant=plant))
    stage.play()
    seen.update(stage.path.saboteur.done)
    assert {action: seen[action] for action in PATH_TROUBLE} == dict.fromkeys(PATH_TROUBLE, 1)
