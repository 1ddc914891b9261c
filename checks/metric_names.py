"""How exporter configurations turn JMX beans into metric names: a table of beans, and one rule of naming each.

Two things vary apart: what the beans of Connect are called (`ConnectNaming`), and those of MM2's mirrors
(`MirrorNaming`), for which the configurations in use have rules of their own, others' rules, or none. Sources: the
configurations themselves (Confluent's jmx-monitoring-stacks, jmx_exporter's examples/kafka-connect.yml, Strimzi's
kafka-mirror-maker-2-metrics.yaml), played by jmx_exporter 0.20.0 and 1.0.1 on Kafka 4.3.1; tests/checks/exposed keeps
what came out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from checks.metric_roles import Filter, Job, MetricName, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Bean:
    """An attribute of a JMX bean: its domain's last word, its type, the attribute. `counter`: it only grows."""

    domain: str
    type: str
    attribute: str
    filter: Filter
    counter: bool = False


def _tasks(type_: str, attribute: str, *, counter: bool = False) -> Bean:
    return Bean(domain="connect", type=type_, attribute=attribute, filter=Filter.CONNECTOR, counter=counter)


def _worker(attribute: str, *, per_connector: bool = False, counter: bool = False) -> Bean:
    type_ = "connect-worker-metrics" if per_connector else "connect-worker-rebalance-metrics"
    only = Filter.CONNECTOR if per_connector else Filter.NONE
    return Bean(domain="connect", type=type_, attribute=attribute, filter=only, counter=counter)


def _producer(attribute: str, *, counter: bool = False) -> Bean:
    return Bean(
        domain="producer", type="producer-metrics", attribute=attribute, filter=Filter.PRODUCER, counter=counter
    )


CONNECT_BEANS: Mapping[Role, Bean] = {
    Role.POLL_TOTAL: _tasks("source-task-metrics", "source-record-poll-total", counter=True),
    Role.WRITE_TOTAL: _tasks("source-task-metrics", "source-record-write-total", counter=True),
    Role.ACTIVE_COUNT: _tasks("source-task-metrics", "source-record-active-count"),
    Role.OFFSET_COMMIT_MAX: _tasks("connector-task-metrics", "offset-commit-max-time-ms"),
    Role.OFFSET_COMMIT_FAILURE: _tasks("connector-task-metrics", "offset-commit-failure-percentage"),
    Role.TASK_ERRORS: _tasks("task-error-metrics", "total-record-errors"),
    Role.TASK_FAILURES: _tasks("task-error-metrics", "total-record-failures"),
    Role.TASK_SKIPPED: _tasks("task-error-metrics", "total-records-skipped"),
    Role.FAILED_TASKS: _worker("connector-failed-task-count", per_connector=True),
    Role.RUNNING_TASKS: _worker("connector-running-task-count", per_connector=True),
    Role.TOTAL_TASKS: _worker("connector-total-task-count", per_connector=True),
    Role.REBALANCES: _worker("completed-rebalances-total", counter=True),
    Role.REBALANCING: _worker("rebalancing"),
    Role.BUFFER_AVAILABLE: _producer("buffer-available-bytes"),
    Role.BUFFER_TOTAL: _producer("buffer-total-bytes"),
    Role.BUFFER_EXHAUSTED: _producer("buffer-exhausted-total", counter=True),
    Role.THROTTLE_MAX: _producer("produce-throttle-time-max"),
}

#: Of `kafka.connect.mirror:type=MirrorSourceConnector`, and of Kafka 4.3's `kafka.connect:type=plugins`. `record-count`
#: and `byte-count` only grow, but no rule calls them `_total`.
MIRROR_ATTRIBUTES: Mapping[Role, str] = {
    Role.RECORD_COUNT: "record-count",
    Role.BYTE_COUNT: "byte-count",
    Role.LATENCY_AVG: "replication-latency-ms-avg",
    Role.LATENCY_MAX: "replication-latency-ms-max",
    Role.RECORD_AGE_AVG: "record-age-ms-avg",
    Role.RECORD_AGE_MAX: "record-age-ms-max",
}

#: What no rule has a hand in: the agent's own metrics of the JVM, and those of the nodes.
OTHER_NAMES: Mapping[Role, MetricName] = {
    Role.PROCESS_CPU: MetricName(name="process_cpu_seconds_total", counter=True),
    # Named one way up to agent 0.20, the other way from 1.0 on.
    Role.HEAP_USED: MetricName(
        name="jvm_memory_used_bytes", also=("jvm_memory_bytes_used",), matchers=('area="heap"',)
    ),
    Role.HEAP_MAX: MetricName(name="jvm_memory_max_bytes", also=("jvm_memory_bytes_max",), matchers=('area="heap"',)),
    Role.NODE_CPU_IDLE: MetricName(name="node_cpu_seconds_total", matchers=('mode="idle"',), job=Job.NODES),
    Role.NODE_MEMORY_AVAILABLE: MetricName(name="node_memory_MemAvailable_bytes", job=Job.NODES),
    Role.NODE_MEMORY_TOTAL: MetricName(name="node_memory_MemTotal_bytes", job=Job.NODES),
    Role.NODE_NETWORK_TROUBLE: MetricName(
        name="node_network_receive_drop_total",
        also=(
            "node_network_receive_errs_total",
            "node_network_transmit_drop_total",
            "node_network_transmit_errs_total",
        ),
        matchers=('device!="lo"',),
        job=Job.NODES,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectNaming:
    """A configuration's names for Connect's beans. `exceptions`: attributes whose names its rules cut or join."""

    name: str
    prefix: Callable[[Bean], str]
    client_label: str = "client_id"
    exceptions: Mapping[Role, MetricName]

    def metrics(self) -> dict[Role, MetricName]:
        """The name of each role."""
        return {role: self.exceptions.get(role) or self._metric(bean) for role, bean in CONNECT_BEANS.items()}

    def _metric(self, bean: Bean) -> MetricName:
        return MetricName(name=f"{self.prefix(bean)}_{_word(bean.attribute)}", filter=bean.filter, counter=bean.counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorNaming:
    """A rule's names for the beans of MM2's mirrors."""

    name: str
    prefix: str

    def metrics(self) -> dict[Role, MetricName]:
        """The name of each role."""
        return {
            role: MetricName(name=f"{self.prefix}_{_word(attribute)}", filter=Filter.PREFIX)
            for role, attribute in MIRROR_ATTRIBUTES.items()
        }


def _word(text: str) -> str:
    return text.replace("-", "_")


def _whole_type(bean: Bean) -> str:
    """`kafka.connect:type=source-task-metrics` is `kafka_connect_source_task_metrics`."""
    return f"kafka_{bean.domain}_{_word(bean.type)}"


def _short_type(bean: Bean) -> str:
    """It is `kafka_connect_source_task`; the worker's beans lose their second `connect`, the clients' all but one
    word."""
    type_ = _word(bean.type.removesuffix("-metrics"))
    return f"kafka_{type_}" if bean.domain != "connect" or type_.startswith("connect_") else f"kafka_connect_{type_}"


#: Patterns of these rules end nowhere. `.+-total` takes `buffer-total-bytes` for a total; `.+-count` takes the
#: maximum and the average of the count along: agent 1.x tells the three apart by a label of its own, 0.x shows the
#: maximum under the name of all three.
_CUT = {
    Role.BUFFER_TOTAL: MetricName(name="kafka_producer_buffer_total", filter=Filter.PRODUCER, counter=True),
    Role.ACTIVE_COUNT: MetricName(
        name="kafka_connect_source_task_source_record_active_count",
        filter=Filter.CONNECTOR,
        matchers=('_objectname!~".*-count-(avg|max)"',),
        looks_back=True,
    ),
}

CONFLUENT = ConnectNaming(name="confluent", prefix=_whole_type, exceptions={})
OFFICIAL = ConnectNaming(name="official", prefix=_short_type, client_label="clientId", exceptions=_CUT)
STRIMZI = ConnectNaming(name="strimzi", prefix=_short_type, client_label="clientid", exceptions=_CUT)

MIRROR_RULE = MirrorNaming(name="mirror", prefix="kafka_connect_mirror_source_connector")
STRIMZI_MIRROR = MirrorNaming(name="strimzi", prefix="kafka_connect_mirror_mirrorsourceconnector")
KAFKA_4_3 = MirrorNaming(name="kafka43", prefix="kafka_connect_plugins")
