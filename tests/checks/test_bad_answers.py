"""A Prometheus that answers badly: the right figure, or INCONCLUSIVE with its reason; never a GO on nothing.

The whole way: a server on 127.0.0.1 answers, the collector asks it, the judge judges what was kept.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from checks.collect import Clock, collect
from checks.judge import judge_run
from checks.metric_profiles import CONFLUENT_MIRROR, Job, Role
from checks.reasons import Code
from run_record.store import RunRecord
from tests.support.given import as_played
from tests.support.records import (
    DRAINED_S,
    LOAD_START_S,
    SOURCE_CONNECTOR,
    T0_S,
    WATCHED_S,
    always,
    environment_text,
    growing,
    healthy_connectors,
    healthy_metrics,
    points,
    spoil,
    write_run,
)
from tests.support.servers import Reply, Request, now, serving

COLLECTED_S = T0_S + 1000.0
#: A budget that a test can wait for, and in which a server on a busy machine answers.
SHORT_S = 3.0
NAN, INF = math.nan, math.inf
#: Criteria of phase 1 that are read from Prometheus, and the role that each rests on.
READS = {
    "poll_total": Role.POLL_TOTAL,
    "write_total": Role.WRITE_TOTAL,
    "topics_replicated": Role.RECORD_COUNT,
    "latency_avg": Role.LATENCY_AVG,
    "latency_max": Role.LATENCY_MAX,
    "in_flight": Role.ACTIVE_COUNT,
    "offset_commit": Role.OFFSET_COMMIT_MAX,
    "failed_tasks": Role.FAILED_TASKS,
}
NODE_ROLES = {role for role, metric in CONFLUENT_MIRROR.metrics.items() if metric.job is Job.NODES}


def vector(items):
    return Reply.of({"status": "success", "data": {"resultType": "vector", "result": items}})


@dataclass(kw_only=True)
class FakePrometheus:
    """Answers as Prometheus does, from series by role; `spoilt` may answer instead. `clock_s` is what it calls now."""

    metrics: dict
    spoilt: Callable[[Request, Role | None], Reply | None] = lambda *_: None
    clock_s: float = COLLECTED_S
    names: Callable[[Role], dict] = lambda _: {}

    def __call__(self, request: Request) -> Reply:
        query = request.query["query"]
        role = role_of(query)
        if (reply := self.spoilt(request, role)) is not None:
            return reply
        if query == "time()":
            data = {"resultType": "scalar", "result": [self.clock_s, str(self.clock_s)]}
            return Reply.of({"status": "success", "data": data})
        if query.startswith("count by (__name__"):
            found = [
                {"__name__": metric.name, "instance": item["metric"]["instance"], **self.names(role)}
                for role, metric in CONFLUENT_MIRROR.metrics.items()
                if role not in NODE_ROLES
                for item in self.metrics.get(role, [])
            ]
            return vector([{"metric": metric, "value": [0, "1"]} for metric in found])
        if query.startswith("min("):
            return vector([{"metric": {}, "value": [0, request.query["time"]]}])
        at_s = float(request.query["time"])
        start_s = at_s - int(re.search(r"\[(\d+)ms\]$", query)[1]) / 1000
        items = [
            {**item, "values": [pair for pair in item["values"] if start_s <= pair[0] <= at_s]}
            for item in self.metrics.get(role, [])
        ]
        answer = {"resultType": "matrix", "result": [item for item in items if item["values"]]}
        return Reply.of({"status": "success", "data": answer})


def role_of(query: str) -> Role | None:
    if query.startswith("up{"):
        return Role.UP
    found = [
        role for role, metric in CONFLUENT_MIRROR.metrics.items() if re.search(rf"[{{\"]?\b{metric.base}[({{|]", query)
    ]
    return found[0] if found and not query.startswith("count") else None


def connect(connectors=None):
    answers = {
        "/": {"version": "4.3.1", "commit": "x", "kafka_cluster_id": "target-id"},
        "/connectors": connectors or healthy_connectors(),
        f"/connectors/{SOURCE_CONNECTOR}/offsets": {"offsets": []},
        f"/connectors/{SOURCE_CONNECTOR}/topics": {SOURCE_CONNECTOR: {"topics": []}},
    }
    return lambda request: Reply.of(answers[request.path])


@pytest.fixture
def judged(tmp_path):
    """What a Prometheus brings the judge to: the evaluation, and criterion id → (verdict, reason)."""

    def build(prometheus: FakePrometheus, connectors=None, **settings):
        with serving(prometheus) as metrics, serving(connect(connectors)) as rest:
            environment = environment_text(prometheus=metrics.url, connect=rest.url)
            run = write_run(tmp_path, environment=environment, **settings)
            collect(RunRecord.open(run), as_played(run), clock=Clock(now_s=lambda: COLLECTED_S, sleep=lambda _: None))
        evaluation = judge_run(run).evaluation
        build.requests = metrics.requests
        return evaluation, {result.criterion.id: (str(result.verdict), result.reason) for result in evaluation.results}

    return build


def only(role: Role, reply: Callable[[Request], Reply | None]) -> Callable[[Request, Role | None], Reply | None]:
    """That reply for one role's points."""
    return lambda request, asked: reply(request) if asked is role and request.query["query"].endswith("]") else None


def test_a_prometheus_that_answers_well_is_go(judged):
    evaluation, _ = judged(FakePrometheus(metrics=healthy_metrics()))
    assert evaluation.verdict == "GO"


HTML = "<html>sign in</html>"
BAD_REPLIES = {
    "503": Reply(status=503, body="Service Unavailable"),
    "422": Reply.of({"status": "error", "errorType": "execution", "error": "too many samples"}, status=422),
    "HTML": Reply(body=HTML, kind="text/html"),
    "500 HTML": Reply(status=500, body=HTML, kind="text/html"),
    "an empty body": Reply(body=""),
    "cut in the middle": Reply(body='{"status":"success","data":{"resultType":"matrix","result":[{"met'),
    "200 and an error": Reply.of({"status": "error", "errorType": "timeout", "error": "query timed out"}),
}


@pytest.mark.parametrize("name", BAD_REPLIES)
class TestRefusals:
    def test_one_metric_refused_is_its_criterion_inconclusive_and_no_other(self, judged, monkeypatch, name):
        monkeypatch.setattr("clients.prometheus.FIRST_PAUSE_S", math.inf)  # a slow machine has its time, but no retry
        fake = FakePrometheus(metrics=healthy_metrics(), spoilt=only(Role.LATENCY_MAX, lambda _: BAD_REPLIES[name]))
        evaluation, found = judged(fake)
        assert evaluation.verdict == "INCONCLUSIVE"
        verdict, reason = found["latency_max"]
        assert (verdict, reason.code) == ("INCONCLUSIVE", Code.PROMETHEUS_FAILED)
        assert str(BAD_REPLIES[name].status) in reason.params["error"]
        assert found["poll_total"][0] == "GO"

    def test_all_refused_is_inconclusive_wherever_prometheus_was_asked(self, judged, monkeypatch, name):
        monkeypatch.setattr("clients.prometheus.FIRST_PAUSE_S", math.inf)  # a slow machine has its time, but no retry
        fake = FakePrometheus(metrics={}, spoilt=lambda *_: BAD_REPLIES[name])
        evaluation, found = judged(fake)
        assert evaluation.exit_code == 30
        assert {found[criterion][0] for criterion in READS} == {"INCONCLUSIVE"}
        assert found["on_target"][0] == "GO", "what our own ledger says needs no Prometheus"


class TestTime:
    def test_a_prometheus_that_does_not_answer_costs_one_budget_and_not_one_for_each_metric(self, judged, monkeypatch):
        monkeypatch.setattr("checks.collect.PROMETHEUS_BUDGET_S", SHORT_S)
        began_s = now()
        _, found = judged(FakePrometheus(metrics={}, spoilt=lambda *_: Reply(after_s=60)))
        assert now() - began_s < 10 * SHORT_S
        verdict, reason = found["poll_total"]
        assert (verdict, reason.code) == ("INCONCLUSIVE", Code.PROMETHEUS_FAILED)
        assert "no answer within" in reason.params["error"]

    def test_a_503_for_ever_costs_one_budget_too(self, judged, monkeypatch):
        monkeypatch.setattr("checks.collect.PROMETHEUS_BUDGET_S", SHORT_S)
        fake = FakePrometheus(metrics=healthy_metrics(), spoilt=only(Role.POLL_TOTAL, lambda _: BAD_REPLIES["503"]))
        _, found = judged(fake)
        asked = [request.query["query"] for request in judged.requests if request.query["query"].endswith("]")]
        assert {role_of(query) for query in asked} == {Role.UP, Role.POLL_TOTAL}, "nothing more was asked"
        assert found["latency_max"][1].code is Code.PROMETHEUS_FAILED

    def test_one_that_goes_silent_half_way_is_not_asked_again(self, judged, monkeypatch):
        monkeypatch.setattr("checks.collect.PROMETHEUS_BUDGET_S", SHORT_S)
        fake = FakePrometheus(metrics=healthy_metrics(), spoilt=only(Role.LATENCY_AVG, lambda _: Reply(after_s=60)))
        _, found = judged(fake)
        assert found["poll_total"][0] == "GO"
        assert found["latency_max"][1].code is Code.PROMETHEUS_FAILED

    def test_answering_all_has_an_end_too(self, judged, monkeypatch):
        """Each answer in time, and all of them together for ever."""
        monkeypatch.setattr("checks.collect.COLLECTION_BUDGET_S", 0.0)
        _, found = judged(FakePrometheus(metrics=healthy_metrics()))
        assert "not all was answered within" in found["latency_max"][1].params["error"]

    def test_every_query_is_bounded_in_time_span_and_series(self, judged):
        judged(FakePrometheus(metrics=healthy_metrics()))
        for request in judged.requests:
            assert 0 < float(request.query["timeout"]) <= 10
            assert int(request.query["limit"]) > 0
            assert request.query["partial_response"] == "false"
            if span := re.search(r"\[(\d+)ms\]$", request.query["query"]):
                assert int(span[1]) <= 3_600_001

    def test_hours_at_15_s_are_fetched_in_pieces_of_far_less_than_11000_points(self, tmp_path):
        text = environment_text().replace("scrape_interval: 5s", "scrape_interval: 15s")
        long_s = 4 * 3600
        phases = (("silence", "silence", 5, 71, 0), ("soak", "load", 71, 71 + long_s, 100))
        spans: list[float] = []

        def answer(request):
            if span := re.search(r"\[(\d+)ms\]$", request.query["query"]):
                spans.append(int(span[1]) / 1000)
            return FakePrometheus(metrics={})(request)

        with serving(answer) as metrics:
            environment = text.replace("http://127.0.0.1:9", metrics.url)
            run = write_run(tmp_path, environment=environment, phases=phases)
            late = Clock(now_s=lambda: T0_S + long_s + 5000.0, sleep=lambda _: None)
            collect(RunRecord.open(run), as_played(run), clock=late)
        assert max(spans) / 15 < 1000
        assert sum(spans) / (len(CONFLUENT_MIRROR.metrics) + 1) == pytest.approx(long_s, rel=0.02)


class TestNumbers:
    @pytest.mark.parametrize("name", READS)
    @pytest.mark.parametrize("infinite", [INF, -INF], ids=["+Inf", "-Inf"])
    def test_infinity_is_no_reading(self, judged, name, infinite):
        spoilt = spoil(healthy_metrics(), READS[name], lambda at_s: infinite if 80 < at_s < 90 else 1.0, which=0)
        _, found = judged(FakePrometheus(metrics=spoilt))
        verdict, reason = found[name]
        assert (verdict, reason.code) == ("INCONCLUSIVE", Code.NOT_FINITE)

    @pytest.mark.parametrize("name", [name for name in READS if name != "topics_replicated"])
    def test_nothing_but_nan_is_no_reading(self, judged, name):
        _, found = judged(FakePrometheus(metrics=spoil(healthy_metrics(), READS[name], always(NAN))))
        assert found[name][0] == "INCONCLUSIVE"

    def test_a_nan_among_numbers_is_left_out(self, judged):
        spoilt = spoil(healthy_metrics(), Role.ACTIVE_COUNT, lambda at_s: NAN if 85 < at_s <= 90 else 7.0)
        evaluation, _ = judged(FakePrometheus(metrics=spoilt))
        assert evaluation.result("in_flight").measurement.value == 14

    @pytest.mark.parametrize("name", ["latency_avg", "latency_max"])
    def test_a_negative_latency_is_a_clock_that_lies(self, judged, name):
        spoilt = spoil(healthy_metrics(), READS[name], lambda at_s: -90_000.0 if 71 < at_s < 131 else NAN, which=1)
        _, found = judged(FakePrometheus(metrics=spoilt))
        assert found[name][1].code is Code.NEGATIVE_LATENCIES


class TestSeries:
    @pytest.mark.parametrize("name", ["poll_total", "write_total", "in_flight", "latency_max", "topics_replicated"])
    def test_two_series_for_one_thing_are_not_added_up(self, judged, name):
        """A second Prometheus that federates the first, or a replica label: everything is there twice."""
        metrics, role = healthy_metrics(), READS[name]
        twins = [{**one, "metric": {**one["metric"], "replica": "b"}} for one in metrics[role]]
        _, found = judged(FakePrometheus(metrics={**metrics, role: [*metrics[role], *twins]}))
        if name == "topics_replicated":
            assert found[name][0] == "GO", "a topic twice is one topic"
        else:
            assert found[name][1].code is Code.TWIN_SERIES

    def test_a_partial_answer_with_warnings_is_not_believed(self, judged):
        whole = FakePrometheus(metrics=healthy_metrics())

        def partial(request):
            content = json.loads(whole(request).body)
            del content["data"]["result"][0]
            return Reply.of({**content, "warnings": ["store gateway unavailable: partial response"]})

        _, found = judged(FakePrometheus(metrics=healthy_metrics(), spoilt=only(Role.POLL_TOTAL, partial)))
        verdict, reason = found["poll_total"]
        assert (verdict, reason.code) == ("INCONCLUSIVE", Code.API_WARNINGS)
        assert "store gateway" in reason.params["warning"]

    def test_an_info_is_no_warning(self, judged):
        whole = FakePrometheus(metrics=healthy_metrics())

        def told(request):
            return Reply.of({**json.loads(whole(request).body), "infos": ["metric might not be a counter"]})

        _, found = judged(FakePrometheus(metrics=healthy_metrics(), spoilt=only(Role.POLL_TOTAL, told)))
        assert found["poll_total"][0] == "GO"

    def test_one_exporter_of_two_not_scraped_at_all(self, judged):
        """The target is not in Prometheus's configuration: nothing is down, half of everything is missing."""
        first = {
            role: [one for one in items if one["metric"]["instance"].startswith("w1")]
            for role, items in healthy_metrics().items()
        }
        connectors = healthy_connectors()
        connectors[SOURCE_CONNECTOR]["status"]["tasks"][1]["worker_id"] = "w2:8083"
        evaluation, found = judged(FakePrometheus(metrics=first), connectors)
        assert evaluation.verdict == "INCONCLUSIVE"
        reason = found["poll_total"][1]
        assert (reason.code, reason.params["named"]) == (Code.EXPORTER_MISSING, "w1:8083, w2:8083")
        assert {found[name][0] for name in READS} == {"INCONCLUSIVE"}

    def test_one_exporter_of_two_without_mirror_metrics(self, judged):
        """It is scraped, and has no rule for MM2's mirrors: its partitions are missing."""
        metrics = healthy_metrics()
        for role in (Role.RECORD_COUNT, Role.LATENCY_AVG, Role.LATENCY_MAX):
            metrics[role] = metrics[role][:1]
        _, found = judged(FakePrometheus(metrics=metrics))
        reason = found["latency_max"][1]
        assert (reason.code, reason.params["missing"], reason.params["planned"]) == (Code.PARTITIONS_MISSING, 1, 2)

    def test_one_exporter_of_two_down_during_the_load(self, judged):
        down = spoil(healthy_metrics(), Role.UP, lambda at_s: 0.0 if at_s > LOAD_START_S else 1.0, which=1)
        _, found = judged(FakePrometheus(metrics=down))
        reason = found["latency_max"][1]
        assert (reason.code, reason.params["where"]) == (Code.LOW_COVERAGE, "w2:9404")

    def test_one_worker_under_another_configuration(self, judged):
        metrics = healthy_metrics()
        fake = FakePrometheus(
            metrics={role: items[:1] for role, items in metrics.items()} | {Role.UP: metrics[Role.UP]}
        )
        other = [{"__name__": "kafka_connect_source_task_source_record_poll_total", "instance": "w2:9404"}]

        def mixed(request, role):
            if not request.query["query"].startswith("count by (__name__, instance)"):
                return None
            known = json.loads(fake(request).body)["data"]["result"]
            return vector([*known, *({"metric": one, "value": [0, "1"]} for one in other)])

        _, found = judged(FakePrometheus(metrics=fake.metrics, spoilt=mixed))
        reason = found["poll_total"][1]
        assert (reason.code, reason.params["workers"]) == (Code.MIXED_PROFILES, "w2:9404")


class TestInstants:
    @pytest.mark.parametrize("name", READS)
    def test_points_older_than_the_window_are_no_answer(self, judged, name):
        """Prometheus stopped scraping before the load; its last values would stand for five minutes more."""
        metrics = healthy_metrics()
        old = [{**one, "values": points(always(1.0), end_s=LOAD_START_S - 1)} for one in metrics[READS[name]]]
        _, found = judged(FakePrometheus(metrics={**metrics, READS[name]: old}))
        assert found[name][0] == "INCONCLUSIVE"

    def test_scraping_that_stops_before_the_watch_ends_is_stale_or_not_covered(self, judged):
        metrics = healthy_metrics()
        cut = [{**one, "values": points(always(0.0), end_s=WATCHED_S - 12)} for one in metrics[Role.ACTIVE_COUNT]]
        _, found = judged(FakePrometheus(metrics={**metrics, Role.ACTIVE_COUNT: cut}))
        assert found["in_flight"][1].code in (Code.STALE, Code.LOW_COVERAGE)

    def test_a_counter_reset_in_the_window_is_a_lower_bound(self, judged):
        """50 records of the task before it restarted, 20 after: what it counted between scrape and restart is gone."""
        value = growing(6.0, 50.0)
        reset = spoil(healthy_metrics(), Role.POLL_TOTAL, lambda at_s: value(at_s) if at_s < 90 else 20.0, which=0)
        evaluation, found = judged(FakePrometheus(metrics=reset))
        measurement = evaluation.result("poll_total").measurement
        assert (measurement.value, measurement.at_least) == (120, True)
        assert found["poll_total"][0] == "GO", "at least 120 is at least 100"
        assert found["replication_ratio"][1].code is Code.COUNTER_RESET

    @pytest.mark.parametrize("offset_s", [90.0, -90.0])
    def test_a_prometheus_whose_clock_is_90_s_off_is_inconclusive(self, judged, offset_s):
        """Its scrapes carry its own time: the load lies 90 s beside the window."""
        moved = {
            role: [{**one, "values": [[at_s + offset_s, value] for at_s, value in one["values"]]} for one in items]
            for role, items in healthy_metrics().items()
        }
        evaluation, found = judged(FakePrometheus(metrics=moved, clock_s=COLLECTED_S + offset_s))
        assert evaluation.verdict == "INCONCLUSIVE"
        for name in READS:
            verdict, reason = found[name]
            assert (verdict, reason.code) == ("INCONCLUSIVE", Code.CLOCK_SKEWED)
            assert reason.params["offset_s"] == pytest.approx(offset_s)

    def test_a_clock_off_by_less_than_a_scrape_is_tolerated(self, judged):
        evaluation, _ = judged(FakePrometheus(metrics=healthy_metrics(), clock_s=COLLECTED_S + 4))
        assert evaluation.verdict == "GO"

    def test_a_worker_whose_clock_is_90_s_ahead_gives_no_latency(self, judged):
        """MM2 measures from our timestamp to its own clock: more than the record took to come out at the other end."""
        ahead = spoil(healthy_metrics(), Role.LATENCY_MAX, lambda at_s: 90_040.0 if 71 < at_s < 131 else NAN, which=0)
        _, found = judged(FakePrometheus(metrics=ahead))
        reason = found["latency_max"][1]
        assert (reason.code, reason.params["mm2_ms"]) == (Code.CLOCKS_DISAGREE, 90_040)

    def test_a_latency_that_ours_bears_out_is_the_targets_fault(self, judged):
        slow = spoil(healthy_metrics(), Role.LATENCY_MAX, lambda at_s: 900.0 if 71 < at_s < 131 else NAN, which=0)
        _, found = judged(FakePrometheus(metrics=slow), e2e_ms=[20.0] * 99 + [950.0])
        assert found["latency_max"][0] == "NOGO"

    def test_the_windows_edges_are_the_runs(self, judged):
        """A peak after the drain is in the gauge's window, one before the load is not."""
        before = spoil(
            healthy_metrics(), Role.ACTIVE_COUNT, lambda at_s: 500.0 if at_s < LOAD_START_S else 0.0, which=0
        )
        after = spoil(healthy_metrics(), Role.ACTIVE_COUNT, lambda at_s: 500.0 if at_s > DRAINED_S else 0.0, which=0)
        assert judged(FakePrometheus(metrics=before), run_id="before")[1]["in_flight"][0] == "GO"
        assert judged(FakePrometheus(metrics=after), run_id="after")[1]["in_flight"][0] == "NOGO"
