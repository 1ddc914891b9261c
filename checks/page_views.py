"""What a page of the runbook shows beyond its criteria, as text ready to print: curves, where the time goes, steps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from checks.chart import Mark, curve
from checks.decomposition import decomposed
from checks.diagnosis import values_of
from checks.evaluate import Evaluation, Result
from checks.markdown import Md, code
from checks.measurement import Measurement
from checks.measures import Run
from checks.measures.backlog import rows_of_load
from checks.measures.mirror import means_by_partition
from checks.metric_profiles import Role
from checks.pages import Page, answer_of, verdict_of
from checks.verdict import Verdict, worst
from checks.words import Words, span_text
from run_record.manifest import PhasePlayed
from scenarios.measures import MEASURES
from scenarios.scenario import Scenario

NS_PER_S = 1e9
#: The lag's curve ends here or higher: a tenth of what the page tolerates.
CURVE_LEAST_TOP = 500.0
#: Partitions that the fiche of phase 3 names: the slowest.
SHOWN_PARTITIONS = 5
#: The connector filter of the page's PromQL.
PAGE_CONNECTOR_FILTER = ".*MirrorSourceConnector.*"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageViews:
    """One judgement, for one page."""

    run: Run
    scenario: Scenario
    evaluation: Evaluation
    words: Words

    def context(self, page: Page) -> dict[str, Any]:
        """The template's `page`."""
        words, evaluation = self.words, self.evaluation
        cells: dict[str, str] = {name: self._answer(answer_of(evaluation, c)) for name, c in page.conditions.items()}
        for name, criteria in page.boxes.items():
            cells[f"box_{name}"] = words.verdict(verdict_of(evaluation, criteria))
        loads = self.run.record.manifest.of_kind("load")
        cells["load_planned"] = ", ".join(self._planned(phase) for phase in loads) or words.phrase("not_measured")
        cells["cpu_of"] = words.phrase(f"cpu_of_{self.run.environment.cpu.workers}")
        cells["conclusion"] = words.verdict(evaluation.verdict)
        names = self.run.environment.connect.connectors.source
        return {
            "cells": cells,
            "steps": {name: words.verdict(verdict_of(evaluation, ids)) for name, ids in page.steps.items()},
            "checked": {f"box_{name}": verdict_of(evaluation, criteria).value for name, criteria in page.boxes.items()}
            | {"conclusion": evaluation.verdict.value},
            "connector": names,
            "filter_matches": re.fullmatch(PAGE_CONNECTOR_FILTER, names) is not None,
            "selectors": {
                role.value: code(self.run.evidence.profile.selector(role, self.run.environment))
                for role in (Role.POLL_TOTAL, Role.WRITE_TOTAL)
            },
            "sources": [topic.source for topic in self.run.record.manifest.topics],
            "remotes": [topic.remote for topic in self.run.record.manifest.topics],
            "curve": self._curve(page),
            **(self._latency() if page.runbook_phase == 3 else {}),
            "overview": self._overview(),
        }

    def _planned(self, phase: PhasePlayed) -> str:
        seconds = phase.planned_s or 0.0
        rate = phase.records / seconds if seconds else 0.0
        return self.words.phrase("planned", records=phase.records, seconds=seconds, rate=rate)

    def _answer(self, value: bool | None) -> Md:
        return self.words.phrase("unknown" if value is None else "yes" if value else "no")

    def _overview(self) -> list[dict[str, Any]]:
        """The checkpoints in a row each: the instant, the worst verdict, and what every one of them was asked."""
        by_end: dict[float, list[Result]] = {}
        for result in self.evaluation.results:
            if result.criterion.between is not None:
                by_end.setdefault(result.criterion.between[1], []).append(result)
        asked = [[result.criterion.measure for result in results] for results in by_end.values()]
        shared = [name for name in (asked[0] if asked else ()) if all(name in names for names in asked)]
        return [
            {
                "title": self.words.phrase("checkpoint", time=Md(span_text(end_s))),
                "verdict": self.words.verdict(worst(result.verdict for result in results)),
                "cells": [
                    (
                        self.words.of("measures", name),
                        self._value(next(r for r in results if r.criterion.measure == name)),
                    )
                    for name in shared
                ],
            }
            for end_s, results in sorted(by_end.items())
        ]

    def _value(self, result: Result) -> Md:
        measurement = result.measurement
        if measurement.value is None:
            return self.words.phrase("not_measured")
        if measurement.value == float("inf"):
            return self.words.phrase("never")
        limits = self.run.limits_of(result.criterion)
        return Md(self.words.measured(measurement.value, measurement.unit, limits=limits))

    def _latency(self) -> dict[str, Any]:
        return {"decomposition": self._decomposition(), "partitions": self._partitions()}

    def _decomposition(self) -> dict[str, Any]:
        """Where the mean latency is spent, part by part."""
        words, found = self.words, decomposed(values_of(self.evaluation))

        def shown(value: float | None, unit: str) -> str:
            return words.phrase("not_measured") if value is None else words.quantity(value, unit)

        instants = [words.phrase(f"instant_{name}") for name in ("due", "sent", "read", "written", "arrived")]
        parts = [
            {
                "title": words.phrase(f"part_{part.name}"),
                "start": start,
                "end": end,
                "mean": shown(part.mean_ms, "ms"),
                "share": shown(part.share_percent, "%"),
                "until": shown(part.until_ms, "ms"),
            }
            for part, (start, end) in zip(found.parts, pairwise(instants), strict=True)
        ]
        largest = found.largest
        return {
            "parts": parts,
            "ack": shown(found.ack_ms, "ms"),
            "whole": shown(found.whole_ms, "ms"),
            "largest": "" if largest is None else words.phrase(f"part_{largest.name}"),
        }

    def _partitions(self) -> list[dict[str, str]]:
        """The slowest partitions, as far as MM2 shows them."""
        found = means_by_partition(self.run, MEASURES["mm2.latency_avg"], Role.LATENCY_AVG)
        parts = [] if isinstance(found, Measurement) else sorted(found[1], key=lambda part: (-part.mean, part.name))
        total = sum(part.weight for part in parts) or 1.0
        return [
            {
                "name": part.name,
                "mean": self.words.quantity(part.mean, "ms"),
                "records": self.words.number(round(part.weight)),
                "share": self.words.quantity(100.0 * part.weight / total, "%"),
            }
            for part in parts[:SHOWN_PARTITIONS]
        ]

    def _curve(self, page: Page) -> dict[str, Any]:
        """The lag over the load, drawn; with the page's instants where they lie in this run, scaled or not."""
        words, run = self.words, self.run
        if page.curve == "run" and run.windows is not None:
            run = run.over(run.windows.gauges)
        window = run.load_window
        trend = next((r for r in self.evaluation.results if r.criterion.measure == "backlog.growth"), None)
        verdict = trend.verdict if trend is not None else Verdict.INCONCLUSIVE
        rows = rows_of_load(run)
        if window is None or not rows:
            return {"text": words.phrase("not_measured"), "trend": words.phrase("trend_INCONCLUSIVE"), "detail": {}}
        scale = float(Fraction(self.run.record.manifest.rehearsal))
        edges_s = {edge_s for c in self.scenario.criteria if c.between is not None for edge_s in c.between}
        marks = [
            Mark(
                label=words.phrase("mark", time=Md(_short(edge_s))) if edge_s else words.phrase("mark_start"),
                at_s=edge_s * scale,
            )
            for edge_s in edges_s
        ]
        drawn = curve(
            [row.at_ns / NS_PER_S - window.start_s for row in rows],
            [row.backlog for row in rows],
            duration_s=max(window.duration_s, *(mark.at_s for mark in marks)) if marks else window.duration_s,
            marks=marks,
            least_top=CURVE_LEAST_TOP,
        )
        details = dict(trend.measurement.details) if trend is not None else {}
        return {
            "text": Md(f"```text\n{drawn}\n```"),
            "trend": words.phrase(f"trend_{verdict.value}"),
            "detail": {name: words.number(value) for name, value in details.items()},
        }


def _short(seconds: float) -> str:
    """A stretch of time without a blank, for the foot of a drawing."""
    return span_text(seconds).replace("\u00a0", "")
