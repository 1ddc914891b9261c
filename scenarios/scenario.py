"""A scenario: a question, the load that asks it (topics, payload, phases) and the criteria that answer it.

Phases come in one order: silence, load phases, drain, watch. Silence, drain and watch are stretches of time around the
load that the measurements need, so a rehearsal never scales them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo, model_validator

from scenarios import profile
from scenarios.conditions import Condition, parse_condition
from scenarios.environment import Environment
from scenarios.errors import Problem, SpecError
from scenarios.measures import MEASURES, MeasureSpec
from scenarios.profile import Profile
from scenarios.units import UNITS, DurationS, RatePerS, SizeBytes
from scenarios.yaml_file import Problems, StrictModel, parse, read_text

LIBRARY = resources.files("scenarios") / "library"
#: MM2's -avg and -max gauges look back over two Kafka metric windows of 30 s; one scrape more makes 65.
LOOK_BACK_SILENCE_S = 65.0
LOOK_BACK_WATCH_S = 60.0
SMALLEST_PAYLOAD_BYTES = 100
#: Stretches of every run that are no phase of the file.
RESERVED_NAMES = frozenset({"prepare", "canary"})


def _condition(value: Any) -> Condition:
    return parse_condition(value)


ConditionText = Annotated[
    Condition, BeforeValidator(_condition, json_schema_input_type=str), PlainSerializer(lambda c: c.text)
]


class TopicPlan(StrictModel):
    """Which source topics are written: `count` of them, named by `name` with {prefix} and {n} filled in."""

    name: str = "{prefix}generated-data-{n:02d}.json"
    count: int = Field(1, ge=1, le=1000)
    partitions: int = Field(12, ge=1, le=10_000)
    retention: DurationS = 86_400.0

    @model_validator(mode="after")
    def _name_can_be_filled(self) -> Self:
        try:
            names = set(self.names("p."))
        except (KeyError, ValueError, IndexError, AttributeError):
            raise ValueError(f"name: {self.name!r} may use only {{prefix}} and {{n}} (or {{n:02d}})") from None
        if len(names) != self.count:
            raise ValueError(f"name: {self.name!r} gives {len(names)} names for {self.count} topics; use {{n}}")
        return self

    @model_validator(mode="after")
    def _inside_the_prefix(self, info: ValidationInfo) -> Self:
        environment = (info.context or {}).get("environment")
        if environment is None:
            return self
        prefix = environment.topics.prefix
        outside = [name for name in self.names(prefix) if not name.startswith(prefix)]
        if outside:
            raise ValueError(
                f"name: topic {outside[0]!r} is outside the prefix {prefix!r} of environment {environment.name}; "
                "only topics inside it may be written"
            )
        return self

    def names(self, prefix: str) -> tuple[str, ...]:
        """The topics' names in an environment with this prefix."""
        return tuple(self.name.format(prefix=prefix, n=n) for n in range(1, self.count + 1))


class Payload(StrictModel):
    """What the records hold: JSON documents of the runbook's five types, of exactly this many bytes."""

    bytes: SizeBytes = Field(1024, ge=SMALLEST_PAYLOAD_BYTES, le=10 * 1024**2)


class ProducerSettings(StrictModel):
    """Settings of the load's producer; the defaults are the runbook's."""

    acks: Literal["all"] = "all"
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "gzip"
    linger: DurationS = 0.010
    batch: SizeBytes = 16 * 1024
    buffer: SizeBytes = 32 * 1024**2


class Canary(StrictModel):
    """The first record of every partition. Without `patience`, it is awaited max(60 s, 2 × topic refresh)."""

    patience: DurationS | None = None


class PhaseBase(StrictModel):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")


class Silence(PhaseBase):
    """Nothing is sent: what the canary stirred up leaves MM2's look-back windows."""

    profile: Literal["silence"]
    duration: DurationS


class Drain(PhaseBase):
    """Nothing is sent; ends when all acknowledged records arrived, after `patience` without progress, or at `cap`."""

    profile: Literal["drain"]
    patience: DurationS = 60.0
    cap: DurationS = 600.0


class Watch(PhaseBase):
    """Nothing is sent; gauges that look back are read to its end."""

    profile: Literal["watch"]
    duration: DurationS


class Nominal(PhaseBase):
    """The same rate all along."""

    profile: Literal["nominal"]
    rate: RatePerS = Field(gt=0)
    duration: DurationS = Field(gt=0)

    def load(self, scale: float) -> Profile:
        return profile.nominal(rate_per_s=self.rate, duration_s=self.duration * scale)


class Ramp(PhaseBase):
    """A straight line from one rate to another."""

    profile: Literal["ramp"]
    from_rate: RatePerS = Field(ge=0)
    to_rate: RatePerS = Field(ge=0)
    duration: DurationS = Field(gt=0)

    @model_validator(mode="after")
    def _sends_something(self) -> Self:
        if self.from_rate == self.to_rate == 0:
            raise ValueError("from_rate and to_rate are both 0; a ramp must send something")
        return self

    def load(self, scale: float) -> Profile:
        return profile.ramp(from_per_s=self.from_rate, to_per_s=self.to_rate, duration_s=self.duration * scale)


class Burst(PhaseBase):
    """A base rate with one square peak in it."""

    profile: Literal["burst"]
    base_rate: RatePerS = Field(ge=0)
    peak_rate: RatePerS = Field(gt=0)
    peak_start: DurationS = Field(ge=0)
    peak_duration: DurationS = Field(gt=0)
    duration: DurationS = Field(gt=0)

    @model_validator(mode="after")
    def _peak_fits(self) -> Self:
        if self.peak_start + self.peak_duration > self.duration:
            raise ValueError("the peak (peak_start + peak_duration) ends after the phase's duration")
        return self

    def load(self, scale: float) -> Profile:
        return profile.burst(
            base_per_s=self.base_rate,
            peak_per_s=self.peak_rate,
            peak_start_s=self.peak_start * scale,
            peak_duration_s=self.peak_duration * scale,
            duration_s=self.duration * scale,
        )


LoadPhase = Nominal | Ramp | Burst
Phase = Annotated[Silence | Nominal | Ramp | Burst | Drain | Watch, Field(discriminator="profile")]


class Criterion(StrictModel):
    """A measure with its GO condition and its NOGO condition; without `nogo`, NOGO is the complement of GO.

    `beside` is a measure that is shown next to this one, not judged: the true figure where a panel's misleads.
    An `advisory` criterion is judged and shown, but does not decide. `between` narrows it to a stretch of the load, in
    load time: a rehearsal scales it with the load, while sample minima and coverage stay.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    measure: str
    go: ConditionText
    nogo: ConditionText | None = None
    beside: str | None = None
    advisory: bool = False
    between: tuple[DurationS, DurationS] | None = None

    @model_validator(mode="after")
    def _measurable_and_disjoint(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise Problems(problems)
        return self

    @property
    def spec(self) -> MeasureSpec:
        return MEASURES[self.measure]

    def _problems(self) -> Iterator[str]:
        for key in (self.measure, self.beside):
            if key is not None and key not in MEASURES:
                yield f"unknown measure {key!r}; known: {', '.join(MEASURES)}"
        yield from self._stretch_problems()
        if self.measure not in MEASURES:
            return
        unit, dimension = self.spec.unit, UNITS[self.spec.unit][0]
        conditions = [("go", self.go), *([("nogo", self.nogo)] if self.nogo else [])]
        wrong = [(key, condition) for key, condition in conditions if condition.dimension != dimension]
        for key, condition in wrong:
            yield f"{key}: {condition.text!r} is in {condition.unit}, but {self.measure} is measured in {unit}"
        if wrong or self.nogo is None:
            return
        # The plan's size cannot change whether two conditions overlap, unless a literal stands beside it.
        if any(
            self.go.interval(unit=unit, plan_records=plan).overlaps(self.nogo.interval(unit=unit, plan_records=plan))
            for plan in (100, 10**12)
        ):
            yield f"go {self.go.text!r} and nogo {self.nogo.text!r} overlap; a value can only be one of them"

    def _stretch_problems(self) -> Iterator[str]:
        if self.between is None:
            return
        if self.between[0] >= self.between[1]:
            yield f"between: {self.between[0]:g}s to {self.between[1]:g}s is empty; write the earlier instant first"
        for key in (self.measure, self.beside):
            if key in MEASURES and not MEASURES[key].stretch:
                yield f"between: {key} is known of the whole load only"


def _phases_in_order(phases: tuple[Any, ...]) -> tuple[Any, ...]:
    problems = [
        f"{name!r} is the name of several phases; names must differ" for name in _repeated(p.name for p in phases)
    ]
    problems += [f"{p.name!r} is a name of mm2gate's own; choose another" for p in phases if p.name in RESERVED_NAMES]
    ranks = {"silence": 0, "drain": 2, "watch": 3}
    order = [ranks.get(phase.profile, 1) for phase in phases]
    if order != sorted(order):
        problems.append("they must come as silence, load phases, drain, watch")
    problems += [
        f"{order.count(rank)} of profile {name}; at most one makes sense"
        for name, rank in ranks.items()
        if order.count(rank) > 1
    ]
    if 1 not in order:
        problems.append("none of them sends anything; add one of profile nominal, ramp or burst")
    if ranks["drain"] not in order:
        problems.append("a drain must follow the load, or late records could not be told from lost ones")
    if problems:
        raise Problems(problems)
    return phases


def _ids_differ(criteria: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
    repeated = _repeated(criterion.id for criterion in criteria)
    if repeated:
        raise Problems(f"{name!r} is the id of several criteria; ids must differ" for name in repeated)
    return criteria


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


class Scenario(StrictModel):
    """The whole file. `runbook_phase` names the page whose fiche it fills."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    question: str = Field(min_length=1)
    runbook_phase: int | None = Field(None, ge=0, le=8)
    topics: TopicPlan = TopicPlan()
    payload: Payload = Payload()
    producer: ProducerSettings = ProducerSettings()
    canary: Canary = Canary()
    phases: Annotated[tuple[Phase, ...], AfterValidator(_phases_in_order)] = Field(min_length=1)
    criteria: Annotated[tuple[Criterion, ...], AfterValidator(_ids_differ)] = Field(min_length=1)

    @model_validator(mode="after")
    def _gauges_that_look_back_are_fenced(self) -> Self:
        problems = [*self._fence_problems(), *self._stretches_beyond_the_load()]
        if problems:
            raise Problems(problems)
        return self

    @property
    def load_phases(self) -> tuple[LoadPhase, ...]:
        return tuple(phase for phase in self.phases if isinstance(phase, LoadPhase))

    @property
    def drain(self) -> Drain:
        return next(phase for phase in self.phases if isinstance(phase, Drain))

    @property
    def silence(self) -> Silence | None:
        return next((phase for phase in self.phases if isinstance(phase, Silence)), None)

    @property
    def watch(self) -> Watch | None:
        return next((phase for phase in self.phases if isinstance(phase, Watch)), None)

    @property
    def silence_s(self) -> float:
        return self.silence.duration if self.silence else 0.0

    @property
    def watch_s(self) -> float:
        return self.watch.duration if self.watch else 0.0

    @property
    def load_s(self) -> float:
        """Duration of the load as it is written, not scaled."""
        return sum(phase.duration for phase in self.load_phases)

    def _stretches_beyond_the_load(self) -> Iterator[str]:
        for criterion in self.criteria:
            if criterion.between is not None and criterion.between[1] > self.load_s:
                yield (
                    f"criteria: {criterion.id} looks until {criterion.between[1]:g}s, "
                    f"but the load ends after {self.load_s:g}s"
                )

    def _fence_problems(self) -> Iterator[str]:
        who = ", ".join(criterion.id for criterion in self.criteria if criterion.spec.looks_back)
        for place, profile_name, is_s, needed_s in (
            ("first", "silence", self.silence_s, LOOK_BACK_SILENCE_S),
            ("last", "watch", self.watch_s, LOOK_BACK_WATCH_S),
        ):
            if who and is_s < needed_s:
                yield (
                    f"phases: {who} read MM2 gauges that look back 60 s, so a {profile_name} of at least "
                    f"{needed_s:g}s must come {place} (it is {is_s:g}s)"
                )


class LoadedScenario(StrictModel):
    """A scenario and the text it came from; the text is what the run record keeps, and its hash names it."""

    file: str
    text: str
    scenario: Scenario

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def library_names() -> tuple[str, ...]:
    """Names of the packaged scenarios, in order."""
    return tuple(
        sorted(entry.name.removesuffix(".yaml") for entry in LIBRARY.iterdir() if entry.name.endswith(".yaml"))
    )


def load(name_or_path: str, *, environment: Environment | None = None) -> LoadedScenario:
    """A packaged scenario by its name, or any by its path.

    With an environment, its topics must also lie inside the prefix there. SpecError lists every problem.
    """
    if name_or_path in library_names():
        text = (LIBRARY / f"{name_or_path}.yaml").read_text(encoding="utf-8")
        return parse_scenario(text, file=f"{name_or_path}.yaml", environment=environment)
    path = Path(name_or_path)
    if path.is_file():
        return parse_scenario(read_text(path), file=str(path), environment=environment)
    message = f"no such scenario: give a path, or one of {', '.join(library_names())}"
    raise SpecError([Problem(file=name_or_path, key="", message=message)])


def parse_scenario(text: str, *, file: str, environment: Environment | None = None) -> LoadedScenario:
    """The scenario of a text; `file` names it in messages. SpecError lists every problem."""
    scenario = parse(text, Scenario, file=file, context={"environment": environment})
    return LoadedScenario.model_construct(file=file, text=text, scenario=scenario)
