"""The checkpoint fiche: one page on a run that goes on, in the words of the fiche that will follow it."""

from __future__ import annotations

from typing import Any

from checks.evaluate import Evaluation
from checks.fiche import jinja_of
from checks.live import LiveRun, judged_steps
from checks.markdown import spaced
from checks.views import Views
from checks.words import NS_PER_S, Words
from scenarios.scenario import Scenario

COLUMNS = ("wanted", "sent", "acked", "arrived", "duplicated", "backlog")


def live_fiche(run: LiveRun, scenario: Scenario, evaluation: Evaluation, *, language: str) -> str:
    """Its text."""
    words = Words.load(language)
    text = jinja_of(language).get_template("live.md.j2").render(**_context(run, scenario, evaluation, words))
    numbers = words.catalogue.numbers
    return spaced(text.strip() + "\n", before=numbers.space_before, after=numbers.space_after)


def _context(run: LiveRun, scenario: Scenario, evaluation: Evaluation, words: Words) -> dict[str, Any]:
    views = Views(run, scenario, evaluation, (), words)
    manifest = run.record.manifest
    row = run.record.timeline[-1] if run.record.timeline else None
    phase = manifest.phases[-1] if manifest.phases else None
    return {
        "scenario": scenario.name,
        "question": scenario.question.in_language(words.language),
        "run_id": manifest.run_id,
        "environment": manifest.environment.name,
        "rehearsal": manifest.rehearsal if manifest.is_rehearsal else "",
        "as_of": words.instant((manifest.started_at_ns if row is None else row.at_ns) / NS_PER_S),
        "phase": "–" if phase is None else phase.name,
        "planned": words.number(manifest.planned_records),
        "verdict": words.verdict(evaluation.verdict),
        "deciding": list(evaluation.deciding),
        "last": [] if row is None else [words.number(getattr(row, name)) for name in COLUMNS],
        "steps": [(name, words.verdict(verdict)) for name, verdict in judged_steps(run, scenario, evaluation).items()],
        "criteria": [
            views.criteria.of(result)
            for result in evaluation.results
            if not result.of_step or manifest.phase(result.criterion.phase or "") is not None
        ],
    }
