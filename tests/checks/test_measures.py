"""Each measure: good, bad, and every way of not being measured. A healthy run is spoilt one thing at a time."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import pytest

from checks.evidence import Evidence
from checks.judge import judge_run
from checks.measures import REGISTRY, Run, measure
from checks.measures.connect import STATE_FRESH_S
from checks.metric_profiles import Role
from checks.reasons import Code
from checks.record_inputs import environment_of
from checks.role_facts import FACTS, Owner
from checks.windows import Windows
from run_record.counts import Counts
from run_record.manifest import Ending
from run_record.store import SEAL, RunRecord, sums
from scenarios.measures import MEASURES, Group
from tests.support.ramp import ramp_metrics, write_ramp
from tests.support.records import (
    DRAINED_S,
    HEALTHY,
    LOAD_END_S,
    LOAD_START_S,
    PHASES,
    REMOTE,
    SOURCE_CONNECTOR,
    always,
    connector,
    during_look_back,
    growing,
    healthy_connectors,
    healthy_metrics,
    item,
    spoil,
    write_evidence,
    write_run,
)

NAN = math.nan
STEPS = ["step_1000", "step_2500", "step_5000", "step_7500", "step_10000"]
#: What each measure reads from Prometheus first.
READS = {
    "connect.poll_total": Role.POLL_TOTAL,
    "connect.write_total": Role.WRITE_TOTAL,
    "connect.replication_ratio": Role.WRITE_TOTAL,
    "connect.in_flight_max": Role.ACTIVE_COUNT,
    "connect.offset_commit_max": Role.OFFSET_COMMIT_MAX,
    "connect.failed_tasks": Role.FAILED_TASKS,
    "mm2.topics_replicated": Role.RECORD_COUNT,
    "mm2.latency_avg": Role.LATENCY_AVG,
    "mm2.latency_max": Role.LATENCY_MAX,
    "mm2.record_count_gap": Role.RECORD_COUNT,
    "connect.buffer_utilization": Role.BUFFER_AVAILABLE,
    "connect.throttle_max": Role.THROTTLE_MAX,
    "connect.offset_commit_failure": Role.OFFSET_COMMIT_FAILURE,
    "connect.task_errors": Role.TASK_ERRORS,
    "workers.network_drops": Role.NODE_NETWORK_TROUBLE,
}
HEALTHY_VALUES = {
    "load.achieved": 100,
    "load.send_delay_max": 1,
    "load.send_delay_mean": 1,
    "load.send_delay_p99": 1,
    "source.ack_mean": 6,
    "backlog.recovery": 0,
    "connect.task_failures": 0,
    "connect.rebalances": 0,
    "connect.buffer_exhausted": 0,
    "mm2.record_age_avg": 10,
    "mm2.record_age_max": 30,
    "mm2.partition_ratio": 1.5,
    "ledger.acked": 100,
    "ledger.send_errors": 0,
    "ledger.arrived": 100,
    "ledger.lost": 0,
    "ledger.late": 0,
    "ledger.duplicated": 0,
    "ledger.reordered": 0,
    "ledger.corrupted": 0,
    "ledger.phantom": 0,
    "ledger.backlog_end": 0,
    "ledger.backlog_max": 0,
    "e2e.mean": 20,
    "e2e.max": 20,
    "e2e.p50": 20,
    "e2e.p99": 20,
    "connect.poll_total": 100,
    "connect.write_total": 100,
    "connect.replication_ratio": 100,
    "connect.in_flight_max": 0,
    "connect.offset_commit_max": 15,
    "connect.failed_tasks": 0,
    "connect.not_running": 0,
    "mm2.topics_replicated": 1,
    "mm2.latency_avg": 25,
    "mm2.latency_max": 60,
    "mm2.record_count_gap": 0,
    "target.topics_arrived": 1,
    "backlog.last": 0,
    "arrivals.rate": 10,
    "mm2.record_rate": 10,
    "mm2.byte_rate": 10 * 1024 / 1024**2,
    "connect.poll_rate": 10,
    "connect.write_rate": 10,
    "connect.poll_idle": 5,
    "connect.buffer_utilization": 6.25,
    "connect.throttle_max": 0,
    "connect.offset_commit_failure": 0,
    "connect.task_errors": 0,
    "workers.cpu": 40,
    "workers.memory": 40,
    "workers.heap": 20,
    "workers.network_drops": 0,
}
#: Ten seconds of load are too few for it (tests/checks/test_phase2_trend.py has longer ones).
NEEDS_A_LONGER_LOAD = {"backlog.growth", "workers.memory_growth", "workers.heap_growth", "workers.cpu_growth"}
#: Worked out from the verdicts of other criteria (tests/checks/test_capacity.py).
FROM_VERDICTS = {spec.name for spec in MEASURES.values() if spec.group is Group.CAPACITY}


@pytest.fixture
def judged(tmp_path):
    """(metrics or None, run settings) → a function that measures by name."""
    number = itertools.count()

    def build(metrics=None, evidence=None, **settings):
        directory = write_run(tmp_path / str(next(number)), **settings)
        write_evidence(directory, metrics, **(evidence or {}))
        record = RunRecord.open(directory)
        environment = environment_of(record.manifest).environment
        run = Run(
            record=record,
            evidence=Evidence.open(record.evidence()),
            environment=environment,
            windows=Windows.of(record, environment),
        )
        return lambda name: measure(name, run)

    return build


def test_every_name_of_the_vocabulary_has_its_function_and_no_other_exists():
    assert set(REGISTRY) == set(MEASURES) - FROM_VERDICTS


@pytest.mark.parametrize("name", [name for name in MEASURES if name not in NEEDS_A_LONGER_LOAD | FROM_VERDICTS])
def test_healthy_run(judged, name):
    found = judged()(name)
    assert found.value == pytest.approx(HEALTHY_VALUES[name], rel=1e-3)
    assert found.unit == MEASURES[name].unit
    assert not found.at_least
    assert found.samples > 0


# Everything that comes from Prometheus.


@pytest.mark.parametrize(("name", "role"), READS.items())
class TestFromPrometheus:
    def test_no_series_is_no_value(self, judged, name, role):
        assert judged({**healthy_metrics(), role: []})(name).why_not.code is Code.NO_SERIES

    def test_failed_query_is_no_value(self, judged, name, role):
        found = judged(evidence={"errors": {role: "Prometheus at x: HTTP 503"}})(name)
        assert (found.value, found.why_not.code) == (None, Code.PROMETHEUS_FAILED)
        assert found.why_not.params["error"] == "Prometheus at x: HTTP 503"

    def test_api_warning_is_no_value(self, judged, name, role):
        found = judged(evidence={"warnings": {role: ["partial response"]}})(name)
        assert (found.value, found.why_not.code) == (None, Code.API_WARNINGS)
        assert found.warnings == ("partial response",)

    @pytest.mark.parametrize("body", ["<html>", "{}", '{"data": {"resultType": "vector", "result": []}}'])
    def test_unreadable_answer_is_no_value(self, judged, name, role, body):
        assert judged(evidence={"bodies": {role: body}})(name).why_not.code is Code.UNREADABLE

    def test_points_that_stop_early_are_stale_or_too_few(self, judged, name, role):
        metrics = healthy_metrics()
        stopped = {r: [_until(LOAD_END_S - 4, one) for one in items] for r, items in metrics.items() if r is role}
        assert judged({**metrics, **stopped})(name).why_not.code in (Code.LOW_COVERAGE, Code.STALE)

    def test_no_scrape_information_is_no_value(self, judged, name, role):
        assert judged({**healthy_metrics(), Role.UP: []})(name).why_not.code is Code.NO_SCRAPES

    def test_one_exporter_of_two_missing_is_no_value(self, judged, name, role):
        metrics = spoil(healthy_metrics(), Role.UP, lambda at_s: 0.0 if at_s > LOAD_START_S else 1.0, which=1)
        found = judged(metrics)(name)
        assert found.why_not.code is Code.LOW_COVERAGE
        assert found.why_not.params["where"] == "w2:9404"

    def test_wall_clock_that_stepped_bends_the_windows(self, judged, name, role):
        assert judged(clock_step_s=-90.0)(name).why_not.code is Code.CLOCK_STEPPED

    def test_load_that_never_started_has_no_window(self, judged, name, role):
        found = judged(phases=PHASES[:2], counts=Counts())(name)
        assert found.why_not.code is Code.LOAD_NOT_STARTED


def _until(end_s, one):
    return {**one, "values": [pair for pair in one["values"] if pair[0] <= 1_800_000_000 + end_s]}


#: Roles whose series are of one task each.
OF_A_TASK = [role for role, facts in FACTS.items() if facts.owner is Owner.TASK and role in healthy_metrics()]
RATES = ("connect.poll_rate", "connect.poll_idle")
COUNTERS = ("connect.poll_total", "connect.write_total")
GAUGES = ("connect.in_flight_max", "connect.offset_commit_max", "connect.failed_tasks", "mm2.latency_max")


@pytest.mark.parametrize("name", [*COUNTERS, *GAUGES, *RATES, "mm2.latency_avg", "connect.task_failures"])
def test_nothing_but_nan_is_no_value(judged, name):
    role = READS.get(name) or {"connect.task_failures": Role.FAILED_TASKS}.get(name, Role.POLL_TOTAL)
    found = judged(spoil(healthy_metrics(), role, always(NAN)))(name)
    assert (found.value, found.why_not.code) == (None, Code.ONLY_NAN)


@pytest.mark.parametrize("name", GAUGES)
def test_infinity_is_no_value(judged, name):
    assert judged(spoil(healthy_metrics(), READS[name], always(math.inf)))(name).why_not.code is Code.NOT_FINITE


@pytest.mark.parametrize("name", ["connect.offset_commit_max", "mm2.latency_max"])
def test_gauge_that_looks_back_is_its_largest_number_nan_left_out(judged, name):
    """Records come from second 71 to 81; half a minute later nothing has to be known of them any more."""
    shown = spoil(healthy_metrics(), READS[name], lambda at_s: 700.0 if 75 <= at_s < 111 else NAN, which=0)
    assert judged(shown)(name).value == 700


def test_gauge_that_does_not_look_back_is_not_read_past_its_nan(judged):
    """Kafka's active count is 0 when nothing is in flight, never NaN."""
    peak = spoil(healthy_metrics(), Role.ACTIVE_COUNT, lambda at_s: 70.0 if 90 <= at_s < 95 else NAN, which=0)
    assert judged(peak)("connect.in_flight_max").why_not.code is Code.LOW_COVERAGE


@pytest.mark.parametrize("name", COUNTERS)
class TestCounters:
    def test_canaries_are_not_counted(self, judged, name):
        found = judged()(name)
        assert (found.detail("base"), found.detail("end")) == (12, 112)

    def test_exporter_that_answers_late_has_not_seen_the_load_in_its_base(self, judged, name):
        # Its scrapes are stamped when they begin, and show what was four seconds later.
        late = spoil(healthy_metrics(), READS[name], lambda at_s: growing(6.0, 50.0)(at_s + 4))
        assert judged(late)(name).value == 100

    def test_what_arrived_was_counted_or_the_counter_is_of_something_else(self, judged, name):
        """Stamps that are off by more than the load, an exporter that lags, another connector's counter."""
        for counted in (always(6.0), growing(6.0, 49.5)):
            found = judged(spoil(healthy_metrics(), READS[name], counted))(name)
            assert (found.value, found.why_not.code) == (None, Code.BELOW_ARRIVED)

    def test_task_that_restarted_leaves_a_lower_bound(self, judged, name):
        half = (LOAD_START_S + LOAD_END_S) / 2
        reset = spoil(healthy_metrics(), READS[name], lambda at_s: 31.0 if at_s < half else 20.0, which=0)
        found = judged(reset)(name)
        assert (found.at_least, found.note.code, found.note.params["resets"]) == (True, Code.COUNTER_RESET, 1)

    def test_task_that_moved_to_the_other_worker_is_one_task(self, judged, name):
        metrics, role, half = healthy_metrics(), READS[name], (LOAD_START_S + LOAD_END_S) / 2
        here, there = metrics[role]
        before = item(lambda at_s: growing(6.0, 50.0)(at_s) if at_s < half else None, **_labels(here))
        after = item(lambda at_s: growing(0.0, 25.0)(at_s) if at_s > half + 5 else None, **_labels(here, "w2:9404"))
        found = judged({**metrics, role: [before, after, there]})(name)
        assert (found.at_least, found.note.params["ended"], found.series) == (True, 1, 3)

    def test_two_series_of_one_task_at_a_time_are_too_many(self, judged, name):
        metrics, role = healthy_metrics(), READS[name]
        twin = item(growing(6.0, 50.0), **_labels(metrics[role][0]), replica="b")
        found = judged({**metrics, role: [*metrics[role], twin]})(name)
        assert (found.value, found.why_not.code) == (None, Code.TWIN_SERIES)
        assert found.why_not.params["what"] == f"connector={SOURCE_CONNECTOR}, task=0"

    def test_counter_that_appears_unscraped_before_has_no_base(self, judged, name):
        metrics = healthy_metrics()
        late = {role: [_from(LOAD_START_S + 1, one) for one in metrics[role]] for role in (READS[name], Role.UP)}
        found = judged({**metrics, **late})(name)
        assert found.why_not.code is Code.NO_BASE

    def test_counter_that_appears_on_a_scraped_worker_started_at_zero(self, judged, name):
        metrics, role = healthy_metrics(), READS[name]
        born = item(lambda at_s: growing(0.0, 50.0)(at_s) if at_s > LOAD_START_S else None, **_labels(metrics[role][0]))
        begun = {other: [_from(LOAD_START_S, metrics[other][0]), *metrics[other][1:]] for other in OF_A_TASK}
        found = judged({**metrics, **begun, role: [born, metrics[role][1]]})(name)
        assert (found.value, found.at_least) == (100, False)

    def test_counter_that_appears_beside_what_was_there_before_has_no_base(self, judged, name):
        """The task's other metrics were scraped all along: its counter was there too, and only its points are gone."""
        metrics = healthy_metrics()
        cut = {READS[name]: [_from(LOAD_START_S + 1, metrics[READS[name]][0]), metrics[READS[name]][1]]}
        assert judged({**metrics, **cut})(name).why_not.code is Code.NO_BASE

    def test_window_must_be_closed_by_a_scrape(self, judged, name):
        metrics = healthy_metrics()
        open_end = {role: [_until(DRAINED_S + 9, one) for one in metrics[role]] for role in (READS[name],)}
        assert judged({**metrics, **open_end})(name).why_not.code is Code.STALE


def _labels(one, instance=None):
    labels = {key: value for key, value in one["metric"].items() if key != "job"}
    return {**labels, "instance": instance or labels["instance"]}


def _from(start_s, one):
    return {**one, "values": [pair for pair in one["values"] if pair[0] >= 1_800_000_000 + start_s]}


def test_ratio_of_half_written(judged):
    metrics = spoil(healthy_metrics(), Role.WRITE_TOTAL, growing(6.0, 25.0))
    half = Counts(sent=100, acked=100, arrived=50, late=50)
    assert judged(metrics, counts=half)("connect.replication_ratio").value == 50
    assert judged(metrics)("connect.replication_ratio").why_not.code is Code.BELOW_ARRIVED


def test_ratio_of_nothing_polled_is_no_ratio(judged):
    metrics = spoil(spoil(healthy_metrics(), Role.WRITE_TOTAL, always(6.0)), Role.POLL_TOTAL, always(6.0))
    found = judged(metrics, counts=Counts(sent=100, acked=100, late=100))("connect.replication_ratio")
    assert found.why_not.code is Code.NOTHING_POLLED


def test_ratio_across_a_restart_is_unknown(judged):
    metrics = spoil(healthy_metrics(), Role.POLL_TOTAL, lambda at_s: 50.0 if at_s < 76 else 5.0)
    assert judged(metrics)("connect.replication_ratio").why_not.code is Code.COUNTER_RESET


def test_in_flight_adds_up_over_tasks(judged):
    metrics = spoil(healthy_metrics(), Role.ACTIVE_COUNT, lambda at_s: 60.0 if at_s == 80 else 0.0)
    assert judged(metrics)("connect.in_flight_max").value == 120


def test_failed_task_on_one_worker_is_seen(judged):
    metrics = spoil(healthy_metrics(), Role.FAILED_TASKS, lambda at_s: 1.0 if at_s > 80 else 0.0, which=1)
    assert judged(metrics)("connect.failed_tasks").value == 1


# Mirror metrics.


def test_latency_is_weighted_by_records_not_by_partitions(judged):
    metrics = spoil(healthy_metrics(), Role.RECORD_COUNT, growing(1.0, 90.0), which=0)
    metrics = spoil(metrics, Role.RECORD_COUNT, growing(1.0, 10.0), which=1)
    assert judged(metrics)("mm2.latency_avg").value == pytest.approx(0.9 * 20 + 0.1 * 30)


def test_idle_partitions_nan_does_not_swallow_the_mean(judged):
    metrics = spoil(healthy_metrics(), Role.RECORD_COUNT, always(1.0), which=1)
    assert judged(spoil(metrics, Role.LATENCY_AVG, always(NAN), which=1))("mm2.latency_avg").value == 20


def test_busy_partition_without_a_number_leaves_the_mean_unknown(judged):
    metrics = spoil(healthy_metrics(), Role.LATENCY_AVG, always(NAN), which=1)
    assert judged(metrics)("mm2.latency_avg").why_not.code is Code.ONLY_NAN


def test_latency_of_nothing_replicated_is_no_latency(judged):
    assert judged(spoil(healthy_metrics(), Role.RECORD_COUNT, always(1.0)))("mm2.latency_avg").why_not.code is (
        Code.NO_GROWTH
    )


def test_latency_over_a_long_phase_follows_the_records(judged):
    """100 records in the first half at 20 ms, 300 in the second at 40 ms, one partition of two."""
    phases = (
        *PHASES[:2],
        ("smoke", "load", 71, 111, 400),
        ("drain", "drain", 111, 113, 0),
        ("watch", "watch", 113, 143, 0),
    )
    metrics = healthy_metrics()
    labels = _labels(metrics[Role.RECORD_COUNT][0])
    counts = item(
        lambda at_s: 0.0 if at_s <= 75 else min(at_s - 75, 20) * 5 + max(min(at_s - 95, 20), 0) * 15, **labels
    )
    latency = item(lambda at_s: NAN if at_s <= 75 else 20.0 if at_s <= 95 else 40.0, **labels)
    idle = item(always(0.0), **_labels(metrics[Role.RECORD_COUNT][1]))
    unheard = item(always(NAN), **_labels(metrics[Role.LATENCY_AVG][1]))
    spoilt = {**metrics, Role.RECORD_COUNT: [counts, idle], Role.LATENCY_AVG: [latency, unheard]}
    found = judged(spoilt, phases=phases)
    assert found("mm2.latency_avg").value == pytest.approx(35)


@pytest.mark.parametrize("name", ["mm2.latency_avg", "mm2.latency_max"])
def test_other_topics_latency_is_not_ours(judged, name):
    metrics = healthy_metrics()
    role = READS[name]
    foreign = item(during_look_back(9000.0), instance="w1:9404", topic="source.t.other", partition="0")
    busy = item(growing(0.0, 50.0), instance="w1:9404", topic="source.t.other", partition="0")
    spoilt = {**metrics, role: [*metrics[role], foreign]}
    spoilt[Role.RECORD_COUNT] = [*metrics[Role.RECORD_COUNT], busy]
    assert judged(spoilt)(name).value == HEALTHY_VALUES[name]


def test_topics_are_counted_once_each(judged):
    metrics = healthy_metrics()
    other = item(always(0.0), instance="w1:9404", topic="source.t.other", partition="0")
    metrics[Role.RECORD_COUNT] = [*metrics[Role.RECORD_COUNT], other]
    assert judged(metrics)("mm2.topics_replicated").value == 2


def test_mirror_count_that_differs_from_the_ledger(judged):
    metrics = spoil(healthy_metrics(), Role.RECORD_COUNT, growing(1.0, 48.0))
    assert judged(metrics)("mm2.record_count_gap").value == 4


def test_duplicates_that_mm2_wrote_are_no_disagreement(judged):
    metrics = spoil(healthy_metrics(), Role.RECORD_COUNT, growing(1.0, 52.0))
    assert judged(metrics, counts=replace(HEALTHY, duplicated=4))("mm2.record_count_gap").value == 0


# Connect.


@pytest.mark.parametrize(
    ("connectors", "expected"),
    [
        pytest.param({SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, tasks=("RUNNING", "FAILED"))}, 1 + 1, id="failed"),
        pytest.param(
            {SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, "PAUSED", ("PAUSED", "PAUSED"))}, 3 + 1, id="pause"
        ),
        pytest.param({SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, tasks=())}, 1 + 1, id="RUNNING without tasks"),
        pytest.param({}, 2, id="not there at all"),
    ],
)
def test_what_does_not_run_is_counted(judged, connectors, expected):
    """The heartbeat connector of the environment is missing from each, which counts as one."""
    assert judged(evidence={"connectors": connectors})("connect.not_running").value == expected


def test_task_on_a_worker_that_does_not_answer_does_not_run(judged):
    workers = [{"url": "http://w1:8083", "error": "connection refused"}]
    found = judged(evidence={"connectors": healthy_connectors(), "workers": workers})("connect.not_running")
    assert found.value == 6


@pytest.mark.parametrize("connectors", [{SOURCE_CONNECTOR: {}}, {SOURCE_CONNECTOR: {"status": {"tasks": []}}}])
def test_answer_that_is_not_connects_is_no_value(judged, connectors):
    assert judged(evidence={"connectors": connectors})("connect.not_running").why_not.code is Code.UNREADABLE


def test_silent_connect_is_no_value(judged):
    found = judged(evidence={"connect_error": "no Connect worker answers"})("connect.not_running")
    assert (found.value, found.why_not.code) == (None, Code.CONNECT_FAILED)


def collected(directory, *, after_s):
    """The run, its newest evidence as if collected so long after the run ended."""
    record = RunRecord.open(directory)
    evidence = record.evidence()
    index = json.loads((evidence / "index.json").read_text(encoding="utf-8"))
    index["collected_at_ns"] = index["connect_asked_at_ns"] = record.manifest.ending.at_ns + round(after_s * 1e9)
    (evidence / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (evidence / SEAL).write_text(sums(evidence), encoding="utf-8")
    return directory


BROKEN = {SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR), "mm2-heartbeat": connector("mm2-heartbeat", tasks=("FAILED",))}


def test_state_of_another_day_is_not_the_runs(tmp_path):
    """The heartbeat failed; somebody restarted it, and asked again."""
    directory = write_run(tmp_path)
    write_evidence(directory, connectors=BROKEN)
    assert judge_run(directory).evaluation.result("not_running").verdict == "NOGO"
    write_evidence(directory)
    evaluation = judge_run(collected(directory, after_s=86_400)).evaluation
    found = evaluation.result("not_running")
    assert (evaluation.verdict, found.verdict) == ("INCONCLUSIVE", "INCONCLUSIVE")
    assert found.reason.code is Code.CONNECT_ASKED_LATE
    assert found.reason.params["after_s"] == pytest.approx(86_400)


@pytest.mark.parametrize("after_s", [-1.0, 0.0, 60.0, 700.0])
def test_state_asked_for_as_the_run_ended_is_the_runs_however_late_it_is_judged(tmp_path, after_s):
    """Collecting alone may take ten minutes."""
    directory = write_run(tmp_path)
    write_evidence(directory)
    judge_run(collected(directory, after_s=after_s))
    written = (directory / "verdict.json").read_bytes()
    assert judge_run(directory).evaluation.result("not_running").verdict == "GO"
    assert (directory / "verdict.json").read_bytes() == written


def test_state_of_a_step_is_as_old_as_the_run_and_not_as_the_step(tmp_path):
    directory = write_ramp(tmp_path, STEPS)
    write_evidence(directory, ramp_metrics(STEPS))
    record = RunRecord.open(collected(directory, after_s=600))
    environment = environment_of(record.manifest).environment
    windows = Windows.of(record, environment)
    run = Run(record=record, evidence=Evidence.open(record.evidence()), environment=environment, windows=windows)
    first = run.of_phase(STEPS[0])
    assert first.evidence.index["collected_at_ns"] / 1e9 - first.windows.needed_until_s > STATE_FRESH_S
    assert measure("connect.not_running", first).value == 0


# The ledger.


@pytest.mark.parametrize(
    ("name", "counts", "expected"),
    [
        ("ledger.acked", replace(HEALTHY, acked=99, arrived=99, failed=1), 99),
        ("ledger.send_errors", replace(HEALTHY, acked=95, arrived=95, failed=2, unknown=3), 5),
        ("ledger.arrived", replace(HEALTHY, arrived=98, lost=2), 98),
        ("ledger.lost", replace(HEALTHY, arrived=98, lost=2), 2),
        ("ledger.late", replace(HEALTHY, arrived=98, late=2), 2),
        ("ledger.duplicated", replace(HEALTHY, duplicated=3), 3),
        ("ledger.reordered", replace(HEALTHY, reordered=3), 3),
        ("ledger.corrupted", replace(HEALTHY, corrupted=1), 1),
        ("ledger.phantom", replace(HEALTHY, acked=99, arrived=99, failed=1, phantom=1), 1),
        ("ledger.backlog_end", replace(HEALTHY, arrived=90, late=9, lost=1), 10),
        ("ledger.backlog_max", replace(HEALTHY, arrived=90, late=10), 10),
        ("target.topics_arrived", replace(HEALTHY, arrived=0, late=100), 0),
        ("load.achieved", Counts(sent=90, acked=90, arrived=90), 90),
    ],
)
def test_planted_anomaly_is_counted(judged, name, counts, expected):
    assert judged(counts=counts)(name).value == expected


def test_nothing_lost_while_some_are_late_is_a_lower_bound(judged):
    found = judged(counts=replace(HEALTHY, arrived=98, late=2))("ledger.lost")
    assert (found.value, found.at_least, found.note.code) == (0, True, Code.LATE_MAY_BE_LOST)


def test_ledger_that_does_not_add_up_is_believed_in_nothing(judged):
    found = judged(counts=replace(HEALTHY, arrived=98))("ledger.lost")
    assert (found.value, found.why_not.code) == (None, Code.LEDGER_UNBALANCED)


def test_lost_worker_makes_every_count_a_lower_bound(judged):
    ending = Ending(how="worker_lost", aborted=True, at_ns=1_800_000_143_000_000_000)
    found = judged(counts=replace(HEALTHY, duplicated=1), ending=ending)("ledger.duplicated")
    assert (found.at_least, found.note.code) == (True, Code.WORKER_LOST)


LOST_WORKER = [{"worker": "w2", "owned": ["t:1", "t:2"], "sent": 50}]


@pytest.mark.parametrize(
    "name", ["ledger.acked", "ledger.arrived", "ledger.lost", "load.achieved", "ledger.backlog_max"]
)
def test_worker_without_an_account_makes_the_rest_a_part(judged, name):
    found = judged(counts=Counts(sent=50, acked=50, arrived=50), unaccounted=LOST_WORKER)(name)
    assert (found.at_least, found.note.code) == (True, Code.WORKER_LOST)


@pytest.mark.parametrize("name", ["e2e.mean", "e2e.p99", "load.send_delay_max", "mm2.record_count_gap"])
def test_worker_without_an_account_leaves_no_statistics(judged, name):
    found = judged(counts=Counts(sent=50, acked=50, arrived=50), unaccounted=LOST_WORKER)(name)
    assert found.why_not.code is Code.WORKER_LOST


@pytest.mark.parametrize("name", ["ledger.late", "ledger.lost", "ledger.backlog_end", "ledger.backlog_max", "e2e.p99"])
def test_mirror_that_may_not_be_read_is_no_fault_of_mm2s(judged, name):
    found = judged(counts=replace(HEALTHY, arrived=0, late=100), read_refused=[REMOTE])(name)
    assert (found.value, found.why_not.code) == (None, Code.READ_REFUSED)


@pytest.mark.parametrize("name", ["ledger.arrived", "ledger.corrupted", "target.topics_arrived"])
def test_what_was_read_before_the_refusal_is_a_lower_bound(judged, name):
    found = judged(counts=replace(HEALTHY, arrived=10, late=90, corrupted=1), read_refused=[REMOTE])(name)
    assert (found.at_least, found.note.code) == (True, Code.READ_REFUSED)


@pytest.mark.parametrize("name", [n for n in MEASURES if n.startswith(("ledger.", "e2e.", "load.send", "target."))])
def test_killed_run_has_no_ledger_but_its_timeline(judged, name):
    found = judged(counts=None)(name)
    if name == "ledger.backlog_max":
        assert (found.value, found.at_least) == (0, True)
    else:
        assert (found.value, found.why_not.code) == (None, Code.RECORD_UNFINISHED)


# Latency.


def test_missing_records_count_as_infinite_in_percentiles(judged):
    measured = judged(counts=replace(HEALTHY, arrived=98, late=2), e2e_ms=[10.0] * 98)
    assert measured("e2e.p50").value == pytest.approx(10, rel=1e-3)
    found = measured("e2e.p99")
    assert (found.value, found.note.code, found.note.params["missing"]) == (math.inf, Code.NEVER_ARRIVED, 2)
    assert found.samples == 100


def test_nothing_arrived_is_infinitely_late_not_unmeasured(judged):
    measured = judged(counts=replace(HEALTHY, arrived=0, late=100))
    assert measured("e2e.p99").value == math.inf
    assert measured("e2e.mean").why_not.code is Code.NO_LATENCIES


@pytest.mark.parametrize("name", ["e2e.mean", "e2e.max"])
def test_mean_and_maximum_of_survivors_are_lower_bounds(judged, name):
    found = judged(counts=replace(HEALTHY, arrived=99, lost=1), e2e_ms=[10.0] * 99)(name)
    assert found.at_least


def test_negative_latency_is_a_clock_that_lies(judged):
    assert judged(e2e_ms=[-5.0, 10.0])("e2e.mean").why_not.code is Code.NEGATIVE_LATENCIES


def test_no_probe_sent_has_no_send_delay(judged):
    assert judged(counts=Counts())("load.send_delay_max").why_not.code is Code.NO_LATENCIES


def test_remote_topics_of_the_plan_are_the_ones_looked_for():
    assert REMOTE == "source.t.generated-data-01.json"


@pytest.mark.parametrize("name", ["mm2.latency_avg", "mm2.latency_max"])
def test_latencies_of_mm2s_that_half_of_ours_belie_are_none(judged, name):
    """A worker's clock that is behind, or an exporter that gives seconds."""
    assert judged(e2e_ms=[9000.0])(name).why_not.code is Code.BELOW_OURS
    assert judged(e2e_ms=[20.0] * 99 + [9000.0])(name).why_not is None
