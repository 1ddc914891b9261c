"""Writes report.html of a run that was judged, and the comparison of two, again and offline."""

from __future__ import annotations

from pathlib import Path

from checks.case import Case
from checks.fiche import fiche
from checks.report.compare import comparison
from checks.report.page import report
from run_record.store import RunRecord, write_text
from scenarios.errors import RunRecordError


def write_report(case: Case, *, language: str) -> Path:
    """Writes report.html into the run's directory."""
    path = case.directory / "report.html"
    write_text(path, report(case, language=language))
    return path


def report_run(directory: Path, *, language: str) -> tuple[Path, Path]:
    """Writes fiche.md and report.html of a run in a language, from its newest evidence; opens no socket.

    Raises RunRecordError when the run has no evidence yet, or it cannot be trusted; SpecError when there are no words
    of the language.
    """
    case = _case(directory)
    fiche_file = directory / "fiche.md"
    text = fiche(case.run, case.scenario, case.evaluation, case.findings, language=language)
    report_file = write_report(case, language=language)
    write_text(fiche_file, text)
    return fiche_file, report_file


def compare_runs(first: Path, second: Path, *, language: str) -> Path:
    """Writes the comparison of two runs, in one page, into the first one's directory; opens no socket."""
    a, b = _case(first), _case(second)
    path = first / f"compare-{b.run.record.manifest.run_id}.html"
    write_text(path, comparison(a, b, language=language))
    return path


def _case(directory: Path) -> Case:
    record = RunRecord.open(directory)
    evidence = record.evidence()
    if evidence is None and not (directory / "verdict.json").is_file():
        raise RunRecordError(f"{directory}: was not judged yet; run `mm2gate judge {directory}` first")
    return Case.of(record, evidence)
