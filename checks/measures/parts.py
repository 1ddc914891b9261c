"""Which parts of a metric must be there, each by itself: the points of one would hide that another is silent.

Who owns a role's series is declared (checks/role_facts.py). Which owners there must be is told by others than the
metric: workers and tasks by Connect and by whatever else shows them, partitions by the plan. A part may have several
series, since tasks and partitions move from worker to worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from checks.measurement import Window
from checks.measures.registry import Run
from checks.measures.who import Workers, host_of, source_tasks
from checks.metric_profiles import MetricProfile
from checks.metric_roles import Role
from checks.role_facts import FACTS, Owner, RoleFacts
from checks.series import Series
from checks.spans import Spans

Key = tuple[str, ...]
TASK_ROLES = tuple(role for role, facts in FACTS.items() if facts.owner is Owner.TASK)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """What must be covered by itself: its series (none if nobody shows it), and when it must be known."""

    where: str
    key: Key
    series: tuple[Series, ...]
    needed: Spans


def labels_of(profile: MetricProfile, owner: Owner) -> tuple[str, ...]:
    """The labels that name an owner."""
    return {
        Owner.TASK: (profile.connector_label, profile.task_label),
        Owner.PRODUCER: (profile.client_label,),
        Owner.PARTITION: (profile.topic_label, profile.partition_label),
    }.get(owner, ("instance",))


def key_of(profile: MetricProfile, facts: RoleFacts, one: Series) -> Key:
    """Whose a series is, and so what it measures. A node goes by its host, and by what its exporter has several of."""
    if facts.owner is Owner.NODE:
        return (host_of(one.label("instance")), *(one.label(name) for name in facts.finer))
    return tuple(one.label(name) for name in labels_of(profile, facts.owner))


def where_of(profile: MetricProfile, facts: RoleFacts, key: Key) -> str:
    """A part's name for a sentence."""
    if facts.owner in (Owner.WORKER, Owner.TASKED_WORKER, Owner.NODE):
        return " ".join(key)
    return ", ".join(f"{name}={value}" for name, value in zip(labels_of(profile, facts.owner), key, strict=True))


def parts_of(
    run: Run, role: Role, facts: RoleFacts, series: Sequence[Series], workers: Workers, window: Window, *, near_s: float
) -> tuple[Part, ...]:
    """The parts of a role over a window: all that must be there, and all that were seen in it or shortly before it,
    `near_s` at most. What is the plan's is told by the plan alone."""
    profile = run.evidence.profile
    there = [one for one in series if _near(one.times_s, window, near_s)]
    groups: dict[Key, list[Series]] = {key: [] for key in sorted(_expected(run, role, facts, workers, there))}
    planned = facts.owner is Owner.PARTITION
    for one in series:
        key = key_of(profile, facts, one)
        if key in groups or (not planned and any(one is other for other in there)):
            groups.setdefault(key, []).append(one)
    if not planned:
        for key in _seen_elsewhere(run, facts, window, near_s):
            groups.setdefault(key, [])
    return tuple(
        Part(
            where=where_of(profile, facts, key),
            key=key,
            series=tuple(group),
            needed=_needed(run, facts, key, window, series),
        )
        for key, group in sorted(groups.items())
    )


def is_there(part: Part, window: Window, *, near_s: float) -> bool:
    """Whether a part shows anything in a window, or shortly before it."""
    return any(_near(one.times_s, window, near_s) for one in part.series)


def handed_over(part: Part) -> Spans:
    """When a part must be known, without the time in which it had left one worker and was not on the next one yet: its
    counter there is gone, and says that it ended."""
    needed = part.needed
    known = [(one, one.known()) for one in part.series]
    spans = sorted(
        (float(k.times_s[0]), float(k.times_s[-1]), one.label("instance")) for one, k in known if len(k.times_s)
    )
    for (_, left_s, before), (came_s, _, after) in pairwise(spans):
        if before != after and came_s > left_s:
            needed = needed.without(left_s, came_s)
    return needed


def shows_before(run: Run, role: Role, one: Series, at_s: float) -> bool:
    """Whether anything shows that a series' owner was at its worker by an instant: then so was the series."""
    profile, facts = run.evidence.profile, FACTS[role]
    if len(one.times_s) and one.times_s[0] <= at_s:
        return True
    roles, owner = [other for other, its in FACTS.items() if its.owner is facts.owner], facts.owner
    if owner is Owner.NODE:  # a network device may be new on an old node: only its own other counters tell
        roles = [role]
    elif owner is Owner.TASKED_WORKER:  # it shows its tasks' states from the first task on
        roles, owner = [*TASK_ROLES], Owner.WORKER

    def same(other: Series) -> bool:
        if owner is Owner.NODE:
            return other.label("device") == one.label("device")
        names = labels_of(profile, owner)
        return all(other.label(name) == one.label(name) for name in names)

    return any(
        shown.first_s <= at_s and shown.series.label("instance") == one.label("instance") and same(shown.series)
        for other in roles
        for shown in run.evidence.shown(other)
    )


def _near(times_s: np.ndarray[tuple[int], np.dtype[np.float64]], window: Window, near_s: float) -> bool:
    return bool(((times_s >= window.start_s - near_s) & (times_s <= window.end_s)).any())


def _expected(run: Run, role: Role, facts: RoleFacts, workers: Workers, series: Sequence[Series]) -> Iterable[Key]:
    source = run.environment.connect.connectors.source
    match facts.owner:
        case Owner.WORKER:
            return {(instance,) for instance in workers.instances}
        case Owner.NODE:
            return _expected_nodes(run, role, facts, workers, series)
        case Owner.TASK:
            return {(source, str(task.number)) for task in source_tasks(run)}
        case Owner.PRODUCER:
            return {(client_of(source, str(task.number)),) for task in source_tasks(run)}
        case Owner.PARTITION:
            topics = run.record.manifest.topics
            return {(topic.remote, str(number)) for topic in topics for number in range(topic.partitions)}
        case Owner.TASKED_WORKER:
            return {(instance,) for instance in _instances_with_tasks(run)}


def _expected_nodes(run: Run, role: Role, facts: RoleFacts, workers: Workers, series: Sequence[Series]) -> set[Key]:
    """Every host; of what it has several of, each under every name of the metric. How many processors or devices it
    has is told by nobody but the metric."""
    seen = {host_of(one.label("instance")) for one in series}
    silent: set[Key] = {(host,) for host in workers.hosts - seen}
    if "__name__" not in facts.finer:
        return silent if facts.finer else {(host,) for host in workers.hosts}
    names = run.evidence.profile.metrics[role].names
    devices = {(host_of(one.label("instance")), one.label("device")) for one in series}
    return silent | {(host, name, device) for host, device in devices for name in names}


def client_of(connector: str, task: str) -> str:
    """Connect's own client id of a task's producer."""
    return f"connector-producer-{connector}-{task}"


def _instances_with_tasks(run: Run) -> set[str]:
    return {shown.series.label("instance") for role in TASK_ROLES for shown in run.evidence.shown(role)}


def _seen_elsewhere(run: Run, facts: RoleFacts, window: Window, near_s: float) -> set[Key]:
    """Tasks, and their producers, that other metrics of tasks show in the window."""
    if facts.owner not in (Owner.TASK, Owner.PRODUCER):
        return set()
    names = labels_of(run.evidence.profile, Owner.TASK)
    tasks = {
        tuple(shown.series.label(name) for name in names)
        for role in TASK_ROLES
        for shown in run.evidence.shown(role)
        if shown.first_s <= window.end_s and shown.last_s >= window.start_s - near_s
    }
    return tasks if facts.owner is Owner.TASK else {(client_of(*task),) for task in tasks}


def _needed(run: Run, facts: RoleFacts, key: Key, window: Window, series: Sequence[Series]) -> Spans:
    whole = Spans.whole(window.start_s, window.end_s)
    if "device" in facts.finer:
        return _since_plugged_in(facts, key, window, series)
    if facts.owner is not Owner.TASKED_WORKER:
        return whole
    shown = [shown for role in TASK_ROLES for shown in run.evidence.shown(role)]
    if not shown:
        return whole
    here = [one for one in shown if one.series.label("instance") == key[0]]
    return Spans.union(
        np.array([one.first_s for one in here]),
        np.array([one.last_s for one in here]),
        start_s=window.start_s,
        end_s=window.end_s,
    )


def _since_plugged_in(facts: RoleFacts, key: Key, window: Window, series: Sequence[Series]) -> Spans:
    """From the first sight of a network device, under any name, on: containers bring theirs along."""
    where = [key[0], *key[1:][facts.finer.index("device") :][:1]]
    first_s = [
        float(one.times_s[0])
        for one in series
        if len(one.times_s) and [host_of(one.label("instance")), one.label("device")] == where
    ]
    return Spans.whole(max([window.start_s, *([min(first_s)] if first_s else [])]), window.end_s)
