"""The plan of one run: a scenario in an environment, scaled or not, as phases with record counts.

Record i of the run (from 0, across all load phases) is due at the load's start + `due_ns(i)`. Silence lies before the
load's start; drain and watch follow it and have no planned instant, since the drain ends when it is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from scenarios import environment as environments
from scenarios import scenario as scenarios
from scenarios.environment import Environment, LoadedEnvironment
from scenarios.errors import Problem, Refused, SpecError
from scenarios.profile import Profile
from scenarios.scenario import LoadedScenario, LoadPhase, Scenario

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
    def record_count(self) -> int:
        return self.loads[-1].end_record

    @property
    def load_duration_s(self) -> float:
        return self.loads[-1].end_s

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
        return around_s + self.load_duration_s

    def records_per_s(self, at_s: float) -> float:
        """The wanted rate at an instant of the load's clock."""
        return sum(load.profile.records_per_s(at_s - load.start_s) for load in self.loads)

    def records_by(self, at_s: float) -> float:
        """How many records are wanted by an instant of the load's clock."""
        return sum(load.profile.records_by(at_s - load.start_s) for load in self.loads if at_s > load.start_s)

    def load_at(self, at_s: float) -> PlannedLoad | None:
        """The load phase of an instant of the load's clock."""
        return next((load for load in self.loads if load.start_s <= at_s < load.end_s), None)

    def due_ns(self, load: PlannedLoad, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Due instants on the load's clock of records of one load phase, given by their indices in the run."""
        due_s = load.start_s + load.profile.due_s(indices - load.first_record)
        return np.rint(due_s * NS_PER_S).astype(np.int64)


def parse_rehearsal(text: str) -> Fraction:
    """The text "1/30" → the factor on the load's durations. SpecError unless 0 < factor ≤ 1."""
    try:
        # Not "1e-999999999", which Fraction would write out.
        factor = Fraction(text) if set(text) <= _REHEARSAL_CHARACTERS else Fraction(0)
    except (ValueError, ZeroDivisionError):
        factor = Fraction(0)
    if not 0 < factor <= 1:
        message = f"{text!r} is not a share of the load's durations; write it as in 1/30"
        raise SpecError([Problem(file="--rehearsal", key="", message=message)])
    return factor


def load_plan(scenario: str, environment: str, *, rehearsal: str = "1") -> RunPlan:
    """Reads both files and makes the plan; SpecError lists the problems of both, Refused the ceilings it would pass."""
    problems: list[Problem] = []
    loaded_environment: LoadedEnvironment | None = None
    factor = Fraction(1)
    try:
        factor = parse_rehearsal(rehearsal)
    except SpecError as error:
        problems += error.problems
    try:
        loaded_environment = environments.load(environment)
    except SpecError as error:
        problems += error.problems
    try:
        where = loaded_environment.environment if loaded_environment else None
        loaded_scenario = scenarios.load(scenario, environment=where)
    except SpecError as error:
        raise SpecError([*problems, *error.problems]) from None
    if problems or loaded_environment is None:
        raise SpecError(problems)
    return make_plan(loaded_scenario, loaded_environment, rehearsal=factor)


def make_plan(scenario: LoadedScenario, environment: LoadedEnvironment, *, rehearsal: Fraction) -> RunPlan:
    """The plan; Refused when it would pass a ceiling of the environment, with all that it would pass."""
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
    problems = _above_ceilings(plan)
    if problems:
        raise Refused("\n".join(map(str, problems)))
    return plan


def _loads(phases: tuple[LoadPhase, ...], rehearsal: Fraction) -> tuple[PlannedLoad, ...]:
    loads: list[PlannedLoad] = []
    for phase in phases:
        before = loads[-1] if loads else None
        loads.append(
            PlannedLoad(
                name=phase.name,
                start_s=before.end_s if before else 0.0,
                profile=phase.load(float(rehearsal)),
                first_record=before.end_record if before else 0,
            )
        )
    return tuple(loads)


def _above_ceilings(plan: RunPlan) -> list[Problem]:
    ceilings, value_bytes = plan.environment.ceilings, plan.scenario.payload.bytes
    peak_per_s = max(load.profile.peak_per_s for load in plan.loads)
    wanted = (
        ("records_per_s", peak_per_s, ceilings.records_per_s, "records/s"),
        ("bytes_per_s", peak_per_s * value_bytes, ceilings.bytes_per_s, "B/s"),
        ("total_bytes", plan.payload_bytes, ceilings.total_bytes, "B"),
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
