"""What every measure is given, and the table of measures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from checks.baseline import Baseline
from checks.consistency.equations import Contradiction
from checks.evidence import Evidence
from checks.measurement import Measurement, Window
from checks.reasons import Code, Reason
from checks.windows import Windows
from run_record.counts import Counts
from run_record.store import RunRecord
from scenarios.conditions import Condition, Interval
from scenarios.criterion import Criterion
from scenarios.environment import Environment
from scenarios.measures import MEASURES, MeasureSpec

#: Partitions of a vanished worker that a sentence names; all of them are in the ledger.
NAMED_PARTITIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Unaccounted:
    """A load worker that vanished: what only it could account for, and what it had sent when it was last heard."""

    worker: str
    owned: tuple[str, ...]
    sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as it is judged. `windows` is None when the load never started; `stretch` is the part of the load that is
    looked at, if not all of it; `phase` the load phase, and then the windows are that phase's."""

    record: RunRecord
    evidence: Evidence
    environment: Environment
    windows: Windows | None
    stretch: Window | None = None
    phase: str | None = None
    baseline: Baseline | None = None
    contradictions: tuple[Contradiction, ...] = ()
    """What the run says against itself: then nothing of it is believed."""

    def over(self, stretch: Window) -> Run:
        """The same run, of which only a stretch is looked at."""
        return replace(self, stretch=stretch)

    def of_phase(self, phase: str) -> Run:
        """One load phase of the run, looked at as if it were a run of its own."""
        return replace(self, phase=phase, windows=Windows.of_phase(self.record, self.environment, phase))

    @property
    def planned_records(self) -> int:
        """Records planned, of the phase looked at or of all."""
        manifest = self.record.manifest
        if self.phase is None:
            return manifest.planned_records
        played = manifest.phase(self.phase)
        return played.records if played is not None else 0

    def wanted(self, condition: Condition, measure: str) -> Interval:
        """A condition on a measure as the values that it wants, in the measure's unit: `plan` and `baseline` are this
        run's. Relative to a baseline that there is not, no value is wanted."""
        base = self.baseline.value_of(measure) if self.baseline is not None else None
        return condition.interval(
            unit=MEASURES[measure].unit,
            plan_records=self.planned_records,
            baseline=math.nan if base is None else base,
        )

    def limits_of(self, criterion: Criterion) -> tuple[float, ...]:
        """What a criterion's value is judged by, in its measure's unit: every edge of its conditions."""
        looked_at = self if criterion.phase is None else self.of_phase(criterion.phase)
        wanted = [looked_at.wanted(one, criterion.measure) for one in (criterion.go, criterion.nogo) if one is not None]
        return tuple(edge for one in wanted for edge in (one.low, one.high) if math.isfinite(edge))

    @property
    def load_window(self) -> Window | None:
        """The stretch looked at, or else all of the load."""
        if self.stretch is not None or self.windows is None:
            return self.stretch
        return Window(start_s=self.windows.start_s, end_s=self.windows.load_end_s)

    @property
    def counts(self) -> Counts | None:
        """The ledger's totals, or the phase's; None when the run was killed before they were written."""
        return self.record.counts(self.phase)

    @property
    def aborted(self) -> bool:
        """Whether the run was ended before its plan did, or did not reach its own end at all."""
        ending = self.record.manifest.ending
        return not self.record.sealed or ending is None or ending.aborted

    @property
    def crashed(self) -> bool:
        """Whether its writer died: no seal, so no ledger that could be trusted."""
        return not self.record.sealed or self.record.manifest.ending is None

    @property
    def without_ledger(self) -> Code:
        """Why there is no ledger, where there is none: the writer died, or the run ended before its load."""
        return Code.RECORD_UNFINISHED if self.crashed else Code.LOAD_NOT_STARTED

    @property
    def worker_lost(self) -> bool:
        """Whether a load worker vanished, and with it the account of what it owned: the rest is a part of the whole."""
        ending = self.record.manifest.ending
        vanished = ending is not None and ending.how == "worker_lost"
        return vanished or bool((self.record.ledger or {}).get("unaccounted"))

    @property
    def unaccounted(self) -> tuple[Unaccounted, ...]:
        """Load workers that vanished, of a ledger that was written all the same."""
        lost = (self.record.ledger or {}).get("unaccounted", ())
        return tuple(
            Unaccounted(worker=str(one["worker"]), owned=tuple(one["owned"]), sent=int(one["sent"])) for one in lost
        )

    @property
    def worker_lost_reason(self) -> Reason:
        """Who vanished, and what with it: the first few partitions, and how many."""
        lost = self.unaccounted
        if not lost:
            return Reason.of(Code.WORKER_LOST)
        owned = [place for one in lost for place in one.owned]
        named = ", ".join(owned[:NAMED_PARTITIONS]) + (", …" if len(owned) > NAMED_PARTITIONS else "")
        return Reason.of(
            Code.WORKER_LOST,
            worker=", ".join(one.worker for one in lost),
            partitions=len(owned),
            owned=named or "–",
            sent=sum(one.sent for one in lost),
        )

    @property
    def read_refused(self) -> tuple[str, ...]:
        """Mirrors that the target did not let the load read: whether anything arrived there is not known."""
        return tuple((self.record.ledger or {}).get("read_refused", ()))

    @property
    def lost_places(self) -> tuple[str, ...]:
        """Partitions of mirrors of which a stretch was never read: what was missing there may have arrived."""
        return tuple((self.record.ledger or {}).get("lost_places", ()))


MeasureFunction = Callable[[Run, MeasureSpec], Measurement]
REGISTRY: dict[str, MeasureFunction] = {}


def measures(name: str) -> Callable[[MeasureFunction], MeasureFunction]:
    """Registers a function under a name of the vocabulary."""
    if name not in MEASURES:
        raise KeyError(f"{name} is not in scenarios.measures")

    def register(function: MeasureFunction) -> MeasureFunction:
        REGISTRY[name] = function
        return function

    return register


def measure(name: str, run: Run) -> Measurement:
    """Measures one thing on one run."""
    return REGISTRY[name](run, MEASURES[name])
