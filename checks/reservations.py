"""What a reader of the fiche should know of how the run was measured, whatever the verdict: a reason each, or none."""

from __future__ import annotations

from collections.abc import Iterator

from checks.connect_seen import connect_view
from checks.interruptions import longest_interruption
from checks.measures.closing import mirror_reason, purged_reason, stood_still, untold_facts
from checks.measures.e2e import all_latencies
from checks.measures.registry import Run
from checks.measures.scrape_guards import CLOCK_STEP_S, worker_clock_step
from checks.reasons import Code, Reason

#: From due and from sent differ by more than this: the generator was held up, and only one of them says so.
HELD_UP_RATIO = 1.1
#: Keys that a sentence names.
SHOWN_KEYS = 4


def reservations(run: Run) -> Iterator[Reason]:
    """Of a run as recorded."""
    yield from _of_the_files(run)
    clock, counts = run.record.manifest.clock, run.counts
    if clock is not None and abs(clock.largest_step_ns) / 1e9 >= CLOCK_STEP_S:
        yield Reason.of(Code.CLOCK_STEPPED, step_s=clock.largest_step_ns / 1e9)
    if (stepped := worker_clock_step(run)) is not None:
        yield Reason.of(Code.WORKER_CLOCK_STEPPED, worker=stepped[0], step_s=stepped[1])
    if (stalled := longest_interruption(run, "stood_still")) is not None:
        yield Reason.of(Code.STOOD_STILL, **stalled)
    if (held := longest_interruption(run, "load_held")) is not None:
        yield Reason.of(Code.LOAD_HELD, **held)
    if run.lost_places and mirror_reason(run) is None:  # which says why the place was lost
        yield Reason.of(Code.LOST_PLACE, place=run.lost_places[0], count=len(run.lost_places))
    if counts is not None and counts.misplaced:
        yield Reason.of(Code.MISPLACED, count=counts.misplaced)
    if counts is not None and counts.foreign and run.record.manifest.has_envelopes:
        yield Reason.of(Code.FOREIGN_ARRIVALS, count=counts.foreign)
    view = connect_view(run)
    for other in view.others if view is not None else ():
        yield Reason.of(Code.SECOND_CONNECTOR, connector=other.name, state=other.state, topic=other.topics[0])
    if rekeyed := _rekeyed(run):
        yield Reason.of(Code.REKEYED, place=rekeyed)
    yield from _not_mm2s(run)
    from_due, from_sent = all_latencies(run, "e2e"), all_latencies(run, "e2e_from_sent")
    if from_sent.count and from_due.percentile_ms(99) > HELD_UP_RATIO * from_sent.percentile_ms(99):
        yield Reason.of(Code.SENDER_HELD_UP, due_ms=from_due.percentile_ms(99), sent_ms=from_sent.percentile_ms(99))


def _of_the_files(run: Run) -> Iterator[Reason]:
    """What an earlier version did not write down, and evidence that is newer than what is judged."""
    if absent := run.record.not_told:
        shown = ", ".join(absent[:SHOWN_KEYS]) + (", …" if len(absent) > SHOWN_KEYS else "")
        yield Reason.of(Code.NOT_TOLD, keys=shown, count=len(absent))
    judged = run.evidence.directory.name
    if newer := run.record.passed_over(judged):
        yield Reason.of(Code.EVIDENCE_PASSED_OVER, directory=newer[-1], judged=judged or "–")


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
