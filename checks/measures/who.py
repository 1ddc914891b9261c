"""Who is a Connect worker, and which tasks the source connector has: told by Connect, and by who shows its metrics.

A scrape job may hold other targets than workers (brokers, a worker of another group). A target is a worker if it shows
a metric of Kafka Connect's own; and where Connect's worker ids and the targets have hosts in common, so that they can
be compared, one whose host Connect does not name must at least show the connector or its mirrors to be one of ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from checks.connectors import TaskSeen, connectors_seen, workers_seen
from checks.evidence import Evidence
from checks.measures.registry import Run
from checks.metric_names import CONNECT_BEANS, MIRROR_ATTRIBUTES
from checks.metric_roles import Filter, Role
from checks.reasons import Code, Param, Reason
from checks.role_facts import FACTS, Owner
from checks.series import UnreadableAnswer
from checks.windows import NS_PER_S, last_known_ns

#: Connect's state is the run's when it was asked for as the run ended; collecting may itself take ten minutes. Later,
#: somebody may have restarted what had failed.
STATE_FRESH_S = 900.0
#: Roles that only a Connect worker shows.
OF_CONNECT = (*(role for role, bean in CONNECT_BEANS.items() if bean.domain == "connect"), *MIRROR_ATTRIBUTES)
#: Roles that are asked of the workers' job, whoever shows them.
OF_THE_JOB = tuple(role for role, facts in FACTS.items() if facts.owner is not Owner.NODE and role is not Role.UP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """The scraped instances that are workers, or may be, since they never answered. `objection`: why not all of them
    are known, if so."""

    instances: frozenset[str]
    objection: Reason | None = None

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(host_of(instance) for instance in self.instances)


#: Of an evidence, and of the run whose evidence it is.
_KNOWN: WeakKeyDictionary[Evidence, Workers] = WeakKeyDictionary()


def host_of(instance: str) -> str:
    """The host of a scraped instance: "kafka1:9404" and "kafka1" are one, "[::1]:9404" is "[::1]"."""
    host, colon, port = instance.rpartition(":")
    return host if colon and port.isdigit() else instance


def asked_after_s(run: Run) -> float:
    """How long after the last thing known of the run Connect was asked."""
    asked_ns = run.evidence.connect_asked_ns
    return 0.0 if asked_ns is None else (asked_ns - last_known_ns(run.record)) / NS_PER_S


def source_tasks(run: Run) -> tuple[TaskSeen, ...]:
    """The source connector's tasks as Connect told them when the run ended; none where it did not."""
    if asked_after_s(run) > STATE_FRESH_S:
        return ()
    try:
        answers = run.evidence.connect("connectors").content, run.evidence.connect("workers").content
        return connectors_seen(run.environment, *answers)[0].tasks if answers[0] is not None else ()
    except UnreadableAnswer:
        return ()


def workers_of(run: Run) -> Workers:
    """The workers among the targets of the workers' job. Every measure asks, so it is worked out once."""
    known = _KNOWN.get(run.evidence)
    if known is None:
        known = _KNOWN[run.evidence] = _workers_of(run)
    return known


def _workers_of(run: Run) -> Workers:
    answered: dict[str, bool] = {}
    for one in run.evidence.metric(Role.UP).series:
        instance = one.label("instance")
        answered[instance] = answered.get(instance, False) or bool((one.values == 1.0).any())
    showing = _showing(run, OF_CONNECT)
    silent = {instance for instance, ever in answered.items() if not ever and instance not in showing}
    exporters = {instance for instance in answered if instance in showing} | silent
    if unscraped := _showing(run, OF_THE_JOB) - set(answered):
        return Workers(instances=frozenset(exporters), objection=Reason.of(Code.UP_MISSING, instance=min(unscraped)))
    named = _named(run)
    ours = _showing(run, _filtered(run)) | silent
    hosts = {host_of(instance) for instance in exporters}
    if any(host_of(name) in hosts for name in named):
        known = {host_of(name) for name in named} | _hosts_of_urls(run)
        unmatched = sum((Counter(map(host_of, named)) - Counter(map(host_of, exporters))).values())
        spare = {instance for instance in exporters if host_of(instance) not in known and instance in ours}
        if unmatched == 0:
            # Nobody is missing: what never answered, and is on a host that Connect does not know, is none of its own.
            spare -= silent
        exporters = {instance for instance in exporters if host_of(instance) in known} | spare
        lacking = unmatched > len(spare)
    else:
        lacking = False
    objection = None
    if lacking or len(exporters) < len(named):
        objection = _untold(exporters, named, others=set(answered) - exporters)
    return Workers(instances=frozenset(exporters), objection=objection)


def _untold(exporters: set[str], named: Iterable[str], *, others: set[str]) -> Reason:
    names = sorted(named)
    params: dict[str, Param] = {
        "exporters": len(exporters),
        "seen": ", ".join(sorted(exporters)) or "–",
        "workers": len(names),
        "named": ", ".join(names) or "–",
    }
    if not others:
        return Reason.of(Code.EXPORTER_MISSING, **params)
    return Reason.of(Code.WORKERS_UNTOLD, **params, others=", ".join(sorted(others)))


def _showing(run: Run, roles: Iterable[Role]) -> set[str]:
    return set().union(*(run.evidence.showing(role) for role in roles))


def _filtered(run: Run) -> list[Role]:
    """Roles whose series are only those of our connector, or of our mirrors."""
    metrics = run.evidence.profile.metrics
    return [role for role in OF_CONNECT if metrics[role].filter in (Filter.CONNECTOR, Filter.PREFIX)]


def _named(run: Run) -> tuple[str, ...]:
    """Addresses of the workers that Connect says carry something."""
    if asked_after_s(run) > STATE_FRESH_S:
        return ()
    try:
        return workers_seen(run.evidence.connect("connectors").content, run.evidence.connect("others").content)
    except UnreadableAnswer:
        return ()


def _hosts_of_urls(run: Run) -> set[str]:
    return {host_of(urlsplit(url).netloc) for url in run.environment.connect.urls}
