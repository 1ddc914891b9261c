"""The door to what a cluster tells of its topics: which they are, where their partitions begin and end, how long they
keep what they hold. As the load's user; what is not told comes back as a sentence that says why, never as an error.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but only re-exported
    AdminClient,
    ConfigResource,
    ResourceType,
)

from clients.kafka import ErrorLog, client_configuration, off_hub
from scenarios.environment import Cluster, LoadedEnvironment

Place = tuple[str, int]
Untold = str
#: What a time of -2 and -1 asks for, in Kafka's protocol: where a partition begins, and where it ends.
_BEGINNING, _END = -2, -1
_CONFIGS = ("retention.ms", "retention.bytes", "cleanup.policy")
#: What brokers before 2.8 tell as a topic's id: 16 bytes of zero.
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
_ABSENT = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSeen:
    """A topic as it is now; one that does not exist has no partitions. `id` is None where the cluster tells none."""

    partitions: int
    id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Offsets of a partition's first record, and behind the last that can be read."""

    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long a topic keeps what it holds; -1 is for ever."""

    ms: int
    bytes: int
    policy: str


class TopicLooks:
    """Looks at some topics of one cluster, on connections of its own: a reader stands still while another call of its
    client waits. Every method waits on futures or in a native thread, so greenlets run meanwhile."""

    def __init__(self, cluster: Cluster, environment: LoadedEnvironment, extra: Mapping[str, Any] = {}) -> None:
        self._cluster = cluster
        settings = client_configuration(cluster, environment, "look")
        settings |= {"error_cb": ErrorLog(cluster.alias, quiet=True), **extra}
        self._admin = AdminClient(settings)
        self._asker = Consumer(settings | {"group.id": "mm2gate-look", "enable.auto.commit": False})
        self._requests: dict[tuple[Place, ...], tuple[list[TopicPartition], list[TopicPartition]]] = {}

    def topics(self, names: Sequence[str], *, timeout_s: float) -> dict[str, TopicSeen | Untold]:
        """Each of these as it is now, or why that is not told.

        Topic ids are told by the controller alone; where it does not answer, any broker says whether a topic exists.
        """
        half_s = timeout_s / 2
        futures = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=half_s)
        described = {name: _outcome(futures[name], half_s) for name in names}
        if any(_silent(one) for one in described.values()):
            return off_hub(self._by_metadata, names, half_s)
        return {name: _topic(one) for name, one in described.items()}

    def ends(self, places: Sequence[Place], *, timeout_s: float) -> dict[Place, Ends | Untold]:
        """Where each of these begins and ends, or why that is not told."""
        if not places:
            return {}
        low, high = (off_hub(self._offsets, one, timeout_s) for one in self._request(tuple(places)))
        found: dict[Place, Ends | Untold] = {}
        for place in places:
            first, last = low[place], high[place]
            if isinstance(first, str) or isinstance(last, str):
                found[place] = first if isinstance(first, str) else str(last)
            else:
                found[place] = Ends(low=first, high=last)
        return found

    def retention(self, names: Sequence[str], *, timeout_s: float) -> dict[str, Retention | Untold]:
        """How long each of these keeps what it holds, or why that is not told; it needs DESCRIBE_CONFIGS."""
        if not names:
            return {}
        asked = {name: ConfigResource(ResourceType.TOPIC, name) for name in names}
        futures = self._admin.describe_configs(list(asked.values()), request_timeout=timeout_s)
        return {name: self._retention(futures[resource], timeout_s) for name, resource in asked.items()}

    def close(self) -> None:
        """Lets go of the connections: a look that nobody waits for any more may still be under way in its thread, and
        ends them with it. Blocks: call it `off_hub`."""
        del self._asker, self._admin

    def _by_metadata(self, names: Sequence[str], timeout_s: float) -> dict[str, TopicSeen | Untold]:
        deadline_s = time.monotonic() + timeout_s
        found: dict[str, TopicSeen | Untold] = {}
        for name in names:
            try:
                left_s = max(deadline_s - time.monotonic(), 0.1)
                topic = self._asker.list_topics(name, timeout=left_s).topics[name]
            except KafkaException as error:
                why: KafkaError = error.args[0]
                return dict.fromkeys(names, why.str())
            if topic.error is None:
                found[name] = TopicSeen(partitions=len(topic.partitions), id=None)
            else:
                found[name] = _topic(topic.error)
        return found

    def _retention(self, future: Future[Any], timeout_s: float) -> Retention | Untold:
        told = _outcome(future, timeout_s)
        if isinstance(told, KafkaError):
            return told.str()
        if isinstance(told, str):
            return told
        try:
            ms, kept_bytes, policy = (told[name].value for name in _CONFIGS)
            return Retention(ms=int(ms), bytes=int(kept_bytes), policy=str(policy))
        except (KeyError, ValueError, TypeError):
            return f"no {', '.join(_CONFIGS)} in the answer"

    def _request(self, places: tuple[Place, ...]) -> tuple[list[TopicPartition], list[TopicPartition]]:
        """What is asked again and again is made once: to make it takes longer than to ask."""
        if places not in self._requests:
            self._requests.clear()
            low, high = ([TopicPartition(*place, at) for place in places] for at in (_BEGINNING, _END))
            self._requests[places] = low, high
        return self._requests[places]

    def _offsets(self, asked: list[TopicPartition], timeout_s: float) -> dict[Place, int | Untold]:
        try:
            answers = self._asker.offsets_for_times(asked, timeout=timeout_s)
        except KafkaException as error:
            why: KafkaError = error.args[0]
            return {(one.topic, one.partition): why.str() for one in asked}
        return {(one.topic, one.partition): one.offset if one.error is None else one.error.str() for one in answers}


def _silent(told: Any) -> bool:
    """Whether nobody answered, or nobody who knows."""
    return isinstance(told, str) or (
        isinstance(told, KafkaError) and told.code() in (KafkaError._TIMED_OUT, KafkaError._UNSUPPORTED_FEATURE)
    )


def _topic(told: Any) -> TopicSeen | Untold:
    """A topic's description, or the error that came in its place."""
    if isinstance(told, KafkaError):
        return TopicSeen(partitions=0, id=None) if told.code() in _ABSENT else told.str()
    number = str(told.topic_id)
    return TopicSeen(partitions=len(told.partitions), id=None if number in ("", _NO_ID) else number)


def absent(seen: TopicSeen | Untold, partition: int) -> bool:
    """Whether a partition is known not to exist."""
    return isinstance(seen, TopicSeen) and partition >= seen.partitions


def existing(places: Iterable[Place], seen: Mapping[str, TopicSeen | Untold]) -> list[Place]:
    """Those that are not known not to exist: asking where the others end takes as long as one is willing to wait."""
    return [(topic, partition) for topic, partition in places if not absent(seen[topic], partition)]


def _outcome(future: Future[Any], timeout_s: float) -> Any:
    """What a future comes to: its result, a KafkaError, or that there was no answer in time."""
    try:
        return future.result(timeout_s + 1.0)  # librdkafka's own limit comes first, and says more
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except KafkaException as error:
        return error.args[0]
