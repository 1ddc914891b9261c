"""summary.md: the verdict on the page that a CI job shows, in less than a megabyte. What failed comes first."""

from __future__ import annotations

from typing import Any

from checks.case import Case
from checks.fiche import jinja_of
from checks.finding_views import context_of
from checks.markdown import spaced
from checks.verdict import Verdict
from checks.views import LEDGER_COLUMNS, Views
from checks.words import Words

#: GitHub refuses a summary above 1 MiB.
LARGEST_BYTES = 1_000_000
MOST_ROWS = 100


def job_summary(case: Case, *, language: str) -> str:
    """Its text; links are relative to the run's directory."""
    words = Words.load(language)
    context = _context(Views(case.run, case.scenario, case.evaluation, case.findings, words), case, words)
    numbers = words.catalogue.numbers
    text = jinja_of(language).get_template("summary.md.j2").render(**context)
    return _cut(spaced(text.strip() + "\n", before=numbers.space_before, after=numbers.space_after))


def _context(views: Views, case: Case, words: Words) -> dict[str, Any]:
    run, scenario, evaluation = case.run, case.scenario, case.evaluation
    manifest = run.record.manifest
    worst_first = sorted(
        (result for result in evaluation.results if result.verdict is not Verdict.GO),
        key=lambda result: (not result.required, _ORDER.index(result.verdict)),
    )
    passing = [result for result in evaluation.results if result.verdict is Verdict.GO]
    counts = run.counts
    return {
        "scenario": scenario.name,
        "question": scenario.question.in_language(words.language),
        "run_id": manifest.run_id,
        "environment": manifest.environment.name,
        "played_at": words.instant(manifest.started_at_ns / 1e9),
        "rehearsal": manifest.rehearsal if manifest.is_rehearsal else "",
        "verdict": words.verdict(evaluation.verdict),
        "reason": views.overall_reason(),
        "contradictions": views.contradictions()[:MOST_ROWS],
        "canaries": context_of(views.findings.canaries()),
        "lead": context_of(views.lead()),
        "failing": [views.criteria.of(result) for result in worst_first[:MOST_ROWS]],
        "failing_more": max(len(worst_first) - MOST_ROWS, 0),
        "passing": [views.criteria.of(result) for result in passing[:MOST_ROWS]],
        "passing_count": words.number(len(passing)),
        "passing_more": max(len(passing) - MOST_ROWS, 0),
        "ledger": [] if counts is None else [words.number(getattr(counts, name)) for name in LEDGER_COLUMNS],
        "evidence": run.evidence.directory.name,
    }


_ORDER = (Verdict.NOGO, Verdict.INCONCLUSIVE, Verdict.NOT_RUN, Verdict.GREY)


def _cut(text: str) -> str:
    """At the end of a line, when it is too long: GitHub would show nothing at all."""
    encoded = text.encode()
    if len(encoded) <= LARGEST_BYTES:
        return text
    kept = encoded[: LARGEST_BYTES - 10].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n\n…\n"
