"""`judge_run`: the whole judge. Evidence is collected once; from then on the same bytes come out, anywhere, offline.

A record is data: whom to ask, and as whom, comes from the environment that the person who judges has given. Without one
the judge is offline, and what was never collected is INCONCLUSIVE.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from checks import baseline as baselines
from checks.case import Case
from checks.diagnosis import Finding
from checks.documents import FICHE, JUNIT, REPORT, SUMMARY, judgement_of, publish
from checks.evaluate import Evaluation
from checks.fiche import fiche
from checks.job_summary import job_summary
from checks.junit import junit
from checks.record_inputs import to_ask
from checks.report.page import report
from checks.verdict import Verdict
from checks.verdict_file import instant, verdict_content
from checks.words import Words
from run_record.store import RunRecord, is_being_written, is_sealed, json_text
from scenarios.environment import LoadedEnvironment
from scenarios.errors import ExitCode, Problem, RunRecordError, SpecError
from scenarios.judged_run import VERDICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the judge came to, and where it wrote it."""

    case: Case
    evidence: str
    """Name of the evidence directory; empty when there is none."""
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
    def offline(self) -> bool:
        """Whether nothing but the record itself was there to judge."""
        return not self.evidence

    @property
    def exit_code(self) -> ExitCode:
        return self.evaluation.exit_code


def judge_run(
    directory: Path,
    *,
    given: LoadedEnvironment | None = None,
    refresh: bool = False,
    language: str = "fr",
    baseline: Path | None = None,
) -> Judgement:
    """Judges a run directory and writes verdict.json, junit.xml, fiche.md, summary.md and report.html into it: all of
    them, or none, and then those of an earlier judgement are gone too (checks.documents).

    Asks Prometheus and Connect only where an environment is `given`, and then only when no sealed evidence is there
    yet, or on `refresh`. Raises RunRecordError when the record or its evidence cannot be read or trusted, SpecError
    when its scenario is not of this version, Refused when it was played on another environment. `baseline` is another
    run's directory; what it measured is kept beside this one.
    """
    _require_askable(directory, given, refresh=refresh, language=language)
    with judgement_of(directory):
        record = RunRecord.open(directory)
        if given is not None:
            to_ask(record.manifest, given)
        if baseline is not None:
            baselines.keep(directory, baseline)
        case = Case.of(record, _evidence_of(record, given, refresh=refresh))
        publish(directory, documents_of(case, language=language))
    return Judgement(
        case=case,
        evidence=case.run.evidence.directory.name,
        verdict_file=directory / VERDICT,
        fiche_file=directory / FICHE,
    )


def _require_askable(directory: Path, given: LoadedEnvironment | None, *, refresh: bool, language: str) -> None:
    """What was asked makes sense, and there is a run that is over: otherwise nothing of it is touched. Raises SpecError
    and RunRecordError."""
    Words.load(language)
    if refresh and given is None:
        message = "asks Prometheus and Connect again: say where, with --env ENVIRONMENT"
        raise SpecError([Problem(file="--refresh", key="", message=message)])
    record = directory / "record"
    if not (record / "manifest.json").exists():
        raise RunRecordError(f"{directory}: not a run directory (no record/manifest.json)")
    if not is_sealed(record) and is_being_written(record):
        raise RunRecordError(f"{directory}: the run is still going on; judge it when it has ended")


def documents_of(case: Case, *, language: str) -> dict[str, str]:
    """Every document of a judgement, by its name."""
    manifest, run = case.run.record.manifest, case.run
    content = verdict_content(
        case.evaluation, manifest, run.evidence.directory.name, case.since, contradictions=run.contradictions
    )
    return {
        VERDICT: json_text(content),
        JUNIT: junit(content, started_at=instant(manifest.started_at_ns / 1e9)),
        FICHE: fiche(run, case.scenario, case.evaluation, case.findings, language=language),
        SUMMARY: job_summary(case, language=language),
        REPORT: report(case, language=language),
    }


def _evidence_of(record: RunRecord, given: LoadedEnvironment | None, *, refresh: bool) -> Path | None:
    """The newest evidence, collected now where there is none and somebody says whom to ask."""
    found = None if refresh else record.evidence()
    if found is not None:
        return found
    if given is None:
        return None
    # Only here is anything that can open a socket so much as imported.
    from checks.collect import collect

    collect(record, given)
    found = record.evidence()
    if found is None:
        raise RunRecordError(f"{record.directory}: evidence was collected, but cannot be found again")
    return found
