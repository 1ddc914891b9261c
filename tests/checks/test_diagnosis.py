"""Which row of the diagnosis fits what was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks.diagnosis import OUR_ROWS, PAGE_ROWS
from checks.metric_profiles import Role
from tests.support.records import (
    HEALTHY,
    SOURCE_CONNECTOR,
    TOPIC,
    always,
    connector,
    during_look_back,
    healthy_connectors,
    healthy_metrics,
    spoil,
)

NOTHING_ARRIVED = replace(HEALTHY, arrived=0, late=100)
NOTHING_WRITTEN = spoil(healthy_metrics(), Role.WRITE_TOTAL, always(6.0))
NOTHING_POLLED = spoil(NOTHING_WRITTEN, Role.POLL_TOTAL, always(6.0))


def source(*arguments, **settings):
    return {
        "connectors": {**healthy_connectors(), SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, *arguments, **settings)}
    }


def test_nothing_is_diagnosed_on_a_clean_run(judge):
    run = judge()
    assert run.rows() == {}
    assert [finding.row for finding in run.judgement.findings] == list(PAGE_ROWS)
    assert "Rien à diagnostiquer" in run.fiche


def test_mm2_that_polls_nothing(judge):
    run = judge(NOTHING_POLLED, counts=NOTHING_ARRIVED)
    rows = run.rows()
    assert {"poll_zero", "nothing_on_target", "not_readable"} == set(rows)
    assert rows["poll_zero"].params == {"poll": 0}


def test_mm2_that_polls_and_writes_nothing(judge):
    rows = judge(NOTHING_WRITTEN, counts=NOTHING_ARRIVED).rows()
    assert {"write_zero", "nothing_on_target"} == set(rows)
    assert rows["write_zero"].params == {"write": 0, "poll": 100}


def test_slow_replication(judge):
    rows = judge(spoil(healthy_metrics(), Role.LATENCY_AVG, during_look_back(700.0))).rows()
    assert set(rows) == {"slow"}
    assert rows["slow"].params["mm2_ms"] == 700


def test_latency_that_only_our_probes_saw_is_slow_too(judge):
    run = judge(evidence={"errors": {Role.LATENCY_AVG: "down"}}, e2e_ms=[800.0] * 100)
    assert "slow" in run.rows()


def test_a_source_that_takes_most_of_the_time_is_named_and_one_that_takes_little_is_not(judge):
    slow = spoil(healthy_metrics(), Role.LATENCY_AVG, during_look_back(8000.0))
    run = judge(slow, e2e_ms=[8000.0] * 100, ack_ms=7000.0)
    params = run.rows()["source_slow"].params
    assert params == {"ack_ms": pytest.approx(7000, rel=0.01), "e2e_ms": pytest.approx(8000, rel=0.01)}
    assert "la source acquitte tard" in run.fiche
    assert "source_slow" not in judge(slow, e2e_ms=[8000.0] * 100, ack_ms=900.0).rows()
    assert "source_slow" not in judge(slow, e2e_ms=[400.0] * 100, ack_ms=390.0).rows()


def test_what_was_not_measured_is_not_ruled_out(judge):
    run = judge(evidence={"errors": dict.fromkeys(Role, "down")})
    assert set(run.rows()) == {"prometheus_silent"}
    fits = {finding.row: finding.fits for finding in run.judgement.findings}
    assert (fits["poll_zero"], fits["write_zero"], fits["nothing_on_target"]) == (None, None, False)


def test_filter_in_the_connector_is_named_with_its_predicate(judge):
    config = {"transforms": "drop", "transforms_drop_type": "o.a.k.c.transforms.Filter", "predicates": "ours"}
    run = judge(NOTHING_WRITTEN, evidence=source(**config), counts=NOTHING_ARRIVED)
    transforms = run.rows()["transforms"]
    assert transforms.params == {"transforms": "drop (o.a.k.c.transforms.Filter)", "predicates": "ours", "missing": 100}
    assert "write = 0, poll > 0 | **oui** | 0 écrit pour 100 lus" in run.fiche
    assert "Piste la plus probable : le connecteur applique des transformations" in run.fiche


def test_transform_on_a_connector_that_delivers_all_is_no_suspect(judge):
    slow = spoil(healthy_metrics(), Role.LATENCY_AVG, during_look_back(700.0))
    assert "transforms" not in judge(slow, evidence=source(transforms="x")).rows()


def test_paused_connector_comes_first_with_the_call_that_resumes_it(judge):
    run = judge(NOTHING_POLLED, evidence=source("PAUSED", ("PAUSED", "PAUSED")), counts=NOTHING_ARRIVED)
    rows = run.rows()
    assert rows["connector_paused"].params["call"] == (
        f"curl -X PUT 'http://w1:8083/connectors/{SOURCE_CONNECTOR}/resume'"
    )
    assert "task_paused" not in rows
    assert "not_readable" not in rows
    assert f"curl -X PUT 'http://w1:8083/connectors/{SOURCE_CONNECTOR}/resume'" in run.fiche
    assert "PAUSED" in run.fiche


@pytest.mark.parametrize(
    ("trace", "row"),
    [
        ("o.a.k.ConnectException: x\n\tat y\nCaused by: o.a.k.TopicAuthorizationException: no", "task_not_authorized"),
        ("o.a.k.ConnectException: x\nCaused by: o.a.k.RecordTooLargeException: big", "record_too_large"),
        ("java.lang.NullPointerException", "task_failed"),
    ],
)
def test_failed_task_is_told_by_its_innermost_cause(judge, trace, row):
    run = judge(evidence=source("RUNNING", ("RUNNING", "FAILED"), trace))
    found = run.rows()[row]
    assert found.params["trace"] == trace.split("Caused by: ")[-1].split("\n")[0]
    assert "includeTasks=true&onlyFailed=true" in found.params["call"]


@pytest.mark.parametrize(
    ("arguments", "row"),
    [
        (("STOPPED", ()), "connector_stopped"),
        (("FAILED", ()), "connector_failed"),
        (("UNASSIGNED", ()), "connector_unassigned"),
        (("RUNNING", ()), "no_tasks"),
        (("RUNNING", ("RUNNING", "UNASSIGNED")), "task_unassigned"),
        (("RUNNING", ("PAUSED", "RUNNING")), "task_paused"),
    ],
)
def test_every_state_has_its_row(judge, arguments, row):
    assert row in judge(evidence=source(*arguments)).rows()


def test_connector_that_is_not_there(judge):
    run = judge(evidence={"connectors": {"mm2-heartbeat": connector("mm2-heartbeat")}})
    assert set(run.rows()) == {"connector_absent"}
    assert "PUT" not in run.rows()["connector_absent"].params["call"], "its name may be our own mistake"
    assert "-X PUT" not in run.fiche


def test_running_task_of_a_silent_worker(judge):
    workers = [
        {"url": "http://w1:8083", "error": "no answer"},
        {"url": "http://w2:8083", "version": "4.3.1", "kafka_cluster_id": "target-id"},
    ]
    rows = judge(evidence={"workers": workers}).rows()
    assert "worker_silent" in rows
    assert rows["worker_silent"].params["call"].startswith("curl 'http://w2:8083/")


def test_topic_that_the_connector_does_not_select(judge):
    evidence = source(topics="orders[.].*,payments")
    run = judge(NOTHING_POLLED, evidence=evidence, counts=NOTHING_ARRIVED)
    assert run.rows()["topic_not_selected"].params == {
        "topic": TOPIC,
        "topics": "orders[.].*,payments",
        "exclude": "–",
    }


def test_topic_that_the_connector_excludes(judge):
    run = judge(NOTHING_POLLED, evidence=source(topics_exclude="t[.].*"), counts=NOTHING_ARRIVED)
    assert "topic_not_selected" in run.rows()


def test_pattern_that_only_java_understands_gives_no_hint(judge):
    run = judge(NOTHING_POLLED, evidence=source(topics="t(?<!x++)[[a-z]&&[^b]]("), counts=NOTHING_ARRIVED)
    assert "topic_not_selected" not in run.rows()


def test_source_that_refuses_is_told_apart_from_mm2(judge):
    counts = replace(HEALTHY, acked=0, failed=100, arrived=0)
    rows = judge(counts=counts, last_errors=["TOPIC_AUTHORIZATION_FAILED"]).rows()
    assert rows["source_refuses"].params["error"] == "TOPIC_AUTHORIZATION_FAILED"
    assert "nothing_on_target" not in rows


def test_load_that_lost_a_worker_or_may_not_read_is_named(judge):
    rows = judge(unaccounted=[{"worker": "w2", "owned": ["t:1"], "sent": 5}], read_refused=["source.t"]).rows()
    assert rows["load_worker_lost"].params == {"workers": "w2", "owned": 1}
    assert rows["mirror_unreadable"].params == {"topic": "source.t", "count": 1}


def test_silent_connect(judge):
    run = judge(counts=replace(HEALTHY, arrived=99, lost=1), evidence={"connect_error": "connection refused"})
    assert run.rows()["connect_silent"].params == {"error": "connection refused"}


def test_answer_that_is_not_connects_stops_no_diagnosis(judge):
    run = judge(counts=replace(HEALTHY, arrived=99, lost=1), evidence={"connectors": {SOURCE_CONNECTOR: {}}})
    assert "connect_silent" in run.rows()


def test_verdict_without_a_fitting_row_says_so(judge):
    run = judge(counts=replace(HEALTHY, corrupted=1))
    assert run.rows() == {}
    assert "Aucune ligne ne correspond" in run.fiche


def test_rows_of_ours_have_an_order():
    assert len(set(OUR_ROWS)) == len(OUR_ROWS)
