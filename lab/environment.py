"""The environment of a lab: the file for the runs against it, and the same in memory for the lab's own users."""

from __future__ import annotations

from collections.abc import Mapping

from lab import rendering
from lab.accounts import LOAD, REMOTE_PREFIX, TOPIC_PREFIX
from lab.layout import CLUSTERS, PROMETHEUS, Layout, workers_among
from lab.ports import HOST
from scenarios.environment import Environment, LoadedEnvironment
from scenarios.yaml_file import parse

_CLUSTER = """\
{cluster}:
  alias: {cluster}
  bootstrap_servers: {bootstrap}
  cluster_id: {cluster_id}
  security: {{protocol: SASL_PLAINTEXT, mechanism: PLAIN, username: {user}, password_file: {password_file}}}
"""

_REST = """\
connect:
  urls: [{urls}]
  connectors: {{source: {source}, checkpoint: {checkpoint}, heartbeat: {heartbeat}}}
  offset_flush_interval: {flush_s}s
prometheus:
  url: http://{host}:{prometheus_port}
  scrape_interval: {scrape_s}s
  jobs: {{connect: kafka-connect, brokers: kafka, nodes: node-exporter}}
topics:
  prefix: {prefix}
  remote_name: "{remote_prefix}{{topic}}"
  replication_factor: 1
mm2: {{refresh_topics_interval: {refresh_s}s}}
# process: Connect's own processes. The load generator runs on the same machine, so its node figure would count both.
cpu: {{workers: process}}
# One node holds both clusters, so every record lies on this disk twice; nothing is deleted before `lab down`.
perf_test: [{perf_test}]
ceilings: {{records_per_s: 60000/s, bytes_per_s: 80MiB/s, total_bytes: 60GiB, duration: 3h}}
"""


def render(ports: Mapping[str, int], cluster_ids: Mapping[str, str], layout: Layout, *, user: str = LOAD) -> str:
    """The file's text; `user` logs in to both clusters. No secret: passwords are named by file, relative to it."""
    head = (
        "# The lab on this machine, written by `mm2gate lab up` and removed by `mm2gate lab down`.\n"
        "# The user `load` may only create, write and delete topics of the prefix, and read and delete their mirrors.\n"
        "name: lab\n"
        "production: false\n"
    )
    clusters = [
        _CLUSTER.format(
            cluster=cluster,
            bootstrap=rendering.bootstrap(cluster, ports),
            cluster_id=cluster_ids[cluster],
            user=user,
            password_file=layout.password_file(user).relative_to(layout.root),
        )
        for cluster in CLUSTERS
    ]
    rest = _REST.format(
        urls=", ".join(f'"{url}"' for url in worker_urls(ports)),
        source=rendering.SOURCE_CONNECTOR,
        checkpoint=rendering.CHECKPOINT_CONNECTOR,
        heartbeat=rendering.HEARTBEAT_CONNECTOR,
        flush_s=rendering.OFFSET_FLUSH_INTERVAL_MS // 1000,
        host=HOST,
        prometheus_port=ports[PROMETHEUS],
        scrape_s=rendering.SCRAPE_INTERVAL_S,
        prefix=TOPIC_PREFIX,
        remote_prefix=REMOTE_PREFIX.removesuffix(TOPIC_PREFIX),
        refresh_s=rendering.REFRESH_INTERVAL_S,
        perf_test=layout.perf_test.relative_to(layout.root),
    )
    return head + "".join(clusters) + rest


def seen_by(user: str, ports: Mapping[str, int], cluster_ids: Mapping[str, str], layout: Layout) -> LoadedEnvironment:
    """The lab as one of its users logs in to it; the doors in `clients` take it. Reads no file."""
    text = render(ports, cluster_ids, layout, user=user)
    environment = parse(text, Environment, file=str(layout.environment_file))
    return LoadedEnvironment.model_construct(file=layout.environment_file, text=text, environment=environment)


def worker_urls(ports: Mapping[str, int]) -> list[str]:
    """The REST address of each worker."""
    return [f"http://{HOST}:{ports[name]}" for name in workers_among(ports)]
