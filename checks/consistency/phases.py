"""The phases are those of the scenario: in its order, as long as it says, touching, and inside the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from checks.consistency.equations import MANIFEST, NS_PER_S, Contradiction, Equation, Facts
from run_record.manifest import PhasePlayed
from scenarios.plan import RunPlan
from scenarios.staircase import next_step

#: What a wait may be short of: it is looked at from time to time.
SLACK_S = 0.2
#: A drain that someone waits for.
HURRIED_DRAIN_S = 12.0
#: Whether an instant is the planned one: plans are in seconds, of double precision.
INSTANT_SLACK_NS = 1000
UNJUDGED = "INCONCLUSIVE"


def of_phases(facts: Facts) -> Iterator[Contradiction]:
    """All equations of the manifest's phases; of a record whose writer died they are what its events tell."""
    phases = facts.manifest.phases
    yield from _edges(facts, phases)
    if facts.plan is None:
        return
    yield from _order(facts, facts.plan, phases)
    yield from _as_planned(facts.plan, phases)
    yield from _lengths(facts, facts.plan, phases)


def _at(number: int, phase: PhasePlayed, key: str) -> str:
    return f"{MANIFEST}: phases.{number} ({phase.name}), {key}"


def _edges(facts: Facts, phases: Sequence[PhasePlayed]) -> Iterator[Contradiction]:
    manifest = facts.manifest
    instants = [(f"{MANIFEST}: started_at_ns", manifest.started_at_ns)]
    for number, phase in enumerate(phases):
        instants.append((_at(number, phase, "start_ns"), phase.start_ns))
        if phase.end_ns is not None:
            instants.append((_at(number, phase, "end_ns"), phase.end_ns))
        if phase.end_ns is not None and number + 1 < len(phases) and phases[number + 1].start_ns != phase.end_ns:
            yield _edge(
                _at(number + 1, phases[number + 1], "start_ns"),
                phases[number + 1].start_ns,
                _at(number, phase, "end_ns"),
                phase.end_ns,
            )
        unfinished = phase.end_ns is None and (number + 1 < len(phases) or manifest.ending is not None)
        empty = phase.end_ns == phase.start_ns and facts.ended_by_itself
        if unfinished or empty:
            yield _edge(_at(number, phase, "end_ns"), phase.end_ns, _at(number, phase, "start_ns"), phase.start_ns)
    if manifest.ending is not None:
        instants.append((f"{MANIFEST}: ending.at_ns", manifest.ending.at_ns))
    for (before, before_ns), (after, after_ns) in pairwise(instants):
        if after_ns < before_ns:
            yield _edge(after, after_ns, before, before_ns)


def _edge(where: str, found_ns: int | None, other: str, wanted_ns: int) -> Contradiction:
    found = "–" if found_ns is None else str(found_ns)
    return Contradiction(equation=Equation.PHASE_EDGES, where=where, found=found, other=other, wanted=str(wanted_ns))


def _order(facts: Facts, plan: RunPlan, phases: Sequence[PhasePlayed]) -> Iterator[Contradiction]:
    """A run that got to its end has all phases; one that was ended earlier has the first of them, and its drain."""
    scenario, ending = plan.scenario, facts.manifest.ending
    first = [("canary", "canary")]
    if scenario.silence is not None:
        first.append((scenario.silence.name, "silence"))
    loads = _loads_to_play(facts, plan)
    drain = (scenario.drain.name, "drain")
    last = [drain] if scenario.watch is None else [drain, (scenario.watch.name, "watch")]
    played = [(phase.name, phase.kind) for phase in phases]
    whole = [*first, *loads, *last]
    in_full = facts.ended_by_itself and ending is not None and ending.cut is None
    if (played != whole) if in_full else not _may_come(played, [*first, *loads], last, cut=facts.ended_by_itself):
        yield _sequence(played, whole)


def _may_come(
    played: Sequence[tuple[str, str]],
    before: Sequence[tuple[str, str]],
    last: Sequence[tuple[str, str]],
    *,
    cut: bool,
) -> bool:
    """Whether a run that was ended early may have played these: the first ones of what comes before the drain, and
    then drain and watch, as far as it came. Both are whole where only the load was `cut`."""
    kept = 0
    while kept < min(len(played), len(before)) and played[kept] == before[kept]:
        kept += 1
    rest = list(played[kept:])
    return rest == list(last) if cut else rest == list(last[: len(rest)])


def _sequence(played: Sequence[tuple[str, str]], wanted: Sequence[tuple[str, str]]) -> Contradiction:
    return Contradiction(
        equation=Equation.PHASE_ORDER,
        where=f"{MANIFEST}: phases",
        found=", ".join(name for name, _ in played) or "–",
        other=f"{MANIFEST}: scenario.text",
        wanted=", ".join(name for name, _ in wanted),
    )


def _loads_to_play(facts: Facts, plan: RunPlan) -> list[tuple[str, str]]:
    """Names and kinds of the loads that lead from one to the other: of a staircase, its verdicts do."""
    if not plan.ladder:
        return [(load.name, "load") for load in plan.loads]
    judged = {event["phase"]: event["verdict"] for event in facts.record.events if event["event"] == "step_judged"}
    rested = {phase.name for phase in facts.manifest.of_kind("rest")}
    found: list[tuple[str, str]] = []
    verdicts: dict[str, str] = {}
    while (step := next_step(plan.ladder, verdicts)) is not None and len(verdicts) < len(plan.ladder):
        found.append((step.name, "load"))
        if f"{step.name}_rest" not in rested:
            break  # it was not sent whole, or the load was ended in it: nothing comes after it
        found.append((f"{step.name}_rest", "rest"))
        if step.kind != "warm" and step.name not in judged:
            break
        verdicts[step.name] = judged.get(step.name, UNJUDGED)
    return found


def _as_planned(plan: RunPlan, phases: Sequence[PhasePlayed]) -> Iterator[Contradiction]:
    """Records and seconds of each phase are those of the plan."""
    loads = {load.name: load.profile for load in plan.loads}
    drain_s = plan.scenario.drain.cap
    planned_s: Mapping[str, tuple[float, ...]] = {
        "canary": (plan.canary_patience_s,),
        "silence": (plan.scenario.silence_s,),
        "rest": (plan.rest_s,),
        "drain": (drain_s, min(drain_s, HURRIED_DRAIN_S)),
        "watch": (plan.scenario.watch_s,),
    }
    for number, phase in enumerate(phases):
        profile = loads.get(phase.name) if phase.kind == "load" else None
        records = 0 if profile is None else profile.record_count
        seconds = planned_s.get(phase.kind, ()) if profile is None else (profile.duration_s,)
        if phase.records != records:
            yield _planned(_at(number, phase, "records"), phase.records, records)
        if seconds and not any(_same(phase.planned_s, one) for one in seconds):
            yield _planned(
                _at(number, phase, "planned_s"), "–" if phase.planned_s is None else phase.planned_s, seconds[0]
            )


def _same(one_s: float | None, other_s: float) -> bool:
    return one_s is not None and abs(one_s - other_s) <= 1e-6 * max(other_s, 1.0)


def _planned(where: str, found: float | str, wanted: float) -> Contradiction:
    return Contradiction(
        equation=Equation.PHASE_PLAN, where=where, found=found, other=f"{MANIFEST}: scenario.text", wanted=wanted
    )


def _lengths(facts: Facts, plan: RunPlan, phases: Sequence[PhasePlayed]) -> Iterator[Contradiction]:
    """A phase that nothing ended lasted as long as it was to, and loads that follow each other began when they were
    to: a load's seconds are counted from its plan, not from when somebody looked."""
    ending = facts.manifest.ending
    if ending is None:
        return
    loads = [(number, phase) for number, phase in enumerate(phases) if phase.kind == "load"]
    last = loads[-1][0] if loads else -1
    for number, phase in enumerate(phases):
        lasted_s, planned_s = phase.duration_s, phase.planned_s
        ended_early = ending.aborted and number + 1 >= len(phases) - (phases[-1].kind == "drain")
        ended_early |= ending.aborted and phase.kind in ("drain", "canary")
        # Canaries and drains are over when all is done, and the load that a criterion ended is shorter.
        cut = ending.cut is not None and number >= last and phase.kind in ("load", "rest")
        no_minimum = phase.kind in ("canary", "drain") or ended_early or cut
        if lasted_s is None or planned_s is None or no_minimum:
            continue
        if lasted_s < planned_s - SLACK_S:
            yield Contradiction(
                equation=Equation.PHASE_LENGTH,
                where=_at(number, phase, "end_ns − start_ns"),
                found=lasted_s,
                other="planned_s",
                wanted=planned_s,
            )
    if plan.ladder or not loads:
        return
    starts_s = {load.name: load.start_s for load in plan.loads}
    first = loads[0][1]
    for number, phase in loads[1:]:
        wanted_ns = first.start_ns + round(starts_s.get(phase.name, 0.0) * NS_PER_S)
        if phase.name in starts_s and abs(phase.start_ns - wanted_ns) > INSTANT_SLACK_NS:
            yield _edge(_at(number, phase, "start_ns"), phase.start_ns, f"{MANIFEST}: scenario.text", wanted_ns)
