"""Scrape jobs and metrics: what Prometheus shows against what the criteria need. Pure.

That a metric is absent contradicts only where it must be there by now. What that takes depends on what has to have
happened before an exporter shows it:

    ALWAYS      a process that is scraped
    TASK        a task of the source connector
    BUSY        something to measure in the last minute: otherwise its value is NaN, which some stores do not keep
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from checks.metric_names import OTHER_NAMES
from checks.metric_profiles import PROFILES, Detected, MetricProfile
from checks.metric_roles import Filter, Job, Role
from checks.role_facts import FACTS, Kind, Owner, facts_of
from runbook.preflight.answers import Answer, Moment, found, not_told, ok, shown, wrong
from runbook.preflight.needs import Needs
from scenarios.environment import LoadedEnvironment


class Shows(Enum):
    """What an exporter shows a metric from."""

    ALWAYS = auto()
    TASK = auto()
    BUSY = auto()


#: All that Prometheus is asked for by name; `up` is asked for as a job's.
ROLES: tuple[Role, ...] = tuple(role for role in FACTS if role is not Role.UP)
#: A task, the worker that it is on and its producer are there together; mirrors are those of topics that it has found.
_WITH_A_TASK = frozenset({Owner.TASKED_WORKER, Owner.TASK, Owner.PRODUCER})
#: What an exporter shows without a rule of anybody's.
_WITHOUT_RULES = frozenset(OTHER_NAMES)
_COMMON_WORDS = frozenset({"kafka", "connect", "source", "task", "metrics", "node", "jvm", "bytes", "total"})
#: The label by which a role's series are told from others, and what of ours is wrong when none has it.
_FILTERED = {
    Filter.CONNECTOR: ("connectors", "correct connect.connectors.source in {file}"),
    Filter.PREFIX: ("mirrors", "correct topics.remote_name, or topics.prefix, in {file}"),
    Filter.PRODUCER: (
        "producers",
        "correct connect.connectors.source in {file}, or take the connector's own client.id away, which hides them",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSeen:
    """What Prometheus answered.

    `jobs`: of every job, how many targets are up. `present`: (metric name, instance) of the workers' job. `detected`:
    the profile under which roles are looked for; `auto`: the one that is found when none is named. `series`: how many
    there are of a role. `unfiltered`: of a role that has none, what stands in the label that it is filtered by.
    `names`: metric names of a job, where a role has none at all. `keeps_nan`: whether a value that is NaN was seen.
    """

    jobs: Mapping[str, float] = field(default_factory=dict)
    present: frozenset[tuple[str, str]] = frozenset()
    detected: Detected
    auto: Detected
    series: Mapping[Role, int] = field(default_factory=dict)
    unfiltered: Mapping[Role, tuple[str, ...]] = field(default_factory=dict)
    names: Mapping[Job, tuple[str, ...]] = field(default_factory=dict)
    keeps_nan: bool = False
    trouble: str = ""
    """Why not all of it was told, if so."""

    def shows(self, owners: Iterable[Owner], kind: Shows) -> bool:
        """Whether there is any role of these."""
        wanted, profile = set(owners), self.detected.profile
        return any(
            count > 0 and FACTS[role].owner in wanted and shown_from(role, profile) is kind
            for role, count in self.series.items()
        )


def shown_from(role: Role, profile: MetricProfile) -> Shows:
    """From when an exporter shows a role, by what the role is under the name that the profile has for it."""
    facts = facts_of(role, profile.metrics[role])
    if facts.kind is Kind.LOOK_BACK:
        return Shows.BUSY
    return Shows.ALWAYS if facts.owner in (Owner.WORKER, Owner.NODE) else Shows.TASK


def _beside(owner: Owner) -> frozenset[Owner]:
    """The owners that are there when this one is."""
    return _WITH_A_TASK if owner in _WITH_A_TASK else frozenset({owner})


def job_of(role: Role) -> Job:
    """The scrape job that a role comes from; the same in all profiles."""
    return next(iter(PROFILES.values())).metrics[role].job


JOBS_OF: Mapping[Role, Job] = {role: job_of(role) for role in ROLES}


def roles_asked(needs: Needs) -> tuple[Role, ...]:
    """The roles to ask for: those that are needed, and those whose presence says that a needed one must be there."""
    owners = {owner for role in needs.roles for owner in _beside(FACTS[role].owner)}
    return tuple(role for role in ROLES if FACTS[role].owner in owners)


def metric_answers(environment: LoadedEnvironment, needs: Needs, seen: MetricsSeen, moment: Moment) -> Iterator[Answer]:
    """Of a Prometheus that was asked before the load, or when the canaries had crossed."""
    jobs = list(_job_answers(environment, needs, seen))
    profile = list(_profile_answer(environment, needs, seen))
    if moment is Moment.BEFORE:
        yield from jobs
        yield from profile
    settled = {answer.id for answer in (*jobs, *profile) if answer.refused}
    for role in needs.roles:
        if f"prometheus.jobs.{JOBS_OF[role]}" in settled:
            continue  # it follows from the job's name
        if JOBS_OF[role] is Job.CONNECT and "prometheus.metric_profile" in settled:
            continue
        yield _role_answer(environment, needs, seen, role, moment)


def _job_answers(environment: LoadedEnvironment, needs: Needs, seen: MetricsSeen) -> Iterator[Answer]:
    """A job is asked for where a criterion needs it, or the file names it."""
    jobs = environment.environment.prometheus.jobs
    # All need that of the workers: its `up` says whether any figure is whole.
    wanted = {Job.CONNECT: set(JOBS_OF), Job.NODES: {role for role, job in JOBS_OF.items() if job is Job.NODES}}
    needed = {job.value: needs.of_roles(roles) for job, roles in wanted.items()}
    for key, name in dict(jobs).items():
        id_, needed_by = f"prometheus.jobs.{key}", needed.get(key, ())
        if not needed_by and key not in jobs.model_fields_set:
            continue
        if name in seen.jobs:
            up = seen.jobs[name]
            yield ok(id_, f'job "{shown(name)}" has targets, of which {up:g} can be scraped')
            continue
        yield wrong(
            id_,
            f'Prometheus has no target of job "{shown(name)}" (prometheus.jobs.{key}); its jobs: '
            f"{found(seen.jobs, like=name)}",
            advice=f"correct prometheus.jobs.{key} in {environment.file}, or have it scraped",
            needed_by=needed_by,
        )


def _profile_answer(environment: LoadedEnvironment, needs: Needs, seen: MetricsSeen) -> Iterator[Answer]:
    """A profile that the environment names, where all workers go by another's names."""
    named, id_ = environment.environment.prometheus.metric_profile, "prometheus.metric_profile"
    if not seen.present:
        return
    needed_by = needs.of_roles(role for role in needs.roles if JOBS_OF[role] is Job.CONNECT)
    if named is not None and seen.detected.strangers and not seen.auto.strangers:
        yield wrong(
            id_,
            f"the workers' metrics go by the names of profile {seen.auto.profile.name}, and not by those of {named} "
            "(prometheus.metric_profile)",
            advice=f"leave prometheus.metric_profile out of {environment.file}, or correct it",
            needed_by=needed_by,
        )
    elif seen.detected.strangers:
        yield wrong(
            id_,
            f"{found(seen.detected.strangers, like='')} of the workers' job go by other names than profile "
            f"{seen.detected.profile.name}",
            advice="give all exporters the same configuration; until then no figure of the workers is judged",
            needed_by=(),
        )
    else:
        yield ok(id_, f"metrics go by the names of profile {seen.detected.profile.name}")


def _role_answer(environment: LoadedEnvironment, needs: Needs, seen: MetricsSeen, role: Role, moment: Moment) -> Answer:
    id_, job = f"metric.{role}", environment.environment.prometheus.jobs
    name = seen.detected.profile.metrics[role].name
    if seen.series.get(role, 0) > 0:
        return ok(id_, f"{name} is there, {seen.series[role]} series")
    if role not in seen.series:
        return not_told(id_, f"whether {name} is there: {seen.trouble or 'not asked'}", Moment.CROSSED)
    job_name = job.nodes if JOBS_OF[role] is Job.NODES else job.connect
    if seen.jobs.get(job_name, 0) <= 0:
        return not_told(id_, f'whether {name} is there: no target of job "{shown(job_name)}" can be scraped now')
    if not must_be_there(seen, role, moment):
        return not_told(id_, f"{name} is not there, and need not be yet", Moment.CROSSED)
    there, advice = _instead(seen, role, name)
    return wrong(
        id_,
        f'Prometheus has no {{of}} of ours in job "{shown(job_name)}"; {there}',
        advice=advice.format(file=environment.file)
        + "; or, in a copy of the scenario, make the criteria advisory that need it",
        needed_by=needs.roles[role],
        of=name,
    )


def must_be_there(seen: MetricsSeen, role: Role, moment: Moment) -> bool:
    """Whether a role must have series by now, as things stand in Prometheus."""
    owner, kind = FACTS[role].owner, shown_from(role, seen.detected.profile)
    if kind is Shows.ALWAYS:
        return True
    if kind is Shows.BUSY and not seen.keeps_nan and not seen.shows({owner}, Shows.BUSY):
        return False
    return moment is Moment.CROSSED or seen.shows(_beside(owner), Shows.TASK)


def _instead(seen: MetricsSeen, role: Role, name: str) -> tuple[str, str]:
    """What there is in a role's place, and what to do."""
    metric = seen.detected.profile.metrics[role]
    if (labels := seen.unfiltered.get(role)) and metric.filter in _FILTERED:
        what, advice = _FILTERED[metric.filter]
        return f"it is there for other {what}: {found(labels, like='')}", advice
    names = sorted({*seen.names.get(JOBS_OF[role], ()), *_names_of_workers(seen, role)})
    there = f"names like it: {found(_near(names, name), like=name)}"
    if role in _WITHOUT_RULES:
        return there, "have it scraped by that job, or correct the job's name in {file}"
    return (
        there,
        "give the exporter a rule for it (docs/metric-profiles.md), or correct prometheus.metric_profile in {file}",
    )


def _names_of_workers(seen: MetricsSeen, role: Role) -> Sequence[str]:
    return [name for name, _ in seen.present if "{" not in name] if JOBS_OF[role] is Job.CONNECT else ()


def _near(names: Iterable[str], name: str) -> list[str]:
    """Those that share a word with it which is no word of all of them: the rest of hundreds says nothing."""
    words = set(name.lower().split("_")) - _COMMON_WORDS
    return [one for one in names if words & set(one.lower().split("_"))]


def first_number(result: Sequence[Any]) -> float:
    """The number of an answer that is a vector of one, 0 where it is empty. LookupError, TypeError, ValueError."""
    return float(result[0]["value"][1]) if result else 0.0
