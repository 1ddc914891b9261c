"""A run directory with everything that was worked out of it: what each document is made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from checks import baseline as baselines
from checks.consistency import contradictions
from checks.diagnosis import Finding, diagnose
from checks.evaluate import Evaluation, evaluate
from checks.evidence import Evidence
from checks.measures import Run
from checks.record_inputs import environment_of, scenario_of
from checks.since import Since, since
from checks.verdict import Verdict
from checks.windows import Windows
from run_record.store import RunRecord
from scenarios.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A judged run. `since`: criterion → since when it was NOGO, where a figure over time shows it."""

    run: Run
    scenario: Scenario
    evaluation: Evaluation
    findings: tuple[Finding, ...]
    since: Mapping[str, Since]

    @property
    def directory(self) -> Path:
        return self.run.record.directory

    @classmethod
    def of(cls, record: RunRecord, evidence_directory: Path | None) -> Case:
        """Judges a record on sealed evidence, or on itself alone where none was ever collected. Raises RunRecordError
        when the evidence cannot be read or trusted, SpecError when the record's scenario is not of this version."""
        evidence = (
            Evidence.none(call=f"mm2gate judge runs/{record.manifest.run_id} --env ENVIRONMENT")
            if evidence_directory is None
            else Evidence.open(evidence_directory)
        )
        loaded, played_in = scenario_of(record.manifest), environment_of(record.manifest)
        scenario, environment = loaded.scenario, played_in.environment
        windows = Windows.of(record, environment)
        run = Run(
            record=record,
            evidence=evidence,
            environment=environment,
            windows=windows,
            baseline=baselines.load(record.directory, record.manifest, evidence),
            contradictions=contradictions(record, evidence, loaded, played_in, windows),
        )
        evaluation = evaluate(run, scenario)
        return cls(
            run=run,
            scenario=scenario,
            evaluation=evaluation,
            findings=diagnose(run, evaluation),
            since=dict(_since(run, evaluation)),
        )


def _since(run: Run, evaluation: Evaluation) -> Iterator[tuple[str, Since]]:
    for result in evaluation.results:
        found = since(run, result.criterion, result.measurement) if result.verdict is Verdict.NOGO else None
        if found is not None:
            yield result.criterion.id, found
