"""What a reader of the fiche should know of how the run was measured, whatever the verdict: a reason each, or none."""

from __future__ import annotations

from collections.abc import Iterator

from checks.measures.closing import mirror_reason, purged_reason, stood_still, untold_facts
from checks.measures.registry import Run
from checks.reasons import Code, Reason
from run_record.histogram import LatencyHistogram

#: A clock that was set, not one that NTP slews.
CLOCK_STEP_S = 1.0
#: From due and from sent differ by more than this: the generator was held up, and only one of them says so.
HELD_UP_RATIO = 1.1


def reservations(run: Run) -> Iterator[Reason]:
    """Of a run as recorded."""
    clock, counts = run.record.manifest.clock, run.counts
    if clock is not None and abs(clock.largest_step_ns) / 1e9 >= CLOCK_STEP_S:
        yield Reason.of(Code.CLOCK_STEPPED, step_s=clock.largest_step_ns / 1e9)
    if run.lost_places and mirror_reason(run) is None:  # which says why the place was lost
        yield Reason.of(Code.LOST_PLACE, place=run.lost_places[0], count=len(run.lost_places))
    if counts is not None and counts.misplaced:
        yield Reason.of(Code.MISPLACED, count=counts.misplaced)
    if rekeyed := _rekeyed(run):
        yield Reason.of(Code.REKEYED, place=rekeyed)
    yield from _not_mm2s(run)
    from_due, from_sent = _all(run, "e2e"), _all(run, "e2e_from_sent")
    if from_sent.count and from_due.percentile_ms(99) > HELD_UP_RATIO * from_sent.percentile_ms(99):
        yield Reason.of(Code.SENDER_HELD_UP, due_ms=from_due.percentile_ms(99), sent_ms=from_sent.percentile_ms(99))


def _not_mm2s(run: Run) -> Iterator[Reason]:
    """Anomalies that are in the ledger, and not MM2's; and what it does not tell."""
    counts = run.counts
    if (changed := mirror_reason(run)) is not None:
        yield changed
    if counts is not None and counts.duplicated_at_source:
        yield Reason.of(Code.DUPLICATES_AT_SOURCE, count=counts.duplicated_at_source)
    if counts is not None and counts.corrupted_at_source:
        yield Reason.of(Code.CORRUPTED_AT_SOURCE, count=counts.corrupted_at_source)
    for reason in (purged_reason(run), stood_still(run)):
        if reason is not None:
            yield reason
    yield from untold_facts(run)


def _rekeyed(run: Run) -> str:
    """The first partition in which a record arrived with another key."""
    streams = (run.record.ledger or {}).get("streams", ())
    return next((f"{one['topic']}:{one['partition']}" for one in streams if "rekeyed" in one["examples"]), "")


def _all(run: Run, kind: str) -> LatencyHistogram:
    together = LatencyHistogram()
    for kinds in run.record.latency.values():
        if kind in kinds:
            together.merge(kinds[kind])
    return together
