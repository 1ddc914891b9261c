"""The door to Kafka's admin API: creates a run's source topics and deletes what runs left, inside the prefix only."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from clients.kafka import ErrorLog, _said, client_configuration
from scenarios.environment import Cluster, LoadedEnvironment
from scenarios.errors import Refused, Unreachable

TIMEOUT_S = 30.0
#: Topics in which MM2, Connect and Kafka keep their own state, whatever the prefix: never ours to delete. After MM2's
#: DefaultReplicationPolicy (checkpoints, heartbeats, offset syncs) and DefaultTopicFilter (`.*[-.]internal`, `__.*`);
#: what Connect groups usually call theirs (Strimzi's names too), and Schema Registry's and Confluent's.
_INTERNAL = re.compile(
    r"__.*|mm2-.*|(.*\.)?heartbeats|.*[.-]internal"
    r"|(.*[._-])?(connect|mirror-?maker2?)([._-].*)?[._-](configs?|offsets?|status(es)?)"
    r"|_(schemas|confluent|connect|kafka|strimzi|redpanda)([._-].*)?"
)


def is_internal(name: str) -> bool:
    """Whether a topic holds MM2's, Connect's or Kafka's own state."""
    return _INTERNAL.fullmatch(name) is not None


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
            raise Unreachable(f"{self._where}: topics cannot be listed ({_said(error.args[0])})") from None
        return {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    def create_topics(self, topics: Iterable[tuple[str, int]], *, config: dict[str, str]) -> list[str]:
        """Creates topics (name, partitions); the names that were not there yet. Raises Refused, Unreachable.

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
            except TimeoutError:
                raise Unreachable(
                    f"{self._where}: topic {name} could not be created: no answer within {TIMEOUT_S:g} s; "
                    "has the cluster a controller, and is it overloaded?"
                ) from None
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise Refused(
                        f"{self._where}: topic {name} could not be created ({_said(error.args[0])}); "
                        f"the user of {self._environment.key_of(self._cluster)}.security needs CREATE on the prefix "
                        f"{rules.prefix}"
                    ) from None
        return created

    def delete_topics(self, names: Iterable[str]) -> dict[str, str | None]:
        """Deletes topics: name → None when it is gone, or the broker's sentence why it is not.

        This is the one place where anything is deleted, so what may be is enforced here: a source topic inside the
        prefix, or the mirror of one. Raises Refused for any other name, and then nothing is deleted.
        """
        wanted = list(names)
        for name in wanted:
            self._require_deletable(name)
        if not wanted:
            return {}
        outcome: dict[str, str | None] = {}
        for name, future in self._client.delete_topics(wanted, operation_timeout=TIMEOUT_S).items():
            try:
                future.result(TIMEOUT_S)
                outcome[name] = None
            except TimeoutError:
                outcome[name] = f"no answer within {TIMEOUT_S:g} s"
            except KafkaException as error:
                gone = error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
                outcome[name] = None if gone else _said(error.args[0])
        return outcome

    def _require_deletable(self, name: str) -> None:
        environment = self._environment.environment
        rules, at_source = environment.topics, self._cluster == environment.source
        source = name if at_source else rules.source_of(name)
        if source is None or not source.startswith(rules.prefix):
            what = "outside" if at_source else "not the mirror of a topic inside"
            raise Refused(f"{self._where}: {name} is {what} the prefix {rules.prefix}; nothing is deleted")
        if is_internal(name):
            raise Refused(f"{self._where}: {name} belongs to MirrorMaker 2 or Kafka; nothing is deleted")

    @property
    def _where(self) -> str:
        return f"{self._cluster.alias} cluster at {self._cluster.bootstrap_servers}"
