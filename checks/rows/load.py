"""The load's own end of things, and the source: none of it is MM2's fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from checks.finding import Finding, fitting
from checks.interruptions import longest_interruption
from checks.measures import Run
from checks.rows.figures import p99_ms

SLOW_MS = 500.0
#: "Most of it": a source that takes more than half of the end-to-end time is what has to be looked at first.
MOST = 0.5


def load_rows(run: Run, values: Mapping[str, float]) -> Iterator[Finding]:
    """Rows of the ledger and of our own histograms. `values`: measure → value."""
    ledger = run.record.ledger or {}
    acked, errors = values.get("ledger.acked", 0), values.get("ledger.send_errors", 0)
    if errors > 0:
        last_error = next(iter(ledger.get("last_errors", ())), "")
        yield fitting("source_refuses", errors=errors, acked=acked, error=last_error)
    stalled = longest_interruption(run, "stood_still") or longest_interruption(run, "load_held")
    if stalled is not None:
        yield fitting("generator_stalled", **stalled)
    yield from _slow_rows(run)
    if run.read_refused:
        yield fitting("mirror_unreadable", topic=run.read_refused[0], count=len(run.read_refused))
    if unaccounted := run.unaccounted:
        workers = ", ".join(one.worker for one in unaccounted)
        yield fitting("load_worker_lost", workers=workers, owned=sum(len(one.owned) for one in unaccounted))


def _slow_rows(run: Run) -> Iterator[Finding]:
    ack_ms, due_ms, sent_ms = (p99_ms(run, kind) for kind in ("ack", "e2e", "e2e_from_sent"))
    if due_ms is None:
        return
    if ack_ms is not None and ack_ms > SLOW_MS and ack_ms > MOST * due_ms:
        yield fitting("source_slow", ack_ms=ack_ms, e2e_ms=due_ms)
    if sent_ms is not None and due_ms > SLOW_MS and due_ms - sent_ms > MOST * due_ms:
        yield fitting("sender_held_up", due_ms=due_ms, sent_ms=sent_ms)
