"""What makes a measurement look worse than MM2 was: a drain that was cut short, a reader of our own that stood still.
Such a measurement may be GO, and is never held against MM2."""

from __future__ import annotations

from checks.measures.closing import stood_still
from checks.measures.registry import Run
from checks.reasons import Code, Reason
from scenarios.criterion import Criterion


def excuse(run: Run, criterion: Criterion) -> Reason | None:
    """Why a criterion that is not GO may not be held against MM2, if so."""
    spec = criterion.spec
    # The latencies of records that have all arrived are what they are.
    waits = not spec.name.startswith("e2e.") or _misses_some(run)
    if spec.needs_drain and waits and _drain_was_cut(run):
        return Reason.of(Code.DRAIN_CUT_SHORT)
    return stood_still(run) if spec.needs_reader else None


def _misses_some(run: Run) -> bool:
    return run.counts is not None and run.counts.backlog > 0


def _drain_was_cut(run: Run) -> bool:
    """Whether the run ended before its drain did; what comes after a drain proves that it ended."""
    return run.aborted and not run.record.manifest.of_kind("watch")
