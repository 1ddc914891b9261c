"""Every configuration file of the lab, as text. Pure: from ports, ids and paths to what the components read.

The values that differ from Kafka's defaults are there to make a gate's faults and waits short enough to play on a
desk (a lost worker is noticed in seconds, a new topic too), never to make MM2 look faster.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.accounts import ADMIN, CONNECT_GROUP, CONNECT_TOPIC_PREFIX, MM2, TOPIC_PREFIX, USERS
from lab.layout import CLUSTERS, NODE_EXPORTER, PROMETHEUS, SOURCE, TARGET, Layout, workers_among
from lab.ports import HOST
from lab.tools import Toolbox

SOURCE_CONNECTOR = "mm2-source-connector"
CHECKPOINT_CONNECTOR = "mm2-checkpoint-connector"
HEARTBEAT_CONNECTOR = "mm2-heartbeat-connector"
CONNECTORS = (SOURCE_CONNECTOR, CHECKPOINT_CONNECTOR, HEARTBEAT_CONNECTOR)

OFFSET_FLUSH_INTERVAL_MS = 5_000
REBALANCE_DELAY_MS = 5_000
REFRESH_INTERVAL_S = 5
INDEX_SIZE_BYTES = 256 * 1024
SCRAPE_INTERVAL_S = 2
TASKS_MAX = 4

LOG_VARIABLE = "mm2gate.log"
LOG_SIZE = "20 MB"
OLD_LOGS = 2
"""Beside the log itself."""

PRODUCER_TOOL = "org.apache.kafka.tools.ProducerPerformance"
_LOGIN_MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule"
_BYTES = "org.apache.kafka.connect.converters.ByteArrayConverter"
_MIRROR = "org.apache.kafka.connect.mirror"


def port_names(workers: Sequence[str]) -> tuple[str, ...]:
    """Every port that a lab with these workers listens on."""
    jmx = [f"{name}-jmx" for name in (*CLUSTERS, *workers)]
    controllers = [f"{name}-controller" for name in CLUSTERS]
    return (*CLUSTERS, *controllers, *workers, *jmx, PROMETHEUS, NODE_EXPORTER)


def bootstrap(cluster: str, ports: Mapping[str, int]) -> str:
    """Where clients of a cluster connect."""
    return f"{HOST}:{ports[cluster]}"


def properties(pairs: Mapping[str, object]) -> str:
    """A Java property file."""
    return "".join(f"{key}={_property(value)}\n" for key, value in pairs.items())


def login_line(user: str, password: str) -> str:
    """A JAAS line."""
    return f'{_LOGIN_MODULE} required username="{user}" password="{password}";'


def broker(cluster: str, ports: Mapping[str, int], layout: Layout, passwords: Mapping[str, str]) -> str:
    """A cluster of one node, broker and controller in one. Its file holds passwords: mode 0600."""
    port, controller_port = ports[cluster], ports[f"{cluster}-controller"]
    listeners = f"SASL_PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}"
    users = " ".join(f'user_{user}="{passwords[user]}"' for user in USERS)
    login = f'{_LOGIN_MODULE} required username="{ADMIN}" password="{passwords[ADMIN]}" {users};'
    return properties(
        {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.bootstrap.servers": f"{HOST}:{controller_port}",
            "listeners": listeners,
            "advertised.listeners": listeners,
            "inter.broker.listener.name": "SASL_PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            # The controller's door too: an open one would let any local program change ACLs.
            "listener.security.protocol.map": "CONTROLLER:SASL_PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "sasl.mechanism.controller.protocol": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": login,
            "listener.name.controller.plain.sasl.jaas.config": login,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{ADMIN}",
            "log.dirs": layout.data / cluster,
            "auto.create.topics.enable": "false",
            "num.network.threads": 2,
            "num.io.threads": 4,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 2,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            # Each of a partition's two indexes is a mapped file of this size from the start, 10 MiB by default. On ext4
            # (Linux 6.18) the first write to such a hole costs CPU in proportion to it: 21 ms at 10 MiB, 0.7 ms here.
            # 120 new partitions on two brokers stood still for ten seconds over it.
            "log.index.size.max.bytes": INDEX_SIZE_BYTES,
            "broker.session.timeout.ms": 3_000,
            "broker.heartbeat.interval.ms": 500,
        }
    )


def worker(name: str, ports: Mapping[str, int], layout: Layout) -> str:
    """One Connect worker. Connect's own cluster is MM2's target: its producers write what is mirrored."""
    security = _client_security(layout)
    pairs: dict[str, object] = {
        **_password_provider(layout),
        "bootstrap.servers": bootstrap(TARGET, ports),
        "group.id": CONNECT_GROUP,
        "listeners": f"http://{HOST}:{ports[name]}",
        "rest.advertised.host.name": HOST,
        "rest.advertised.port": ports[name],
        "plugin.discovery": "service_load",
        # Bytes in, bytes out: any other converter would re-encode what it mirrors.
        "key.converter": _BYTES,
        "value.converter": _BYTES,
        "header.converter": _BYTES,
        "offset.flush.interval.ms": OFFSET_FLUSH_INTERVAL_MS,
        "scheduled.rebalance.max.delay.ms": REBALANCE_DELAY_MS,
    }
    for kind, partitions in (("config", None), ("offset", 4), ("status", 2)):
        # `connect-configs` and its like, with the one partition that Connect demands for the first.
        pairs[f"{kind}.storage.topic"] = f"{CONNECT_TOPIC_PREFIX}{kind}s"
        pairs[f"{kind}.storage.replication.factor"] = 1
        if partitions is not None:
            pairs[f"{kind}.storage.partitions"] = partitions
    for prefix in ("", "producer.", "consumer.", "admin."):
        pairs |= {f"{prefix}{key}": value for key, value in security.items()}
    return properties(pairs)


def connectors(ports: Mapping[str, int], layout: Layout) -> dict[str, dict[str, str]]:
    """MM2's three connectors, by name, as Connect's REST API takes them."""
    common: dict[str, str] = {
        "source.cluster.alias": SOURCE,
        "target.cluster.alias": TARGET,
        "key.converter": _BYTES,
        "value.converter": _BYTES,
        "header.converter": _BYTES,
        "errors.tolerance": "none",
    }
    for cluster in CLUSTERS:
        common[f"{cluster}.cluster.bootstrap.servers"] = bootstrap(cluster, ports)
        for key, value in _client_security(layout).items():
            common[f"{cluster}.cluster.{key}"] = value
    topics = {"topics": f"{TOPIC_PREFIX.replace('.', '[.]')}.*"}
    groups = {"groups": topics["topics"]}
    refresh = str(REFRESH_INTERVAL_S)
    return {
        SOURCE_CONNECTOR: {
            **common, **topics,
            "name": SOURCE_CONNECTOR,
            "connector.class": f"{_MIRROR}.MirrorSourceConnector",
            "tasks.max": str(TASKS_MAX),
            "replication.factor": "1",
            "offset-syncs.topic.replication.factor": "1",
            "refresh.topics.interval.seconds": refresh,
            "sync.topic.acls.enabled": "false",
        },
        CHECKPOINT_CONNECTOR: {
            **common, **topics, **groups,
            "name": CHECKPOINT_CONNECTOR,
            "connector.class": f"{_MIRROR}.MirrorCheckpointConnector",
            "tasks.max": "1",
            "checkpoints.topic.replication.factor": "1",
            "offset-syncs.topic.replication.factor": "1",
            "refresh.groups.interval.seconds": refresh,
            "emit.checkpoints.interval.seconds": refresh,
            "sync.group.offsets.enabled": "true",
            "sync.group.offsets.interval.seconds": refresh,
        },
        HEARTBEAT_CONNECTOR: {
            **common,
            "name": HEARTBEAT_CONNECTOR,
            "connector.class": f"{_MIRROR}.MirrorHeartbeatConnector",
            "tasks.max": "1",
            "heartbeats.topic.replication.factor": "1",
        },
    }  # fmt: skip


def log4j2() -> str:
    """How the JVMs log: into their component's log file, which is kept within bounds. Denials by ACL are said.

    The same file takes the process's own output: what Java says before it logs, or when it cannot.
    """
    return f"""\
Configuration:
  status: warn
  Appenders:
    RollingFile:
      name: LOG
      fileName: "${{sys:{LOG_VARIABLE}}}"
      filePattern: "${{sys:{LOG_VARIABLE}}}.%i"
      PatternLayout:
        pattern: "%d{{yyyy-MM-dd'T'HH:mm:ss.SSSXXX}} %p %m (%c)%n"
      Policies:
        SizeBasedTriggeringPolicy: {{size: "{LOG_SIZE}"}}
      DefaultRolloverStrategy: {{max: {OLD_LOGS}, fileIndex: min}}
  Loggers:
    Root:
      level: info
      AppenderRef:
        - ref: LOG
    Logger:
      # At info it says what was denied, and only that.
      - name: kafka.authorizer.logger
        level: info
      # A line for every request, among them the lab's own questions.
      - name: org.apache.kafka.connect.runtime.rest.RestServer
        level: warn
      # These print their whole configuration whenever a client is made.
      - name: org.apache.kafka.common.config.AbstractConfig
        level: warn
      - name: org.apache.kafka.clients.consumer.internals.SubscriptionState
        level: warn
      - name: org.reflections
        level: error
"""


def prometheus(ports: Mapping[str, int]) -> str:
    """What Prometheus scrapes, and under which job names."""
    brokers = [
        {"targets": [f"{HOST}:{ports[f'{cluster}-jmx']}"], "labels": {"cluster": cluster}} for cluster in CLUSTERS
    ]
    workers = [
        {"targets": [f"{HOST}:{ports[f'{name}-jmx']}"], "labels": {"worker": name}} for name in workers_among(ports)
    ]
    config = {
        "global": {
            "scrape_interval": f"{SCRAPE_INTERVAL_S}s",
            "scrape_timeout": f"{SCRAPE_INTERVAL_S}s",
            "evaluation_interval": f"{SCRAPE_INTERVAL_S}s",
        },
        "scrape_configs": [
            {"job_name": "kafka", "static_configs": brokers},
            {"job_name": "kafka-connect", "static_configs": workers},
            {"job_name": "prometheus", "static_configs": [{"targets": [f"{HOST}:{ports[PROMETHEUS]}"]}]},
            {"job_name": "node-exporter", "static_configs": [{"targets": [f"{HOST}:{ports[NODE_EXPORTER]}"]}]},
        ],
    }
    return json.dumps(config, indent=2) + "\n"  # JSON is YAML


@dataclass(frozen=True, slots=True, kw_only=True)
class JvmRole:
    """What one JVM of the lab runs."""

    name: str
    main: str
    arguments: tuple[str, ...]
    jmx_port: int
    jmx_config: Path


def jvm_command(role: JvmRole, toolbox: Toolbox, layout: Layout) -> tuple[str, ...]:
    """The command line of a broker or a worker."""
    return (
        *_jvm(toolbox, layout, scratch_of=role.name),
        "-Xmx768M",
        "-Xms256M",
        f"-javaagent:{toolbox.agent}={HOST}:{role.jmx_port}:{role.jmx_config}",
        "-cp",
        toolbox.classpath,
        role.main,
        *role.arguments,
    )


def format_command(properties_file: Path, cluster_id: str, toolbox: Toolbox, layout: Layout, name: str) -> list[str]:
    """The command that prepares a cluster's empty log directory."""
    tool = ("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties_file), "--standalone")
    quick = ("-Xmx256M", "-XX:TieredStopAtLevel=1")
    return [*_jvm(toolbox, layout, scratch_of=name), *quick, "-cp", toolbox.classpath, *tool]


def prometheus_command(ports: Mapping[str, int], toolbox: Toolbox, layout: Layout) -> tuple[str, ...]:
    """The command line of Prometheus."""
    return (
        str(toolbox.prometheus),
        f"--config.file={layout.conf / 'prometheus.yml'}",
        f"--storage.tsdb.path={layout.data / PROMETHEUS}",
        f"--web.listen-address={HOST}:{ports[PROMETHEUS]}",
    )


def node_exporter_command(ports: Mapping[str, int], toolbox: Toolbox) -> tuple[str, ...]:
    """The command line of node-exporter."""
    # At its default level it says at each scrape what this machine does not have.
    return (str(toolbox.node_exporter), f"--web.listen-address={HOST}:{ports[NODE_EXPORTER]}", "--log.level=warn")


def _jvm(toolbox: Toolbox, layout: Layout, *, scratch_of: str) -> Iterable[str]:
    yield str(toolbox.java.path)
    yield "-XX:+UseSerialGC"
    yield "-XX:+ExitOnOutOfMemoryError"
    # Files that a killed JVM would leave in the system's temporary directory go, or stay, with the lab.
    yield "-XX:-UsePerfData"
    yield f"-Djava.io.tmpdir={layout.data / f'tmp-{scratch_of}'}"
    yield f"-XX:ErrorFile={layout.logs / f'{scratch_of}-crash.log'}"
    yield f"-D{LOG_VARIABLE}={layout.log(scratch_of)}"
    yield f"-Dlog4j2.configurationFile={layout.conf / 'log4j2.yaml'}"
    yield "-Djava.awt.headless=true"
    if toolbox.java.major >= 22:
        # Compression libraries load native code; newer Javas warn about it on every start.
        yield "--enable-native-access=ALL-UNNAMED"
    if toolbox.java.major >= 24:
        yield "--sun-misc-unsafe-memory-access=allow"


def _password_provider(layout: Layout) -> dict[str, object]:
    # Connect's REST API shows connector configurations to whoever asks: they must hold a reference, not a password.
    return {
        "config.providers": "dir",
        "config.providers.dir.class": "org.apache.kafka.common.config.provider.DirectoryConfigProvider",
        "config.providers.dir.param.allowed.paths": layout.secrets,
    }


def perf_test(toolbox: Toolbox) -> str:
    """Kafka's producer tool as a script, as its distribution has one; with less memory than a broker."""
    command = [str(toolbox.java.path), "-Xmx128m", "-cp", toolbox.classpath, PRODUCER_TOOL]
    return f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n'


def _client_security(layout: Layout) -> dict[str, str]:
    password = f"${{dir:{layout.secrets}:{layout.password_file(MM2).name}}}"
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.jaas.config": login_line(MM2, password),
    }


def _property(value: object) -> str:
    text = str(value)
    if "\n" in text or "\\" in text:
        raise ValueError(f"not a plain property value: {text!r}")
    return text
