"""Names before the load: what is found and contradicts is refused with both names, what is absent is not; what nobody
tells refuses nothing; what no required criterion rests on refuses nothing."""

from __future__ import annotations

import time

import pytest

from checks.metric_profiles import PROFILES, Role
from runbook.preflight import program
from runbook.preflight.answers import Moment, refusals, remarks
from scenarios.visible import one_line
from tests.scenarios.examples import plan
from tests.support import deployment as support
from tests.support.deployment import (
    ALL,
    BUFFERS,
    COMMIT_TIME,
    COMMITS,
    HEAP,
    HEARTBEAT,
    LATENCY,
    LEDGER,
    LOAD_ONLY,
    MEMORY,
    MIRROR,
    POLLED,
    REMOTE,
    RUNNING,
    SOURCE,
    Deployment,
    scenario,
    served,
    source_config,
)
from tests.support.servers import Reply

BEFORE, CROSSED, LOST = Moment
FORBIDDEN = Reply.of({"error_code": 403, "message": "forbidden"}, status=403)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Second looks come at once."""
    for name in ("LOOKS_AGAIN_WITHIN_S", "CONNECT_SETTLES_S", "SETTLES_S", "SCRAPES_AFTER_CANARY"):
        monkeypatch.setattr(program, name, 0.0)
    monkeypatch.setattr(program, "LOOK_EVERY_S", 0.01)


class Asking:
    """A deployment, and the answers to questions about it, by id."""

    def __init__(self, deployment: Deployment, *criteria: str, load: str = "own", moment: Moment = BEFORE) -> None:
        with served(deployment) as there:
            self.plan = plan(scenario(*(criteria or ALL)), there.environment)
            self.answers = program.ask(self.plan, load=load, moment=moment)
            self.paths = [request.path for request in there.connect]
            self.queries = [request.query["query"] for request in there.prometheus]
        self.by_id = {answer.id: answer for answer in self.answers}
        self.refusals = refusals(self.answers)
        self.remarks = remarks(self.answers, moment)

    def outcome(self, id_: str) -> str | None:
        return self.by_id[id_].outcome.value if id_ in self.by_id else None


def healthy(**settings: str) -> Deployment:
    """All in order, and the source connector set otherwise."""
    deployment = Deployment.healthy()
    deployment.connectors[SOURCE] = source_config(**settings)
    return deployment


def environment(old: str, new: str, deployment: Deployment | None = None) -> Deployment:
    """All in order, and another word in the environment file."""
    deployment = deployment or Deployment.healthy()
    assert deployment.environment.count(old) == 1
    deployment.environment = deployment.environment.replace(old, new)
    return deployment


def remote_name(pattern: str, **settings: str) -> Deployment:
    return environment("prefix: t.", f'prefix: t., remote_name: "{pattern}"', healthy(**settings))


def test_where_all_names_are_right_every_answer_is_ok_and_nothing_is_said():
    asking = Asking(Deployment.healthy())
    assert {answer.id: answer.outcome for answer in asking.answers if answer.outcome != "ok"} == {}
    assert (asking.refusals, asking.remarks) == ((), ())
    assert {"connect.source", "mirror.name", "mirror.topics", "prometheus.jobs.connect", "metric.poll_total"} <= set(
        asking.by_id
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_where_all_names_are_right_every_answer_is_ok_under_any_profile(profile):
    deployment = Deployment.healthy()
    deployment.series = support.all_series(PROFILES[profile])
    asking = Asking(deployment)
    assert {answer.id: answer.sentence for answer in asking.answers if answer.outcome != "ok"} == {}


# --- B1: mirrors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deployment", "ours", "theirs"),
    [
        pytest.param(remote_name("source_{topic}"), "source_t.a-1", REMOTE, id="wrong separator of ours"),
        pytest.param(healthy(replication_policy_separator="_"), REMOTE, "source_t.a-1", id="another separator of MM2"),
        pytest.param(remote_name("src.{topic}"), "src.t.a-1", REMOTE, id="wrong alias of ours"),
        pytest.param(
            environment("alias: source", "alias: src"), "src.t.a-1", REMOTE, id="wrong alias, name by default"
        ),
        pytest.param(healthy(source_cluster_alias="dc1"), REMOTE, "dc1.t.a-1", id="another alias of MM2"),
        pytest.param(remote_name("{topic}"), "t.a-1", REMOTE, id="identity of ours"),
        pytest.param(
            healthy(replication_policy_class=f"{MIRROR}.IdentityReplicationPolicy"),
            REMOTE,
            "t.a-1",
            id="identity of MM2",
        ),
    ],
)
def test_a_mirror_that_mm2_will_call_otherwise_is_refused_with_both_names(deployment, ours, theirs):
    asking = Asking(deployment, *LEDGER)
    assert asking.outcome("mirror.name") == "refused"
    (line,) = asking.refusals
    assert f"under the name {ours} " in line
    assert f"writes {theirs} " in line
    assert "and 1 more topic alike" in line


@pytest.mark.parametrize(
    "deployment",
    [
        pytest.param(
            remote_name("dc1_{topic}", source_cluster_alias="dc1", replication_policy_separator="_"), id="said"
        ),
        pytest.param(environment("alias: source", "alias: dc1", healthy(source_cluster_alias="dc1")), id="by default"),
        pytest.param(
            remote_name("{topic}", replication_policy_class=f"{MIRROR}.IdentityReplicationPolicy"), id="identity"
        ),
    ],
)
def test_a_mirror_that_is_called_as_we_say_is_not_refused_whatever_the_policy(deployment):
    asking = Asking(deployment, *LEDGER)
    assert asking.outcome("mirror.name") == "ok"
    assert asking.refusals == ()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"topics": "orders.*"}, "topics = orders.*"),
        ({"topics_exclude": "t[.]a-2"}, "topics.exclude = t[.]a-2"),
        ({"target_cluster_alias": "t", "topics": ".*"}, "target.cluster.alias"),
    ],
)
def test_topics_that_the_connector_does_not_take_are_refused_with_its_lists(settings, why):
    asking = Asking(healthy(**settings), *LEDGER)
    assert asking.outcome("mirror.topics") == "refused"
    assert why in asking.refusals[0]
    assert "does not mirror t.a-" in asking.refusals[0]


CUSTOM = {"replication_policy_class": "com.acme.Policy"}


def written(names: list[str] | None, **settings: str) -> Deployment:
    deployment = healthy(**(settings or CUSTOM))
    deployment.written[SOURCE] = names
    return deployment


@pytest.mark.parametrize("found", ["acme-t.a-1", "t.a-1", "acme.t.a-2", "t.a-1.copy"])
@pytest.mark.parametrize(
    "settings",
    [CUSTOM, {"transforms": "r", "transforms_r_type": "org.apache.kafka.connect.transforms.RegexRouter"}],
    ids=["a policy of somebody's own", "a transform that renames"],
)
@pytest.mark.parametrize("moment", [BEFORE, LOST])
def test_a_mirror_that_connect_has_seen_under_another_name_is_refused_where_the_configuration_does_not_tell(
    found, settings, moment
):
    asking = Asking(written([found, "heartbeats"], **settings), *LEDGER, moment=moment)
    assert asking.outcome("mirror.written") == "refused"
    assert f"has written {found}" in asking.refusals[0]
    assert "under the name source.t.a-" in asking.refusals[0]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([], id="nothing was sent yet"),
        pytest.param(None, id="nobody keeps them"),
        pytest.param(["heartbeats", "source.t.other"], id="mirrors of other topics of ours"),
        pytest.param(["source.t.a-10", "x.t.a-11", "xt.a-1"], id="mirrors whose names begin or end alike"),
        pytest.param([REMOTE, "acme-t.a-1"], id="ours, and one from before the policy was changed"),
    ],
)
@pytest.mark.parametrize("moment", [BEFORE, LOST])
def test_a_mirror_that_connect_has_not_seen_contradicts_nothing(names, moment):
    asking = Asking(written(names), *LEDGER, moment=moment)
    assert asking.refusals == ()


def test_what_a_policy_of_somebodys_own_does_not_tell_is_asked_again_when_no_canary_came_out():
    answer = Asking(written([]), *LEDGER).by_id["mirror.written"]
    assert (answer.outcome, answer.again) == ("not_told", (LOST,))


def test_a_canary_that_is_lost_on_its_way_through_names_that_are_right_refuses_nothing():
    asking = Asking(written(["x.t.a-1"], source_cluster_alias="source"), *LEDGER, moment=LOST)
    assert asking.answers == ()


def test_aliases_alone_decide_nothing_and_are_said():
    asking = Asking(healthy(target_cluster_alias="dublin"), *LEDGER)
    assert asking.outcome("mirror.alias") == "noted"
    assert asking.refusals == ()
    assert "from source to dublin" in asking.remarks[0]


def test_the_connector_of_the_way_back_is_refused_also_where_names_do_not_tell():
    identity = f"{MIRROR}.IdentityReplicationPolicy"
    back = {"source_cluster_alias": "target", "target_cluster_alias": "source"}
    asking = Asking(remote_name("{topic}", replication_policy_class=identity, **back), *LEDGER)
    assert asking.outcome("mirror.alias") == "refused"


# --- B2: connectors --------------------------------------------------------------------------------------------------


def test_a_connector_that_does_not_exist_is_refused_with_those_that_do_the_likeliest_first():
    asking = Asking(environment("source: mm2-source-connector", "source: mm2-source-conector"), *LEDGER)
    (line,) = asking.refusals
    assert "mm2-source-conector (connect.connectors.source) does not exist on Connect" in line
    assert "there are: mm2-source-connector, " in line
    assert "mirror.name" not in asking.by_id, "nothing is asked of a connector that is not there"


def test_a_connector_of_another_class_is_refused_with_the_others():
    asking = Asking(environment("source: mm2-source-connector", "source: mm2-checkpoint"), *LEDGER)
    (line,) = asking.refusals
    assert "mm2-checkpoint (connect.connectors.source) is no MirrorSourceConnector" in line
    assert "other connectors: mm2-heartbeat, mm2-source-connector" in line


@pytest.mark.parametrize(
    "class_",
    [f"{MIRROR}.MirrorSourceConnector", "MirrorSourceConnector", "MirrorSource", "com.acme.OurMirrorSourceConnector"],
)
def test_a_connector_is_mm2s_however_its_class_is_written(class_):
    asking = Asking(healthy(connector_class=class_), *LEDGER)
    assert asking.outcome("connect.source.class") == "ok"


@pytest.mark.parametrize(("criteria", "outcome"), [(RUNNING, "refused"), (LEDGER, "noted")])
def test_the_other_connectors_are_refused_where_a_criterion_asks_whether_all_run(criteria, outcome):
    asking = Asking(environment("heartbeat: mm2-heartbeat", "heartbeat: mm2-hartbeat"), *criteria)
    assert asking.outcome("connect.heartbeat") == outcome
    assert bool(asking.refusals) is (outcome == "refused")
    assert "mm2-heartbeat" in (asking.refusals or asking.remarks)[0]


def test_a_connect_without_any_connector_says_so():
    asking = Asking(Deployment(series=Deployment.healthy().series), *LEDGER)
    assert "there is none at all; is it the Connect meant?" in asking.refusals[0]


def test_nothing_is_ever_advised_that_would_make_a_connector_of_a_name_that_may_be_wrong():
    for old, new in (("source: mm2-source-connector", "source: x"), ("heartbeat: mm2-heartbeat", "heartbeat: x")):
        for line in Asking(environment(old, new)).refusals:
            assert not {"PUT", "POST", "curl", "create", "config.json"} & set(line.replace("`", " ").split())


# --- B2: jobs and metrics --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "criteria"),
    [
        ("connect: kafka-connect", "connect: kafka-conect", POLLED),
        ("nodes: node-exporter", "nodes: node-exportr", MEMORY),
    ],
)
def test_a_job_without_a_target_is_refused_with_the_jobs_there_are(old, new, criteria):
    asking = Asking(environment(old, new), *criteria)
    (line,) = asking.refusals
    assert f'no target of job "{new.split()[1]}"' in line
    assert f"its jobs: {old.split()[1]}, " in line


def test_a_job_of_the_brokers_is_looked_at_where_the_file_names_it_and_refuses_nothing():
    asking = Asking(environment("jobs: {", "jobs: {brokers: kafkas, "), *POLLED)
    assert asking.outcome("prometheus.jobs.brokers") == "noted"
    assert asking.refusals == ()
    assert "prometheus.jobs.brokers" not in Asking(Deployment.healthy(), *POLLED).by_id


@pytest.mark.parametrize(
    ("criteria", "role"),
    [
        pytest.param(HEAP, Role.HEAP_USED, id="of a worker's process"),
        pytest.param(MEMORY, Role.NODE_MEMORY_TOTAL, id="of a node"),
    ],
)
def test_a_metric_that_every_exporter_shows_is_refused_where_it_is_missing(criteria, role):
    asking = Asking(Deployment.healthy().without(role), *criteria)
    assert asking.outcome(f"metric.{role}") == "refused"
    assert f"Prometheus has no {PROFILES['confluent_mirror'].metrics[role].name} of ours" in asking.refusals[0]


@pytest.mark.parametrize(
    ("criteria", "role"),
    [
        pytest.param(COMMITS, Role.OFFSET_COMMIT_FAILURE, id="the official configuration has no rule for it"),
        pytest.param(BUFFERS, Role.BUFFER_TOTAL, id="its partner is there"),
        pytest.param(POLLED, Role.POLL_TOTAL, id="the tasks' others are there"),
        pytest.param(LATENCY, Role.LATENCY_AVG, id="the mirrors' others are there"),
    ],
)
def test_a_metric_of_tasks_that_are_scraped_is_refused_before_the_load_with_names_like_it(criteria, role):
    asking = Asking(Deployment.healthy().without(role), *criteria)
    assert asking.outcome(f"metric.{role}") == "refused"
    assert "names like it: kafka_" in asking.refusals[0]


TASKS = [
    role
    for role, metric in PROFILES["confluent_mirror"].metrics.items()
    if metric.filter.value in ("connector", "producer")
]
MIRRORS = [
    Role.RECORD_COUNT,
    Role.BYTE_COUNT,
    Role.LATENCY_AVG,
    Role.LATENCY_MAX,
    Role.RECORD_AGE_AVG,
    Role.RECORD_AGE_MAX,
]


@pytest.mark.parametrize(
    ("criteria", "roles", "first"),
    [
        pytest.param(POLLED, TASKS, Role.POLL_TOTAL, id="tasks that have nothing to mirror yet"),
        pytest.param(LATENCY, MIRRORS, Role.LATENCY_AVG, id="mirrors that are not there yet"),
    ],
)
def test_a_metric_that_needs_a_task_is_no_contradiction_before_the_canary_and_one_when_it_has_crossed(
    criteria, roles, first
):
    before = Asking(Deployment.healthy().without(*roles), *criteria)
    assert before.refusals == ()
    assert before.remarks == (), "it is asked again, so nothing is said yet"
    assert before.by_id[f"metric.{first}"].again == (CROSSED,)
    crossed = Asking(Deployment.healthy().without(*roles), *criteria, moment=CROSSED)
    assert crossed.refusals != ()


def test_a_canary_that_did_not_cross_makes_no_contradiction_of_an_absent_metric():
    assert Asking(Deployment.healthy().without(*MIRRORS, *TASKS), moment=LOST).refusals == ()


def test_metrics_of_another_connector_name_it_and_stand_in_one_line():
    asking = Asking(
        Deployment.healthy().relabelled("connector", SOURCE, "mm2-other"), *POLLED, *COMMITS, moment=CROSSED
    )
    (line,) = asking.refusals
    assert "source_record_poll_total, " in line
    assert "offset_commit_failure_percentage" in line
    assert "it is there for other connectors: mm2-other;" in line
    assert "correct connect.connectors.source" in line


def test_mirrors_under_another_name_are_named():
    asking = Asking(Deployment.healthy().relabelled("topic", "source.", "src."), *LATENCY, moment=CROSSED)
    assert "it is there for other mirrors: src.t.a-1;" in asking.refusals[0]


def test_producers_under_a_client_id_of_their_own_are_named():
    deployment = Deployment.healthy().relabelled("client_id", f"connector-producer-{SOURCE}-0", "ours")
    asking = Asking(deployment, *BUFFERS, moment=CROSSED)
    assert "it is there for other producers: ours;" in asking.refusals[0]
    assert "client.id" in asking.refusals[0]


def test_a_profile_that_is_named_and_is_not_the_workers_is_refused_with_the_one_that_is():
    asking = Asking(
        environment("scrape_interval: 1s", "scrape_interval: 1s, metric_profile: strimzi"), *POLLED, *LATENCY
    )
    (line,) = asking.refusals
    assert "by the names of profile confluent_mirror, and not by those of strimzi" in line


def test_a_profile_that_is_wrong_refuses_nothing_that_only_asks_the_machines():
    named = environment("scrape_interval: 1s", "scrape_interval: 1s, metric_profile: strimzi")
    assert Asking(named, *MEMORY).outcome("prometheus.metric_profile") == "noted"


def test_a_worker_that_goes_by_other_names_than_the_rest_is_said():
    deployment = Deployment.healthy()
    deployment.series += [{**one, "instance": "w2:9404"} for one in deployment.series if one["job"] == "kafka-connect"]
    others = support.all_series(PROFILES["strimzi"])
    deployment.series += [{**one, "instance": "w3:9404"} for one in others if one["job"] == "kafka-connect"]
    asking = Asking(deployment, *POLLED)
    assert asking.refusals == ()
    assert "w3:9404 of the workers' job go by other names" in asking.remarks[0]


# A store that keeps no NaN shows what is idle only when it is not.


def idle_not_kept(deployment: Deployment) -> Deployment:
    deployment.series = [one for one in deployment.series if one.get("value") != "NaN"]
    return deployment


@pytest.mark.parametrize("moment", [BEFORE, CROSSED])
def test_a_gauge_that_is_idle_is_no_contradiction_where_nan_is_not_kept(moment):
    deployment = idle_not_kept(Deployment.healthy()).without(Role.OFFSET_COMMIT_MAX)
    asking = Asking(deployment, *LATENCY, *COMMIT_TIME, moment=moment)
    assert asking.refusals == ()


# --- what refuses nothing --------------------------------------------------------------------------------------------

ALL_WRONG = environment("prefix: t.", 'prefix: t., remote_name: "x.{topic}"', environment("kafka-connect,", "kc,"))


def test_all_that_is_wrong_is_said_at_once():
    assert [line.split(" (")[0] for line in Asking(ALL_WRONG).refusals] == [
        "we look for the mirror of t.a-1 under the name x.t.a-1",
        'Prometheus has no target of job "kc"',
    ]


@pytest.mark.parametrize("advisory", [False, True], ids=["none needs it", "only an advisory one does"])
def test_a_scenario_whose_required_criteria_need_none_of_it_is_not_refused(advisory):
    criteria = [one.replace("}", ", advisory: true}") for one in ALL] if advisory else []
    asking = Asking(ALL_WRONG, *LOAD_ONLY, *criteria)
    assert asking.refusals == ()
    assert "writes source.t.a-1" in asking.remarks[0], "it is said all the same"
    assert asking.queries == []


def test_criteria_that_a_load_of_others_cannot_answer_need_nothing():
    asking = Asking(ALL_WRONG, *LOAD_ONLY, *LEDGER, load="none")
    assert asking.refusals == ()


@pytest.mark.parametrize(
    "reply",
    [
        Reply.of({"message": "starting"}, status=503),
        FORBIDDEN,
        Reply(body="<html>", kind="text/html"),
        Reply.of({"a": 1}),
        Reply.of(None),
        Reply.of([[], 7]),
        Reply.of("text"),
    ],
)
@pytest.mark.parametrize("path", ["/connectors", f"/connectors/{SOURCE}/config", f"/connectors/{SOURCE}/topics"])
def test_a_connect_that_fails_to_answer_refuses_nothing_and_is_said(reply, path, monkeypatch):
    monkeypatch.setattr("runbook.preflight.fetch.CONNECT_TIMEOUT_S", 0.3)
    deployment = written([])
    deployment.spoilt = lambda asked: reply if asked == path else None
    asking = Asking(deployment, *LEDGER)
    assert asking.refusals == ()
    assert any(answer.outcome == "not_told" for answer in asking.answers)


@pytest.mark.parametrize(
    "reply",
    [
        Reply.of({}, status=503),
        Reply(body="<html>", kind="text/html"),
        Reply.of({"status": "success", "data": {"resultType": "vector", "result": [None]}}),
        Reply.of(
            {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, "x"]}]}}
        ),
        Reply.of({"status": "error", "error": "query timed out"}, status=422),
    ],
)
@pytest.mark.parametrize("first", ["count by (job)", "count by (__name__", "count("])
def test_a_prometheus_that_fails_to_answer_refuses_nothing_and_is_said(reply, first, monkeypatch):
    monkeypatch.setattr("runbook.preflight.fetch.PROMETHEUS_BUDGET_S", 0.3)
    deployment = Deployment.healthy()
    deployment.spoilt_metrics = lambda query: reply if query.startswith(first) else None
    asking = Asking(deployment, *POLLED, *LATENCY)
    assert asking.refusals == ()
    if "vector" not in reply.body or "__name__" not in first:  # what is no name hides no metric that is there
        assert any(answer.outcome == "not_told" and CROSSED in answer.again for answer in asking.answers)


def test_exporters_that_are_down_for_the_moment_refuse_nothing():
    deployment = Deployment.healthy()
    deployment.series = [{**one, "value": "0"} for one in deployment.series if one["__name__"] == "up"]
    asking = Asking(deployment)
    assert asking.refusals == ()
    assert "can be scraped now" in asking.by_id["metric.heap_used"].sentence


def test_what_comes_a_moment_later_is_not_refused(monkeypatch):
    monkeypatch.setattr(program, "LOOKS_AGAIN_WITHIN_S", 0.1)
    monkeypatch.setattr(program, "CONNECT_SETTLES_S", 0.1)
    whole, deployment = Deployment.healthy(), Deployment(series=Deployment.healthy().without(Role.HEAP_USED).series)
    began_s = time.monotonic()

    def later(answer):
        if time.monotonic() - began_s > 0.05:
            deployment.series, deployment.connectors = whole.series, whole.connectors

    deployment.spoilt, deployment.spoilt_metrics = later, later
    assert Asking(deployment).refusals == ()


def test_without_connect_what_prometheus_tells_is_asked():
    dedicated = environment("  urls: [CONNECT]\n", "")
    assert Asking(dedicated).refusals == ()
    asking = Asking(dedicated.relabelled("connector", SOURCE, "MirrorSourceConnector"), *POLLED, moment=CROSSED)
    assert asking.paths == []
    assert "other connectors: MirrorSourceConnector;" in asking.refusals[0]


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_answers_hold_no_secret_of_a_connector_and_no_endless_or_hostile_name():
    deployment = healthy(replication_policy_separator="\x1b[31m" + "x" * 5000)
    deployment.connectors |= {f"\u202eother-{n}" + "y" * 2000: {} for n in range(500)}
    asking = Asking(environment("heartbeat: mm2-heartbeat", "heartbeat: other", deployment))
    text = program.to_json(asking.answers, BEFORE)
    assert "hunter2" not in text
    assert len(text) < 60_000
    for line in (*asking.refusals, *asking.remarks):
        assert one_line(line) == line


def test_ids_are_stable():
    """Scripts and `mm2gate preflight` go by them."""
    asked = {answer.id for answer in Asking(Deployment.healthy()).answers}
    assert {one for one in asked if not one.startswith("metric.")} == {
        *(f"connect.{kind}{part}" for kind in ("source", "checkpoint", "heartbeat") for part in ("", ".class")),
        *(f"mirror.{what}" for what in ("name", "topics", "alias")),
        *(f"prometheus.{what}" for what in ("jobs.connect", "jobs.nodes", "metric_profile")),
    }
    assert HEARTBEAT in Asking(Deployment.healthy()).by_id["connect.heartbeat"].sentence
