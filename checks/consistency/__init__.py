"""A record is believed when it does not contradict itself: a list of equations, asked before anything is judged.

Each says which two figures of a run must agree, and why. Together they make it hard to change one of them alone, be it
by a mistake of ours, by a disk, or by hand: what fails makes the record unreliable, and its verdict INCONCLUSIVE.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

from checks.consistency.closing import of_closing
from checks.consistency.equations import Check, Contradiction, Equation, Facts
from checks.consistency.evidence import of_evidence
from checks.consistency.latency import of_latency
from checks.consistency.ledger import of_ledger
from checks.consistency.phases import of_phases
from checks.consistency.run import of_events, of_run
from checks.consistency.timeline import of_timeline
from checks.evidence import Evidence
from checks.windows import Windows
from run_record.store import RunRecord
from scenarios.environment import LoadedEnvironment
from scenarios.errors import Mm2gateError
from scenarios.plan import RunPlan, make_plan, parse_rehearsal
from scenarios.scenario import LoadedScenario

__all__ = ["EQUATIONS", "Contradiction", "Equation", "contradictions"]

EQUATIONS: tuple[Check, ...] = (
    of_run,
    of_phases,
    of_events,
    of_ledger,
    of_closing,
    of_latency,
    of_timeline,
    of_evidence,
)
#: Of one equation so many are named: more of them say no more.
MOST_OF_ONE = 3


def contradictions(
    record: RunRecord,
    evidence: Evidence,
    scenario: LoadedScenario,
    environment: LoadedEnvironment,
    windows: Windows | None,
) -> tuple[Contradiction, ...]:
    """All that a run says against itself, what cannot be read first. Empty for a record that is to be believed."""
    plan = _plan(record, scenario, environment)
    facts = Facts(
        record=record,
        evidence=evidence,
        scenario=scenario,
        environment=environment.environment,
        plan=plan if isinstance(plan, RunPlan) else None,
        windows=windows,
    )
    found = [*_unreadable(record, evidence)]
    found += [plan] if isinstance(plan, Contradiction) else []
    for check in EQUATIONS:
        found += check(facts)
    return tuple(_few(found))


def _plan(record: RunRecord, scenario: LoadedScenario, environment: LoadedEnvironment) -> RunPlan | Contradiction:
    """The plan as it must have been made; or that none can be made of what is said to have been played."""
    try:
        factor: Fraction = parse_rehearsal(record.manifest.rehearsal)
        return make_plan(scenario, environment, rehearsal=factor)
    except Mm2gateError as error:
        return Contradiction(
            equation=Equation.PLAN,
            where="record/manifest.json: scenario.text, environment.text, rehearsal",
            found=str(error).splitlines()[0],
        )


def _unreadable(record: RunRecord, evidence: Evidence) -> Iterator[Contradiction]:
    where = (
        (f"record/{fault.file}" + (f": {fault.where}" if fault.where else ""), fault.why) for fault in record.faults
    )
    for place, why in (*where, *evidence.faults):
        yield Contradiction(equation=Equation.UNREADABLE, where=place, found=why)


def _few(found: list[Contradiction]) -> Iterator[Contradiction]:
    for equation in dict.fromkeys(one.equation for one in found):
        yield from islice((one for one in found if one.equation is equation), MOST_OF_ONE)
