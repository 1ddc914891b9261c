"""What a process of the load is and sees: its versions, and both clusters by its own clients."""

from __future__ import annotations

import platform
from importlib.metadata import version

import confluent_kafka

from clients.kafka import identify, off_hub
from mm2_users.envelope import VERSION
from run_record.manifest import ClusterSeen
from scenarios.environment import Cluster
from scenarios.plan import RunPlan


def versions() -> dict[str, str]:
    """Of what generates the load; what is under test is in the evidence. `envelope` is the form of its records."""
    return {
        "mm2gate": version("mm2gate"),
        "envelope": str(VERSION),
        "locust": version("locust"),
        "confluent-kafka": version("confluent-kafka"),
        "librdkafka": str(confluent_kafka.libversion()[0]),
        "python": platform.python_version(),
    }


def clusters_seen(plan: RunPlan) -> tuple[ClusterSeen, ClusterSeen]:
    """Source and target, each asked who it is. Raises Refused (another cluster, wrong password) or Unreachable."""
    return _seen(plan, plan.environment.source), _seen(plan, plan.environment.target)


def _seen(plan: RunPlan, cluster: Cluster) -> ClusterSeen:
    cluster_id = off_hub(lambda: identify(cluster, plan.loaded_environment))
    return ClusterSeen(alias=cluster.alias, cluster_id=cluster_id, bootstrap_servers=cluster.bootstrap_servers)
