"""The door to a Kafka cluster that is ours to set up, the lab's: ready or not, ACLs, how much it holds.

Runs never come through here: a run acts as the load's user, inside the prefix (`clients.kafka_admin`).
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but only re-exported
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
)

from clients.kafka import NOT_YET, _said, client_configuration
from scenarios.environment import Cluster, LoadedEnvironment
from scenarios.errors import Unreachable

TIMEOUT_S = 15.0
READY_TIMEOUT_S = 5.0

Operation = Literal["CREATE", "WRITE", "READ", "DELETE", "DESCRIBE", "DESCRIBE_CONFIGS", "ALTER", "ALTER_CONFIGS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Operations that a user may do on one resource, or on all whose name starts so."""

    user: str
    resource: Literal["TOPIC", "GROUP"]
    name: str
    prefixed: bool = True
    operations: tuple[Operation, ...]


class Owner:
    """A cluster as its super user sees it."""

    def __init__(self, cluster: Cluster, environment: LoadedEnvironment) -> None:
        self._cluster = cluster
        # While a broker starts, failed connections are not worth a word.
        quiet = {"error_cb": lambda _error: None}
        self._client = AdminClient(client_configuration(cluster, environment, "owner") | quiet)

    def is_ready(self) -> bool:
        """Whether a broker answers."""
        try:
            return bool(self._client.list_topics(timeout=READY_TIMEOUT_S).brokers)
        except KafkaException:
            return False

    def allow(self, grants: Iterable[Grant]) -> None:
        """Set ACLs; those that exist stay. Raises Unreachable."""
        bindings = [_binding(grant, operation) for grant in grants for operation in grant.operations]
        for future in self._client.create_acls(bindings, request_timeout=TIMEOUT_S).values():
            self._result(future, "ACLs cannot be set")

    def record_count(self, topic: str) -> int:
        """How many records a topic has got so far, all partitions together; none where it is only being made."""
        partitions = self._client.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(topic, partition): latest for partition in partitions}
        if not asked:
            return 0
        futures = self._client.list_offsets(asked, request_timeout=TIMEOUT_S).values()
        made = (future for future in futures if not _is_being_made(future))
        return sum(self._result(future, f"offsets of {topic} cannot be read").offset for future in made)

    def _result(self, future: Future[Any], what: str) -> Any:
        where = f"{self._cluster.alias} cluster at {self._cluster.bootstrap_servers}"
        try:
            return future.result(TIMEOUT_S)
        except TimeoutError:
            raise Unreachable(f"{where}: {what}: no answer within {TIMEOUT_S:g} s") from None
        except KafkaException as error:
            problem: KafkaError = error.args[0]
            raise Unreachable(f"{where}: {what}: {_said(problem)}") from None


def _is_being_made(asked: Future[Any]) -> bool:
    try:
        error = asked.exception(TIMEOUT_S)
    except TimeoutError:
        return False
    return isinstance(error, KafkaException) and error.args[0].code() in NOT_YET


def _binding(grant: Grant, operation: str) -> AclBinding:
    return AclBinding(
        ResourceType[grant.resource],
        grant.name,
        ResourcePatternType.PREFIXED if grant.prefixed else ResourcePatternType.LITERAL,
        f"User:{grant.user}",
        "*",
        AclOperation[operation],
        AclPermissionType.ALLOW,
    )
