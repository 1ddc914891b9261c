"""The plan of one run: a scenario in an environment, scaled or not, as phases with record counts.

Record i of the run (from 0, across all load phases) is due at the load's start + `due_ns(i)`. Silence lies before the
load's start; drain and watch follow it and have no planned instant, since the drain ends when it is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from scenarios import environment as environments
from scenarios import scenario as scenarios
from scenarios.environment import Environment, LoadedEnvironment
from scenarios.errors import Problem, Refused, SpecError
from scenarios.phases import LoadPhase, Step
from scenarios.profile import Profile
from scenarios.scenario import LoadedScenario, Scenario
from scenarios.units import LONGEST_TEXT, shown
from scenarios.variables import OPTION, parse_settings, resolved

NS_PER_S = 1_000_000_000
#: MM2 needs one refresh to find a new topic and up to another to start on it.
CANARY_PATIENCE_S = 60.0
_REHEARSAL_CHARACTERS = frozenset("0123456789./ ")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLoad:
    """One load phase: where it starts on the load's clock, and which records of the run are its own."""

    name: str
    start_s: float
    profile: Profile
    first_record: int

    @property
    def end_s(self) -> float:
        return self.start_s + self.profile.duration_s

    @property
    def end_record(self) -> int:
        return self.first_record + self.profile.record_count


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTopic:
    """A source topic, its mirror's name on the target, and its number of partitions."""

    source: str
    remote: str
    partitions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """All that every node of a run must agree on."""

    loaded_scenario: LoadedScenario
    loaded_environment: LoadedEnvironment
    rehearsal: Fraction
    loads: tuple[PlannedLoad, ...]
    topics: tuple[PlannedTopic, ...]

    @property
    def scenario(self) -> Scenario:
        return self.loaded_scenario.scenario

    @property
    def environment(self) -> Environment:
        return self.loaded_environment.environment

    @property
    def ladder(self) -> tuple[Step, ...]:
        """The steps of a staircase, one for each load; empty for any other load."""
        staircase = self.scenario.staircase
        return staircase.ladder() if staircase is not None else ()

    @property
    def expected(self) -> tuple[PlannedLoad, ...]:
        """The loads that are played if all goes well: all of them, or a staircase's ramp and the top once more."""
        if not self.ladder:
            return self.loads
        steps = list(zip(self.ladder, self.loads, strict=True))
        first = [load for step, load in steps if step.kind in ("warm", "ramp")]
        top = max((step for step in self.ladder if step.kind == "ramp"), key=lambda step: step.rate_per_s)
        again = [load for step, load in steps if step.kind == "confirm" and step.rate_per_s == top.rate_per_s]
        return tuple(_one_after_another([*first, *again], gap_s=self.rest_s))

    @property
    def rest_s(self) -> float:
        """What lies between two loads: a staircase's rest, which a rehearsal does not scale."""
        return self.scenario.staircase.rest if self.scenario.staircase is not None else 0.0

    @property
    def record_count(self) -> int:
        return sum(load.profile.record_count for load in self.expected)

    @property
    def load_duration_s(self) -> float:
        return self.expected[-1].end_s + self.rest_s

    @property
    def payload_bytes(self) -> int:
        return self.record_count * self.scenario.payload.bytes

    @property
    def is_rehearsal(self) -> bool:
        return self.rehearsal != 1

    @property
    def canary_patience_s(self) -> float:
        """How long the canaries are awaited before the load starts all the same."""
        chosen = self.scenario.canary.patience
        return (
            chosen if chosen is not None else max(CANARY_PATIENCE_S, 2 * self.environment.mm2.refresh_topics_interval)
        )

    @property
    def longest_s(self) -> float:
        """The most that the run can take, canary and drain at their limits."""
        scenario = self.scenario
        around_s = self.canary_patience_s + scenario.silence_s + scenario.drain.cap + scenario.watch_s
        if not self.ladder:
            return around_s + self.load_duration_s
        return around_s + sum(load.profile.duration_s + self.rest_s for load in self._at_most)

    @property
    def most_records(self) -> int:
        """The most records that the run can send."""
        return sum(load.profile.record_count for load in self._at_most)

    @property
    def _at_most(self) -> tuple[PlannedLoad, ...]:
        """What a run may come to: of a staircase, the ramp, one gap's finer steps, and every confirmation of those."""
        if not self.ladder:
            return self.loads
        staircase = self.scenario.staircase
        finer_most = staircase.finer if staircase is not None else 0
        kinds: dict[str, list[PlannedLoad]] = {"warm": [], "ramp": [], "finer": [], "confirm": []}
        for step, load in zip(self.ladder, self.loads, strict=True):
            kinds[step.kind].append(load)
        finer, again = (sorted(kinds[kind], key=lambda load: -load.profile.peak_per_s) for kind in ("finer", "confirm"))
        return (*kinds["warm"], *kinds["ramp"], *finer[:finer_most], *again[: len(kinds["ramp"]) + finer_most])

    def records_per_s(self, at_s: float, loads: Sequence[PlannedLoad] | None = None) -> float:
        """The wanted rate at an instant of the load's clock; `loads` as they are really played, where that differs."""
        loads = self.loads if loads is None else loads
        return sum(load.profile.records_per_s(at_s - load.start_s) for load in loads)

    def records_by(self, at_s: float, loads: Sequence[PlannedLoad] | None = None) -> float:
        """How many records are wanted by an instant of the load's clock."""
        loads = self.loads if loads is None else loads
        return sum(load.profile.records_by(at_s - load.start_s) for load in loads if at_s > load.start_s)

    def due_ns(self, load: PlannedLoad, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Due instants on the load's clock of records of one load phase, given by their indices in the run."""
        due_s = load.start_s + load.profile.due_s(indices - load.first_record)
        return np.rint(due_s * NS_PER_S).astype(np.int64)


def parse_rehearsal(text: str) -> Fraction:
    """The text "1/30" → the factor on the load's durations. SpecError unless 0 < factor ≤ 1."""
    try:
        # Not "1e-999999999", which Fraction would write out.
        factor = Fraction(text) if len(text) <= LONGEST_TEXT and set(text) <= _REHEARSAL_CHARACTERS else Fraction(0)
    except (ValueError, ZeroDivisionError):
        factor = Fraction(0)
    if not 0 < factor <= 1:
        message = f"{shown(text)} is not a share of the load's durations; write it as in 1/30"
        raise SpecError([Problem(file="--rehearsal", key="", message=message)])
    return factor


def load_plan(scenario: str, environment: str, *, rehearsal: str = "1", settings: str = "") -> RunPlan:
    """Reads both files and makes the plan; SpecError lists the problems of both, Refused the ceilings it would pass.

    `settings` are values for the scenario's variables, as in "capacity=7000/s".
    """
    problems: list[Problem] = []
    values: dict[str, str] = {}
    loaded_environment: LoadedEnvironment | None = None
    factor = Fraction(1)
    try:
        factor = parse_rehearsal(rehearsal)
    except SpecError as error:
        problems += error.problems
    try:
        values = resolved(parse_settings(settings), rehearsed=factor != 1)
    except SpecError as error:
        problems += error.problems
    try:
        loaded_environment = environments.load(environment)
    except SpecError as error:
        problems += error.problems
    try:
        where = loaded_environment.environment if loaded_environment else None
        loaded_scenario = scenarios.load(scenario, environment=where, settings=values)
    except SpecError as error:
        raise SpecError([*problems, *error.problems]) from None
    if problems or loaded_environment is None:
        raise SpecError(problems)
    return make_plan(loaded_scenario, loaded_environment, rehearsal=factor)


def make_plan(scenario: LoadedScenario, environment: LoadedEnvironment, *, rehearsal: Fraction) -> RunPlan:
    """The plan; Refused when it would pass a ceiling of the environment, with all that it would pass.

    SpecError when the scenario leaves something open, or its conditions overlap at this plan's size.
    """
    if scenario.unset:
        raise SpecError(_open_variables(scenario))
    topics = scenario.scenario.topics
    rules = environment.environment.topics
    plan = RunPlan(
        loaded_scenario=scenario,
        loaded_environment=environment,
        rehearsal=rehearsal,
        loads=_loads(scenario.scenario.load_phases, rehearsal),
        topics=tuple(
            PlannedTopic(source=name, remote=rules.remote(name), partitions=topics.partitions)
            for name in topics.names(rules.prefix)
        ),
    )
    overlaps = _overlaps(plan)
    if overlaps:
        raise SpecError(overlaps)
    problems = _above_ceilings(plan)
    if problems:
        raise Refused("\n".join(map(str, problems)))
    return plan


def _open_variables(scenario: LoadedScenario) -> list[Problem]:
    declared = scenario.scenario.variables
    hint = " (without, `mm2gate run` plays all of its variants)" if scenario.scenario.variants else ""
    return [
        Problem(
            file=scenario.file,
            key="",
            message=f"needs {name}: {declared[name].meaning}; give {OPTION} {name}={declared[name].example}, say{hint}",
        )
        for name in scenario.unset
    ]


def _overlaps(plan: RunPlan) -> list[Problem]:
    """Criteria of which a condition on the plan and a literal one overlap at the plan's own size."""
    records = {load.name: load.profile.record_count for load in plan.loads}
    found = []
    for criterion in plan.scenario.criteria:
        if criterion.needs_baseline:
            continue
        size = plan.record_count if criterion.phase is None else records[criterion.phase]
        if problem := criterion.overlap(plan_records=size):
            message = f"{criterion.id}: of the plan's {size:,} records {problem}"
            found.append(Problem(file=plan.loaded_scenario.file, key="criteria", message=message))
    return found


def _loads(phases: tuple[LoadPhase, ...], rehearsal: Fraction) -> tuple[PlannedLoad, ...]:
    loads: list[PlannedLoad] = []
    for phase in phases:
        for name, profile in phase.loads(float(rehearsal)):
            before = loads[-1] if loads else None
            loads.append(
                PlannedLoad(
                    name=name,
                    start_s=before.end_s if before else 0.0,
                    profile=profile,
                    first_record=before.end_record if before else 0,
                )
            )
    return tuple(loads)


def _one_after_another(loads: Sequence[PlannedLoad], *, gap_s: float) -> Iterator[PlannedLoad]:
    start_s = 0.0
    for load in loads:
        yield replace(load, start_s=start_s)
        start_s += load.profile.duration_s + gap_s


def _above_ceilings(plan: RunPlan) -> list[Problem]:
    ceilings, value_bytes = plan.environment.ceilings, plan.scenario.payload.bytes
    peak_per_s = max(load.profile.peak_per_s for load in plan.loads)
    wanted = (
        ("records_per_s", peak_per_s, ceilings.records_per_s, "records/s"),
        ("bytes_per_s", peak_per_s * value_bytes, ceilings.bytes_per_s, "B/s"),
        ("total_bytes", plan.most_records * value_bytes, ceilings.total_bytes, "B"),
        ("duration", plan.longest_s, ceilings.duration, "s"),
    )
    return [
        Problem(
            file=str(plan.loaded_environment.file),
            key=f"ceilings.{key}",
            message=f"{plan.scenario.name} wants {value:,.0f} {unit}, above this ceiling of {limit:,.0f} {unit}",
        )
        for key, value, limit, unit in wanted
        if value > limit
    ]
