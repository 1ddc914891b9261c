"""The lab's own hands on its clusters: is a broker ready, ACLs, the warm-up's topic, how far each side is.

Everything here acts as `admin` or `load` on 127.0.0.1. Runs have doors of their own in `clients`.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but only re-exported
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from lab.accounts import Grant
from scenarios.errors import LabError

_TIMEOUT_S = 15.0

# librdkafka prints every failed connection to standard error; while a broker starts that is only noise.
QUIET = logging.getLogger("lab.librdkafka")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A cluster and a user on it."""

    bootstrap_servers: str
    username: str
    password: str

    def client_config(self) -> dict[str, Any]:
        """As librdkafka takes it."""
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": self.username,
            "sasl.password": self.password,
            "broker.address.family": "v4",
        }


class ClusterAdmin:
    """One user's view of one cluster."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._client = AdminClient(login.client_config(), logger=QUIET)

    def is_ready(self) -> bool:
        """Whether the cluster answers this user."""
        try:
            return bool(self._client.list_topics(timeout=1.0).brokers)
        except KafkaException:
            return False

    def allow(self, grants: tuple[Grant, ...]) -> None:
        """Set ACLs; those that exist stay."""
        bindings = [_binding(grant, operation) for grant in grants for operation in grant.operations]
        self._all(self._client.create_acls(bindings, request_timeout=_TIMEOUT_S), "ACLs could not be set")

    def create_topic(self, name: str, *, partitions: int) -> None:
        """Create a topic; one that exists is fine."""
        futures = self._client.create_topics([NewTopic(name, partitions, 1)], request_timeout=_TIMEOUT_S)
        self._all(futures, f"topic {name} could not be created", but=KafkaError.TOPIC_ALREADY_EXISTS)

    def _all(self, futures: dict[Any, Future[Any]], what: str, *, but: int | None = None) -> None:
        for future in futures.values():
            try:
                future.result(timeout=_TIMEOUT_S)
            except TimeoutError:
                raise LabError(f"{what} on {self._where}: no answer within {_TIMEOUT_S:.0f} s") from None
            except KafkaException as error:
                if error.args[0].code() != but:
                    raise LabError(f"{what} on {self._where}: {error.args[0].str()}") from None

    @property
    def _where(self) -> str:
        return f"{self._login.bootstrap_servers} as {self._login.username}"


def end_offsets(login: Login, topic: str, *, partitions: int) -> int:
    """How many records a topic has got so far, all partitions together; 0 while it does not exist."""
    consumer = Consumer({**login.client_config(), "group.id": "mm2gate-lab"}, logger=QUIET)
    try:
        total = 0
        for partition in range(partitions):
            try:
                _low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=5.0)
            except KafkaException as error:
                if error.args[0].code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION):
                    continue
                raise LabError(
                    f"offsets of {topic} on {login.bootstrap_servers} as {login.username}: {error.args[0].str()}"
                ) from None
            total += high
        return total
    finally:
        consumer.close()


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
