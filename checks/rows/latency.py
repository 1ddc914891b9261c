"""Where the time goes, when a latency is not GO: which part of the way takes most of it. Silent without figures."""

from __future__ import annotations

from collections.abc import Iterator

from checks.decomposition import decomposed
from checks.evaluate import Evaluation
from checks.finding import Finding, fitting
from checks.measures import Run
from checks.rows.figures import value_of
from checks.rows.load import MOST, SLOW_MS
from checks.rows.table import LATENCY
from checks.verdict import Verdict

_MEASURES = ("load.send_delay_mean", "mm2.record_age_avg", "mm2.latency_avg", "e2e.mean", "source.ack_mean")
#: MM2's gauges look back, so a part may come out a little below nothing; by more than this share of the whole, they are
#: not of the same records as ours.
CONTRADICTION = 0.1
#: Part of the way → the row that names it.
_ROWS = {
    "send_delay": "sender_held_up",
    "to_mm2": "time_before_mm2",
    "in_mm2": "time_in_mm2",
    "to_arrival": "time_after_mm2",
}


def latency_rows(run: Run, evaluation: Evaluation) -> Iterator[Finding]:
    """The part that takes most of the mean; none where no latency is troubled, or where a figure is missing."""
    troubled = [
        result.criterion
        for result in evaluation.results
        if result.criterion.measure in LATENCY and result.verdict in (Verdict.NOGO, Verdict.GREY)
    ]
    if not troubled or not any(phase.kind == "silence" for phase in run.record.manifest.phases):
        return  # without a silence MM2's gauges show the canaries too
    phase = troubled[0].phase
    looked_at = run if phase is None else run.of_phase(phase)
    figures = {name: value for name in _MEASURES if (value := value_of(looked_at, name)) is not None}
    ways = decomposed(figures)
    if any((part.mean_ms or 0.0) < -CONTRADICTION * (ways.whole_ms or 0.0) for part in ways.parts):
        return  # MM2's figures and ours contradict each other: what they differ by is no time
    largest = ways.largest
    if largest is None or largest.mean_ms is None or not ways.whole_ms or largest.mean_ms <= MOST * ways.whole_ms:
        return
    if largest.name == "send_delay":
        return  # a row of the load's, by the worst percent: `sender_held_up`
    yield fitting(
        _ROWS[largest.name],
        part_ms=largest.mean_ms,
        e2e_ms=ways.whole_ms,
        percent=largest.share_percent,
        ack_ms=ways.ack_ms if ways.ack_ms is not None and ways.ack_ms < SLOW_MS else None,
    )
