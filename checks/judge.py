"""`judge_run`: the whole judge. Evidence is collected once; from then on the same bytes come out, anywhere, offline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from checks import baseline as baselines
from checks.case import Case
from checks.diagnosis import Finding
from checks.evaluate import Evaluation
from checks.fiche import fiche
from checks.job_summary import job_summary
from checks.junit import junit
from checks.report.files import write_report
from checks.verdict import Verdict
from checks.verdict_file import instant, verdict_content
from run_record.store import RunRecord, is_being_written, write_json, write_text
from scenarios.errors import ExitCode, RunRecordError


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the judge came to, and where it wrote it."""

    case: Case
    verdict_file: Path
    fiche_file: Path

    @property
    def evaluation(self) -> Evaluation:
        return self.case.evaluation

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.case.findings

    @property
    def verdict(self) -> Verdict:
        return self.evaluation.verdict

    @property
    def exit_code(self) -> ExitCode:
        return self.evaluation.exit_code


def judge_run(
    directory: Path, *, refresh: bool = False, language: str = "fr", baseline: Path | None = None
) -> Judgement:
    """Judges a run directory and writes verdict.json, junit.xml, fiche.md, summary.md and report.html into it.

    Asks Prometheus and Connect only when no sealed evidence is there yet, or on `refresh`. Raises RunRecordError when
    the record or its evidence cannot be read or trusted, SpecError when its scenario is not of this version.
    `baseline` is another run's directory; what it measured is kept beside this one.
    """
    record = RunRecord.open(directory)
    if baseline is not None:
        baselines.keep(directory, baseline)
    case = Case.of(record, _evidence_of(record, refresh=refresh))
    run, scenario, evaluation, findings = case.run, case.scenario, case.evaluation, case.findings
    verdict_file, fiche_file = directory / "verdict.json", directory / "fiche.md"
    content = verdict_content(evaluation, record.manifest, run.evidence.directory.name, case.since)
    write_json(verdict_file, content)
    write_text(directory / "junit.xml", junit(content, started_at=instant(record.manifest.started_at_ns / 1e9)))
    write_text(fiche_file, fiche(run, scenario, evaluation, findings, language=language))
    write_text(directory / "summary.md", job_summary(case, language=language))
    write_report(case, language=language)
    return Judgement(case=case, verdict_file=verdict_file, fiche_file=fiche_file)


def _evidence_of(record: RunRecord, *, refresh: bool) -> Path:
    found = None if refresh else record.evidence()
    if found is not None:
        return found
    if not record.sealed and is_being_written(record.directory / "record"):
        raise RunRecordError(f"{record.directory}: the run is still going on; judge it when it has ended")
    # Only here is anything that can open a socket so much as imported.
    from checks.collect import collect

    collect(record)
    found = record.evidence()
    if found is None:
        raise RunRecordError(f"{record.directory}: evidence was collected, but cannot be found again")
    return found
