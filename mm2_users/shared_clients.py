"""What all KafkaUsers of a process share: the environment and its guards, a producer and a consumer per cluster, and
their end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from gevent.lock import RLock

from clients.kafka import identify, off_hub
from clients.kafka_admin import Admin
from clients.kafka_shared import SharedConsumer, SharedProducer, Start
from scenarios import environment as environments
from scenarios.environment import Cluster, Environment, LoadedEnvironment
from scenarios.errors import Refused
from scenarios.scenario import ProducerSettings

Side = Literal["source", "target"]

#: Waiting for the last answers when a test stops.
FLUSH_S = 10.0
PREFIX = "{prefix}"


class SharedClients:
    """Opens a cluster when it is first used, once it has proven to be the one that the environment file means.

    `extra` are librdkafka settings for a test that brings its own brokers.
    """

    def __init__(self, options: Callable[[], tuple[str, str]], *, extra: Mapping[str, Any] = {}) -> None:
        """`options` gives --env and --confirm, which a Locust worker learns only when a test starts."""
        self._options = options
        self._extra = extra
        self._environment: LoadedEnvironment | None = None
        self._opening = RLock()
        self._identified: set[Side] = set()
        self._created: set[tuple[Side, str]] = set()
        self._producers: dict[tuple[Side, ProducerSettings, float], SharedProducer] = {}
        self._consumers: dict[tuple[Side, str | None, Start], SharedConsumer] = {}

    def check(self, sides: frozenset[Side], *, masters: str | None = None) -> str:
        """Reads the environment file and asks the guards; its hash. Raises SpecError or Refused, before anything is
        sent. `masters` is the hash of the master's file, where there is one: for another no cluster is asked."""
        with self._opening:
            self._environment = None
            self._identified.clear()
            loaded = self._loaded()
            if masters not in (None, loaded.sha256):
                raise Refused(
                    f"{loaded.file} (environment {loaded.environment.name}, sha256 {loaded.sha256[:12]}) is not the "
                    f"master's (sha256 {masters[:12]}); copy the master's there"
                )
            for side in sorted(sides):
                self._identify(side)
            return loaded.sha256

    @property
    def environment(self) -> Environment:
        """Where the users play. Raises SpecError, or Refused for a production environment that nobody confirmed."""
        return self._loaded().environment

    def producer(self, side: Side, settings: ProducerSettings, answer_within_s: float) -> SharedProducer:
        """The process's producer of a cluster with these settings."""
        key = (side, settings, answer_within_s)
        with self._opening:
            if key not in self._producers:
                self._producers[key] = SharedProducer(
                    self._identify(side), self._loaded(), settings, answer_within_s=answer_within_s, extra=self._extra
                )
            return self._producers[key]

    def consumer(self, side: Side, group: str | None, start: Start) -> SharedConsumer:
        """The process's consumer of a cluster: of partitions, or of a group."""
        key = (side, group, start if group is not None else "end")
        with self._opening:
            if key not in self._consumers:
                self._consumers[key] = SharedConsumer(
                    self._identify(side), self._loaded(), group=group, start=start, extra=self._extra
                )
            return self._consumers[key]

    def create(self, side: Side, topic: str, partitions: int, config: Mapping[str, str]) -> None:
        """Creates a topic inside the prefix, unless it is there."""
        with self._opening:
            if (side, topic) not in self._created:
                admin = Admin(self._identify(side), self._loaded(), extra=dict(self._extra))
                admin.create_topics([(topic, partitions)], config=dict(config))
                self._created.add((side, topic))

    def topic(self, name: str) -> str:
        """A topic's full name: {prefix} stands for the environment's."""
        return name.replace(PREFIX, self.environment.topics.prefix)

    def mirror(self, name: str) -> str:
        """The name on the target of a source topic's mirror."""
        return self.environment.topics.remote(self.topic(name))

    def require_inside(self, side: Side, topic: str, *, to_write: bool) -> None:
        """Refuses a topic outside the prefix; mirrors of topics inside it may be read, too."""
        rules = self.environment.topics
        if topic.startswith(rules.prefix):
            return
        source = rules.source_of(topic) if side == "target" and not to_write else None
        if source is None or not source.startswith(rules.prefix):
            raise Refused(
                f"topic {topic} is outside the prefix {rules.prefix} of environment {self.environment.name}; name it "
                f'"{PREFIX}…", or set stay_inside_prefix = False on the user class if you mean it'
            )

    def close(self) -> None:
        """Waits for what is under way, and closes all; what has no answer by then gets one. For test_stop."""
        producers, consumers = list(self._producers.values()), list(self._consumers.values())
        self._producers.clear()
        self._consumers.clear()
        self._created.clear()
        for producer in producers:
            producer.finish(FLUSH_S)
        for consumer in consumers:
            consumer.finish()

    def _identify(self, side: Side) -> Cluster:
        loaded = self._loaded()
        cluster = loaded.environment.source if side == "source" else loaded.environment.target
        if side not in self._identified:
            off_hub(lambda: identify(cluster, loaded))
            self._identified.add(side)
        return cluster

    def _loaded(self) -> LoadedEnvironment:
        if self._environment is None:
            name, confirmed = self._options()
            if not name:
                raise Refused("which environment? say --env FILE, or a name in environments/, or export MM2GATE_ENV")
            loaded = environments.load(name)
            loaded.environment.require_confirmed(confirmed)
            self._environment = loaded
        return self._environment
