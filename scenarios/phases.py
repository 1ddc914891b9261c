"""The phases of a scenario, as they are written: what happens, for how long, and in which order they may come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from scenarios import profile
from scenarios.profile import Profile
from scenarios.units import DurationS, RatePerS
from scenarios.yaml_file import Problems, StrictModel

#: Stretches of every run that are no phase of the file.
RESERVED_NAMES = frozenset({"prepare", "canary"})
#: The envelope numbers load phases in one byte.
MOST_LOADS = 256
#: Loads, silence, drain and watch.
MOST_PHASES = MOST_LOADS + 3
#: Halving a gap more often gives steps that no measurement can tell apart.
MOST_FINER = 3

NamedProfile = tuple[str, Profile]


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

    def loads(self, scale: float) -> tuple[NamedProfile, ...]:
        return ((self.name, profile.nominal(rate_per_s=self.rate, duration_s=self.duration * scale)),)


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

    def loads(self, scale: float) -> tuple[NamedProfile, ...]:
        made = profile.ramp(from_per_s=self.from_rate, to_per_s=self.to_rate, duration_s=self.duration * scale)
        return ((self.name, made),)


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

    def loads(self, scale: float) -> tuple[NamedProfile, ...]:
        made = profile.burst(
            base_per_s=self.base_rate,
            peak_per_s=self.peak_rate,
            peak_start_s=self.peak_start * scale,
            peak_duration_s=self.peak_duration * scale,
            duration_s=self.duration * scale,
        )
        return ((self.name, made),)


class Spike(PhaseBase):
    """A base rate out of which the rate climbs to a peak in a straight line, holds, and comes down again."""

    profile: Literal["spike"]
    base_rate: RatePerS = Field(ge=0)
    peak_rate: RatePerS = Field(gt=0)
    start: DurationS = Field(ge=0)
    rise: DurationS = Field(ge=0)
    hold: DurationS = Field(ge=0)
    fall: DurationS = Field(ge=0)
    duration: DurationS = Field(gt=0)

    @model_validator(mode="after")
    def _spike_fits(self) -> Self:
        parts_s = (self.start, self.rise, self.hold, self.fall)
        if sum(parts_s) > self.duration:
            raise ValueError("the spike (start + rise + hold + fall) ends after the phase's duration")
        if self.rise + self.hold + self.fall == 0:
            raise ValueError("rise, hold and fall are all 0; a spike must last")
        return self

    def loads(self, scale: float) -> tuple[NamedProfile, ...]:
        made = profile.spike(
            base_per_s=self.base_rate,
            peak_per_s=self.peak_rate,
            start_s=self.start * scale,
            rise_s=self.rise * scale,
            hold_s=self.hold * scale,
            fall_s=self.fall * scale,
            duration_s=self.duration * scale,
        )
        return ((self.name, made),)


class Soak(PhaseBase):
    """The same rate for a long time, reached in a straight line from nothing."""

    profile: Literal["soak"]
    rate: RatePerS = Field(gt=0)
    rise: DurationS = Field(0.0, ge=0)
    duration: DurationS = Field(gt=0)

    @model_validator(mode="after")
    def _rise_fits(self) -> Self:
        if self.rise >= self.duration:
            raise ValueError("rise is as long as the phase; nothing of it would be steady")
        return self

    def loads(self, scale: float) -> tuple[NamedProfile, ...]:
        made = profile.soak(rate_per_s=self.rate, rise_s=self.rise * scale, duration_s=self.duration * scale)
        return ((self.name, made),)


class Steps(PhaseBase):
    """A staircase: each step is judged before the next is played, and the first that is not GO or GREY ends it.

    Between two steps nothing is sent for `rest`, which a rehearsal does not scale: what looks back must forget the step
    before. `warm` comes first, at the lowest rate, judged by nothing and not scaled either: new topics, and programs
    that have just been started, are slow for seconds, and that is no step's fault.

    Then, where `finer` is above 0, rates between the last step that was GO and the first that was not are tried,
    halving the gap that often; and with `confirm`, the best step is played once more.
    """

    profile: Literal["steps"]
    rates: tuple[RatePerS, ...] = Field(min_length=1, max_length=MOST_LOADS)
    duration: DurationS = Field(gt=0)
    rest: DurationS = Field(gt=0)
    warm: DurationS = Field(0.0, ge=0)
    finer: int = Field(0, ge=0, le=MOST_FINER)
    confirm: bool = True

    @model_validator(mode="after")
    def _rates_ascend(self) -> Self:
        if not all(before < after for before, after in zip((0.0, *self.rates), self.rates, strict=False)):
            raise ValueError("rates must ascend, from above 0")
        return self

    def ladder(self) -> tuple[Step, ...]:
        """Every step that may be played: the ramp, the finer ones, and the confirmations of all of them."""
        ramp = [
            Step(name=self._named(rate), rate_per_s=rate, kind="ramp", like=self._named(rate)) for rate in self.rates
        ]
        finer = [
            Step(name=self._named(rate), rate_per_s=rate, kind="finer", like=self._named(above))
            for below, above in zip(self.rates, self.rates[1:], strict=False)
            for rate in _between(below, above, self.finer)
        ]
        tried = [*ramp, *finer]
        again = [
            Step(name=f"{step.name}_again", rate_per_s=step.rate_per_s, kind="confirm", like=step.like)
            for step in tried
        ]
        first = Step(name=f"{self.name}_warm", rate_per_s=self.rates[0], kind="warm", like="")
        return (*([first] if self.warm else ()), *tried, *(again if self.confirm else ()))

    def loads(self, scale: float) -> tuple[NamedProfile, ...]:
        warm = [step for step in self.ladder() if step.kind == "warm"]
        judged = [step for step in self.ladder() if step.kind != "warm"]
        first = profile.steps(rates_per_s=[step.rate_per_s for step in warm], duration_s=self.warm)
        others = profile.steps(rates_per_s=[step.rate_per_s for step in judged], duration_s=self.duration * scale)
        return tuple((step.name, one) for step, one in zip((*warm, *judged), (*first, *others), strict=True))

    def _named(self, rate_per_s: float) -> str:
        return f"{self.name}_{rate_per_s:.10g}".replace(".", "_")


class Step(StrictModel):
    """One step of a staircase. `like`: the step of the ramp whose criteria judge it too."""

    name: str
    rate_per_s: float
    kind: Literal["warm", "ramp", "finer", "confirm"]
    like: str


def _between(below: float, above: float, halvings: int) -> list[float]:
    """The rates that halving the gap so often can come to, ascending, whole ones where the gap allows it."""
    parts = 2**halvings
    rates = [below + (above - below) * part / parts for part in range(1, parts)]
    return [float(round(rate)) if above - below >= parts else rate for rate in rates]


LoadPhase = Nominal | Ramp | Burst | Spike | Soak | Steps
Phase = Annotated[
    Silence | Nominal | Ramp | Burst | Spike | Soak | Steps | Drain | Watch, Field(discriminator="profile")
]


def in_order(phases: tuple[Any, ...]) -> tuple[Any, ...]:
    """The phases; raises Problems when they may not come like this."""
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
    if order.count(1) > MOST_LOADS:
        problems.append(f"{order.count(1)} of them send something; at most {MOST_LOADS} may")
    if 1 not in order:
        problems.append("none of them sends anything; add one of profile nominal, ramp, burst, spike, soak or steps")
    if ranks["drain"] not in order:
        problems.append("a drain must follow the load, or late records could not be told from lost ones")
    problems += _staircase_problems(phases)
    if problems:
        raise Problems(problems)
    return phases


def _staircase_problems(phases: tuple[Any, ...]) -> Iterator[str]:
    loads = [phase for phase in phases if isinstance(phase, LoadPhase)]
    stairs = [phase for phase in loads if isinstance(phase, Steps)]
    if stairs and len(loads) > 1:
        yield f"{stairs[0].name!r} is of profile steps, which must be the only load of its scenario"
    for phase in stairs:
        names = [step.name for step in phase.ladder()]
        if len(names) > MOST_LOADS:
            yield f"{phase.name!r} may play {len(names)} steps, at most {MOST_LOADS}: give fewer rates, or less finer"
        if clash := _repeated([*names, *(other.name for other in phases)]):
            yield f"{phase.name!r} makes several steps or phases of the name {clash[0]!r}"


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
