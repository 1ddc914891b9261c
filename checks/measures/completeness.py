"""What speaks against the series of a role, the gravest first: what is missing of them, and what cannot be.

In this order: the answer came whole and without warnings; Prometheus as a whole can be believed
(checks/measures/scrape_guards.py); there are series; no number is one that the role cannot show; every worker's
exporter was scraped for at least 90 % of the window, from its start to its end; so was every part that must be there
(checks/measures/parts.py), with numbers, but for look-back gauges that are idle (checks/measures/activity.py); no two
series count the same thing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from checks.evidence import Metric
from checks.measurement import Window
from checks.measures.activity import active_spans, by_owner
from checks.measures.parts import Key, Part, handed_over, is_there, key_of, parts_of
from checks.measures.registry import Run
from checks.measures.scrape_guards import typical_interval_s, whole_objection
from checks.measures.tolerances import COVERAGE_LEAST, FRESH_SCRAPES, HOLE_LONGEST_S, PATIENCE_SCRAPES
from checks.measures.who import Workers, host_of, workers_of
from checks.metric_profiles import Role
from checks.reasons import Code, Reason
from checks.role_facts import Activity, Owner, RoleFacts, facts_of
from checks.series import Floats, Series, instants
from checks.spans import Spans, vouched
from checks.windows import Windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why a role's series cannot be used, and the metric that says so: its own, or the counter beside a gauge."""

    reason: Reason
    metric: Metric


@dataclass(slots=True, kw_only=True)
class Look:
    """One look at a role's series over a window.

    `counter`: a counter that is read from its two ends. `any_topic`: of every topic inside the prefix, and of the
    plan's only those that are there must be there whole. `parts` and `coverage` are known once `objection` has looked.
    """

    run: Run
    role: Role
    windows: Windows
    window: Window
    counter: bool
    any_topic: bool
    facts: RoleFacts
    metric: Metric
    workers: Workers
    series: tuple[Series, ...]
    interval_s: float
    parts: tuple[Part, ...] = ()
    coverage: float = 1.0

    @classmethod
    def at(
        cls, run: Run, role: Role, windows: Windows, window: Window, *, counter: bool, any_topic: bool = False
    ) -> Look:
        facts = facts_of(role, run.evidence.profile.metrics.get(role))
        workers, metric = workers_of(run), run.evidence.metric(role)
        counts = _counts(run, facts, workers, any_topic=any_topic)
        return cls(
            run=run,
            role=role,
            windows=windows,
            window=window,
            counter=counter,
            any_topic=any_topic,
            facts=facts,
            metric=metric,
            workers=workers,
            series=tuple(one for one in metric.series if counts(one)),
            # Who scrapes more often than the environment says is held to that.
            interval_s=min(windows.scrape_s, typical_interval_s(run) or windows.scrape_s),
        )

    def objection(self) -> Objection | None:
        """The gravest; None when nothing speaks against them."""
        found = next(self._objections(), None)
        return Objection(reason=found, metric=self.metric) if isinstance(found, Reason) else found

    def _objections(self) -> Iterator[Reason | Objection]:
        up = self.run.evidence.metric(Role.UP)
        yield from _if_any(self.metric.trouble, up.trouble, whole_objection(self.run, self.windows, self.role))
        if not up.series:
            yield Reason.of(Code.NO_SCRAPES, query=up.query)
        if not self._within(self.series):
            yield Reason.of(Code.NO_SERIES, query=self.metric.query)
        yield from _if_any(self._value_objection())
        yield from _if_any(self._exporter_objection(up))
        self._take_apart()
        yield from _if_any(self._missing_objection(), self._open_end())
        if self.facts.activity is None:
            needs = [handed_over(part) if self.counter else part.needed for part in self.parts]
            yield from _if_any(self._uncovered(self._numbers(needs)))
        else:
            yield from self._look_back_objections(self.facts.activity)
        if not self.any_topic:  # what is counted by name is counted once
            yield from _if_any(self._twin_objection())

    @property
    def _near_s(self) -> float:
        """A part that was there so long before the window is there."""
        return PATIENCE_SCRAPES * self.windows.scrape_s

    def _within(self, series: Sequence[Series]) -> list[Series]:
        """Series with points in the window."""
        start_s, end_s = self.window.start_s, self.window.end_s
        return [one for one in series if len(one.between(start_s, end_s).times_s)]

    def _value_objection(self) -> Reason | None:
        """A number that the role cannot show, in the window or so near it that it may be used; or none at all."""
        start_s, end_s = self.window.start_s - self._near_s, self.window.end_s + self._near_s
        values = np.concatenate([one.between(start_s, end_s).values for one in self.series])
        values = values[~np.isnan(values)]
        if np.isinf(values).any():
            return Reason.of(Code.NOT_FINITE)
        if low := int((values < self.facts.least).sum()):
            if self.facts.below is not Code.OUT_OF_RANGE:
                return Reason.of(self.facts.below, count=low)
            return Reason.of(Code.OUT_OF_RANGE, value=float(values.min()), limit=self.facts.least)
        if self.facts.most is not None and (values > self.facts.most).any():
            return Reason.of(Code.OUT_OF_RANGE, value=float(values.max()), limit=self.facts.most)
        if not self._within([one.known() for one in self.series]):
            return Reason.of(Code.ONLY_NAN, series=len(self.series))
        return None

    def _exporter_objection(self, up: Metric) -> Reason | None:
        """Each worker's exporter must have answered. Who is none is not asked; where that cannot be told, all are."""
        answered: dict[str, list[Series]] = {instance: [] for instance in sorted(self.workers.instances)}
        told = bool(answered)
        for one in up.series:
            if one.label("instance") in answered or not told:
                answered.setdefault(one.label("instance"), []).append(_where_up(one))
        whole = Spans.whole(self.window.start_s, self.window.end_s)
        return self._uncovered(
            [_Check(where=name, times_s=instants(its), needed=whole) for name, its in answered.items()]
        )

    def _take_apart(self) -> None:
        parts = parts_of(self.run, self.role, self.facts, self.series, self.workers, self.window, near_s=self._near_s)
        if self.any_topic:
            seen = {part.key[0] for part in parts if self._there(part)}
            parts = tuple(part for part in parts if part.key[0] in seen)
        self.parts = parts

    def _there(self, part: Part) -> bool:
        return is_there(part, self.window, near_s=self._near_s)

    def _missing_objection(self) -> Reason | None:
        missing = [part for part in self.parts if not self._there(part)]
        if not missing:
            return None
        if self.facts.owner is Owner.PARTITION:
            example = "-".join(missing[0].key)
            return Reason.of(Code.PARTITIONS_MISSING, missing=len(missing), planned=len(self.parts), example=example)
        if self.facts.owner in (Owner.TASK, Owner.PRODUCER):
            return Reason.of(Code.TASKS_MISSING, missing=len(missing), known=len(self.parts), example=missing[0].where)
        return None

    def _open_end(self) -> Reason | None:
        """A counter's growth ends with a scrape at the window's end or after it."""
        last_s = max(float(known.times_s[-1]) for one in self.series if len((known := one.known()).times_s))
        if not self.counter or last_s >= self.window.end_s:
            return None
        return Reason.of(Code.STALE, age_s=self.window.end_s - last_s, where="metric")

    def _numbers(self, needs: Sequence[Spans]) -> list[_Check]:
        """The numbers of each part, and when they are needed."""
        return [
            _Check(
                where=part.where,
                times_s=instants([one.known() for one in part.series]),
                needed=needed,
                silent=self._says_nothing(part),
            )
            for part, needed in zip(self.parts, needs, strict=True)
        ]

    def _says_nothing(self, part: Part) -> bool:
        """There in the window, and never with a number."""
        within = self._within(part.series)
        return bool(within) and all(np.isnan(one.values).all() for one in within)

    def _look_back_objections(self, activity: Activity) -> Iterator[Reason | Objection]:
        """Each part must be there all the time, and show a number while its counter says that it has something to."""
        beside = Look.at(self.run, activity.counter, self.windows, self.window, counter=False)
        if (objection := beside.objection()) is not None:
            yield objection
        active = active_spans(self.parts, by_owner(self.facts.owner, beside.parts), self.window)
        flush_s = self.run.environment.connect.offset_flush_interval if activity.flushed else 0.0
        there = [_Check(where=part.where, times_s=instants(part.series), needed=part.needed) for part in self.parts]
        absence = self._uncovered(there)
        silence = self._uncovered(self._numbers(active), apart_s=self.interval_s + flush_s)
        if silence is None and not _any_nan(self.metric.series) and all(self._uncovered([one]) for one in there):
            # All of them stop when they have nothing to say, and none ever says NaN.
            absence = Reason.of(Code.NAN_NOT_KEPT, query=self.metric.query)
        yield from _if_any(absence, silence)

    def _uncovered(self, checks: Sequence[_Check], *, apart_s: float | None = None) -> Reason | None:
        """What the points do not vouch for, the least covered first. `apart_s`: they may be so far apart, and need
        neither open nor close what is looked at."""
        interval_s = self.interval_s if apart_s is None else apart_s
        found = [(vouched(one.times_s, one.needed, interval_s=interval_s), one) for one in checks]
        if not found:
            return None
        least, check = min(found, key=lambda pair: (pair[0].share, pair[1].where))
        self.coverage = min(self.coverage, least.share)
        if least.share < COVERAGE_LEAST:
            return Reason.of(Code.ONLY_NAN, series=1) if check.silent else self._low(check, least.share, interval_s)
        fresh_s, longest_s = FRESH_SCRAPES * interval_s, max(HOLE_LONGEST_S, PATIENCE_SCRAPES * interval_s)
        for each, one in found:
            if apart_s is None and each.late_s > fresh_s:
                return Reason.of(Code.STARTS_LATE, late_s=each.late_s, where=one.where)
            if apart_s is None and each.stale_s > fresh_s:
                return Reason.of(Code.STALE, age_s=each.stale_s, where=one.where)
            if not self.counter and each.hole_s > longest_s:
                return Reason.of(Code.HOLE, hole_s=each.hole_s, longest_s=longest_s, where=one.where)
        return None

    def _low(self, check: _Check, share: float, interval_s: float) -> Reason:
        inside = (check.times_s >= self.window.start_s) & (check.times_s <= self.window.end_s)
        return Reason.of(
            Code.LOW_COVERAGE,
            percent=100 * share,
            wanted=100 * COVERAGE_LEAST,
            points=int(inside.sum()),
            interval_s=interval_s,
            where=check.where,
        )

    def _twin_objection(self) -> Reason | None:
        """Two series of the same at the same time, for longer than a task takes to move."""
        profile = self.run.evidence.profile
        groups: dict[Key, list[tuple[float, float]]] = defaultdict(list)
        for one in self.series:
            if len(one.times_s):
                key = key_of(profile, self.facts, one)
                groups[key].append((float(one.times_s[0]), float(one.times_s[-1])))
        for key in sorted(groups):
            for (_, before_end), (after_start, after_end) in pairwise(sorted(groups[key])):
                if min(before_end, after_end) - after_start > self._near_s:
                    where = {part.key: part.where for part in self.parts}
                    return Reason.of(Code.TWIN_SERIES, what=where.get(key, " ".join(key)))
        return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Check:
    """Instants that must vouch for spans. `silent`: points are there, and none is a number."""

    where: str
    times_s: Floats
    needed: Spans
    silent: bool = False


def _if_any(*found: Reason | None) -> Iterator[Reason]:
    yield from (one for one in found if one is not None)


def _where_up(one: Series) -> Series:
    """The scrapes that succeeded."""
    up = one.values == 1.0
    return Series(labels=one.labels, times_s=one.times_s[up], values=one.values[up])


def _any_nan(series: Sequence[Series]) -> bool:
    return any(bool(np.isnan(one.values).any()) for one in series)


def _counts(run: Run, facts: RoleFacts, workers: Workers, *, any_topic: bool) -> Callable[[Series], bool]:
    """Whether a series is of what is looked at: of our workers, their nodes, the plan's mirrors."""
    if facts.owner is Owner.WORKER:
        return lambda one: one.label("instance") in workers.instances
    if facts.owner is Owner.NODE:
        return lambda one: host_of(one.label("instance")) in workers.hosts
    if facts.owner is Owner.PARTITION and not any_topic:
        return ours(run)
    return lambda _: True


def ours(run: Run) -> Callable[[Series], bool]:
    """Whether a mirror metric's series is of a topic of the plan."""
    label = run.evidence.profile.topic_label
    remotes = {topic.remote for topic in run.record.manifest.topics}
    return lambda series: series.label(label) in remotes
