"""An MM2 deployment as its APIs show it: Connect with three connectors, and a Prometheus that scrapes its workers.

Both are servers on 127.0.0.1. Prometheus answers the few shapes of PromQL that questions about names need, from a list
of series; each series may be taken away, renamed or relabelled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from checks.metric_profiles import PROFILES, MetricProfile, Role
from checks.metric_roles import Filter, Job
from tests.support.servers import Reply, Request, serving

MIRROR = "org.apache.kafka.connect.mirror"
SOURCE, CHECKPOINT, HEARTBEAT = "mm2-source-connector", "mm2-checkpoint", "mm2-heartbeat"
REMOTE = "source.t.a-1"

ENVIRONMENT = """\
name: desk
source: {alias: source, bootstrap_servers: "127.0.0.1:1", cluster_id: AAAA}
target: {alias: target, bootstrap_servers: "127.0.0.1:2", cluster_id: BBBB}
connect:
  urls: [CONNECT]
  connectors: {source: mm2-source-connector, checkpoint: mm2-checkpoint, heartbeat: mm2-heartbeat}
prometheus: {url: PROMETHEUS, scrape_interval: 1s, jobs: {connect: kafka-connect, nodes: node-exporter}}
topics: {prefix: t., replication_factor: 1}
ceilings: {records_per_s: 100000/s, bytes_per_s: 200MiB/s, total_bytes: 100GiB, duration: 5h}
"""

SCENARIO = """\
name: small
question: Does it work?
topics: {name: "{prefix}a-{n}", count: 2, partitions: 2}
payload: {bytes: 200B}
canary: {patience: 5s}
phases:
  - {name: silence, profile: silence, duration: 66s}
  - {name: smoke, profile: nominal, rate: 10/s, duration: 10s}
  - {name: drain, profile: drain, patience: 5s, cap: 20s}
  - {name: watch, profile: watch, duration: 60s}
criteria:
"""
LEDGER = ('{id: lost, measure: ledger.lost, go: "== 0 records"}',)
LOAD_ONLY = ('{id: achieved, measure: load.achieved, go: "== 100 %"}',)
POLLED = ('{id: polled, measure: connect.poll_total, go: ">= 100 records"}',)
LATENCY = ('{id: latency, measure: mm2.latency_avg, go: "< 100 ms"}',)
RUNNING = ('{id: running, measure: connect.not_running, go: "== 0 tasks"}',)
MEMORY = ('{id: memory, measure: workers.memory, go: "< 90 %"}',)
HEAP = ('{id: heap, measure: workers.heap, go: "< 90 %"}',)
COMMITS = ('{id: commits, measure: connect.offset_commit_failure, go: "< 1 %"}',)
COMMIT_TIME = ('{id: commit_time, measure: connect.offset_commit_max, go: "< 1 s"}',)
BUFFERS = ('{id: buffers, measure: connect.buffer_utilization, go: "< 80 %"}',)
ALL = (*LEDGER, *POLLED, *LATENCY, *RUNNING, *MEMORY, *HEAP, *COMMITS, *BUFFERS)


def scenario(*criteria: str) -> str:
    return SCENARIO + "".join(f"  - {one}\n" for one in criteria)


def source_config(**settings: str) -> dict[str, str]:
    """Of the source connector; keys with _ for a dot. A secret lies in it, as usual."""
    return {
        "connector.class": f"{MIRROR}.MirrorSourceConnector",
        "source.cluster.alias": "source",
        "target.cluster.alias": "target",
        "topics": "t[.].*",
        "source.cluster.sasl.jaas.config": 'PlainLoginModule required password="hunter2";',
        **{key.replace("_", "."): value for key, value in settings.items()},
    }


@dataclass(kw_only=True)
class Deployment:
    """`connectors`: name → configuration; `written`: name → topics it has written, None where nobody keeps them;
    `series`: what Prometheus has now. `spoilt` and `spoilt_metrics` may answer instead: Connect's path, PromQL."""

    connectors: dict[str, dict[str, str]] = field(default_factory=dict)
    written: dict[str, list[str] | None] = field(default_factory=dict)
    series: list[dict[str, str]] = field(default_factory=list)
    spoilt: Callable[[str], Reply | None] = lambda _: None
    spoilt_metrics: Callable[[str], Reply | None] = lambda _: None
    environment: str = ENVIRONMENT

    @classmethod
    def healthy(cls) -> Deployment:
        """All names as the environment has them, and everything there that a run ever shows."""
        return cls(
            connectors={
                SOURCE: source_config(),
                CHECKPOINT: {"connector.class": f"{MIRROR}.MirrorCheckpointConnector"},
                HEARTBEAT: {"connector.class": "MirrorHeartbeat"},
            },
            written={SOURCE: [REMOTE]},
            series=all_series(PROFILES["confluent_mirror"]),
        )

    # Bending it.

    def without(self, *roles: Role, profile: str = "confluent_mirror") -> Deployment:
        """Prometheus has none of these."""
        names = {name for role in roles for name in PROFILES[profile].metrics[role].names}
        self.series = [one for one in self.series if one["__name__"] not in names]
        return self

    def relabelled(self, label: str, old: str, new: str) -> Deployment:
        """All series say it otherwise."""
        self.series = [{**one, label: one[label].replace(old, new)} if label in one else one for one in self.series]
        return self

    # Answering.

    def connect(self, request: Request) -> Reply:
        path = request.path
        if (reply := self.spoilt(path)) is not None:
            return reply
        if path == "/connectors":
            return Reply.of(list(self.connectors))
        match = re.fullmatch(r"/connectors/([^/]+)/(config|topics)", path)
        if path == "/":
            return Reply.of({"version": "4.3.1", "kafka_cluster_id": "BBBB"})
        if match is None or match[1] not in self.connectors:
            return Reply.of({"error_code": 404, "message": "not found"}, status=404)
        if match[2] == "config":
            return Reply.of(self.connectors[match[1]])
        topics = self.written.get(match[1], [])
        if topics is None:
            return Reply.of({"error_code": 403, "message": "Topic tracking is disabled."}, status=403)
        return Reply.of({match[1]: {"topics": topics}})

    def prometheus(self, request: Request) -> Reply:
        query = request.query["query"]
        if (reply := self.spoilt_metrics(query)) is not None:
            return reply
        found = [{"metric": labels, "value": [0, number]} for labels, number in self._evaluated(query)]
        return Reply.of({"status": "success", "data": {"resultType": "vector", "result": found}})

    def _evaluated(self, query: str) -> Iterator[tuple[dict[str, str], str]]:
        if match := re.fullmatch(r"(?:count|sum) by \(([^)]*)\) \((.+)\)", query):
            labels, inner = [label.strip() for label in match[1].split(",")], match[2]
            inner = re.sub(r"^count_over_time\((\w+)\[\w+\]\)$", r"\1", inner)
            groups: dict[tuple[str, ...], int] = {}
            for one in self._selected(inner):
                key = tuple(one.get(label, "") for label in labels)
                groups[key] = groups.get(key, 0) + (query.startswith("count") or one.get("value") == "1")
            for key, count in groups.items():
                yield {label: value for label, value in zip(labels, key, strict=True) if value}, str(count)
        elif match := re.fullmatch(r"count\((.+) != \1\)", query):
            count = sum(one.get("value") == "NaN" for one in self._selected(match[1]))
            yield from [({}, str(count))] if count else []
        elif match := re.fullmatch(r"count\((.+)\)", query):
            count = len(list(self._selected(match[1])))
            yield from [({}, str(count))] if count else []
        elif query == "up":
            yield from ((one, one["value"]) for one in self._selected("up"))
        else:
            raise AssertionError(query)

    def _selected(self, selector: str) -> Iterator[dict[str, str]]:
        match = re.fullmatch(r"(\w*)(?:\{(.*)\})?", selector)
        assert match is not None, selector
        matchers = re.findall(r'(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"', match[2] or "")
        for one in self.series:
            if match[1] in ("", one["__name__"]) and all(_holds(one, *matcher) for matcher in matchers):
                yield one


def _holds(series: dict[str, str], label: str, operator: str, value: str) -> bool:
    text, said = value.replace('\\"', '"').replace("\\\\", "\\"), series.get(label, "")
    if operator in ("=", "!="):
        return (said == text) is (operator == "=")
    return (re.fullmatch(text, said) is not None) is (operator == "=~")


def all_series(profile: MetricProfile) -> list[dict[str, str]]:
    """One series of each role, and `up` of each job; gauges that look back are idle."""
    targets = [("kafka-connect", "w1:9404"), ("node-exporter", "w1:9100"), ("kafka", "b1:9404")]
    series = [{"__name__": "up", "job": job, "instance": instance, "value": "1"} for job, instance in targets]
    labels = {
        Filter.NONE: {},
        Filter.CONNECTOR: {profile.connector_label: SOURCE, profile.task_label: "0"},
        Filter.PREFIX: {profile.topic_label: REMOTE, profile.partition_label: "0"},
        Filter.PRODUCER: {profile.client_label: f"connector-producer-{SOURCE}-0"},
    }
    for role, metric in profile.metrics.items():
        job, instance = targets[1] if metric.job is Job.NODES else targets[0]
        idle = role in (Role.LATENCY_AVG, Role.LATENCY_MAX, Role.RECORD_AGE_AVG, Role.RECORD_AGE_MAX, Role.THROTTLE_MAX)
        series.append(
            {
                "__name__": metric.name,
                "job": job,
                "instance": instance,
                "value": "NaN" if idle else "5",
                **labels[metric.filter],
                **dict(re.findall(r'^(\w+)="([^"]*)"$', "\n".join(metric.matchers), re.MULTILINE)),
            }
        )
    return series


@dataclass(frozen=True, kw_only=True)
class Served:
    """A deployment that can be asked: its environment file's text, and all that was asked."""

    environment: str
    connect: list[Request]
    prometheus: list[Request]


@contextmanager
def served(deployment: Deployment) -> Iterator[Served]:
    """Serves it until the block ends."""
    with serving(deployment.connect) as connect, serving(deployment.prometheus) as prometheus:
        text = deployment.environment.replace("CONNECT", f'"{connect.url}"').replace(
            "PROMETHEUS", f'"{prometheus.url}"'
        )
        yield Served(environment=text, connect=connect.requests, prometheus=prometheus.requests)
