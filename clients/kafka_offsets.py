"""The door to Kafka's offsets: where partitions end, as the load's user. What a load that is not ours is counted by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # public, but only re-exported

from clients.kafka import ErrorLog, _said, client_configuration
from scenarios.environment import Cluster, LoadedEnvironment
from scenarios.errors import Refused, Unreachable

Place = tuple[str, int]
TIMEOUT_S = 10.0
#: What a partition answers that is not there, or not led by anyone yet.
_ABSENT = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._NOENT,
)


class Ends:
    """The ends of some partitions of one cluster."""

    def __init__(self, cluster: Cluster, environment: LoadedEnvironment, extra: dict[str, Any] | None = None) -> None:
        self._where = f"{cluster.alias} cluster at {cluster.bootstrap_servers}"
        settings = client_configuration(cluster, environment, "offsets")
        self._client = AdminClient(settings | {"error_cb": ErrorLog(cluster.alias)} | (extra or {}))

    def read(self, places: Iterable[Place]) -> dict[Place, int]:
        """The offset that each partition's next record will get; 0 for one that does not exist. Waits on futures, which
        let greenlets run. Raises Unreachable."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        topics: dict[str, dict[TopicPartition, Any]] = {}
        for topic, partition in places:
            topics.setdefault(topic, {})[TopicPartition(topic, partition)] = latest
        # A request of its own for each topic: one that is not there yet fails the request for all that it asks of.
        answers = [self._client.list_offsets(asked, request_timeout=TIMEOUT_S) for asked in topics.values()]
        return {
            (place.topic, place.partition): self._end(place, future)
            for answer in answers
            for place, future in answer.items()
        }

    def require_visible(self, topics: Iterable[str]) -> None:
        """Raises Refused when a topic is there and may not be described: it would look empty. Blocks: call it
        `off_hub`."""
        for topic in topics:
            try:
                error = self._client.list_topics(topic, timeout=TIMEOUT_S).topics[topic].error
            except KafkaException as failure:
                raise Unreachable(f"{self._where}: no answer on {topic} ({_said(failure.args[0])})") from None
            if error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise Refused(f"{self._where}: {topic} may not be described; the load's user needs DESCRIBE on it")

    def _end(self, place: TopicPartition, future: Any) -> int:
        try:
            return int(future.result(TIMEOUT_S).offset)
        except TimeoutError:
            raise Unreachable(f"{self._where}: no answer on where its topics end within {TIMEOUT_S:g} s") from None
        except KafkaException as error:
            if error.args[0].code() in _ABSENT:
                return 0
            raise Unreachable(
                f"{self._where}: no answer on where {place.topic} ends ({_said(error.args[0])})"
            ) from None
