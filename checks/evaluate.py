"""From a run and its evidence to verdicts: every criterion is measured and judged, whatever happens to the others.

Beyond the plain comparison of a value with its two conditions, in this order:

1. No value, or too few samples: INCONCLUSIVE, with the reason.
2. A condition on the *plan* ("== plan records") means nothing when the plan was not sent whole, because the run was cut
   short or the generator fell behind: INCONCLUSIVE. What was sent is judged by the ledger's other criteria.
3. An abnormal end drains for seconds, not minutes. What had not arrived by then is not MM2's fault: INCONCLUSIVE
   instead of NOGO, and so where our own reader stood still (`checks/excuses.py`). Lost, duplicated, corrupted and
   phantom records are proven, and stay.
4. A criterion on the load itself is never NOGO: a generator cannot blame the system under test.
5. If the load was not applied, criteria on performance are INCONCLUSIVE, good or bad. Integrity and state stay.
6. A record that contradicts itself is believed in nothing: whatever was measured is INCONCLUSIVE, and so is the run.

A run whose mirrors are not what they were, or of which that is not told, is INCONCLUSIVE at best.
A run that was aborted is INCONCLUSIVE at best, however far it got; one whose writer died is INCONCLUSIVE. So is, at
best, one whose load a criterion ended; but it was drained and watched in full, and leaves with its verdict's exit code.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from checks.capacity import criteria_of, ladder_of, measured_capacity, step_verdicts
from checks.excuses import excuse
from checks.foreign import untold
from checks.measurement import Measurement, Window
from checks.measures import Run, measure
from checks.measures.closing import never_go
from checks.measures.load import sent_records
from checks.reasons import Code, Reason
from checks.verdict import Verdict, judge_at_least, judge_between, judge_interval, judge_value, worst
from checks.windows import last_known_ns
from run_record.manifest import Cut
from scenarios.criterion import Criterion
from scenarios.errors import ExitCode
from scenarios.measures import MEASURES, Group
from scenarios.scenario import Scenario

#: A load's last tick may come this much before its planned end.
STRETCH_SLACK_S = 1.0
EXIT_CODES = {
    Verdict.GO: ExitCode.GO,
    Verdict.GREY: ExitCode.GREY,
    Verdict.NOGO: ExitCode.NOGO,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}

Measure = Callable[[str, Run], Measurement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A criterion, what was measured for it, what that comes to, and why."""

    criterion: Criterion
    measurement: Measurement
    verdict: Verdict
    reason: Reason
    beside: Measurement | None = None
    of_step: bool = False
    """Judges a step of a staircase: the step decides the capacity, and the capacity the run."""

    @property
    def group(self) -> Group:
        return self.criterion.spec.group

    @property
    def required(self) -> bool:
        """Whether it decides the run. A record lost on a step decides it, and how slow the step was does not."""
        if self.verdict is Verdict.NOT_RUN or (self.of_step and self.group in (Group.LOAD, Group.PERFORMANCE)):
            return False
        return not self.criterion.advisory


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The verdict on a run. `deciding` are ids of the required criteria that are as bad as the verdict."""

    results: tuple[Result, ...]
    load: Verdict
    verdict: Verdict
    reason: Reason
    deciding: tuple[str, ...]
    aborted: bool
    crashed: bool
    exit_code: ExitCode
    steps: Mapping[str, Verdict] = field(default_factory=dict)
    """What each played step of a staircase comes to."""

    def result(self, criterion_id: str) -> Result | None:
        """The result of a criterion, if the scenario has it."""
        return next((result for result in self.results if result.criterion.id == criterion_id), None)


def evaluate(run: Run, scenario: Scenario, *, measure: Measure = measure) -> Evaluation:
    """Judges every criterion of a scenario on a run."""
    played = [phase.name for phase in run.record.manifest.of_kind("load")]
    criteria = criteria_of(scenario, played)
    steps = {step.name for step in ladder_of(scenario)}
    results = [
        _result(run, criterion, measure, of_step=criterion.phase in steps)
        for criterion in criteria
        if criterion.spec.group is not Group.CAPACITY
    ]
    load = _load_verdict(results)
    results = [_under_load(run, result, _load_verdict_for(result, results)) for result in results]
    judged = [(r.criterion.phase, r.verdict) for r in results if r.of_step and not r.criterion.advisory]
    verdicts = step_verdicts(scenario, played, judged)
    capacities = {c.id: _capacity(run, scenario, c, verdicts) for c in criteria if c.spec.group is Group.CAPACITY}
    by_id = {result.criterion.id: result for result in results} | capacities
    results = [by_id[criterion.id] for criterion in criteria]
    if run.contradictions:
        results = [_not_believed(run, result) for result in results]
        verdicts = dict.fromkeys(verdicts, Verdict.INCONCLUSIVE)
        load = _load_verdict(results)
    required = [result for result in results if result.required]
    verdict, reason = _overall(run, required)
    return Evaluation(
        results=tuple(results),
        load=load,
        verdict=verdict,
        reason=reason,
        deciding=tuple(
            result.criterion.id for result in required if verdict is not Verdict.GO and result.verdict is verdict
        ),
        aborted=run.aborted,
        crashed=run.crashed,
        exit_code=_exit_code(run, required, verdict),
        steps=verdicts,
    )


def _result(run: Run, criterion: Criterion, measure: Measure, *, of_step: bool) -> Result:
    narrowed = _looked_at(run, criterion)
    measurement = measured(narrowed, criterion.measure, measure)
    beside = None if criterion.beside is None else measured(narrowed, criterion.beside, measure)
    verdict, reason = _judged(run if isinstance(narrowed, Reason) else narrowed, criterion, measurement)
    if of_step and isinstance(narrowed, Reason) and narrowed.code is Code.PHASE_NOT_PLAYED:
        verdict = Verdict.NOT_RUN  # a staircase ends where it fails: what was never tried is no failure
    return Result(
        criterion=criterion,
        measurement=measurement,
        verdict=verdict,
        reason=reason,
        beside=beside,
        of_step=of_step,
    )


def _capacity(run: Run, scenario: Scenario, criterion: Criterion, verdicts: Mapping[str, Verdict]) -> Result:
    measurement = measured_capacity(criterion.measure, scenario, verdicts)
    beside = None if criterion.beside is None else measured_capacity(criterion.beside, scenario, verdicts)
    verdict, reason = _judged(run, criterion, measurement)
    return Result(criterion=criterion, measurement=measurement, verdict=verdict, reason=reason, beside=beside)


def _looked_at(run: Run, criterion: Criterion) -> Run | Reason:
    """The part of the run that a criterion looks at; why not, if the run never got there."""
    if criterion.phase is not None:
        narrowed = run.of_phase(criterion.phase)
        not_played = narrowed.windows is None and run.windows is not None
        return Reason.of(Code.PHASE_NOT_PLAYED, phase=criterion.phase) if not_played else narrowed
    return run if criterion.between is None else _narrowed(run, criterion.between)


def _narrowed(run: Run, between: tuple[float, float]) -> Run | Reason:
    """The run over a stretch of the load, which a rehearsal scales; why not, if the run never got through it."""
    if run.windows is None:
        return run  # whatever is measured says that the load never started
    scale = float(Fraction(run.record.manifest.rehearsal))
    start_s, end_s = (run.windows.start_s + edge_s * scale for edge_s in between)
    load_end_s = run.windows.load_end_s
    if end_s > load_end_s + STRETCH_SLACK_S:
        lasted_s = load_end_s - run.windows.start_s
        return Reason.of(Code.STRETCH_NOT_REACHED, wanted_s=between[1] * scale, lasted_s=lasted_s)
    return run.over(Window(start_s=start_s, end_s=min(end_s, load_end_s)))


def measured(run: Run | Reason, name: str, measure: Measure) -> Measurement:
    """One measure; a crash in it is a measurement without a value."""
    if isinstance(run, Reason):
        return Measurement(value=None, unit=MEASURES[name].unit, source=name, why_not=run)
    if (without := untold(run, name)) is not None:
        return without
    try:
        return measure(name, run)
    except Exception as error:  # noqa: BLE001 - the one broad except: a check that crashes is a result, not the end
        return Measurement.missing(
            Code.MEASURE_CRASHED,
            unit=MEASURES[name].unit,
            source=name,
            error=f"{type(error).__name__}: {error}",
            traceback=_portable_traceback(error),
        )


def _portable_traceback(error: Exception) -> str:
    """Where it crashed, without this machine's directories: a verdict is the same bytes everywhere."""
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(
        f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}" for frame in frames[-6:]
    )


def _judged(run: Run, criterion: Criterion, measurement: Measurement) -> tuple[Verdict, Reason]:
    spec = criterion.spec
    objection = _objection(run, criterion, measurement)
    if objection is not None or measurement.value is None:
        return Verdict.INCONCLUSIVE, objection or Reason.of(Code.NOT_COLLECTED, metric=criterion.measure)
    verdict = _compared(run, criterion, measurement, measurement.value)
    if verdict is Verdict.INCONCLUSIVE:
        return verdict, measurement.note or Reason.of(Code.ONLY_AT_LEAST)
    if verdict is not Verdict.GO and (excused := excuse(run, criterion)) is not None:
        return Verdict.INCONCLUSIVE, excused
    if verdict is Verdict.NOGO and spec.group is Group.LOAD:
        return Verdict.INCONCLUSIVE, Reason.of(Code.GO_MISSED, go=criterion.go.text)
    return verdict, _comparison_reason(criterion, verdict, measurement)


def _objection(run: Run, criterion: Criterion, measurement: Measurement) -> Reason | None:
    """Why no comparison can be made, if none can."""
    if measurement.value is None:
        return measurement.why_not
    spec = criterion.spec
    if measurement.samples < spec.min_samples:
        return Reason.of(Code.TOO_FEW_SAMPLES, samples=measurement.samples, needed=spec.min_samples)
    if _names_plan(criterion) and spec.group is not Group.LOAD and not run.worker_lost:
        sent, planned = sent_records(run), run.planned_records
        if sent is not None and sent < planned:
            return Reason.of(Code.PLAN_NOT_SENT, sent=sent, planned=planned)
    return _baseline_objection(run, criterion) if criterion.needs_baseline else None


def _baseline_objection(run: Run, criterion: Criterion) -> Reason | None:
    """Why there is nothing to compare with, if so: relative to nothing, nothing is a pass."""
    if run.baseline is None:
        return Reason.of(Code.NO_BASELINE, option="--baseline RUN")
    if run.baseline.refused:
        return Reason.of(Code.BASELINE_REFUSED, run=run.baseline.run_id, why=run.baseline.refused)
    if run.baseline.value_of(criterion.measure) is None:
        return Reason.of(Code.BASELINE_REFUSED, run=run.baseline.run_id, why=f"{criterion.measure} ?")
    return None


def _names_plan(criterion: Criterion) -> bool:
    return any(condition is not None and condition.number is None for condition in (criterion.go, criterion.nogo))


def _compared(run: Run, criterion: Criterion, measurement: Measurement, value: float) -> Verdict:
    go = run.wanted(criterion.go, criterion.measure)
    nogo = None if criterion.nogo is None else run.wanted(criterion.nogo, criterion.measure)
    if measurement.interval is not None:
        return judge_interval(*measurement.interval, go, nogo)
    if measurement.bounds is not None:
        return judge_between(*measurement.bounds, go, nogo)
    return (judge_at_least if measurement.at_least else judge_value)(value, go, nogo)


def _comparison_reason(criterion: Criterion, verdict: Verdict, measurement: Measurement) -> Reason:
    exact = not measurement.at_least and verdict is not Verdict.GO
    if measurement.note is not None and (measurement.value == math.inf or exact):
        return measurement.note
    go, nogo = criterion.go.text, criterion.nogo.text if criterion.nogo else ""
    if measurement.interval is not None:
        low, high = measurement.interval
        codes = {Verdict.GO: Code.INTERVAL_IN_GO, Verdict.NOGO: Code.INTERVAL_IN_NOGO}
        return Reason.of(codes.get(verdict, Code.INTERVAL_ACROSS), low=low, high=high, go=go, nogo=nogo)
    if verdict is Verdict.GO:
        others = measurement.note is not None and measurement.note.code is Code.OURS_AMONG_OTHERS
        return measurement.note if measurement.note is not None and others else Reason.of(Code.GO_MET, go=go)
    if verdict is Verdict.GREY:
        return Reason.of(Code.BETWEEN, go=go, nogo=nogo)
    return Reason.of(Code.NOGO_MET, go=go, nogo=nogo) if nogo else Reason.of(Code.GO_MISSED, go=go)


def _load_verdict(results: list[Result]) -> Verdict:
    """Whether the load was applied; NOT_RUN when no required criterion asks."""
    asked = [result.verdict for result in _asking(results) if result.verdict is not Verdict.NOT_RUN]
    return worst(asked) if asked else Verdict.NOT_RUN


def _asking(results: list[Result]) -> list[Result]:
    """Required criteria on the load itself. How punctual a load was that is not ours is nothing that could be asked."""
    return [
        result
        for result in results
        if result.group is Group.LOAD
        and not result.criterion.advisory
        and result.reason.code is not Code.NEEDS_ENVELOPES
    ]


def _load_verdict_for(result: Result, results: list[Result]) -> Verdict:
    """Whether the load was applied where a result looks: on its phase, if that has load criteria of its own."""
    asked = _asking(results)
    own = [one.verdict for one in asked if one.criterion.phase == result.criterion.phase]
    others = [one.verdict for one in asked if one.criterion.phase is None] or [
        one.verdict for one in asked if one.verdict is not Verdict.NOT_RUN
    ]
    found = own or others
    return worst(found) if found else Verdict.NOT_RUN


def _under_load(run: Run, result: Result, load: Verdict) -> Result:
    if result.group is not Group.PERFORMANCE or result.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_RUN):
        return result
    if load in (Verdict.GO, Verdict.GREY):
        return result
    if run.unaccounted:
        return replace(result, verdict=Verdict.INCONCLUSIVE, reason=run.worker_lost_reason)
    not_judged = Reason.of(Code.LOAD_NOT_JUDGED, hint="load.achieved")
    reason = not_judged if load is Verdict.NOT_RUN else Reason.of(Code.LOAD_NOT_APPLIED)
    return replace(result, verdict=Verdict.INCONCLUSIVE, reason=reason)


def _not_believed(run: Run, result: Result) -> Result:
    """The same result, of which nothing follows; a step that was never tried was not tried all the same."""
    if result.verdict is Verdict.NOT_RUN:
        return result
    why, measured = _unreliable(run), result.measurement
    unbelieved = Measurement(
        value=None, unit=measured.unit, source=measured.source, window=measured.window, why_not=why
    )
    return replace(result, measurement=unbelieved, beside=None, verdict=Verdict.INCONCLUSIVE, reason=why)


def _unreliable(run: Run) -> Reason:
    """The record contradicts itself; the first equation that does not hold, and how many there are."""
    first = run.contradictions[0]
    return Reason.of(
        Code.RECORD_UNRELIABLE, count=len(run.contradictions), equation=first.equation.value, **first.params
    )


def _overall(run: Run, required: list[Result]) -> tuple[Verdict, Reason]:
    verdicts = [result.verdict for result in required]
    if run.crashed or run.contradictions:
        return Verdict.INCONCLUSIVE, _crash_reason(run) if run.crashed else _unreliable(run)
    ended_early = _ended_early(run)
    if ended_early is not None:
        return worst([*verdicts, Verdict.INCONCLUSIVE]), ended_early
    if not required:
        return Verdict.INCONCLUSIVE, Reason.of(Code.NO_CRITERIA)
    verdict = worst(verdicts)
    doubt = never_go(run) if verdict in (Verdict.GO, Verdict.GREY) else None
    if doubt is not None:
        return Verdict.INCONCLUSIVE, doubt
    count = sum(one is verdict for one in verdicts)
    all_go = Reason.of(Code.ALL_GO, count=len(required))
    return verdict, all_go if verdict is Verdict.GO else Reason.of(Code.DECIDED_BY, count=count, of=len(required))


def _ended_early(run: Run) -> Reason | None:
    """Who or what ended the run, or its load, before its plan did."""
    ending = run.record.manifest.ending
    if ending is None:
        return None
    if run.aborted:
        return Reason.of(Code.ABORTED, how=ending.how, detail=ending.detail, at_ns=ending.at_ns)
    return None if ending.cut is None else _cut_reason(ending.cut)


def _cut_reason(cut: Cut) -> Reason:
    """Which criterion ended the load, when, and how long it had been NOGO."""
    value = {} if cut.value is None else {"value": cut.value}
    lasted_s = round((cut.at_ns - cut.nogo_since_ns) / 1e9, 1)
    return Reason.of(
        Code.CUT_SHORT, criterion=cut.criterion, at_ns=cut.at_ns, lasted_s=lasted_s, unit=cut.unit, **value
    )


def _crash_reason(run: Run) -> Reason:
    """What happened, and the last thing known."""
    record = run.record
    phase = record.manifest.phases[-1].name if record.manifest.phases else "–"
    row = record.timeline[-1] if record.timeline else None
    return Reason.of(
        Code.CRASHED,
        phase=phase,
        at_ns=last_known_ns(record),
        sent=row.sent if row else 0,
        acked=row.acked if row else 0,
        arrived=row.arrived if row else 0,
    )


def _exit_code(run: Run, required: list[Result], verdict: Verdict) -> ExitCode:
    if not run.aborted:
        return EXIT_CODES[verdict]
    damaged = any(result.verdict is Verdict.NOGO and result.group is Group.INTEGRITY for result in required)
    return ExitCode.NOGO if damaged and not run.crashed else ExitCode.ABORTED
