"""What the load does once per run, on the master: the guards, the source topics, MM2's committed offsets, versions."""

from __future__ import annotations

import time

from clients.connect import Connect
from clients.kafka import off_hub
from clients.kafka_admin import Admin
from clients.prometheus import Prometheus
from mm2_users.identity import clusters_seen, versions
from run_record.manifest import ClusterSeen
from scenarios.errors import ConnectFailure, MetricsUnavailable, Refused, Unreachable
from scenarios.plan import RunPlan
from scenarios.topic_names import clashing

#: Before a run one quick retry is enough; afterwards the judge is more patient.
PROMETHEUS_BUDGET_S = 5.0


class KafkaMaster:
    """`locust_session.load.MasterLoad` for MM2."""

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan

    def identify(self) -> tuple[ClusterSeen, ClusterSeen]:
        """Both clusters answer and are the ones meant, Connect and Prometheus answer, and topics that exist fit."""
        plan, environment = self._plan, self._plan.loaded_environment
        seen = clusters_seen(plan)
        try:
            if plan.environment.connect.urls:
                Connect.of(environment).root()
            Prometheus.of(environment, budget_s=PROMETHEUS_BUDGET_S).query("up", at_s=time.time())
        except (ConnectFailure, MetricsUnavailable) as error:
            key = "connect.urls" if isinstance(error, ConnectFailure) else "prometheus.url"
            raise Unreachable(f"{error}; start it, or correct {key} in {environment.file}") from None
        self._require_tasks_max()
        existing = off_hub(Admin(plan.environment.source, environment).partitions)
        for topic in plan.topics:
            found = existing.get(topic.source, topic.partitions)
            if found != topic.partitions:
                raise Refused(
                    f"source cluster: topic {topic.source} has {found} partitions, the scenario wants "
                    f"{topic.partitions}; delete it, or change topics.partitions in a copy of the scenario"
                )
            clash = None if topic.source in existing else clashing(topic.source, existing)
            if clash is not None:
                raise Refused(
                    f"source cluster: Kafka makes no topic {topic.source} beside {clash}, since '.' and '_' are one in "
                    "the names of its metrics; delete that one, or change topics.name in a copy of the scenario"
                )
        return seen

    def _require_tasks_max(self) -> None:
        """What the scenario wants of the connector; to change it is no business of the load's."""
        wanted, environment = self._plan.scenario.connector.tasks_max, self._plan.loaded_environment
        if wanted is None:
            return
        name = self._plan.environment.connect.connectors.source
        found = Connect.of(environment).config(name).get("tasks.max", "1")
        if found != str(wanted):
            raise Refused(
                f"{name}: the scenario wants tasks.max = {wanted}, and it is {found}; "
                "`mm2gate run` sets it and puts it back, Locust alone does not"
            )

    def create(self) -> list[str]:
        """Creates the source topics that are missing, as the load's user, inside the prefix."""
        plan = self._plan
        admin = Admin(plan.environment.source, plan.loaded_environment)
        existing = off_hub(admin.partitions)
        missing = [(topic.source, topic.partitions) for topic in plan.topics if topic.source not in existing]
        retention_ms = str(round(plan.scenario.topics.retention * 1000))
        return admin.create_topics(missing, config={"retention.ms": retention_ms})

    def committed(self) -> dict[str, int]:
        """MM2's committed source offsets, as Connect tells them (since Kafka 3.5); none where there is no Connect."""
        plan = self._plan
        if not plan.environment.connect.urls:
            return {}
        name = plan.environment.connect.connectors.source
        offsets = Connect.of(plan.loaded_environment).offsets(name).get("offsets", [])
        topics = {topic.source for topic in plan.topics}
        return {
            f"{entry['partition']['topic']}:{entry['partition']['partition']}": entry["offset"]["offset"]
            for entry in offsets
            if entry.get("offset") and entry["partition"].get("topic") in topics
        }

    def versions(self) -> dict[str, str]:
        """Of what generates the load; what is under test is in the evidence."""
        return versions()
