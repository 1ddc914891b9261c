"""Which rows of a diagnosis table fit what was measured, with the figures that decided it. Pure.

Four rows are the page's own ("Si NOGO : diagnostic") and are always answered: fits, does not, or could not be told.
The others are ours (checks/rows/): what Connect's REST API, the connector's configuration, the ledger and the evidence
itself show beyond the page. They appear only when they fit, the most telling first. Words and actions are the
language's catalogue's, by the row's name; which of them is about what decided, checks/lead.py says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from checks.canaries import canaries_of
from checks.connect_seen import connect_view
from checks.evaluate import Evaluation
from checks.finding import PAGE_ROWS, Finding, fitting
from checks.measures import Run
from checks.rows.connect import connect_rows
from checks.rows.evidence import evidence_rows
from checks.rows.flow import flow_rows
from checks.rows.latency import latency_rows
from checks.rows.load import SLOW_MS, load_rows
from checks.rows.table import OUR_ROWS
from checks.rows.topics import topic_rows
from checks.topic_troubles import topic_troubles
from checks.verdict import Verdict

__all__ = ["OUR_ROWS", "PAGE_ROWS", "Finding", "diagnose", "values_of"]


def diagnose(run: Run, evaluation: Evaluation) -> tuple[Finding, ...]:
    """The page's rows, all of them, then ours that fit; ours are looked for only when something is wrong."""
    values = values_of(evaluation)
    counts = run.counts
    if counts is not None and counts.balanced and not run.read_refused:
        # The ledger knows them whether or not the scenario has criteria on them, and of the whole run.
        errors = counts.failed + counts.unknown
        values |= {"ledger.acked": counts.acked, "ledger.arrived": counts.arrived, "ledger.send_errors": errors}
    page = tuple(_page_rows(values))
    if evaluation.verdict is Verdict.GO:
        return page
    ours = sorted(_our_rows(run, evaluation, values), key=lambda finding: OUR_ROWS.index(finding.row))
    return (*page, *ours)


def values_of(evaluation: Evaluation) -> dict[str, float]:
    """Measure → value, of what has one."""
    values: dict[str, float] = {}
    for result in evaluation.results:
        pairs = [(result.criterion.measure, result.measurement)]
        if result.criterion.beside is not None and result.beside is not None:
            pairs.append((result.criterion.beside, result.beside))
        for name, measurement in pairs:
            if measurement.value is not None:
                values[name] = measurement.value
    return values


def _page_rows(values: Mapping[str, float]) -> Iterator[Finding]:
    poll, write = values.get("connect.poll_total"), values.get("connect.write_total")
    yield _row("poll_zero", None if poll is None else poll == 0, poll=poll)
    yield _row("write_zero", None if poll is None or write is None else write == 0 and poll > 0, write=write, poll=poll)
    mm2, e2e = values.get("mm2.latency_avg"), values.get("e2e.mean")
    known = [value for value in (mm2, e2e) if value is not None]
    yield _row("slow", max(known) > SLOW_MS if known else None, mm2_ms=mm2, e2e_ms=e2e)
    acked, arrived = values.get("ledger.acked"), values.get("ledger.arrived")
    nothing = None if acked is None or arrived is None else arrived == 0 and acked > 0
    yield _row("nothing_on_target", nothing, arrived=arrived, acked=acked)


def _row(name: str, fits: bool | None, **figures: float | None) -> Finding:
    return Finding(row=name, fits=fits, params={key: value for key, value in figures.items() if value is not None})


def _our_rows(run: Run, evaluation: Evaluation, values: Mapping[str, float]) -> Iterator[Finding]:
    view = connect_view(run)
    yield from load_rows(run, values)
    if view is not None:
        yield from connect_rows(run, view)
    yield from topic_rows(topic_troubles(run, view))
    yield from flow_rows(run, None if view is None else view.source, values)
    yield from latency_rows(run, evaluation)
    yield from evidence_rows(run)
    canaries = canaries_of(run.record)
    if canaries is not None and not canaries.crossed:
        yield fitting("canaries_missing", sent=canaries.sent, arrived=canaries.arrived, acked=canaries.acked)
