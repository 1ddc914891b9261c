"""A criterion: a measure with the conditions under which it is GO and NOGO, and the part of the run it looks at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from scenarios.conditions import NO_DIMENSION, Condition, parse_condition
from scenarios.measures import MEASURES, Group, MeasureSpec
from scenarios.units import UNITS, DurationS
from scenarios.yaml_file import Problems, StrictModel


def _condition(value: Any) -> Condition:
    return parse_condition(value)


ConditionText = Annotated[
    Condition, BeforeValidator(_condition, json_schema_input_type=str), PlainSerializer(lambda c: c.text)
]


class Stop(StrictModel):
    """Ends the load when the criterion has been NOGO for `after` without a break; never within `grace` of its start."""

    after: DurationS = Field(gt=0)
    grace: DurationS = Field(120.0, ge=0)


class Criterion(StrictModel):
    """A measure with its GO condition and its NOGO condition; without `nogo`, NOGO is the complement of GO.

    `beside` is a measure that is shown next to this one, not judged: the true figure where a panel's misleads.
    An `advisory` criterion is judged and shown, but does not decide. `between` narrows it to a stretch of the load, in
    load time: a rehearsal scales it with the load, while sample minima and coverage stay. `phase` narrows it to one
    load phase, or to one step of a staircase; on such a step, what is judged of performance and load decides the step,
    and the step decides the capacity. `stop`: a NOGO that lasts ends the load early.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    measure: str
    go: ConditionText
    nogo: ConditionText | None = None
    beside: str | None = None
    advisory: bool = False
    between: tuple[DurationS, DurationS] | None = None
    phase: str | None = None
    stop: Stop | None = None

    @model_validator(mode="after")
    def _measurable_and_disjoint(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise Problems(problems)
        return self

    @property
    def spec(self) -> MeasureSpec:
        return MEASURES[self.measure]

    @property
    def looks_back(self) -> bool:
        """Whether it shows a gauge that spans the last 30 to 60 seconds, judged or beside."""
        return any(MEASURES[key].looks_back for key in (self.measure, self.beside) if key is not None)

    @property
    def needs_baseline(self) -> bool:
        return any(condition is not None and condition.slack is not None for condition in (self.go, self.nogo))

    def overlap(self, *, plan_records: int, baseline: float = 0.0) -> str | None:
        """What is wrong with its two conditions at a plan's size and a baseline's value, if they overlap there."""
        if self.nogo is None:
            return None
        go, nogo = (
            condition.interval(unit=self.spec.unit, plan_records=plan_records, baseline=baseline)
            for condition in (self.go, self.nogo)
        )
        if not go.overlaps(nogo):
            return None
        return f"go {self.go.text!r} and nogo {self.nogo.text!r} overlap; a value can only be one of them"

    def _problems(self) -> Iterator[str]:
        for key in (self.measure, self.beside):
            if key is not None and key not in MEASURES:
                yield f"unknown measure {key!r}; known: {', '.join(MEASURES)}"
        yield from self._narrowing_problems()
        if self.measure not in MEASURES:
            return
        unit, dimension = self.spec.unit, UNITS[self.spec.unit][0]
        conditions = [("go", self.go), *([("nogo", self.nogo)] if self.nogo else [])]
        wrong = [
            (key, condition) for key, condition in conditions if condition.dimension not in (dimension, NO_DIMENSION)
        ]
        for key, condition in wrong:
            yield f"{key}: {condition.text!r} is in {condition.unit}, but {self.measure} is measured in {unit}"
        if self.go.dimension == NO_DIMENSION:
            yield f"go: {self.go.text!r} could never be met"
        if wrong or self.nogo is None:
            return
        # A plan's size beside a literal is compared when the size is known: `make_plan` asks again.
        if len({condition.number is None for _, condition in conditions}) == 1:
            overlaps = (self.overlap(plan_records=1, baseline=value) for value in self._telling_baselines())
            if problem := next((one for one in overlaps if one), None):
                yield problem

    def _telling_baselines(self) -> Iterator[float]:
        """Baselines at which the order of two limits can change: none, endless, and where a slack takes over."""
        yield from (0.0, 1e12)
        for condition in (self.go, self.nogo):
            if condition is not None and condition.slack is not None:
                yield condition.slack.takes_over_at(unit=self.spec.unit)

    def _narrowing_problems(self) -> Iterator[str]:
        if self.between is not None and self.phase is not None:
            yield "between and phase: give one"
        if self.between is not None and self.between[0] >= self.between[1]:
            yield f"between: {self.between[0]:g}s to {self.between[1]:g}s is empty; write the earlier instant first"
        groups = {MEASURES[key].group is Group.CAPACITY for key in (self.measure, self.beside) if key in MEASURES}
        if len(groups) > 1:
            yield f"{self.measure} beside {self.beside}: a capacity stands beside capacities only"
        known = [key for key in (self.measure, self.beside) if key in MEASURES]
        for key in known:
            if self.between is not None and not MEASURES[key].stretch:
                yield f"between: {key} is known of the whole load only"
            if self.phase is not None and not MEASURES[key].phase:
                yield f"phase: {key} is known of the whole run only"
