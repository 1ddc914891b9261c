"""The JMX exporter's rules give the runbook's names. The agent's own matching, in Python: first rule that is found in
`domain<key=value, …><>attribute: value`; since 1.0 it strips `_total` from a name that is not a COUNTER's.
"""

import re
from importlib import resources

import pytest
from ruamel.yaml import YAML

CLIENT = '"source->target|mm2-source-connector-0|replication-consumer"'


def _rules(file: str) -> list[dict]:
    text = resources.files("monitoring").joinpath("jmx", file).read_text(encoding="utf-8")
    return YAML(typ="safe").load(text)["rules"]


def _expose(file: str, line: str) -> tuple[str, dict[str, str]] | None:
    for rule in _rules(file):
        match = re.search(rule["pattern"], line)
        if match is None:
            continue

        def fill(text: str, match: re.Match[str] = match) -> str:
            return re.sub(r"\$(\d)", lambda group: match[int(group[1])] or "", str(text))

        name = re.sub(r"[^a-zA-Z0-9_]", "_", fill(rule["name"])).lower()
        if rule.get("type") != "COUNTER":
            name = name.removesuffix("_total")
        labels = {fill(key).replace("-", "_"): fill(value) for key, value in rule.get("labels", {}).items()}
        return name, {key: value for key, value in labels.items() if value}
    return None


TASK = "connector=mm2-source-connector, task=0"
TASK_LABELS = {"connector": "mm2-source-connector", "task": "0"}


@pytest.mark.parametrize(
    ("line", "name", "labels"),
    [
        (
            f"kafka.connect<type=source-task-metrics, {TASK}><>source-record-poll-total: 3.0",
            "kafka_connect_source_task_metrics_source_record_poll_total",
            TASK_LABELS,
        ),
        (
            f"kafka.connect<type=source-task-metrics, {TASK}><>source-record-active-count: 0.0",
            "kafka_connect_source_task_metrics_source_record_active_count",
            TASK_LABELS,
        ),
        (
            f"kafka.connect<type=source-task-metrics, {TASK}><>source-record-active-count-max: 0.0",
            "kafka_connect_source_task_metrics_source_record_active_count_max",
            TASK_LABELS,
        ),
        (
            f"kafka.connect<type=connector-task-metrics, {TASK}><>offset-commit-max-time-ms: 12.0",
            "kafka_connect_connector_task_metrics_offset_commit_max_time_ms",
            TASK_LABELS,
        ),
        (
            f"kafka.connect<type=task-error-metrics, {TASK}><>total-record-errors: 0.0",
            "kafka_connect_task_error_metrics_total_record_errors",
            TASK_LABELS,
        ),
        (
            "kafka.connect<type=connector-metrics, connector=mm2-source-connector><>status: running",
            "kafka_connect_connector_metrics",
            {"connector": "mm2-source-connector", "status": "running"},
        ),
        (
            "kafka.connect<type=connect-worker-metrics, connector=mm2-source-connector><>connector-failed-task-count: 0",  # noqa: E501
            "kafka_connect_connect_worker_metrics_connector_failed_task_count",
            {"connector": "mm2-source-connector"},
        ),
        (
            "kafka.connect<type=connect-worker-rebalance-metrics><>completed-rebalances-total: 7.0",
            "kafka_connect_connect_worker_rebalance_metrics_completed_rebalances_total",
            {},
        ),
        (
            "kafka.producer<type=producer-metrics, client-id=connector-producer-x-0><>buffer-total-bytes: 33554432.0",
            "kafka_producer_producer_metrics_buffer_total_bytes",
            {"client_id": "connector-producer-x-0"},
        ),
        (
            (
                f"kafka.consumer<type=consumer-fetch-manager-metrics, client-id={CLIENT}, "
                'topic="test-prometheus.a", partition=3><>records-lag: 0.0'
            ),
            "kafka_consumer_consumer_fetch_manager_metrics_records_lag",
            {"client_id": CLIENT.strip('"'), "topic": "test-prometheus.a", "partition": "3"},
        ),
        (
            "kafka.producer<type=producer-topic-metrics, client-id=p, topic=t><>record-send-total: 1.0",
            "kafka_producer_producer_topic_metrics_record_send_total",
            {"client_id": "p", "topic": "t"},
        ),
        (
            "kafka.producer<type=producer-node-metrics, client-id=p, node-id=node-1><>request-rate: 1.0",
            "kafka_producer_producer_node_metrics_request_rate",
            {"client_id": "p", "node_id": "node-1"},
        ),
        (
            (
                "kafka.connect.mirror<type=MirrorSourceConnector, source=source, target=target, "
                "topic=source.test-prometheus.a, partition=2><>replication-latency-ms-max: 40.0"
            ),
            "kafka_connect_mirror_source_connector_replication_latency_ms_max",
            {"source": "source", "destination": "target", "topic": "source.test-prometheus.a", "partition": "2"},
        ),
        (  # Kafka 4.3, metric.names.formats: new
            (
                "kafka.connect<type=plugins, connector=mm2-source-connector, task=0, source=source, target=target, "
                "topic=source.test-prometheus.a, partition=3><>replication-latency-ms-max: 40.0"
            ),
            "kafka_connect_plugins_replication_latency_ms_max",
            {
                **TASK_LABELS,
                "source": "source",
                "destination": "target",
                "topic": "source.test-prometheus.a",
                "partition": "3",
            },
        ),
        (  # Kafka 3.x: no source
            (
                "kafka.connect.mirror<type=MirrorSourceConnector, target=target, topic=source.a, partition=2>"
                "<>record-count: 40.0"
            ),
            "kafka_connect_mirror_source_connector_record_count",
            {"destination": "target", "topic": "source.a", "partition": "2"},
        ),
    ],
)
def test_a_worker_exposes_the_runbooks_name(line: str, name: str, labels: dict[str, str]):
    assert _expose("connect.yml", line) == (name, labels)


@pytest.mark.parametrize(
    ("line", "name", "labels"),
    [
        (
            "kafka.server<type=ReplicaManager, name=UnderReplicatedPartitions><>Value: 0",
            "kafka_server_replicamanager_underreplicatedpartitions",
            {},
        ),
        (
            "kafka.server<type=BrokerTopicMetrics, name=MessagesInPerSec, topic=test-prometheus.a><>Count: 4",
            "kafka_server_brokertopicmetrics_messagesinpersec",
            {"topic": "test-prometheus.a"},
        ),
        (
            "kafka.server<type=Produce, user=mm2><>throttle-time: 270.0",
            "kafka_server_produce_throttle_time",
            {"user": "mm2"},
        ),
        (
            "kafka.controller<type=KafkaController, name=FencedBrokerCount><>Value: 0",
            "kafka_controller_kafkacontroller_fencedbrokercount",
            {},
        ),
    ],
)
def test_a_broker_exposes_the_runbooks_name(line: str, name: str, labels: dict[str, str]):
    assert _expose("broker.yml", line) == (name, labels)


@pytest.mark.parametrize("file", ["connect.yml", "broker.yml"])
def test_every_rule_is_cached_but_those_that_read_a_value(file: str):
    for rule in _rules(file):
        # What follows the colon is the value. One that is cached would be that of the first scrape for ever.
        assert rule.get("cache", False) is not bool(re.search(": .", rule["pattern"])), rule["pattern"]
