"""Who is a Connect worker: one job may hold brokers, a worker that nobody scrapes, or another group's workers.

Whatever a broker shows of heap and CPU is no worker's figure, good or bad; and a worker that is missing is missed,
however many other targets the job has.
"""

from __future__ import annotations

import pytest

from checks.evidence import Evidence
from checks.measures import Run, measure
from checks.metric_profiles import Role
from checks.reasons import Code
from checks.record_inputs import environment_of
from checks.windows import Windows
from run_record.store import RunRecord
from tests.support.phase2 import item, phase2_metrics, write_phase2
from tests.support.records import SOURCE_CONNECTOR, connector, environment_text, healthy_connectors, write_evidence

OF_WORKERS = ("workers.heap", "workers.cpu", "workers.memory", "workers.network_drops", "connect.rebalances")
PROCESS = environment_text() + "cpu: {workers: process}\n"


@pytest.fixture
def run_of(tmp_path):
    def build(metrics, on=("w1", "w2"), environment=PROCESS, **evidence):
        """`on`: the hosts of the workers to which Connect says that the tasks belong."""
        directory = write_phase2(tmp_path, environment=environment)
        connectors = healthy_connectors()
        for number, host in enumerate(on):
            connectors[SOURCE_CONNECTOR]["status"]["tasks"][number]["worker_id"] = f"{host}:8083"
            connectors[SOURCE_CONNECTOR]["status"]["connector"]["worker_id"] = f"{host}:8083"
            connectors["mm2-heartbeat"] = connector("mm2-heartbeat")
            for part in (
                connectors["mm2-heartbeat"]["status"]["connector"],
                *connectors["mm2-heartbeat"]["status"]["tasks"],
            ):
                part["worker_id"] = f"{host}:8083"
        write_evidence(directory, metrics, **({"connectors": connectors} | evidence))
        record = RunRecord.open(directory)
        environment_ = environment_of(record.manifest).environment
        return Run(
            record=record,
            evidence=Evidence.open(record.evidence()),
            environment=environment_,
            windows=Windows.of(record, environment_),
        )

    return build


def without(metrics, host, *, but=()):
    """The metrics without all that a host shows."""
    return {
        role: ones if role in but else [one for one in ones if not one["metric"]["instance"].startswith(host)]
        for role, ones in metrics.items()
    }


def renamed(metrics, names):
    """The metrics under other host names."""
    return {
        role: [
            {**one, "metric": {**one["metric"], "instance": f"{names.get(host, host)}:{port}"}}
            for one in ones
            for host, _, port in [one["metric"]["instance"].partition(":")]
        ]
        for role, ones in metrics.items()
    }


def with_brokers(metrics, *, hosts=("b1", "b2"), heap=950.0, up=1.0):
    """The metrics with two brokers in the workers' job: their heaps nearly full, their processors busy."""
    found = {role: list(ones) for role, ones in metrics.items()}
    for host in hosts:
        jvm = {"instance": f"{host}:9404"}
        found[Role.UP].append(item(lambda _: up, **jvm))
        if up:
            found[Role.HEAP_USED].append(item(lambda _: heap, **jvm, area="heap"))
            found[Role.HEAP_MAX].append(item(lambda _: 1000.0, **jvm, area="heap"))
            found[Role.PROCESS_CPU].append(item(lambda at_s: 1.9 * at_s, **jvm))
    return found


# Brokers in the workers' job.


@pytest.mark.parametrize("name", OF_WORKERS)
def test_brokers_in_the_workers_job_lend_the_workers_no_figure(run_of, name):
    healthy, mixed = run_of(phase2_metrics()), run_of(with_brokers(phase2_metrics()))
    assert measure(name, mixed).value == measure(name, healthy).value is not None


@pytest.mark.parametrize("name", [*OF_WORKERS, "connect.poll_total", "mm2.latency_max", "connect.failed_tasks"])
def test_brokers_do_not_stand_for_a_worker_that_is_not_scraped(run_of, name):
    """As many targets as workers, and more; one of the workers is not among them."""
    found = measure(name, run_of(with_brokers(without(phase2_metrics(), "w2:9404"))))
    assert (found.value, found.why_not.code) == (None, Code.WORKERS_UNTOLD)
    assert (found.why_not.params["others"], found.why_not.params["seen"]) == ("b1:9404, b2:9404", "w1:9404")


@pytest.mark.parametrize("name", OF_WORKERS)
def test_a_job_of_brokers_alone_has_no_workers_figures(run_of, name):
    metrics = without(without(with_brokers(phase2_metrics()), "w1:9404"), "w2:9404")
    found = measure(name, run_of(metrics))
    assert (found.value, found.why_not.code) == (None, Code.WORKERS_UNTOLD)


def test_a_broker_that_is_down_is_no_worker_where_all_workers_are_known(run_of):
    assert measure("workers.heap", run_of(with_brokers(phase2_metrics(), up=0.0))).value == pytest.approx(20)


def test_a_target_that_is_down_may_be_a_worker_where_names_cannot_be_compared(run_of):
    metrics = renamed(with_brokers(phase2_metrics(), up=0.0, hosts=("b1",)), {"w1": "10.0.0.1", "w2": "10.0.0.2"})
    found = measure("workers.heap", run_of(metrics))
    assert (found.why_not.code, found.why_not.params["where"]) == (Code.LOW_COVERAGE, "b1:9404")


# Workers.


def test_a_worker_that_goes_by_another_name_in_prometheus_is_known_by_what_it_shows(run_of):
    """Connect advertises addresses, Prometheus knows names: w1 is the same for both."""
    metrics = renamed(phase2_metrics(), {"w2": "worker-two"})
    assert measure("workers.heap", run_of(metrics)).value == pytest.approx(20)


def test_a_worker_of_another_group_does_not_stand_for_one_that_is_not_scraped(run_of):
    """It shows Connect's metrics, and nothing of our connector."""
    metrics = without(phase2_metrics(), "w2:9404")
    for role in (Role.UP, Role.REBALANCES, Role.HEAP_USED, Role.HEAP_MAX, Role.PROCESS_CPU):
        metrics[role].append({**metrics[role][0], "metric": {**metrics[role][0]["metric"], "instance": "x9:9404"}})
    found = measure("workers.heap", run_of(metrics))
    assert found.why_not.code is Code.WORKERS_UNTOLD


def test_a_worker_of_another_group_is_none_of_ours(run_of):
    metrics = phase2_metrics()
    for role, value in ((Role.UP, 1.0), (Role.REBALANCES, 40.0), (Role.HEAP_USED, 990.0), (Role.HEAP_MAX, 1000.0)):
        metrics[role].append(item(lambda _, value=value: value, instance="x9:9404"))
    assert measure("workers.heap", run_of(metrics)).value == pytest.approx(20)
    assert measure("connect.rebalances", run_of(metrics)).value == 0


def test_a_worker_that_is_never_said_to_be_scraped_is_not_believed(run_of):
    metrics = phase2_metrics()
    metrics[Role.UP] = metrics[Role.UP][:1]
    found = measure("connect.poll_total", run_of(metrics))
    assert (found.why_not.code, found.why_not.params["instance"]) == (Code.UP_MISSING, "w2:9404")


def test_where_connect_says_nothing_all_that_show_its_metrics_are_workers(run_of):
    metrics = with_brokers(phase2_metrics())
    assert measure("workers.heap", run_of(metrics, connect_error="refused")).value == pytest.approx(20)


# Which tasks there are is told by Connect, and by whatever else shows them.


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("connect.poll_total", Role.POLL_TOTAL),
        ("connect.in_flight_max", Role.ACTIVE_COUNT),
        ("connect.offset_commit_max", Role.OFFSET_COMMIT_MAX),
        ("connect.task_errors", Role.TASK_SKIPPED),
        ("connect.buffer_utilization", Role.BUFFER_AVAILABLE),
        ("connect.buffer_exhausted", Role.BUFFER_EXHAUSTED),
        ("connect.throttle_max", Role.THROTTLE_MAX),
    ],
)
@pytest.mark.parametrize("connect", [{}, {"connect_error": "refused"}], ids=["told by Connect", "told by others"])
def test_a_task_without_a_series_is_missed(run_of, name, role, connect):
    metrics = phase2_metrics()
    found = measure(name, run_of({**metrics, role: metrics[role][:1]}, **connect))
    assert (found.value, found.why_not.code) == (None, Code.TASKS_MISSING)
    assert "1" in found.why_not.params["example"]


def test_a_task_that_connect_names_and_nothing_shows_is_missed(run_of):
    connectors = healthy_connectors()
    connectors[SOURCE_CONNECTOR] = connector(SOURCE_CONNECTOR, tasks=("RUNNING",) * 3)
    found = measure("connect.poll_total", run_of(phase2_metrics(), connectors=connectors))
    assert (found.why_not.code, found.why_not.params["missing"], found.why_not.params["known"]) == (
        Code.TASKS_MISSING,
        1,
        3,
    )
