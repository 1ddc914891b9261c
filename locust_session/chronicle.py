"""What a run writes of itself while it is played: its phases and events as they happen, each second, its manifest.

Knows no order of things: the conductor says what happens, and this writes it down, at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from locust_session.moments import MasterClock
from locust_session.run_manifest import RunFacts, manifest_of
from run_record.account import Latency
from run_record.manifest import Ending, PhaseKind, PhasePlayed, Worker
from run_record.store import RunWriter
from run_record.timeline import TimelineRow
from scenarios.errors import Mm2gateError


@dataclass(slots=True, kw_only=True)
class Chronicle:
    """One run's. Whatever cannot be written raises RunRecordError, which ends the run."""

    facts: RunFacts
    clock: MasterClock
    phases: list[PhasePlayed] = field(default_factory=list)
    """As played, the one that goes on last."""
    _writer: RunWriter | None = None
    _opened_ns: int = 0

    @property
    def directory(self) -> Path | None:
        """The run's directory, once there is one."""
        return self._writer.directory if self._writer else None

    @property
    def phase(self) -> PhasePlayed | None:
        """The one that goes on, or the last one."""
        return self.phases[-1] if self.phases else None

    def open(self, runs_directory: Path, run_id: str) -> str:
        """Makes the run's directory; its name, which is another than the one wished for when that is taken."""
        self._writer = RunWriter.create(runs_directory, run_id)
        self._opened_ns = self.clock.now_ns()
        self.manifest(())
        self.event("run_started", run_id=self._writer.run_id)
        return self._writer.run_id

    def begin(
        self, name: str, kind: PhaseKind, *, records: int = 0, planned_s: float | None = None, at_ns: int | None = None
    ) -> None:
        """Ends the phase before, and begins this one, at the same instant: now, if none is given."""
        if at_ns is None:
            at_ns = self.clock.now_ns()
        self.end_phase(at_ns)
        self.phases.append(PhasePlayed(name=name, kind=kind, records=records, planned_s=planned_s, start_ns=at_ns))
        self.event("phase_started", at_ns=at_ns, phase=name, kind=kind, records=records, planned_s=planned_s)

    def end_phase(self, at_ns: int) -> None:
        """The last phase ended then, unless it had ended before."""
        if self.phases and self.phases[-1].end_ns is None:
            self.phases[-1] = self.phases[-1].model_copy(update={"end_ns": at_ns})

    def event(self, name: str, *, at_ns: int | None = None, **details: Any) -> None:
        """What happened, now if no instant is given. Before there is a directory nothing is written."""
        if self._writer is not None:
            self._writer.event(name, at_ns=self.clock.now_ns() if at_ns is None else at_ns, **details)

    def second(self, row: TimelineRow) -> None:
        """A row of the timeline."""
        self.pen.timeline(row)

    def manifest(self, workers: Iterable[Worker], ending: Ending | None = None) -> None:
        """The manifest as things stand; with the `ending` it is complete."""
        manifest = manifest_of(
            self.facts,
            run_id=self.pen.run_id,
            started_at_ns=self._opened_ns,
            workers=workers,
            phases=self.phases,
            clock=self.clock,
            ending=ending,
        )
        self.pen.manifest(manifest)

    def account(self, ledger: dict[str, Any], latency: Latency) -> None:
        """What the nodes counted, in one."""
        self.pen.ledger(ledger)
        self.pen.latency(latency)

    def seal(self) -> None:
        """Nothing is written after it."""
        self.pen.seal()

    @property
    def pen(self) -> RunWriter:
        """What writes the run's record. Mm2gateError before there is one."""
        if self._writer is None:
            raise Mm2gateError("the run has no record yet")
        return self._writer
