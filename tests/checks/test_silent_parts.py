"""One of several that says nothing: an exporter, a node, a partition, a partner. The others' figures are not its own.

Whatever must be whole is covered part by part, so that what one of them hides is INCONCLUSIVE, and never a GO nor a
figure that nobody measured; what moves, idles or begins with the load is no silence.
"""

from __future__ import annotations

import math

import pytest

from checks.evidence import Evidence
from checks.judge import judge_run
from checks.measurement import Window
from checks.measures import Run, measure
from checks.measures.parts import TASK_ROLES
from checks.metric_profiles import Role
from checks.reasons import Code
from checks.record_inputs import environment_of
from checks.role_facts import FACTS, Owner
from checks.windows import Windows
from run_record.store import RunRecord
from tests.support.phase2 import (
    END_S,
    START_S,
    TOPICS,
    WATCHED_S,
    item,
    phase2_metrics,
    spoil,
    write_phase2,
)
from tests.support.records import T0_S, environment_text, write_evidence

PROCESS = {"environment": environment_text() + "cpu: {workers: process}\n"}
NODES = {
    "workers.cpu": (Role.NODE_CPU_IDLE, {}),
    "workers.memory": (Role.NODE_MEMORY_AVAILABLE, {}),
    "workers.network_drops": (Role.NODE_NETWORK_TROUBLE, {}),
}
WORKERS = {
    "workers.heap": (Role.HEAP_USED, {}),
    "workers.cpu": (Role.PROCESS_CPU, PROCESS),
}
MIRRORS = {
    "mm2.latency_max": (Role.LATENCY_MAX, {}),
    "mm2.latency_avg": (Role.LATENCY_AVG, {}),
    "mm2.record_age_max": (Role.RECORD_AGE_MAX, {}),
    "mm2.record_rate": (Role.RECORD_COUNT, {}),
    "mm2.record_count_gap": (Role.RECORD_COUNT, {}),
}
TASKS = {
    "connect.in_flight_max": (Role.ACTIVE_COUNT, {}),
    "connect.offset_commit_max": (Role.OFFSET_COMMIT_MAX, {}),
    "connect.offset_commit_failure": (Role.OFFSET_COMMIT_FAILURE, {}),
    "connect.buffer_utilization": (Role.BUFFER_TOTAL, {}),
    "connect.throttle_max": (Role.THROTTLE_MAX, {}),
    "connect.poll_rate": (Role.POLL_TOTAL, {}),
    "connect.poll_idle": (Role.POLL_TOTAL, {}),
}


def flat(*tables):
    return [(name, role, settings) for table in tables for name, (role, settings) in table.items()]


def kept(one, keep):
    """A series without the points that are not to be kept."""
    return {**one, "values": [pair for pair in one["values"] if keep(pair[0] - T0_S)]}


def silenced(metrics, role, keep, host="w2"):
    """The metrics with a role's points on one host only where they are to be kept."""
    series = [kept(one, keep) if one["metric"]["instance"].startswith(host) else one for one in metrics[role]]
    return {**metrics, role: [one for one in series if one["values"]]}


@pytest.fixture
def run_of(tmp_path):
    def build(metrics, **settings):
        directory = write_phase2(tmp_path, **settings)
        write_evidence(directory, metrics)
        record = RunRecord.open(directory)
        environment = environment_of(record.manifest).environment
        return Run(
            record=record,
            evidence=Evidence.open(record.evidence()),
            environment=environment,
            windows=Windows.of(record, environment),
        )

    return build


@pytest.fixture
def verdicts(tmp_path):
    def build(metrics, **settings):
        directory = write_phase2(tmp_path, **settings)
        write_evidence(directory, metrics)
        return {result.criterion.id: result for result in judge_run(directory).evaluation.results}

    return build


class TestOneThatGoesSilent:
    @pytest.mark.parametrize(("name", "role", "settings"), flat(NODES, WORKERS, MIRRORS, TASKS))
    @pytest.mark.parametrize("until_s", [START_S + 2, START_S + 30])
    def test_during_the_load_leaves_no_value(self, run_of, name, role, settings, until_s):
        found = measure(name, run_of(silenced(phase2_metrics(), role, lambda at_s: at_s <= until_s), **settings))
        assert (found.value, found.why_not.code) == (None, Code.LOW_COVERAGE)

    @pytest.mark.parametrize(("name", "role", "settings"), flat(NODES, WORKERS, MIRRORS, TASKS))
    def test_before_the_load_leaves_no_value(self, run_of, name, role, settings):
        found = measure(name, run_of(silenced(phase2_metrics(), role, lambda at_s: at_s < START_S - 3), **settings))
        assert (found.value, found.why_not.code) == (None, Code.LOW_COVERAGE)
        assert found.why_not.params["where"] != "metric"

    @pytest.mark.parametrize(("name", "role", "settings"), flat(MIRRORS))
    def test_partitions_long_before_the_load_are_missing(self, run_of, name, role, settings):
        found = measure(name, run_of(silenced(phase2_metrics(), role, lambda at_s: at_s < START_S - 20), **settings))
        assert (found.value, found.why_not.code) == (None, Code.PARTITIONS_MISSING)
        assert (found.why_not.params["missing"], found.why_not.params["planned"]) == (5, 10)

    @pytest.mark.parametrize(("name", "role", "settings"), flat(WORKERS))
    def test_worker_without_the_metric_is_not_passed_over(self, run_of, name, role, settings):
        metrics = phase2_metrics()
        found = measure(name, run_of({**metrics, role: metrics[role][:1]}, **settings))
        assert (found.why_not.code, found.why_not.params["where"]) == (Code.LOW_COVERAGE, "w2:9404")

    @pytest.mark.parametrize(("name", "role", "settings"), flat(NODES, WORKERS, MIRRORS, TASKS))
    def test_before_the_end_of_a_long_load_is_stale(self, run_of, name, role, settings):
        """Nine tenths of the window are covered; its end is not."""
        long = (
            ("silence", "silence", 5, 71, 0),
            ("smoke", "load", 71, START_S + 600, 60_000),
            ("drain", "drain", START_S + 600, START_S + 602, 0),
            ("watch", "watch", START_S + 602, START_S + 603, 0),
        )
        metrics = {
            which: [{**one, "values": stretched(one["values"], until_s=START_S + 640)} for one in series]
            for which, series in phase2_metrics().items()
        }
        assert measure(name, run_of(metrics, phases=long, **settings)).value is not None
        quiet = silenced(metrics, role, lambda at_s: at_s < START_S + 570)
        found = measure(name, run_of(quiet, phases=long, run_id="quiet", **settings))
        assert (found.value, found.why_not.code) == (None, Code.STALE)

    def test_worker_whose_exporter_dies_before_the_end_is_stale(self, run_of):
        metrics = spoil(phase2_metrics(), Role.UP, lambda at_s: 1.0 if at_s < WATCHED_S - 11 else 0.0, which=1)
        found = measure("connect.failed_tasks", run_of(metrics))
        assert (found.why_not.code, found.why_not.params["where"]) == (Code.STALE, "w2:9404")

    def test_node_that_was_busy_is_neither_go_nor_an_invented_figure(self, verdicts):
        """w2 is at 30 %, and near 80 % in its last third; its exporter says nothing of that."""
        metrics = phase2_metrics()
        for role in (Role.NODE_CPU_IDLE, Role.NODE_MEMORY_AVAILABLE, Role.NODE_MEMORY_TOTAL):
            metrics = silenced(metrics, role, lambda at_s: at_s < START_S + 39)
        found = verdicts(metrics)
        assert {found[name].verdict.value for name in ("cpu", "memory", "check_cpu")} == {"INCONCLUSIVE"}


def appearing(from_s):
    """The metrics with one topic that MM2 takes up at an instant."""
    metrics = phase2_metrics()
    for role in [role for role, facts in FACTS.items() if facts.owner is Owner.PARTITION]:
        first, *others = metrics[role]
        metrics = {**metrics, role: [kept(first, lambda at_s: at_s >= from_s), *others]}
    return metrics


class TestOneThatBeginsLate:
    """What is first scraped after the load has begun says nothing of the time before."""

    @pytest.mark.parametrize("name", [*MIRRORS, "mm2.topics_replicated"])
    @pytest.mark.parametrize("from_s", [START_S + 20, END_S + 2])
    def test_topic_is_not_known_for_all_of_it(self, run_of, name, from_s):
        found = measure(name, run_of(appearing(from_s)))
        assert (found.value, found.why_not.code) in [(None, Code.LOW_COVERAGE), (None, Code.PARTITIONS_MISSING)]

    @pytest.mark.parametrize(("name", "role", "settings"), flat(NODES, WORKERS, MIRRORS, TASKS))
    @pytest.mark.parametrize("from_s", [START_S + 20, END_S + 2])
    def test_part_is_not_known_for_all_of_it(self, run_of, name, role, settings, from_s):
        found = measure(name, run_of(silenced(phase2_metrics(), role, lambda at_s: at_s >= from_s), **settings))
        assert (found.value, found.why_not.code) in [
            (None, Code.LOW_COVERAGE),
            (None, Code.PARTITIONS_MISSING),
            (None, Code.TASKS_MISSING),
            (None, Code.NO_BASE),
        ]


def stretched(values, *, until_s):
    """The points, and the last of the load's again every 5 s until an instant; a NaN at the end is no last."""
    last = [value for at_s, value in values if value != "NaN" and at_s - T0_S < END_S][-1]
    kept_ = [pair for pair in values if pair[0] - T0_S < END_S]
    at_s = kept_[-1][0] + 5
    return kept_ + [[at_s + 5 * n, last] for n in range(int((T0_S + until_s - at_s) / 5) + 1)]


class TestNoSilence:
    def test_idle_partition_is_scraped_however_often_it_says_nan(self, run_of):
        metrics = spoil(phase2_metrics(), Role.LATENCY_MAX, lambda _: math.nan, which=0)
        metrics = spoil(metrics, Role.RECORD_COUNT, lambda _: 60.0, which=0)
        assert measure("mm2.latency_max", run_of(metrics)).value == 90

    @pytest.mark.parametrize(
        ("name", "roles"),
        [
            ("mm2.latency_max", [Role.LATENCY_MAX]),
            ("mm2.record_age_max", [Role.RECORD_AGE_MAX]),
            ("mm2.record_rate", [Role.RECORD_COUNT]),
            ("connect.in_flight_max", [Role.ACTIVE_COUNT]),
            ("connect.offset_commit_max", [Role.OFFSET_COMMIT_MAX]),
            ("connect.buffer_utilization", [Role.BUFFER_AVAILABLE, Role.BUFFER_TOTAL]),
            ("connect.throttle_max", [Role.THROTTLE_MAX]),
            ("connect.poll_rate", [Role.POLL_TOTAL]),
            ("connect.poll_idle", [Role.POLL_TOTAL]),
        ],
    )
    def test_what_moves_to_the_other_worker_is_one(self, run_of, name, roles):
        """Partitions and tasks of w2 go on at w1 from a scrape on."""
        metrics, half = phase2_metrics(), START_S + 30
        for role in roles:
            there = [
                kept({**one, "metric": {**one["metric"], "instance": "w1:9404"}}, lambda at_s: at_s >= half)
                for one in metrics[role]
                if one["metric"]["instance"] == "w2:9404"
            ]
            here = silenced(metrics, role, lambda at_s: at_s < half)[role]
            metrics = {**metrics, role: [*here, *there]}
        found = measure(name, run_of(metrics))
        assert (found.value is not None, found.coverage) == (True, 1.0)

    @pytest.mark.parametrize(
        "name", ["mm2.latency_max", "mm2.record_rate", "mm2.record_age_max", "mm2.topics_replicated"]
    )
    def test_topic_that_appears_a_scrape_after_the_load_began_is_whole(self, run_of, name):
        found = measure(name, run_of(appearing(START_S + 4)))
        assert (found.value is not None, found.coverage) == (True, pytest.approx(0.99, abs=0.01))

    def test_partition_gone_before_the_load_is_missing_all_the_same(self, run_of):
        metrics = phase2_metrics()
        metrics[Role.LATENCY_MAX][0] = kept(metrics[Role.LATENCY_MAX][0], lambda at_s: at_s < START_S - 20)
        found = measure("mm2.latency_max", run_of(metrics))
        assert found.why_not.code is Code.PARTITIONS_MISSING
        assert found.why_not.params["example"] == f"source.{TOPICS[0]}-0"

    def test_task_that_is_gone_before_the_load_is_none_of_it(self, run_of):
        metrics = phase2_metrics()
        labels = {key: value for key, value in metrics[Role.ACTIVE_COUNT][0]["metric"].items() if key != "job"}
        gone = kept(item(lambda _: 900.0, **{**labels, "task": "7"}), lambda at_s: at_s < START_S - 20)
        metrics[Role.ACTIVE_COUNT] = [*metrics[Role.ACTIVE_COUNT], gone]
        assert measure("connect.in_flight_max", run_of(metrics)).value == 40

    def test_failed_task_count_comes_and_goes_with_the_tasks(self, run_of):
        """Task 1 leaves w2 for w1, and takes all its metrics along."""
        metrics = silenced(phase2_metrics(), Role.FAILED_TASKS, lambda at_s: at_s < START_S + 20)
        for role in TASK_ROLES:
            stayed, left = metrics[role]
            moved = {**left, "metric": {**left["metric"], "instance": "w1:9404"}}
            here = kept(left, lambda at_s: at_s < START_S + 20)
            metrics = {**metrics, role: [stayed, here, kept(moved, lambda at_s: at_s >= START_S + 20)]}
        assert measure("connect.failed_tasks", run_of(metrics)).value == 0

    def test_failed_task_count_that_goes_before_its_task_is_missed(self, run_of):
        metrics = silenced(phase2_metrics(), Role.FAILED_TASKS, lambda at_s: at_s < START_S + 20)
        found = measure("connect.failed_tasks", run_of(metrics))
        assert (found.why_not.code, found.why_not.params["where"]) == (Code.LOW_COVERAGE, "w2:9404")

    def test_cpu_of_a_load_a_little_longer_than_its_half_minute(self, run_of):
        """No scrape closes a half minute within: the last one ends with the load."""
        found = measure("workers.cpu", run_of(phase2_metrics()).over(window(0, 32)))
        assert found.value == pytest.approx(30)

    def test_cpu_ends_with_the_last_scrape(self, run_of):
        """The last scrape is 9 s before the load's end: nobody was idle less for that."""
        metrics = {
            role: [kept(one, lambda at_s: at_s < START_S + 54) for one in series]
            if role in (Role.NODE_CPU_IDLE, Role.UP)
            else series
            for role, series in phase2_metrics().items()
        }
        assert measure("workers.cpu", run_of(metrics).over(window(25, 55))).value == pytest.approx(30)


def window(start_s, end_s):
    return Window(start_s=T0_S + START_S + start_s, end_s=T0_S + START_S + end_s)


class TestPartners:
    """Two metrics that are read together: one without the other is no figure."""

    @pytest.mark.parametrize(
        ("name", "role"),
        [
            ("connect.buffer_utilization", Role.BUFFER_AVAILABLE),
            ("connect.buffer_utilization", Role.BUFFER_TOTAL),
            ("workers.heap", Role.HEAP_MAX),
            ("workers.memory", Role.NODE_MEMORY_TOTAL),
        ],
    )
    def test_one_that_lacks_its_partner_is_not_left_out(self, run_of, name, role):
        metrics = phase2_metrics()
        found = measure(name, run_of({**metrics, role: metrics[role][:1]}))
        assert found.value is None

    def test_full_buffer_without_its_size_is_no_go(self, verdicts):
        metrics = spoil(phase2_metrics(), Role.BUFFER_AVAILABLE, lambda _: 0.5, which=1)
        found = verdicts({**metrics, Role.BUFFER_TOTAL: metrics[Role.BUFFER_TOTAL][:1]})["buffer_utilization"]
        assert (found.verdict, found.reason.code) == ("INCONCLUSIVE", Code.TASKS_MISSING)

    @pytest.mark.parametrize(
        ("name", "role"),
        [
            ("connect.buffer_utilization", Role.BUFFER_AVAILABLE),
            ("workers.heap", Role.HEAP_USED),
            ("workers.heap", Role.HEAP_MAX),
            ("workers.memory", Role.NODE_MEMORY_AVAILABLE),
            ("workers.cpu", Role.NODE_CPU_IDLE),
        ],
    )
    def test_one_that_says_only_nan_is_not_left_out(self, run_of, name, role):
        which = 2 if role is Role.NODE_CPU_IDLE else 1
        found = measure(name, run_of(spoil(phase2_metrics(), role, lambda _: math.nan, which=which)))
        assert (found.value, found.why_not.code) == (None, Code.ONLY_NAN)


def test_healthy_run_is_covered_throughout(verdicts):
    shares = [result.measurement.coverage for result in verdicts(phase2_metrics()).values()]
    assert {share for share in shares if share is not None} == {1.0}


@pytest.mark.parametrize("name", ["connect.poll_total", "connect.write_total"])
def test_a_task_that_moved_to_another_worker_is_one_task_and_a_lower_bound(run_of, name):
    """It left w2 in the middle of the load, and was on w1 half a minute later, its counters at 0."""
    metrics, left_s, came_s = phase2_metrics(), START_S + 20, START_S + 50
    for role in TASK_ROLES:
        stayed, moved = metrics[role]
        there = {**moved, "metric": {**moved["metric"], "instance": "w1:9404"}}
        restarted = {**there, "values": [[at_s, "5.0"] for at_s, _ in moved["values"]]}
        here = kept(moved, lambda at_s: at_s <= left_s)
        metrics = {**metrics, role: [stayed, here, kept(restarted, lambda at_s: at_s >= came_s)]}
    found = measure(name, run_of(metrics))
    assert (found.value is not None, found.at_least, found.note.code) == (True, True, Code.COUNTER_RESET)
    assert found.note.params["ended"] == 1
