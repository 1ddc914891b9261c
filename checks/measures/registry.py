"""What every measure is given, and the table of measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from checks.evidence import Evidence
from checks.measurement import Measurement
from checks.windows import Windows
from run_record.counts import Counts
from run_record.store import RunRecord
from scenarios.environment import Environment
from scenarios.measures import MEASURES, MeasureSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as it is judged. `windows` is None when the load never started."""

    record: RunRecord
    evidence: Evidence
    environment: Environment
    windows: Windows | None

    @property
    def counts(self) -> Counts | None:
        """The ledger's totals; None when the run was killed before they were written."""
        return self.record.counts()

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
    def worker_lost(self) -> bool:
        """Whether a load worker vanished, and what it owned with it."""
        ending = self.record.manifest.ending
        return ending is not None and ending.how == "worker_lost"


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
