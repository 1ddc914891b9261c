"""What our own timeline must show before a figure is read from it: a row each second of what is looked at.

Like a scrape's points (checks/measures/completeness.py): known ones, for nine tenths of the time, from its start to its
end, and no long time without any. A generator that stood still wrote none; nobody knows what came meanwhile.
"""

from __future__ import annotations

import numpy as np

from checks.measurement import Window
from checks.measures.registry import Run
from checks.measures.tolerances import COVERAGE_LEAST, FRESH_SCRAPES, ROWS_HOLE_LONGEST_S
from checks.reasons import Code, Reason
from checks.spans import Spans, vouched

ROW_S = 1.0
NS_PER_S = 1e9
WHERE = "record/timeline.jsonl"


def timeline_objection(run: Run, window: Window) -> Reason | None:
    """Why the timeline does not tell of a window, if it does not."""
    rows = np.array([row.at_ns for row in run.record.timeline], dtype=float) / NS_PER_S
    # Of a window shorter than a row, the rows beside it tell.
    needed = Spans.whole(window.start_s, max(window.end_s, window.start_s + ROW_S))
    found = vouched(np.unique(rows), needed, interval_s=ROW_S)
    if found.share < COVERAGE_LEAST:
        return Reason.of(
            Code.LOW_COVERAGE,
            percent=100 * found.share,
            wanted=100 * COVERAGE_LEAST,
            points=int(((rows >= window.start_s) & (rows <= window.end_s)).sum()),
            interval_s=ROW_S,
            where=WHERE,
        )
    fresh_s = FRESH_SCRAPES * ROW_S
    if found.late_s > fresh_s:
        return Reason.of(Code.STARTS_LATE, late_s=found.late_s, where=WHERE)
    if found.stale_s > fresh_s:
        return Reason.of(Code.STALE, age_s=found.stale_s, where=WHERE)
    if found.hole_s > ROWS_HOLE_LONGEST_S:
        return Reason.of(Code.HOLE, hole_s=found.hole_s, longest_s=ROWS_HOLE_LONGEST_S, where=WHERE)
    return None
