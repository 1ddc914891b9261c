"""The timeline is that of the run: its rows come in order, in the run's phases, and end where the ledger does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from checks.consistency.equations import (
    LATENCY,
    LEDGER,
    MANIFEST,
    NS_PER_S,
    TIMELINE,
    Contradiction,
    Equation,
    Facts,
)
from run_record.histogram import LatencyHistogram
from run_record.reading import Unreadable
from run_record.timeline import TimelineRow

Ints = NDArray[np.int64]
COUNTED = ("sent", "acked", "failed", "unknown", "arrived", "duplicated")
#: One row a second; a run may end with a few that were still due.
SPARE_ROWS = 10
SPARE_SHARE = 0.01
#: Nodes report once a second: so long after the last record was sent the master has heard of it.
HEARD_WITHIN_S = 10.0
#: A clock read twice is not read at once.
CLOCK_SLACK_NS = 50_000_000


def of_timeline(facts: Facts) -> Iterator[Contradiction]:
    """All equations of timeline.jsonl."""
    rows = facts.record.timeline
    yield from _rows_missing(facts, rows)
    if not rows:
        return
    columns = {name: np.array([getattr(row, name) for row in rows], dtype=np.int64) for name in COUNTED}
    columns |= {
        name: np.array([getattr(row, name) for row in rows], dtype=np.int64)
        for name in ("at_ns", "wanted", "backlog", "wall_step_ns", "workers")
    }
    yield from _in_order(columns)
    yield from _counts(columns)
    yield from _phases(facts, rows, columns["at_ns"])
    yield from _clock(facts, columns)
    yield from _plan(facts, rows, columns)
    yield from _ledger(facts, rows)
    if facts.manifest.has_envelopes and facts.ended_by_itself:
        yield from _latencies(facts, rows, columns["sent"])


def _rows_missing(facts: Facts, rows: tuple[TimelineRow, ...]) -> Iterator[Contradiction]:
    """A second has a row, but for those in which the process that writes them stood still: the events tell of these."""
    ending = facts.manifest.ending
    if ending is None or not facts.record.sealed or ending.how == "failed":
        return
    lasted_s = (ending.at_ns - facts.manifest.started_at_ns) / NS_PER_S
    stood_s = sum(
        float(event["lasted_s"])
        for event in facts.record.events
        if event["event"] == "stood_still" and event.get("master") and "lasted_s" in event
    )
    spare = SPARE_ROWS + SPARE_SHARE * lasted_s
    if not lasted_s - stood_s - spare <= len(rows) <= lasted_s + spare:
        yield Contradiction(
            equation=Equation.ROWS_MISSING,
            where=TIMELINE,
            found=len(rows),
            other=f"{MANIFEST}: started_at_ns … ending.at_ns",
            wanted=round(lasted_s),
        )


def _row(at: int) -> str:
    return f"{TIMELINE}: line {at + 1}"


def _first(mask: NDArray[np.bool_]) -> int | None:
    found = np.flatnonzero(mask)
    return int(found[0]) if len(found) else None


def _in_order(columns: dict[str, Ints]) -> Iterator[Contradiction]:
    """Time goes on, and no count goes back."""
    if (at := _first(np.diff(columns["at_ns"]) <= 0)) is not None:
        before, after = columns["at_ns"][at : at + 2].tolist()
        yield Contradiction(
            equation=Equation.ROWS_IN_ORDER,
            where=f"{_row(at + 1)}: at_ns",
            found=str(after),
            other=_row(at),
            wanted=str(before),
        )
    for name in (*COUNTED, "wanted", "workers"):
        if (at := _first(np.diff(columns[name]) < 0)) is not None:
            yield Contradiction(
                equation=Equation.ROWS_IN_ORDER,
                where=f"{_row(at + 1)}: {name}",
                found=int(columns[name][at + 1]),
                other=_row(at),
                wanted=int(columns[name][at]),
            )


def _counts(columns: dict[str, Ints]) -> Iterator[Contradiction]:
    """What has an answer was sent; what has arrived has an answer, and the rest of it is the backlog."""
    answered = columns["acked"] + columns["failed"] + columns["unknown"]
    if (at := _first(answered > columns["sent"])) is not None:
        yield Contradiction(
            equation=Equation.ROW_COUNTS,
            where=f"{_row(at)}: sent",
            found=int(columns["sent"][at]),
            other="acked + failed + unknown",
            wanted=int(answered[at]),
        )
    missing = columns["acked"] - columns["arrived"]
    if (at := _first(missing != columns["backlog"])) is not None:
        yield Contradiction(
            equation=Equation.ROW_COUNTS,
            where=f"{_row(at)}: backlog",
            found=int(columns["backlog"][at]),
            other="acked − arrived",
            wanted=int(missing[at]),
        )


def _phases(facts: Facts, rows: tuple[TimelineRow, ...], at_ns: Ints) -> Iterator[Contradiction]:
    """Rows are of phases that were played, in their order, and none was made before its phase began."""
    phases = facts.manifest.phases
    places = {"prepare": -1} | {phase.name: number for number, phase in enumerate(phases)}
    starts = {phase.name: phase.start_ns for phase in phases}
    row_places = np.array([places.get(row.phase, -2) for row in rows], dtype=np.int64)
    if (at := _first(row_places == -2)) is not None:
        yield _of_phase(at, rows, ", ".join(places))
        return
    if (at := _first(np.diff(row_places) < 0)) is not None:
        yield _of_phase(at + 1, rows, rows[at].phase)
    began = np.array([starts.get(row.phase, 0) for row in rows], dtype=np.int64)
    if (at := _first(at_ns < began)) is not None:
        yield Contradiction(
            equation=Equation.ROWS_OF_PHASES,
            where=f"{_row(at)}: {rows[at].phase}, at_ns",
            found=str(rows[at].at_ns),
            other=f"{MANIFEST}: phases.{rows[at].phase}.start_ns",
            wanted=str(starts[rows[at].phase]),
        )
    edges = facts.manifest.started_at_ns, None if facts.manifest.ending is None else facts.manifest.ending.at_ns
    for at, edge_ns, outside in (
        (0, edges[0], rows[0].at_ns < edges[0]),
        (len(rows) - 1, edges[1], edges[1] is not None and rows[-1].at_ns > edges[1] + NS_PER_S),
    ):
        if outside:
            yield Contradiction(
                equation=Equation.ROWS_OF_PHASES,
                where=f"{_row(at)}: at_ns",
                found=str(rows[at].at_ns),
                other=f"{MANIFEST}: {'ending.at_ns' if at else 'started_at_ns'}",
                wanted=str(edge_ns),
            )


def _of_phase(at: int, rows: tuple[TimelineRow, ...], wanted: str) -> Contradiction:
    return Contradiction(
        equation=Equation.ROWS_OF_PHASES,
        where=f"{_row(at)}: phase",
        found=rows[at].phase,
        other=f"{MANIFEST}: phases",
        wanted=wanted,
    )


def _clock(facts: Facts, columns: dict[str, Ints]) -> Iterator[Contradiction]:
    """The wall clock was never further away than the manifest says."""
    clock = facts.manifest.clock
    if clock is None:
        return
    most = abs(clock.largest_step_ns) + CLOCK_SLACK_NS
    moved = clock.wall_minus_monotonic_end_ns - clock.wall_minus_monotonic_start_ns
    largest = int(np.abs(columns["wall_step_ns"]).max())
    for where, found in ((f"{TIMELINE}: wall_step_ns", largest), (f"{MANIFEST}: clock, end − start", abs(moved))):
        if found > most:
            yield Contradiction(
                equation=Equation.ROWS_AND_CLOCK,
                where=where,
                found=found,
                other=f"{MANIFEST}: clock.largest_step_ns",
                wanted=clock.largest_step_ns,
            )
    workers = int(columns["workers"].max())
    if workers > len(facts.manifest.workers):
        yield Contradiction(
            equation=Equation.WORKERS,
            where=f"{TIMELINE}: workers",
            found=workers,
            other=f"{MANIFEST}: workers",
            wanted=len(facts.manifest.workers),
        )


def _plan(facts: Facts, rows: tuple[TimelineRow, ...], columns: dict[str, Ints]) -> Iterator[Contradiction]:
    """No more was wanted than was planned; and all of it, when the load got to its end."""
    planned, wanted = facts.manifest.planned_records, int(columns["wanted"][-1])
    ending, last = facts.manifest.ending, facts.manifest.of_kind("load")[-1:]
    whole = ending is not None and ending.how == "completed" and last and last[0].end_ns is not None
    over = whole and rows[-1].at_ns > (last[0].end_ns or 0)
    # A load's last record may be a part of one: it is due, and is rounded off.
    if wanted > planned or (over and planned - wanted > len(facts.manifest.of_kind("load"))):
        yield Contradiction(
            equation=Equation.ROWS_AND_PLAN,
            where=f"{_row(len(rows) - 1)}: wanted",
            found=wanted,
            other=f"{MANIFEST}: planned_records",
            wanted=planned,
        )


def _ledger(facts: Facts, rows: tuple[TimelineRow, ...]) -> Iterator[Contradiction]:
    """No second counted more than the ledger does in the end, workers that vanished apart; and the last ones, when
    nothing had been sent for a while, the same number of records sent."""
    totals, content = facts.record.counts(), facts.record.ledger
    if totals is None or content is None:
        return
    lost = sum(one["sent"] for one in content["unaccounted"])
    last, at = rows[-1], len(rows) - 1
    for name in COUNTED:
        found, most = getattr(last, name), getattr(totals, name) + lost
        if found > most and not (name == "duplicated" and facts.vanished):
            yield _row_and_ledger(at, name, found, most)
    loads = facts.manifest.of_kind("load")
    stopped_ns = loads[-1].end_ns if loads else facts.manifest.started_at_ns
    settled = stopped_ns is not None and last.at_ns > stopped_ns + HEARD_WITHIN_S * NS_PER_S
    if settled and last.sent < totals.sent and not facts.vanished:
        yield _row_and_ledger(at, "sent", last.sent, totals.sent)


def _row_and_ledger(at: int, name: str, found: int, wanted: int) -> Contradiction:
    return Contradiction(
        equation=Equation.ROWS_AND_LEDGER,
        where=f"{_row(at)}: {name}",
        found=found,
        other=f"{LEDGER}: totals.{name}",
        wanted=wanted,
    )


def _latencies(facts: Facts, rows: tuple[TimelineRow, ...], sent: Ints) -> Iterator[Contradiction]:
    """What each second says of send delays is of the records sent by then; the histograms that are kept are of the
    seconds since the last ones; and the seconds together saw no more, and nothing larger, than latency.json has."""
    counts = {
        kind: np.array([getattr(row, kind).count for row in rows], dtype=np.int64).cumsum()
        for kind in ("e2e", "send_delay")
    }
    if (at := _first(counts["send_delay"] != sent)) is not None:
        yield _row_and_latency(f"{_row(at)}: send_delay.count", int(counts["send_delay"][at]), "sent", int(sent[at]))
    yield from _kept(rows, counts)
    if facts.vanished or facts.record.ledger is None or any(f.file == "latency.json" for f in facts.record.faults):
        return
    for kind, cumulated in counts.items():
        histograms = [kinds[kind] for kinds in facts.record.latency.values() if kind in kinds]
        most, seen = sum(one.count for one in histograms), int(cumulated[-1])
        if seen > most:
            yield _row_and_latency(f"{TIMELINE}: Σ {kind}.count", seen, f"{LATENCY}: {kind}.count", most)
        largest_ms = max((one.max_ms for one in histograms if one.count), default=0.0)
        seen_ms = max((getattr(row, kind).max_ms or 0.0 for row in rows), default=0.0)
        if seen_ms > largest_ms + 1e-6 or (seen == most and seen_ms < largest_ms - 1e-6):
            yield _row_and_latency(f"{TIMELINE}: {kind}.max_ms", seen_ms, f"{LATENCY}: {kind}.max_ns", largest_ms)


def _kept(rows: tuple[TimelineRow, ...], counts: dict[str, Ints]) -> Iterator[Contradiction]:
    kept = dict.fromkeys(counts, 0)
    for at, row in enumerate(rows):
        if not row.histograms:
            continue
        for kind, cumulated in counts.items():
            if kind in row.histograms:
                try:
                    kept[kind] += LatencyHistogram.from_json(row.histograms[kind]).count
                except Unreadable as error:
                    yield Contradiction(
                        equation=Equation.UNREADABLE,
                        where=f"{_row(at)}: histograms.{kind}",
                        found=str(error),
                    )
                    return
            if kept[kind] != cumulated[at]:
                yield _row_and_latency(
                    f"{_row(at)}: histograms.{kind}.count", kept[kind], f"Σ {kind}.count", int(cumulated[at])
                )
                return


def _row_and_latency(where: str, found: float, other: str, wanted: float) -> Contradiction:
    return Contradiction(equation=Equation.ROWS_AND_LATENCY, where=where, found=found, other=other, wanted=wanted)
