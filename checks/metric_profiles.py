"""Which names an exporter's configuration gives MM2's metrics: a profile, found by what Prometheus has.

A profile is a naming of Connect's beans and a naming of the mirrors' (checks/metric_names.py), under one name:
`confluent_mirror` has the names that the runbook's panels query. Its parts are looked for apart, worker by worker: a
worker under another configuration than the rest would be left out of every sum, so that is an objection, not a choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from checks.metric_names import (
    CONFLUENT,
    CONNECT_BEANS,
    KAFKA_4_3,
    MIRROR_ATTRIBUTES,
    MIRROR_RULE,
    OFFICIAL,
    OTHER_NAMES,
    STRIMZI,
    STRIMZI_MIRROR,
    ConnectNaming,
    MirrorNaming,
)
from checks.metric_roles import Filter, Job, MetricName, Role
from scenarios.environment import Environment

__all__ = [
    "CONFLUENT_MIRROR",
    "PROFILES",
    "Detected",
    "Filter",
    "Job",
    "MetricName",
    "MetricProfile",
    "Role",
    "detect",
    "job_matcher",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricProfile:
    """Metric and label names of one exporter configuration."""

    name: str
    metrics: Mapping[Role, MetricName]
    connector_label: str = "connector"
    task_label: str = "task"
    topic_label: str = "topic"
    partition_label: str = "partition"
    client_label: str = "client_id"

    def selector(self, role: Role, environment: Environment) -> str:
        """The PromQL selector of a role's series in an environment: one job, and only what is ours."""
        if role is Role.UP:
            return f"up{{{job_matcher(environment)}}}"
        metric = self.metrics[role]
        matchers = [job_matcher(environment, metric.job), *metric.matchers]
        if metric.filter is Filter.CONNECTOR:
            # Names outside [\w-%. ] are quoted by JMX, and the quotes end up inside the label's value.
            name = _regex(environment.connect.connectors.source)
            matchers.append(f"{self.connector_label}=~{_string(_QUOTE + '?' + name + _QUOTE + '?')}")
        elif metric.filter is Filter.PREFIX:
            mirrored = _regex(environment.topics.remote("\0")).replace("\0", _regex(environment.topics.prefix) + ".*")
            matchers.append(f"{self.topic_label}=~{_string(mirrored)}")
        elif metric.filter is Filter.PRODUCER:
            name = _regex(f"connector-producer-{environment.connect.connectors.source}-")
            matchers.append(f"{self.client_label}=~{_string(_QUOTE + '?' + name + '[0-9]+' + _QUOTE + '?')}")
        if metric.also:
            matchers.insert(0, f"__name__=~{_string('|'.join((metric.name, *metric.also)))}")
            return f"{{{','.join(matchers)}}}"
        if metric.counter:
            matchers.insert(0, f"__name__=~{_string(f'{metric.base}(_total)?')}")
            return f"{{{','.join(matchers)}}}"
        return f"{metric.name}{{{','.join(matchers)}}}"


_QUOTE = '"'
CONNECT_NAMINGS = (CONFLUENT, OFFICIAL, STRIMZI)
MIRROR_NAMINGS = (MIRROR_RULE, STRIMZI_MIRROR, KAFKA_4_3)


def _profile(connect: ConnectNaming, mirror: MirrorNaming) -> MetricProfile:
    return MetricProfile(
        name=connect.name if connect.name == mirror.name else f"{connect.name}_{mirror.name}",
        metrics={**connect.metrics(), **mirror.metrics(), **OTHER_NAMES},
        client_label=connect.client_label,
    )


_BY_NAMING = {(c.name, m.name): _profile(c, m) for c in CONNECT_NAMINGS for m in MIRROR_NAMINGS}
PROFILES: dict[str, MetricProfile] = {profile.name: profile for profile in _BY_NAMING.values()}
CONFLUENT_MIRROR = PROFILES["confluent_mirror"]


def job_matcher(environment: Environment, job: Job = Job.CONNECT) -> str:
    """The label matcher of a scrape job, that of the Connect workers unless told otherwise."""
    jobs = environment.prometheus.jobs
    return f"job={_string(jobs.nodes if job is Job.NODES else jobs.connect)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """The profile to use. `others`: names of other profiles' parts that are there as well. `missing`: roles of which no
    worker shows a metric: the configuration has no rule for them. `strangers`: workers whose metrics go by another
    profile's names only, so that this one's leave them out."""

    profile: MetricProfile
    others: tuple[str, ...] = ()
    missing: tuple[Role, ...] = ()
    strangers: tuple[str, ...] = ()


def detect(present: Iterable[tuple[str, str]], *, wanted: str | None = None) -> Detected:
    """The profile of the (metric name, instance) pairs that Prometheus has; `wanted` when the environment names one.

    A name may carry the label of its client as `name{label}`: nothing else tells two of the namings apart.

    Of Connect's namings, and of the mirrors', the one that most workers show, then the one with most metrics, then
    the one named first here; with nothing present the first of each.
    """
    instances: dict[str, set[str]] = {}
    for name, instance in present:
        instances.setdefault(name, set()).add(instance)
    connect = {naming.name: _found(_names_of(naming), instances) for naming in CONNECT_NAMINGS}
    mirror = {naming.name: _found(_names_of(naming), instances) for naming in MIRROR_NAMINGS}
    best = max(connect, key=lambda name: connect[name].rank), max(mirror, key=lambda name: mirror[name].rank)
    profile = _BY_NAMING[best] if wanted is None else PROFILES[wanted]
    chosen = next(key for key, one in _BY_NAMING.items() if one is profile)
    return Detected(
        profile=profile,
        others=(*_others(connect, chosen[0]), *_others(mirror, chosen[1])),
        missing=tuple(
            role
            for role in (*CONNECT_BEANS, *MIRROR_ATTRIBUTES)
            if instances and not any(name in instances for name in profile.metrics[role].names)
        ),
        strangers=tuple(sorted(_strangers(connect, chosen[0]) | _strangers(mirror, chosen[1]))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is there of one naming: the workers that show it, and how many of its roles they show."""

    instances: frozenset[str]
    roles: int

    @property
    def rank(self) -> tuple[int, int]:
        return len(self.instances), self.roles


def _names_of(naming: ConnectNaming | MirrorNaming) -> list[frozenset[str]]:
    """For each role its names, and the mark of the naming's clients."""
    metrics = naming.metrics()
    names = [metric.names for metric in metrics.values()]
    if isinstance(naming, ConnectNaming):
        names.append(frozenset({f"{metrics[Role.BUFFER_AVAILABLE].name}{{{naming.client_label}}}"}))
    return names


def _found(roles: Iterable[frozenset[str]], instances: Mapping[str, set[str]]) -> _Found:
    known = [frozenset[str]().union(*(instances.get(name, ()) for name in names)) for names in roles]
    return _Found(instances=frozenset[str]().union(*known), roles=sum(bool(one) for one in known))


def _others(found: Mapping[str, _Found], chosen: str) -> list[str]:
    """Namings that are there beside the chosen one, and are not just names that it shares with them."""
    return [name for name, one in found.items() if name != chosen and one.rank >= found[chosen].rank > (0, 0)]


def _strangers(found: Mapping[str, _Found], chosen: str) -> set[str]:
    return set().union(*(one.instances for one in found.values())) - found[chosen].instances


def _regex(text: str) -> str:
    # RE2 knows the same escapes; Python's own escape of a space or a hyphen is one that RE2 refuses.
    return re.sub(r"([.+*?^$()\[\]{}|\\])", r"\\\1", text)


def _string(text: str) -> str:
    """A PromQL string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
