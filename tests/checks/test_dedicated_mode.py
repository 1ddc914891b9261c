"""MM2 without Connect's REST API: what remains is judged, and what does not says so."""

from __future__ import annotations

import pytest

from checks.collect import Clock, collect
from checks.evidence import Evidence
from checks.judge import judge_run
from checks.metric_profiles import Role
from checks.reasons import Code
from run_record.store import RunRecord
from tests.support.given import as_played
from tests.support.records import (
    SOURCE_CONNECTOR,
    T0_S,
    always,
    environment_text,
    healthy_metrics,
    item,
    spoil,
    write_evidence,
    write_run,
)

DEDICATED = (
    environment_text().replace('  urls: ["http://127.0.0.1:9"]\n', "").replace('urls: ["http://127.0.0.1:9"]', "")
)


def counts(running: float, total: float = 2.0):
    labels = [{"instance": f"w{number}:9404", "connector": SOURCE_CONNECTOR} for number in (1, 2)]
    return {
        **healthy_metrics(),
        Role.TOTAL_TASKS: [item(always(total), **one) for one in labels],
        Role.RUNNING_TASKS: [item(always(running), **one) for one in labels],
    }


@pytest.fixture
def judged(tmp_path):
    def build(metrics):
        assert "urls" not in DEDICATED
        run = write_run(tmp_path, environment=DEDICATED)
        write_evidence(run, metrics, connect_error="the environment names no REST API of Kafka Connect (connect.urls)")
        judgement = judge_run(run)
        return judgement, judgement.evaluation.result("not_running")

    return build


def test_a_healthy_one_is_go(judged):
    judgement, not_running = judged(counts(running=2))
    assert judgement.verdict == "GO"
    assert (not_running.measurement.value, "total_task_count" in not_running.measurement.source) == (0, True)


def test_a_task_that_does_not_run_is_nogo(judged):
    _, not_running = judged(counts(running=1))
    assert (not_running.verdict, not_running.measurement.value) == ("NOGO", 2)


def test_a_connector_without_any_task_is_nogo(judged):
    assert judged(counts(running=0, total=0))[1].verdict == "NOGO"


def test_one_worker_that_does_not_say_is_inconclusive(judged):
    _, not_running = judged(spoil(counts(running=2), Role.RUNNING_TASKS, always(float("nan")), which=1))
    assert (not_running.verdict, not_running.reason.code) == ("INCONCLUSIVE", Code.ONLY_NAN)


def test_workers_that_do_not_export_it_are_inconclusive(judged):
    _, not_running = judged(healthy_metrics())
    assert (not_running.verdict, not_running.reason.code) == ("INCONCLUSIVE", Code.NO_SERIES)


def test_connect_is_not_asked_and_that_is_evidence(tmp_path):
    run = write_run(tmp_path, environment=DEDICATED)
    clock = Clock(now_s=lambda: T0_S + 1e3, sleep=lambda _: None)
    evidence = Evidence.open(collect(RunRecord.open(run), as_played(run), clock=clock))
    assert "names no REST API" in evidence.connect("connectors").error


def test_the_fiche_says_that_there_is_no_rest_api(judged, tmp_path):
    judgement, _ = judged(counts(running=2))
    assert "pas d'API REST" in judgement.fiche_file.read_text(encoding="utf-8").replace("\u00a0", " ")
