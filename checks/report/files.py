"""Writes report.html of a run that was judged, and the comparison of two, again and offline."""

from __future__ import annotations

from pathlib import Path

from checks.case import Case
from checks.documents import FICHE, REPORT, publish
from checks.fiche import fiche
from checks.report.compare import comparison
from checks.report.page import report
from run_record.reading import Unreadable, read_json
from run_record.store import RunRecord, write_text
from scenarios.errors import RunRecordError
from scenarios.judged_run import verdict_file


def report_run(directory: Path, *, language: str) -> tuple[Path, Path]:
    """Writes fiche.md and report.html of a judged run in a language, from the evidence that was judged; opens no
    socket.

    Raises RunRecordError when the run was not judged, or its last judgement did not reach its end, or it cannot be
    trusted; SpecError when there are no words of the language.
    """
    case = _case(directory)
    texts = {
        FICHE: fiche(case.run, case.scenario, case.evaluation, case.findings, language=language),
        REPORT: report(case, language=language),
    }
    publish(directory, texts)
    return directory / FICHE, directory / REPORT


def compare_runs(first: Path, second: Path, *, language: str) -> Path:
    """Writes the comparison of two judged runs, in one page, into the first one's directory; opens no socket."""
    a, b = _case(first), _case(second)
    path = first / f"compare-{b.run.record.manifest.run_id}.html"
    write_text(path, comparison(a, b, language=language))
    return path


def _case(directory: Path) -> Case:
    """The run as it was judged: on the same evidence, and to the same verdict."""
    record = RunRecord.open(directory)
    file = verdict_file(directory)
    if file is None:
        raise RunRecordError(f"{directory}: was not judged yet; run `mm2gate judge {directory}` first")
    try:
        content = read_json(file)
        evidence, verdict = content["evidence"], content["verdict"]
    except (Unreadable, OSError, TypeError, KeyError):
        raise RunRecordError(f"{file}: is no verdict; run `mm2gate judge {directory}` again") from None
    judged = next((path for path in record.sealed_evidence() if path.name == evidence), None)
    if judged is None and evidence:
        raise RunRecordError(f"{directory}: evidence {evidence} was judged and is gone; judge the run again")
    case = Case.of(record, judged)
    if case.evaluation.verdict.value != verdict:
        raise RunRecordError(
            f"{file}: says {verdict}, and this version comes to {case.evaluation.verdict.value}; judge the run again"
        )
    return case
