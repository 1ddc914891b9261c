"""The door to Kafka's admin API: creating the source topics of a run, inside the prefix and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from clients.kafka import ErrorLog, client_configuration
from scenarios.environment import Cluster, LoadedEnvironment
from scenarios.errors import Refused, Unreachable

TIMEOUT_S = 30.0


class Admin:
    """Admin calls on one cluster, as the load's user. Each call waits on futures, which let greenlets run."""

    def __init__(self, cluster: Cluster, environment: LoadedEnvironment, extra: dict[str, Any] | None = None) -> None:
        self._cluster = cluster
        self._environment = environment
        settings = client_configuration(cluster, environment, "admin")
        self._client = AdminClient(settings | {"error_cb": ErrorLog(cluster.alias)} | (extra or {}))

    def partitions(self, timeout_s: float = TIMEOUT_S) -> dict[str, int]:
        """Partition counts of the topics that this user may see. Blocks: call it `off_hub`."""
        try:
            metadata = self._client.list_topics(timeout=timeout_s)
        except KafkaException as error:
            raise Unreachable(f"{self._where}: topics cannot be listed ({error.args[0].str()})") from None
        return {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    def create_topics(self, topics: Iterable[tuple[str, int]], *, config: dict[str, str]) -> list[str]:
        """Creates topics (name, partitions); the names that were not there yet. Raises Refused.

        This is the one place where the load creates anything, so the prefix is enforced here.
        """
        rules = self._environment.environment.topics
        wanted = dict(topics)
        outside = [name for name in wanted if not name.startswith(rules.prefix)]
        if outside:
            raise Refused(f"{self._where}: {outside[0]} is outside the prefix {rules.prefix}; it is not created")
        if not wanted:
            return []
        new = [
            NewTopic(name, num_partitions=count, replication_factor=rules.replication_factor, config=config)
            for name, count in wanted.items()
        ]
        created = []
        for name, future in self._client.create_topics(new, operation_timeout=TIMEOUT_S).items():
            try:
                future.result(TIMEOUT_S)
                created.append(name)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise Refused(
                        f"{self._where}: topic {name} could not be created ({error.args[0].str()}); "
                        f"{self._cluster.security.username or 'the load'} needs CREATE on the prefix {rules.prefix}"
                    ) from None
        return created

    @property
    def _where(self) -> str:
        return f"{self._cluster.alias} cluster at {self._cluster.bootstrap_servers}"
