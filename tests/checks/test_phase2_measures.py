"""What phase 2 measures: good, between, bad, absent, NaN, reset. A healthy minute is spoilt one thing at a time."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from checks.case import Case
from checks.evidence import Evidence
from checks.judge import judge_run
from checks.measurement import Window
from checks.measures import Run, measure
from checks.metric_profiles import Role
from checks.reasons import Code
from checks.record_inputs import environment_of
from checks.role_facts import FACTS, Owner
from checks.windows import Windows
from run_record.store import SEAL, RunRecord, sums
from tests.support.phase2 import (
    COUNTS,
    END_S,
    START_S,
    during,
    growing,
    item,
    phase2_metrics,
    spoil,
    stopped_after,
    write_phase2,
)
from tests.support.records import T0_S, environment_text, histogram, stopped, write_evidence

HALF = 30_000.0  # records of a task, of two
SHARE = 6000.0  # records of a mirrored partition, of ten
#: One record took long, so that MM2 may have seen as much.
SLOW_ONCE = [20.0] * 1999 + [9000.0]


@pytest.fixture
def run_of(tmp_path):
    def build(metrics=None, evidence=None, **settings):
        directory = write_phase2(tmp_path, **settings)
        write_evidence(directory, metrics or phase2_metrics(), **(evidence or {}))
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
    """Metrics → criterion id → verdict."""

    def build(metrics=None, evidence=None, **settings):
        directory = write_phase2(tmp_path, **settings)
        write_evidence(directory, metrics or phase2_metrics(), **(evidence or {}))
        record = RunRecord.open(directory)
        found = Case.of(record, record.evidence()).evaluation.results
        return {result.criterion.id: result for result in found}

    return build


def test_a_healthy_minute_is_go_throughout(verdicts):
    assert {name: result.verdict.value for name, result in verdicts().items() if result.verdict != "GO"} == {}


# criterion, role, values that make it GO, GREY and NOGO
ZONES = [
    ("latency_avg", Role.LATENCY_AVG, during(499.0), during(700.0), during(1001.0)),
    ("latency_max", Role.LATENCY_MAX, during(1999.0), during(3000.0), during(5001.0)),
    ("record_rate", Role.RECORD_COUNT, growing(9, SHARE * 0.96), growing(9, SHARE * 0.9), growing(9, SHARE * 0.79)),
    ("byte_rate", Role.BYTE_COUNT, growing(9, SHARE * 1024), growing(9, SHARE * 900), growing(9, SHARE * 500)),
    ("in_flight", Role.ACTIVE_COUNT, lambda _: 2499.0, lambda _: 4000.0, lambda _: 5001.0),
    ("offset_commit_failure", Role.OFFSET_COMMIT_FAILURE, lambda _: 0.009, lambda _: 0.03, lambda _: 0.051),
    ("buffer_utilization", Role.BUFFER_AVAILABLE, lambda _: 10.0, lambda _: 6.4, lambda _: 3.0),
    ("cpu", Role.NODE_CPU_IDLE, lambda at_s: 0.31 * at_s, lambda at_s: 0.25 * at_s, lambda at_s: 0.14 * at_s),
    ("memory", Role.NODE_MEMORY_AVAILABLE, lambda _: 201.0, lambda _: 150.0, lambda _: 99.0),
]


@pytest.mark.parametrize(("name", "role", "go", "grey", "nogo"), ZONES, ids=[zone[0] for zone in ZONES])
class TestZones:
    def test_three_zones(self, verdicts, tmp_path, name, role, go, grey, nogo):
        for number, (value, verdict) in enumerate([(go, "GO"), (grey, "GREY"), (nogo, "NOGO")]):
            found = verdicts(spoil(phase2_metrics(), role, value), run_id=f"run-{number}", e2e_ms=SLOW_ONCE)
            assert (name, found[name].verdict.value) == (name, verdict)

    def test_no_series(self, verdicts, name, role, go, grey, nogo):
        found = verdicts({**phase2_metrics(), role: []})[name]
        assert (found.verdict, found.reason.code) == ("INCONCLUSIVE", Code.NO_SERIES)

    def test_nothing_but_nan(self, verdicts, name, role, go, grey, nogo):
        found = verdicts(spoil(phase2_metrics(), role, lambda _: math.nan))[name]
        assert found.verdict == "INCONCLUSIVE"

    def test_prometheus_failed(self, verdicts, name, role, go, grey, nogo):
        found = verdicts(evidence={"errors": {role: "HTTP 503"}})[name]
        assert (found.verdict, found.reason.code) == ("INCONCLUSIVE", Code.PROMETHEUS_FAILED)


def test_plan_of_a_thousand_kib_a_second_lies_inside_one_megabyte(run_of):
    found = measure("mm2.byte_rate", run_of())
    assert found.value == pytest.approx(1000 * 1024 / 1024**2, rel=1e-6)
    assert 0.95 < found.value < 1.05


@pytest.mark.parametrize("name", ["mm2.record_rate", "connect.poll_rate", "connect.write_rate"])
def test_rate_is_that_of_the_load_whatever_the_drain_brought(run_of, name):
    """Half of it comes in the drain: the rate is a half, although all has been counted when the counters end."""
    metrics = phase2_metrics()
    for role, records in ((Role.RECORD_COUNT, SHARE), (Role.POLL_TOTAL, HALF), (Role.WRITE_TOTAL, HALF)):
        metrics = spoil(metrics, role, growing(60.0, records, until_s=START_S + 120))
    assert measure(name, run_of(metrics)).value == pytest.approx(500, rel=1e-6)


def test_rate_across_a_reset_is_a_lower_bound(run_of):
    def reset(at_s):
        return growing(60.0, SHARE)(at_s) if at_s < 101 else growing(60.0, SHARE)(at_s) - growing(60.0, SHARE)(101)

    found = measure("mm2.record_rate", run_of(spoil(phase2_metrics(), Role.RECORD_COUNT, reset, which=0)))
    assert (found.at_least, found.note.code) == (True, Code.COUNTER_RESET)
    assert 900 < found.value < 1000


def test_rate_that_may_be_higher_decides_nothing(verdicts):
    def reset(at_s):
        return growing(60.0, SHARE)(at_s) if at_s < 101 else growing(60.0, SHARE)(at_s) - growing(60.0, SHARE)(101)

    assert verdicts(spoil(phase2_metrics(), Role.RECORD_COUNT, reset))["record_rate"].verdict == "INCONCLUSIVE"


def test_longest_time_without_a_poll(run_of):
    stopped = spoil(phase2_metrics(), Role.POLL_TOTAL, growing(60.0, HALF / 3, until_s=START_S + 20))
    assert measure("connect.poll_idle", run_of(stopped)).value == pytest.approx(35, abs=6)
    assert measure("connect.poll_idle", run_of(run_id="b")).value <= 6


def test_a_nan_in_a_standstill_is_no_poll(run_of):
    stop = growing(60.0, HALF / 3, until_s=START_S + 20)
    spoilt = spoil(phase2_metrics(), Role.POLL_TOTAL, lambda at_s: math.nan if at_s == START_S + 44 else stop(at_s))
    assert measure("connect.poll_idle", run_of(spoilt)).value == pytest.approx(35, abs=6)


RATES = ["mm2.record_rate", "connect.poll_rate", "connect.write_rate"]


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize(("start_s", "end_s"), [(0, 10), (20, 30), (22, 32), (20, 40), (31, 59)])
def test_rate_of_a_stretch_is_that_of_the_load(run_of, name, start_s, end_s):
    """Its growth begins at the scrape before the stretch; so does its time."""
    assert measure(name, narrowed(run_of(), start_s, end_s)).value == pytest.approx(1000, rel=1e-6)


@pytest.mark.parametrize("name", RATES)
def test_rate_of_a_counter_that_nobody_scraped_before_is_unknown(run_of, name):
    """Prometheus restarted as the load began; the counters had stood at five millions."""
    metrics = phase2_metrics()
    for role in (Role.UP, Role.RECORD_COUNT, Role.POLL_TOTAL, Role.WRITE_TOTAL):
        value = (lambda _: 1.0) if role is Role.UP else growing(5e6, HALF)
        metrics = spoil(metrics, role, lambda at_s, value=value: value(at_s) if at_s > START_S + 1 else None)
    assert measure(name, run_of(metrics)).why_not.code is Code.NO_BASE


@pytest.mark.parametrize("name", RATES)
def test_rate_of_a_task_that_began_within_counts_from_zero(run_of, name):
    metrics = phase2_metrics()
    begun = {Role.RECORD_COUNT: SHARE, Role.POLL_TOTAL: HALF, Role.WRITE_TOTAL: HALF}
    for role in [role for role, facts in FACTS.items() if facts.owner in (Owner.TASK, Owner.PARTITION)]:
        value = growing(0.0, begun[role]) if role in begun else during(20.0)
        metrics = spoil(metrics, role, lambda at_s, value=value: value(at_s) if at_s > START_S + 1 else None)
    assert measure(name, run_of(metrics)).value == pytest.approx(1000, rel=1e-6)


def narrowed(run, start_s, end_s):
    return run.over(Window(start_s=T0_S + START_S + start_s, end_s=T0_S + START_S + end_s))


class TestMissingRecordsOfAStretch:
    """700 of 60 000 never arrived; the record keeps the histograms of the load in two halves, by arrival."""

    counts = replace(COUNTS, arrived=59_300, late=700)

    @pytest.fixture
    def half(self, run_of):
        def build(number, backlog):
            directory = run_of(counts=self.counts, backlog=backlog, load_end_s=END_S + 62).record.directory
            path = directory / "record" / "timeline.jsonl"
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            for row in rows:
                if (row["at_ns"] - T0_S * 10**9) / 1e9 in (START_S + 30, END_S):
                    row["histograms"] = {"e2e": histogram([20.0] * 20_000).to_json()}
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            (directory / "record" / SEAL).write_text(sums(directory / "record"), encoding="utf-8")
            record = RunRecord.open(directory)
            environment = environment_of(record.manifest).environment
            windows = Windows.of(record, environment)
            evidence = Evidence.open(record.evidence())
            whole = Run(record=record, evidence=evidence, environment=environment, windows=windows)
            return measure("e2e.p99", narrowed(whole, 30 * number, 30 * number + 30))

        return build

    def test_those_of_the_end_were_not_missing_before(self, half):
        found = half(0, lambda at_s: 5 if at_s <= 30 else 700)
        assert (found.value, found.at_least, found.samples) == (pytest.approx(20, rel=1e-3), False, 20_005)

    def test_those_of_the_end_are_infinitely_late_there(self, half):
        found = half(1, lambda at_s: 5 if at_s <= 30 else 700)
        assert (found.value, found.note.code, found.at_least) == (math.inf, Code.NEVER_ARRIVED, False)

    def test_those_that_were_on_their_way_at_its_end_arrived(self, half):
        """A lag of 5000 as it ends, of which 40 are left a moment later, is none that never arrived."""
        found = half(0, lambda at_s: 5000 if at_s <= 30 else 40 if at_s < 40 else 700)
        assert (found.value, found.samples) == (pytest.approx(20, rel=1e-3), 20_040)

    def test_those_of_before_may_be_none_of_it(self, half):
        found = half(1, lambda at_s: 5 if at_s < 10 else 700)
        assert (found.value, found.at_least) == (pytest.approx(20, rel=1e-3), True)
        assert found.note.code is Code.NEVER_ARRIVED


def together(one):
    """The second worker beside the first, on its node."""
    instance = one["metric"]["instance"]
    return {"w2:9404": "w1:9405"}.get(instance, instance)


class TestWorkers:
    def test_cpu_is_the_busiest_half_minute_of_the_busiest_node(self, run_of):
        def idle(at_s):  # a core that is idle, but for 30 s in which half of it is used
            return at_s - 0.5 * min(max(at_s - 90, 0), 30)

        found = measure("workers.cpu", run_of(spoil(phase2_metrics(), Role.NODE_CPU_IDLE, idle, which=0)))
        # Its node's other core is 30 % busy all along, so is the other node: (50 + 30) / 2.
        assert found.value == pytest.approx(40)
        busy = run_of(spoil(phase2_metrics(), Role.NODE_CPU_IDLE, lambda at_s: 0.1 * at_s), run_id="busy")
        assert measure("workers.cpu", busy).value == pytest.approx(90)

    def test_cpu_of_processes_is_divided_by_their_own_nodes_cores(self, run_of):
        environment = environment_text() + "cpu: {workers: process}\n"
        assert measure("workers.cpu", run_of(environment=environment)).value == pytest.approx(10)

    def test_two_processes_on_one_node_add_up(self, run_of):
        moved = {
            role: [{**one, "metric": {**one["metric"], "instance": together(one)}} for one in ones]
            for role, ones in phase2_metrics().items()
        }
        run = run_of(
            spoil(moved, Role.PROCESS_CPU, lambda at_s: 0.2 * at_s),
            environment=environment_text() + "cpu: {workers: process}\n",
        )
        assert measure("workers.cpu", run).value == pytest.approx(20)

    def test_worker_that_restarted_counts_what_it_used(self, run_of):
        environment = environment_text() + "cpu: {workers: process}\n"
        restarted = spoil(phase2_metrics(), Role.PROCESS_CPU, lambda at_s: 0.2 * (at_s if at_s < 101 else at_s - 101))
        assert 8 < measure("workers.cpu", run_of(restarted, environment=environment)).value <= 10.5

    @pytest.mark.parametrize(
        ("name", "role"),
        [
            ("workers.cpu", Role.NODE_CPU_IDLE),
            ("workers.memory", Role.NODE_MEMORY_AVAILABLE),
            ("workers.network_drops", Role.NODE_NETWORK_TROUBLE),
        ],
    )
    def test_worker_without_a_node_exporter_is_not_passed_over(self, run_of, name, role):
        metrics = phase2_metrics()
        one = [series for series in metrics[role] if series["metric"]["instance"] == "w1:9100"]
        found = measure(name, run_of({**metrics, role: one}))
        assert (found.value, found.why_not.code, found.why_not.params["host"]) == (None, Code.UNKNOWN_NODE, "w2")

    def test_other_nodes_of_the_job_do_not_count(self, run_of):
        metrics = phase2_metrics()
        broker = item(lambda _: 1.0, instance="broker:9100", job="node-exporter")
        metrics[Role.NODE_MEMORY_AVAILABLE] = [*metrics[Role.NODE_MEMORY_AVAILABLE], broker]
        assert measure("workers.memory", run_of(metrics)).value == pytest.approx(40)

    def test_heap_is_beside_the_memory(self, run_of):
        assert measure("workers.heap", run_of()).value == pytest.approx(20)

    def test_dropped_packets(self, verdicts):
        metrics = spoil(phase2_metrics(), Role.NODE_NETWORK_TROUBLE, lambda at_s: 3.0 if at_s < 100 else 8.0, which=1)
        found = verdicts(metrics)["network"]
        assert (found.verdict, found.measurement.value) == ("NOGO", 5)


@pytest.mark.parametrize("role", [Role.TASK_ERRORS, Role.TASK_FAILURES, Role.TASK_SKIPPED])
def test_task_errors_are_nogo_whatever_counts_them(verdicts, role):
    found = verdicts(spoil(phase2_metrics(), role, lambda at_s: 0.0 if at_s < 100 else 1.0, which=0))["task_errors"]
    assert (found.verdict, found.measurement.value) == ("NOGO", 1)


def test_task_errors_of_before_do_not_count(verdicts):
    assert verdicts(spoil(phase2_metrics(), Role.TASK_ERRORS, lambda _: 7.0))["task_errors"].verdict == "GO"


def test_task_that_restarted_without_errors_proves_none(verdicts):
    reset = spoil(phase2_metrics(), Role.TASK_ERRORS, lambda at_s: 7.0 if at_s < 100 else 0.0)
    assert verdicts(reset)["task_errors"].verdict == "INCONCLUSIVE"


def test_throttled_producer_is_seen(run_of):
    run = run_of(spoil(phase2_metrics(), Role.THROTTLE_MAX, during(434.0), which=1))
    assert measure("connect.throttle_max", run).value == 434


# Stretches of the load.


def test_stretch_scales_with_the_rehearsal_and_nothing_else_does(verdicts):
    """T+5 to T+15 min of 30 are seconds 10 to 30 of 60."""
    found = verdicts()["t15_lag"].measurement.window
    assert (found.start_s - T0_S, found.end_s - T0_S) == (START_S + 10, START_S + 30)
    assert verdicts(run_id="b")["t30_latency_p99"].criterion.spec.min_samples == 1000


def test_only_the_checkpoint_in_which_it_happened_is_nogo(verdicts):
    found = verdicts(backlog=lambda at_s: 12_000 if 10 <= at_s <= 22 else 40)
    levels = {name: found[name].verdict.value for name in ("t5_lag", "t15_lag", "t30_lag", "check_lag_max")}
    assert levels == {"t5_lag": "GO", "t15_lag": "NOGO", "t30_lag": "GO", "check_lag_max": "NOGO"}


def test_latency_of_a_stretch_is_its_own(verdicts):
    slow = spoil(phase2_metrics(), Role.LATENCY_AVG, lambda at_s: 2000.0 if 85 < at_s <= 101 else during(20.0)(at_s))
    found = verdicts(slow, e2e_ms=SLOW_ONCE)
    assert [found[f"t{m}_latency_avg"].verdict.value for m in (5, 15, 30)] == ["GO", "NOGO", "GO"]


def test_ratio_of_the_first_stretch(verdicts):
    behind = spoil(
        phase2_metrics(), Role.WRITE_TOTAL, lambda at_s: growing(60.0, HALF)(at_s - 5 if at_s < END_S else at_s)
    )
    found = verdicts(behind)
    assert (found["t5_ratio"].verdict, found["replication_ratio"].verdict) == ("NOGO", "GO")


def test_run_that_ended_before_a_checkpoint_does_not_answer_it(verdicts):
    counts = replace(COUNTS, sent=20_000, acked=20_000, arrived=20_000)
    found = verdicts(phases=stopped_after(20), counts=counts, ending=stopped(at_s=93))
    assert found["t15_lag"].reason.code is Code.STRETCH_NOT_REACHED
    assert found["t5_lag"].measurement.value is not None


def test_narrowed_run_forgets_nothing_of_the_whole(run_of):
    run = run_of(backlog=lambda at_s: at_s)
    narrow = run.over(Window(start_s=T0_S + START_S, end_s=T0_S + START_S + 10))
    assert (measure("backlog.last", narrow).value, measure("backlog.last", run).value) == (10, 60)
    assert measure("arrivals.rate", run).value == pytest.approx(999)


# A load worker that vanished.

LOST = {"worker": "worker-7", "owned": [f"t.generated-data-01.json:{n}" for n in range(6)], "sent": 30_000}


class TestVanishedWorker:
    counts = replace(COUNTS, sent=30_000, acked=30_000, arrived=30_000)

    def test_nothing_that_needs_the_whole_ledger_is_judged(self, verdicts):
        found = verdicts(counts=self.counts, unaccounted=[LOST])
        for name in (
            "lost",
            "late",
            "t30_total",
            "produced",
            "load_achieved",
            "check_p99",
            "record_rate",
            "lag_growth",
        ):
            assert (name, found[name].verdict) == (name, "INCONCLUSIVE")
        params = found["lost"].reason.params
        assert (params["worker"], params["partitions"], params["sent"]) == ("worker-7", 6, 30_000)
        assert params["owned"].startswith("t.generated-data-01.json:0, ")
        assert params["owned"].endswith("…")

    def test_exit_code_30_and_20_when_the_others_lost_something(self, tmp_path):
        for counts, code in ((self.counts, 30), (replace(self.counts, arrived=29_999, lost=1), 20)):
            directory = write_phase2(tmp_path, counts=counts, unaccounted=[LOST], run_id=f"run-{code}")
            write_evidence(directory, phase2_metrics())
            judgement = judge_run(directory)
            assert int(judgement.exit_code) == code
        fiche = (directory / "fiche.md").read_text(encoding="utf-8").replace("\u00a0", " ").replace("\u202f", " ")
        assert "| `worker-7` | 30 000 | 6 |" in fiche
        assert "| `t.generated-data-10.json` | 0 | 3 333 |" in fiche
