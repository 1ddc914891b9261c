"""What is kept of Connect's answers: MM2's named connectors by a list of keys; of others, whether they touch topics of
ours.

The sentinel is another team's password: it must be in no file of a run, whatever key or text it came in.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.case import Case
from checks.collect import collect
from checks.connectors import workers_seen
from checks.diagnosis import diagnose
from checks.evidence import Evidence
from checks.judge import judge_run
from checks.neighbours import neighbours_content, neighbours_seen
from checks.redaction import kept_config, kept_connectors, kept_trace
from checks.report.files import compare_runs, report_run
from run_record.manifest import TopicPlayed
from run_record.store import SEAL, RunRecord, sums
from scenarios.environment import Connectors
from scenarios.secret_shapes import HIDDEN
from tests.checks.test_collect import LATER, connect, prometheus
from tests.support.given import as_played
from tests.support.records import (
    HEALTHY,
    REMOTE,
    SOURCE_CONNECTOR,
    TOPIC,
    connector,
    environment_text,
    healthy_connectors,
    write_evidence,
    write_run,
)
from tests.support.servers import Reply, serving

SENTINEL = "Sentinel-7"
JDBC = {
    "status": {
        "name": "billing-jdbc",
        "connector": {
            "state": "FAILED",
            "worker_id": "w9:8083",
            "trace": f"SQLException: user bob, {SENTINEL}\n\tat X",
        },
        "tasks": [{"id": 0, "state": "FAILED", "worker_id": "w8:8083", "trace": f"connect with {SENTINEL}"}],
        "type": "source",
    },
    "info": {
        "name": "billing-jdbc",
        "type": "source",
        "config": {
            "connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector",
            "connection.url": f"jdbc:postgresql://db/billing?user=bob&password={SENTINEL}",
            "connection.password": SENTINEL,
            "query": f"select '{SENTINEL}'",
            "topic.prefix": "billing.",
        },
        "tasks": [],
    },
}
#: Of our own connector: keys that are not listed, and listed ones that hold a secret all the same.
OURS = {
    "sasl_jaas_config": f'PlainLoginModule required username="a" password="{SENTINEL}";',
    "source_cluster_sasl_jaas_config": f"x {SENTINEL}",
    "source_cluster_ssl_key_password": SENTINEL,
    "config_providers_vault_param_key": SENTINEL,
    "transforms_mask_replacement": f"password={SENTINEL}",
    "transforms_mask_salt": SENTINEL,
    "producer_override_bootstrap_servers": f"https://u:{SENTINEL}@h",
    "topics": f"t[.].*,https://u:{SENTINEL}@h",
    "my_own": SENTINEL,
}
TRACE = f"""org.apache.kafka.connect.errors.ConnectException: Unrecoverable exception
\tat org.apache.kafka.connect.runtime.WorkerTask.run(WorkerTask.java:1)
Caused by: org.apache.kafka.common.config.ConfigException: Invalid password={SENTINEL} for sasl.jaas.config
\tat x.Y.z(Y.java:2)
Caused by: org.apache.kafka.common.errors.SaslAuthenticationException: to https://u:{SENTINEL}@broker refused
\t... 12 more
"""


def told():
    mm2 = connector(SOURCE_CONNECTOR, state="FAILED", trace=TRACE, **OURS)
    return {**healthy_connectors(), SOURCE_CONNECTOR: mm2, "billing-jdbc": JDBC}


def assert_clean(run):
    files = [path for path in run.rglob("*") if path.is_file()]
    assert files
    assert not [path.name for path in files if SENTINEL in path.read_text(encoding="utf-8")]


def test_another_teams_password_reaches_no_file_of_the_run(tmp_path):
    with serving(prometheus()) as metrics, serving(connect(told())) as rest:
        run = write_run(tmp_path, environment=environment_text(prometheus=metrics.url, connect=rest.url))
        collect(RunRecord.open(run), as_played(run), clock=LATER)
    judge_run(run)
    assert_clean(run)
    kept = json.loads((run / "evidence" / "001" / "connect-connectors.json").read_text())
    assert sorted(kept) == ["mm2-heartbeat", SOURCE_CONNECTOR]
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "billing-jdbc" not in page
    assert "ConnectException" in page
    assert HIDDEN in page


def test_what_older_evidence_kept_is_not_shown_nor_taken_over(tmp_path):
    """Evidence of schema 1 has every connector's configuration; it is sealed, and stays as it is."""
    run = write_run(tmp_path)
    write_evidence(run, connectors=told())
    judge_run(run)
    report_run(run, language="en")
    other = tmp_path / "other"
    shutil.copytree(run, other)
    compare_runs(run, other, language="fr")
    with serving(prometheus()) as metrics:
        environment = environment_text(prometheus=metrics.url)
        given_ = as_played(write_run(tmp_path / "elsewhere", environment=environment))
        evidence = Evidence.open(collect(RunRecord.open(run), given_, clock=LATER))
    assert (evidence.directory.name, evidence.connect("connectors").error) == ("002", None)
    shutil.rmtree(run / "evidence" / "001")
    assert_clean(run)
    assert neighbours_seen(evidence.connect("others").content) == ()
    assert {"w8:8083", "w9:8083"} <= set(
        workers_seen(evidence.connect("connectors").content, evidence.connect("others").content)
    )


def test_errors_of_older_evidence_are_shown_without_what_looks_like_a_secret(tmp_path):
    run = write_run(tmp_path)
    directory = write_evidence(run, connect_error=f"rejected Authorization: Basic {SENTINEL}QxQxQx")
    index = json.loads((directory / "index.json").read_text())
    for entry in index["answers"]:
        if entry["kind"] == "metric":
            entry["error"] = f"HTTP 400, token={SENTINEL}"
    (directory / "index.json").write_text(json.dumps(index))
    (directory / SEAL).write_text(sums(directory))
    judge_run(run)
    shutil.rmtree(run / "evidence")
    assert_clean(run)


# --- one connector ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "tasks.max", "topics", "topics.exclude", "connector.class", "replication.policy.class",
        "replication.policy.separator", "source.cluster.alias", "target.cluster.bootstrap.servers", "transforms",
        "transforms.a.type", "transforms.a-b.headers", "errors.tolerance", "refresh.topics.interval.seconds",
        "sync.topic.acls.enabled", "emit.offset-syncs.enabled", "offset-syncs.topic.location",
        "producer.override.batch.size", "producer.linger.ms", "source.consumer.fetch.min.bytes",
        "target.producer.compression.type", "target.cluster.producer.max.request.size", "admin.request.timeout.ms",
        "offset.lag.max", "topic.creation.default.partitions", "metric.names.formats",
    ],
)  # fmt: skip
def test_what_the_judge_needs_is_kept(key):
    assert kept_config({key: "1"}) == {key: "1"}


@pytest.mark.parametrize(
    "key",
    [
        "sasl.jaas.config", "source.cluster.sasl.jaas.config", "producer.override.sasl.jaas.config",
        "source.cluster.ssl.keystore.key", "ssl.truststore.password", "connection.url", "connection.user",
        "transforms.a.salt", "transforms.a.static.value", "config.providers.vault.param.token", "query", "key",
        "producer.override.interceptor.classes", "topic.creation.default.x", "batch.size.sasl", "sasl.username",
        "errors.tolerance.x", "tasks.max ",
    ],
)  # fmt: skip
def test_any_other_key_is_kept_as_a_name_at_most(key):
    assert kept_config({key: "hunter2"}) in ({key: HIDDEN}, {})


@given(
    st.dictionaries(
        st.one_of(
            st.text(max_size=30),
            st.sampled_from(["tasks.max", "topics", "transforms.a.type", "producer.linger.ms", "password", "a.secret"]),
        ),
        st.one_of(st.text(max_size=60), st.integers(), st.none()),
    )
)
def test_keeping_twice_is_keeping_once_and_nothing_is_added(config):
    once = kept_config(config)
    assert kept_config(once) == once
    assert set(once) <= {str(key) for key in config}
    assert all(value in (HIDDEN, str(config.get(key))) for key, value in once.items())


def test_of_a_trace_the_lines_stay_that_say_what_happened():
    assert kept_trace(TRACE).splitlines() == [
        "org.apache.kafka.connect.errors.ConnectException: Unrecoverable exception",
        f"Caused by: org.apache.kafka.common.config.ConfigException: Invalid password={HIDDEN} for sasl.jaas.config",
        f"Caused by: org.apache.kafka.common.errors.SaslAuthenticationException: to https://{HIDDEN}@broker refused",
    ]
    assert kept_trace(kept_trace(TRACE)) == kept_trace(TRACE)
    assert len(kept_trace("x" * 100_000 + "\nCaused by: y" * 100_000)) < 11_000
    assert kept_trace(None) == ""


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["status", "info", "config", "connector", "tasks", "state", "trace", "id", "type", "topics"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(parts=JSON, other=JSON)
def test_an_answer_of_any_shape_is_kept_or_missed_and_breaks_nothing(parts, other):
    answer = {SOURCE_CONNECTOR: parts, "other": other}
    kept = kept_connectors(answer, [SOURCE_CONNECTOR])
    assert list(kept) == [SOURCE_CONNECTOR]
    assert kept_connectors(kept) == kept
    neighbours_seen(json.loads(json.dumps(neighbours_content(answer, Connectors(), TOPICS))))


def test_a_connect_that_answers_with_something_else_is_an_error_in_its_place(tmp_path):
    def answer(request):
        return Reply.of([SENTINEL]) if request.path == "/connectors" else connect()(request)

    with serving(prometheus()) as metrics, serving(answer) as rest:
        run = write_run(tmp_path, environment=environment_text(prometheus=metrics.url, connect=rest.url))
        evidence = Evidence.open(collect(RunRecord.open(run), as_played(run), clock=LATER))
    assert "not as Kafka Connect does" in evidence.connect("connectors").error
    assert_clean(run)


@pytest.mark.parametrize("tasks", [None, {}, ["x"], [{}]])
def test_a_status_that_cannot_be_read_does_not_pass_for_one_without_tasks(tmp_path, tasks):
    broken = healthy_connectors()
    broken[SOURCE_CONNECTOR]["status"]["tasks"] = tasks
    run = write_run(tmp_path)
    write_evidence(run, connectors=broken)
    result = judge_run(run).evaluation.result("not_running")
    assert (result.verdict, result.reason.code) == ("INCONCLUSIVE", "unreadable")


def test_topics_that_are_hidden_are_no_reason_to_say_that_ours_is_not_selected(judge):
    hidden_topics = {**healthy_connectors(), SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, topics=OURS["topics"])}
    run = judge(evidence={"connectors": hidden_topics}, counts=replace(HEALTHY, arrived=0, late=100))
    assert "topic_not_selected" not in run.rows()


# --- other teams' connectors -----------------------------------------------------------------------------------------

TOPICS = (
    TopicPlayed(source=TOPIC, remote=REMOTE, partitions=2),
    TopicPlayed(source="t.b", remote="source.t.b", partitions=1),
)


def other(kind: str = "source", state: str = "RUNNING", **config: str):
    made = connector("other", state, **config)
    made["info"]["config"].pop("topics", None) if "topics" not in config else None
    made["status"]["type"] = kind
    return made


def found(parts, mm2=None):
    answer = {SOURCE_CONNECTOR: mm2 or connector(SOURCE_CONNECTOR), "other": parts}
    content = neighbours_content(answer, Connectors(source=SOURCE_CONNECTOR), TOPICS)
    return content, neighbours_seen(json.loads(json.dumps(content)))


MIRROR = "org.apache.kafka.connect.mirror.MirrorSourceConnector"


@pytest.mark.parametrize(
    ("parts", "touch", "topics"),
    [
        (other(connector_class=MIRROR, topics="t[.].*"), "mirrors", (TOPIC, "t.b")),
        (other(connector_class=MIRROR, topics="t.b, x"), "mirrors", ("t.b",)),
        (other(connector_class=MIRROR), "mirrors", (TOPIC, "t.b")),
        (other(connector_class=MIRROR, topics=".*", topics_exclude="t[.]gen.*"), "mirrors", ("t.b",)),
        (other(connector_class=MIRROR, topics="(?i)[[a]"), "mirrors", None),
        (other("sink", connector_class="x.S3Sink", topics=f"a,{REMOTE}"), "reads", (REMOTE,)),
        (other("sink", connector_class="x.S3Sink", topics_regex="source[.].*"), "reads", (REMOTE, "source.t.b")),
        (other(connector_class="x.Datagen", kafka_topic="t.b"), "writes", ("t.b",)),
        (other(connector_class="x.JdbcSource", topic_prefix="t."), "writes", (TOPIC, "t.b")),
    ],
)
def test_a_connector_on_our_topics_is_known_by_its_name_and_what_it_touches(parts, touch, topics):
    content, (one,) = found(parts)
    assert (one.name, one.state, one.touch, one.topics) == ("other", "RUNNING", touch, topics)
    assert set(content["connectors"][0]) == {"name", "connector_class", "state", "touch", "topics", "same_source"}


@pytest.mark.parametrize(
    "parts",
    [
        JDBC,
        other(connector_class=MIRROR, topics="orders.*"),
        other(connector_class="org.apache.kafka.connect.mirror.MirrorCheckpointConnector", topics=".*"),
        other("sink", connector_class="x.S3Sink", topics="t.b"),
        other(connector_class="x.Datagen"),
        {},
        None,
    ],
)
def test_one_that_does_not_touch_them_is_a_number_only(parts):
    content, seen = found(parts)
    assert seen == ()
    assert content["others"] == 1
    assert SENTINEL not in json.dumps(content)
    assert "billing" not in json.dumps(content)


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ({"source_cluster_bootstrap_servers": "a:1,b:1"}, {"source_cluster_bootstrap_servers": "b:1"}, True),
        ({"source_cluster_alias": "paris"}, {"source_cluster_alias": "paris"}, True),
        (
            {"source_cluster_alias": "paris", "source_cluster_bootstrap_servers": "a:1"},
            {"source_cluster_alias": "rome", "source_cluster_bootstrap_servers": "c:1"},
            False,
        ),
        ({}, {"source_cluster_alias": "rome"}, None),
    ],
)
def test_whether_it_mirrors_the_same_source_is_told_where_that_can_be(ours, theirs, same):
    _, (one,) = found(other(connector_class=MIRROR, topics="t.b", **theirs), connector(SOURCE_CONNECTOR, **ours))
    assert one.same_source is same


def test_a_run_is_diagnosed_on_evidence_without_others(judge):
    case = judge()._case
    assert isinstance(case, Case)
    assert neighbours_seen(case.run.evidence.connect("others").content) == ()
    assert diagnose(case.run, case.evaluation)
