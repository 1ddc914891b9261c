"""Collecting evidence: asked once, kept as received, and silence is evidence too."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from itertools import count

import pytest

from checks.collect import Clock, collect
from checks.evidence import Evidence
from checks.judge import judge_run
from checks.metric_profiles import CONFLUENT_MIRROR, Job, Role
from checks.reasons import Code
from checks.record_inputs import environment_of
from run_record.manifest import Ending
from run_record.store import RunRecord, broken_seal, is_sealed
from tests.support.given import as_played
from tests.support.records import (
    HEALTHY,
    SOURCE_CONNECTOR,
    T0_S,
    WATCHED_S,
    connector,
    environment_text,
    healthy_connectors,
    healthy_metrics,
    matrix,
    scenario_text,
    write_run,
)
from tests.support.servers import Reply, closed_port, serving

BY_THE_LEDGER = ['{id: lost, measure: ledger.lost, go: "== 0 records"}']
LATER = Clock(now_s=lambda: T0_S + 1000.0, sleep=lambda _: None)
NAMES = {role: metric.base for role, metric in CONFLUENT_MIRROR.metrics.items()}


def role_of(query):
    if query.startswith("up{"):
        return Role.UP
    return next(role for role, base in NAMES.items() if re.search(rf"\b{base}[({{|]", query))


def vector(result):
    return Reply.of({"status": "success", "data": {"resultType": "vector", "result": result}})


def scalar(value):
    return Reply.of({"status": "success", "data": {"resultType": "scalar", "result": [value, str(value)]}})


def prometheus(metrics=None, spoilt=None):
    """Answers as Prometheus does: range selectors from `metrics`, cut to their window."""
    metrics = metrics or healthy_metrics()

    def answer(request):
        query, at_s = request.query["query"], float(request.query.get("time", 0))
        if spoilt is not None and (reply := spoilt(query)) is not None:
            return reply
        if query == "time()":
            return scalar(T0_S + 1000.0)
        if query.startswith("count by (__name__"):
            names = [metric.name for metric in CONFLUENT_MIRROR.metrics.values()]
            found = [{"__name__": name, "instance": "w1:9404"} for name in names]
            return vector([{"metric": metric, "value": [at_s, "2"]} for metric in found])
        if query.startswith("min("):
            return vector([{"metric": {}, "value": [at_s, str(at_s)]}])
        span_s = int(re.search(r"\[(\d+)ms\]$", query)[1]) / 1000
        items = [
            {**one, "values": [pair for pair in one["values"] if at_s - span_s <= pair[0] <= at_s]}
            for one in metrics.get(role_of(query), [])
        ]
        return Reply.of(matrix([one for one in items if one["values"]], []))

    return answer


def connect(connectors=None):
    connectors = connectors or healthy_connectors()

    def answer(request):
        content = {
            "/": {"version": "4.3.1", "commit": "x", "kafka_cluster_id": "target-id"},
            "/connectors": connectors,
            f"/connectors/{SOURCE_CONNECTOR}/offsets": {"offsets": [{"partition": {}, "offset": {"offset": 5}}]},
            f"/connectors/{SOURCE_CONNECTOR}/topics": {SOURCE_CONNECTOR: {"topics": ["source.t"]}},
        }
        return Reply.of(content[request.path])

    return answer


@pytest.fixture
def collected(tmp_path):
    """Plays a run against two servers and collects; gives the evidence and what was asked."""

    def build(prometheus_answer=None, connect_answer=None, clock=LATER, **settings):
        with serving(prometheus_answer or prometheus()) as metrics, serving(connect_answer or connect()) as rest:
            environment = environment_text(prometheus=metrics.url, connect=rest.url)
            run = write_run(tmp_path, environment=environment, **settings)
            directory = collect(RunRecord.open(run), as_played(run), clock=clock)
        return Evidence.open(directory), metrics.requests, rest.requests

    return build


def test_answers_are_kept_byte_for_byte_and_sealed(collected):
    evidence, _, _ = collected()
    assert is_sealed(evidence.directory)
    assert broken_seal(evidence.directory) == []
    entry = next(e for e in evidence.index["answers"] if e.get("role") == "poll_total")
    body = (evidence.directory / entry["file"]).read_text()
    assert json.loads(body)["data"]["resultType"] == "matrix"
    assert body.startswith('{"status": "success", "data"')
    assert entry["series"] == 2


def test_judging_what_was_collected_is_go(tmp_path):
    with serving(prometheus()) as metrics, serving(connect()) as rest:
        run = write_run(tmp_path, environment=environment_text(prometheus=metrics.url, connect=rest.url))
        collect(RunRecord.open(run), as_played(run), clock=LATER)
    assert judge_run(run).verdict == "GO"


def test_judge_collects_once_and_again_only_on_refresh(tmp_path):
    with serving(prometheus()) as metrics, serving(connect()) as rest:
        ending = Ending(how="sigint", aborted=True, at_ns=(T0_S + 143) * 10**9)  # nothing to wait for
        environment = environment_text(prometheus=metrics.url, connect=rest.url)
        run = write_run(tmp_path, environment=environment, ending=ending)
        judge_run(run, given=as_played(run))
        asked = len(metrics.requests)
        judge_run(run)
        judge_run(run, given=as_played(run))
        assert len(metrics.requests) == asked
        judge_run(run, given=as_played(run), refresh=True)
        assert len(metrics.requests) > asked
    assert sorted(path.name for path in (run / "evidence").iterdir()) == ["001", "002"]


def judged_then_refreshed(tmp_path, monkeypatch, first_connect):
    """State of connectors as judged while Connect answers so, and on `refresh` when it is in order again; how much it
    was asked then."""
    answers = [first_connect]

    def answer(request):
        return answers[-1](request)

    with serving(prometheus()) as metrics, serving(answer) as rest:
        monkeypatch.setattr("checks.collect.Clock", lambda: Clock(now_s=lambda: T0_S + 200.0))
        run = write_run(tmp_path, environment=environment_text(prometheus=metrics.url, connect=rest.url))
        first = judge_run(run, given=as_played(run))
        answers.append(connect())
        asked = len(rest.requests)
        second = judge_run(run, given=as_played(run), refresh=True)
        asked = len(rest.requests) - asked
    return first.evaluation.result("not_running"), second.evaluation.result("not_running"), asked


def test_connect_is_not_asked_again_what_it_has_said_once(tmp_path, monkeypatch):
    """Its state is of now: somebody may have restarted, a minute after the run, what had failed."""
    failed = {**healthy_connectors(), SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, tasks=("FAILED",))}
    first, second, asked = judged_then_refreshed(tmp_path, monkeypatch, connect(failed))
    assert (first.verdict, second.verdict, asked) == ("NOGO", "NOGO", 0)


def test_connect_that_did_not_answer_is_asked_again(tmp_path, monkeypatch):
    first, second, asked = judged_then_refreshed(tmp_path, monkeypatch, lambda _request: Reply(status=500, body="{}"))
    assert (first.verdict, second.verdict, asked > 0) == ("INCONCLUSIVE", "GO", True)


def test_queries_name_the_job_the_connector_and_the_prefix_and_span_every_window(collected):
    _, asked, _ = collected()
    queries = {role_of(r.query["query"]): r.query for r in asked if r.query["query"].endswith("ms]")}
    assert set(queries) == {Role.UP, *CONFLUENT_MIRROR.metrics}
    for role, query in queries.items():
        nodes = role is not Role.UP and CONFLUENT_MIRROR.metrics[role].job is Job.NODES
        assert f'job="{"node-exporter" if nodes else "kafka-connect"}"' in query["query"]
    assert r'connector=~"\"?mm2-source-connector\"?"' in queries[Role.POLL_TOTAL]["query"]
    assert r'topic=~"source\\.t\\..*"' in queries[Role.RECORD_COUNT]["query"]
    assert "_poll(_total)?" in queries[Role.POLL_TOTAL]["query"]
    assert float(queries[Role.POLL_TOTAL]["time"]) == T0_S + WATCHED_S + 20


def test_connector_name_is_matched_exactly_whatever_is_in_it(tmp_path):
    text = environment_text().replace("mm2-source-connector", "'a->b.Mirror[1]|x'")
    run = write_run(tmp_path, environment=text)
    environment = environment_of(RunRecord.open(run).manifest).environment
    selector = CONFLUENT_MIRROR.selector(Role.POLL_TOTAL, environment)
    pattern = re.search(r'connector=~"(.*)"', selector)[1].replace('\\"', '"').replace("\\\\", "\\")
    assert re.fullmatch(pattern, "a->b.Mirror[1]|x")
    assert re.fullmatch(pattern, '"a->b.Mirror[1]|x"')
    assert not re.fullmatch(pattern, "a->bxMirror1")


def test_long_windows_are_fetched_in_pieces_that_join(collected):
    hours = 3
    end_s = 71 + hours * 3600
    phases = (
        ("silence", "silence", 5, 71, 0),
        ("soak", "load", 71, end_s, 100),
        ("drain", "drain", end_s, end_s + 2, 0),
        ("watch", "watch", end_s + 2, end_s + 62, 0),
    )
    points = [[T0_S + at_s, "1"] for at_s in range(50, end_s + 100, 5)]
    metrics = {role: [{**one, "values": points} for one in items] for role, items in healthy_metrics().items()}
    later = Clock(now_s=lambda: T0_S + end_s + 1000.0, sleep=lambda _: None)
    evidence, _, _ = collected(prometheus(metrics), clock=later, phases=phases)
    files = [entry["file"] for entry in evidence.index["answers"] if entry.get("role") == "up"]
    assert len(files) == hours + 1
    assert len(evidence.metric(Role.UP).series[0].times_s) == sum(51 <= at_s - T0_S <= end_s + 82 for at_s, _ in points)
    assert re.search(r"\[\d+ms\] @ ", evidence.metric(Role.UP).query)


def test_secrets_of_the_connector_are_not_kept(collected):
    told = connector(
        SOURCE_CONNECTOR, sasl_jaas_config='x password="sentinel-1";', schema_registry_url="http://u:sentinel-2@h/"
    )
    evidence, _, _ = collected(connect_answer=connect({**healthy_connectors(), SOURCE_CONNECTOR: told}))
    for path in evidence.directory.iterdir():
        assert "sentinel" not in path.read_text()
    config = evidence.connect("connectors").content[SOURCE_CONNECTOR]["info"]["config"]
    assert config["sasl.jaas.config"] == "(hidden)"
    assert config["schema.registry.url"] == "(hidden)"
    assert config["topics"] == "t[.].*"


# Silence.


def test_silent_prometheus_is_evidence_and_asked_only_once(tmp_path, monkeypatch):
    monkeypatch.setattr("clients.prometheus.FIRST_PAUSE_S", math.inf)  # not asked again
    with serving(connect()) as rest:
        run = write_run(tmp_path, environment=environment_text(prometheus=closed_port(), connect=rest.url))
        evidence = Evidence.open(collect(RunRecord.open(run), as_played(run), clock=LATER))
    metric = evidence.metric(Role.POLL_TOTAL)
    assert metric.trouble.code is Code.PROMETHEUS_FAILED
    assert "connection refused" in metric.trouble.params["error"]
    assert judge_run(run).exit_code == 30


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(status=422, body='{"status":"error","error":"too many samples"}'), id="422"),
        pytest.param(Reply(body="<html>", kind="text/html"), id="HTML"),
        pytest.param(Reply(body='{"status":"error","errorType":"x","error":"y"}'), id="200 + error"),
    ],
)
def test_one_query_that_fails_leaves_the_others(collected, reply):
    evidence, _, _ = collected(prometheus(spoilt=lambda query: reply if "latency_ms_max" in query else None))
    assert evidence.metric(Role.LATENCY_MAX).trouble.code is Code.PROMETHEUS_FAILED
    assert evidence.metric(Role.LATENCY_AVG).trouble is None


def test_silent_connect_is_evidence(tmp_path):
    with serving(prometheus()) as metrics:
        run = write_run(tmp_path, environment=environment_text(prometheus=metrics.url, connect=closed_port()))
        evidence = Evidence.open(collect(RunRecord.open(run), as_played(run), clock=LATER))
    assert "connection refused" in evidence.connect("connectors").error
    assert "error" in evidence.connect("workers").content[0]
    assert evidence.metric(Role.POLL_TOTAL).trouble is None


def test_password_that_cannot_be_read_any_more_is_evidence(tmp_path):
    text = environment_text().replace(
        "scrape_interval: 5s", "scrape_interval: 5s, login: {username: u, password_env: MM2GATE_NO_SUCH_VARIABLE}"
    )
    run = write_run(tmp_path, environment=text)
    evidence = Evidence.open(collect(RunRecord.open(run), as_played(run), clock=LATER))
    assert "MM2GATE_NO_SUCH_VARIABLE is not set" in evidence.metric(Role.UP).trouble.params["error"]


def test_run_without_load_asks_prometheus_nothing(collected):
    _, asked, _ = collected(phases=(("silence", "silence", 5, 71, 0),))
    assert asked == []


# Waiting for the scrape that closes the windows.


def test_completed_run_waits_for_the_scrape_after_its_last_window(collected):
    ticks = count(int(T0_S + WATCHED_S))
    slept = []
    clock = Clock(now_s=lambda: float(next(ticks)), sleep=slept.append)
    _, asked, _ = collected(clock=clock)
    assert [r for r in asked if r.query["query"].startswith("min(timestamp(up")]
    assert sum(slept) < 3 * 5


@pytest.mark.parametrize(("lost", "waits"), [(0, False), (1, True)])
def test_a_run_that_its_own_record_decides_waits_only_where_something_is_to_be_diagnosed(collected, lost, waits):
    ticks = count(int(T0_S + WATCHED_S))
    clock = Clock(now_s=lambda: float(next(ticks)), sleep=lambda _: None)
    counts = replace(HEALTHY, arrived=HEALTHY.arrived - lost, lost=lost)
    _, asked, _ = collected(clock=clock, scenario=scenario_text(BY_THE_LEDGER), counts=counts)
    assert bool([r for r in asked if r.query["query"].startswith("min(timestamp(up")]) is waits


def test_waiting_has_an_end_when_nothing_is_scraped(collected):
    unscraped = prometheus(spoilt=lambda query: vector([]) if query.startswith("min(") else None)
    now = [T0_S + WATCHED_S]

    def sleep(seconds):
        now[0] += seconds

    collected(unscraped, clock=Clock(now_s=lambda: now[0], sleep=sleep))
    assert 15 <= now[0] - (T0_S + WATCHED_S) < 20


def test_aborted_run_waits_for_nothing(collected):
    ending = Ending(how="sigint", aborted=True, at_ns=(T0_S + 143) * 10**9)
    _, asked, _ = collected(ending=ending)
    assert not [r for r in asked if r.query["query"].startswith("min(")]
