"""What a staircase's steps prove: which criteria judge which step, what each step comes to, and the capacity. Pure.

A criterion with `phase: step_2500` judges that step, the finer ones below it (their rates lie within its limits), and
the confirmations of them all. A step is as good as the worst of its criteria.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from checks.measurement import Measurement
from checks.reasons import Code, Reason
from checks.verdict import Verdict, worst
from scenarios.criterion import Criterion
from scenarios.phases import Step
from scenarios.scenario import Scenario
from scenarios.staircase import Capacity, capacity_of

RECOMMENDED_SHARE = 0.7
SOURCE = "steps of the staircase, by the verdicts of their criteria"


def criteria_of(scenario: Scenario, played: Iterable[str]) -> tuple[Criterion, ...]:
    """The scenario's criteria, those of a step once more for each further step that they judge and that was played."""
    if scenario.staircase is None:
        return scenario.criteria
    names = set(played)
    others = [step for step in scenario.staircase.ladder() if step.like and step.name != step.like]
    further = [step for step in others if step.name in names]
    return tuple(
        one
        for criterion in scenario.criteria
        for one in (criterion, *(_for(criterion, step) for step in further if step.like == criterion.phase))
    )


def _for(criterion: Criterion, step: Step) -> Criterion:
    return criterion.model_copy(update={"id": f"{criterion.id}_{step.name}", "phase": step.name})


def ladder_of(scenario: Scenario) -> tuple[Step, ...]:
    """The steps that the scenario may play."""
    return scenario.staircase.ladder() if scenario.staircase is not None else ()


def step_verdicts(
    scenario: Scenario, played: Iterable[str], judged: Iterable[tuple[str | None, Verdict]]
) -> dict[str, Verdict]:
    """What each played step comes to, from (phase, verdict) of every criterion."""
    by_step: dict[str, list[Verdict]] = {}
    for phase, verdict in judged:
        if phase is not None:
            by_step.setdefault(phase, []).append(verdict)
    names = set(played)
    tried = [step for step in ladder_of(scenario) if step.kind != "warm" and step.name in names]
    return {step.name: worst(by_step.get(step.name, ())) for step in tried}


def proven(scenario: Scenario, verdicts: Mapping[str, Verdict]) -> Capacity:
    """The capacity that these verdicts prove."""
    return capacity_of(ladder_of(scenario), {name: verdict.value for name, verdict in verdicts.items()})


def measured_capacity(name: str, scenario: Scenario, verdicts: Mapping[str, Verdict]) -> Measurement:
    """`capacity.confirmed` or `capacity.recommended`.

    A lower bound where every step was GO, where a step was GO and never played again (the run was ended before that,
    or the step looked otherwise while it went on), and where the step that bounds it could not be judged.
    """
    unit = "records/s"
    if not verdicts or not set(verdicts.values()) - {Verdict.INCONCLUSIVE}:
        return Measurement.missing(Code.NO_STEP_JUDGED, unit=unit, source=SOURCE)
    found = proven(scenario, verdicts)
    share = RECOMMENDED_SHARE if name == "capacity.recommended" else 1.0
    note = _why_at_least(scenario, found, verdicts)
    details: list[tuple[str, float]] = [("capacity", found.rate_per_s), ("confirmed", float(found.confirmed))]
    if found.refused is not None:
        details.append(("refused", found.refused.rate_per_s))
    return Measurement(
        value=share * found.rate_per_s,
        unit=unit,
        source=SOURCE,
        samples=len(verdicts),
        at_least=note is not None,
        note=note,
        details=tuple(details),
    )


def _why_at_least(scenario: Scenario, found: Capacity, verdicts: Mapping[str, Verdict]) -> Reason | None:
    if found.unasked:
        return Reason.of(Code.STEP_NOT_CONFIRMED, step=found.unasked[0].name)
    if found.refused is None:
        untried = [step for step in ladder_of(scenario) if step.kind == "ramp" and step.name not in verdicts]
        if untried or not found.unconfirmed:
            return Reason.of(Code.ALL_STEPS_GO, rate=found.rate_per_s)
    unknown = [step for step in _bounds(scenario, found) if verdicts.get(step.name) is Verdict.INCONCLUSIVE]
    return Reason.of(Code.STEP_UNKNOWN, step=unknown[0].name) if unknown else None


def _bounds(scenario: Scenario, found: Capacity) -> Sequence[Step]:
    """The steps that keep the capacity from being higher: the first that was not GO, and confirmations that failed."""
    unconfirmed = {step.rate_per_s for step in found.unconfirmed}
    again = [s for s in ladder_of(scenario) if s.kind == "confirm" and s.rate_per_s in unconfirmed]
    return [*([found.refused] if found.refused is not None else []), *again]
