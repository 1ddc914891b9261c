"""Asks Connect and Prometheus what the questions are answered from. What is not told is a reason, never raised."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from checks.metric_presence import names_in, presence_queries
from checks.metric_profiles import MetricProfile, detect, job_matcher
from checks.metric_roles import Filter, Job, Role
from clients.connect import Connect
from clients.prometheus import Prometheus
from runbook.preflight.connect import CONFIG, WRITTEN, ConnectSeen, named
from runbook.preflight.metrics import JOBS_OF, MetricsSeen, Shows, first_number, roles_asked, shown_from
from runbook.preflight.needs import Needs
from scenarios.environment import LoadedEnvironment
from scenarios.errors import ConnectFailure, MetricsUnavailable, Refused

T = TypeVar("T")

#: For one question, with what it takes to ask again.
CONNECT_TIMEOUT_S = 4.0
PROMETHEUS_BUDGET_S = 5.0
#: A job whose targets were all lost in the last minutes is not named wrongly.
JOBS_LOOK_BACK_S = 600
#: Names of metrics that are looked at where one is missing.
LIKE_THE_WORKERS = "kafka_.+|jvm_.+|process_.+|java_.+"
LIKE_A_NODES = "node_.+"
#: What an answer that is no answer of its kind raises where it is read.
_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)


def ask_connect(environment: LoadedEnvironment) -> ConnectSeen:
    """The connectors there are, and of those that the environment names what they are set to."""
    try:
        connect = Connect.of(environment, timeout_s=CONNECT_TIMEOUT_S, rebalance_budget_s=CONNECT_TIMEOUT_S)
        names = _list_of_names(connect.names())
    except Refused as error:
        return ConnectSeen(trouble=str(error))
    except _UNREADABLE:
        return ConnectSeen(trouble="it answers, but not with a list of connectors")
    asking, ours = _Asking(), named(environment.environment)
    configs = {}
    for name in dict.fromkeys(ours.values()):
        if name in names and (config := asking.ask(name, CONFIG, partial(_config, connect, name))) is not None:
            configs[name] = config
    written, source = None, ours["source"]
    if source in names:
        written = asking.ask(source, WRITTEN, lambda: _list_of_names(connect.topics(source)))
    return ConnectSeen(names=names, configs=configs, written=written, troubles=asking.troubles)


@dataclass(slots=True)
class _Asking:
    """Questions to Connect, one after the other, until it says nothing any more: each would take as long again."""

    troubles: dict[tuple[str, str], str] = field(default_factory=dict)
    silent: str = ""

    def ask(self, connector: str, question: str, answer: Callable[[], T]) -> T | None:
        """The answer, or None and a trouble."""
        trouble = self.silent
        if not trouble:
            try:
                return answer()
            except ConnectFailure as error:
                trouble = str(error)
                self.silent = trouble if error.status is None else ""
            except _UNREADABLE:
                trouble = f"Connect answers, but not with the {question} of a connector"
        self.troubles[connector, question] = trouble
        return None


def _list_of_names(content: object) -> tuple[str, ...]:
    if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        raise TypeError("no list of names")
    return tuple(content)


def _config(connect: Connect, name: str) -> dict[str, str]:
    return {str(key): str(value) for key, value in connect.config(name).items()}


def ask_prometheus(environment: LoadedEnvironment, needs: Needs) -> MetricsSeen | str:
    """Jobs, names and roles as they stand now; or why Prometheus tells nothing at all."""
    where = environment.environment
    wanted = where.prometheus.metric_profile
    try:
        prometheus = Prometheus.of(environment, timeout_s=CONNECT_TIMEOUT_S, budget_s=PROMETHEUS_BUDGET_S)
        jobs = _jobs(prometheus)
        present = frozenset(
            pair for query in presence_queries(where) for pair in names_in(prometheus.query(query, at_s=None).result)
        )
    except Refused as error:
        return str(error)
    except _UNREADABLE:
        return f"Prometheus at {where.prometheus.url}: an answer that cannot be read"
    seen = MetricsSeen(jobs=jobs, present=present, detected=detect(present, wanted=wanted), auto=detect(present))
    look = _Look(prometheus, environment, seen.detected.profile)
    try:
        for role in roles_asked(needs):
            look.at(role, explained=role in needs.roles)
    except MetricsUnavailable as error:
        look.trouble = str(error)
    except _UNREADABLE:
        look.trouble = "Prometheus gave an answer that cannot be read"
    return replace(
        seen,
        series=look.series,
        unfiltered=look.unfiltered,
        names=look.names,
        keeps_nan=look.keeps_nan,
        trouble=look.trouble,
    )


def _jobs(prometheus: Prometheus) -> dict[str, float]:
    """Every job that had a target of late, and how many of its targets are up."""
    jobs = _by_label(prometheus, f"count by (job) (count_over_time(up[{JOBS_LOOK_BACK_S}s]))", "job")
    return dict.fromkeys(jobs, 0.0) | _by_label(prometheus, "sum by (job) (up)", "job")


def _by_label(prometheus: Prometheus, query: str, label: str) -> dict[str, float]:
    """The number that a vector has for each value of a label."""
    return {
        str(one["metric"].get(label, "")): float(one["value"][1]) for one in prometheus.query(query, at_s=None).result
    }


class _Look:
    """One pass over the roles; what was seen stays, whatever comes in between."""

    def __init__(self, prometheus: Prometheus, environment: LoadedEnvironment, profile: MetricProfile) -> None:
        self._prometheus, self._environment, self._profile = prometheus, environment.environment, profile
        self.series: dict[Role, int] = {}
        self.unfiltered: dict[Role, tuple[str, ...]] = {}
        self.names: dict[Job, tuple[str, ...]] = {}
        self.keeps_nan = False
        self.trouble = ""

    def at(self, role: Role, *, explained: bool) -> None:
        """How many series there are of it; where there is none, and it is to be `explained`, what there is instead."""
        selector = self._profile.selector(role, self._environment)
        self.series[role] = self._count(selector)
        if self.series[role]:
            if not self.keeps_nan and shown_from(role, self._profile) is Shows.BUSY:
                self.keeps_nan = self._count(f"{selector} != {selector}") > 0
            return
        if not explained:
            return
        if (label := self._label(role)) is not None:
            self.unfiltered[role] = tuple(_by_label(self._prometheus, f"count by ({label}) ({self._any(role)})", label))
        if not self.unfiltered.get(role) and JOBS_OF[role] not in self.names:
            self.names[JOBS_OF[role]] = self._names(JOBS_OF[role])

    def _count(self, selector: str) -> int:
        count = first_number(self._prometheus.query(f"count({selector})", at_s=None).result)
        return 0 if math.isnan(count) else int(count)

    def _label(self, role: Role) -> str | None:
        profile = self._profile
        labels = {
            Filter.CONNECTOR: profile.connector_label,
            Filter.PREFIX: profile.topic_label,
            Filter.PRODUCER: profile.client_label,
        }
        return labels.get(profile.metrics[role].filter)

    def _any(self, role: Role) -> str:
        """The selector of a role's metric, whosever it is."""
        metric = replace(self._profile.metrics[role], filter=Filter.NONE)
        return replace(self._profile, metrics={**self._profile.metrics, role: metric}).selector(role, self._environment)

    def _names(self, job: Job) -> tuple[str, ...]:
        like = LIKE_A_NODES if job is Job.NODES else LIKE_THE_WORKERS
        matchers = f'{job_matcher(self._environment, job)},__name__=~"{like}"'
        return tuple(_by_label(self._prometheus, f"count by (__name__) ({{{matchers}}})", "__name__"))
