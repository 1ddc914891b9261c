"""verdict.json: the verdict for machines. Its form is a contract (docs/run-record.md); keys are added, never changed.

Numbers are finite or null: an infinite latency is null, and its reason says that records never arrived.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from checks.consistency.equations import Contradiction
from checks.evaluate import Evaluation, Result
from checks.measurement import Measurement, Window
from checks.reasons import Param, Reason
from checks.since import Since
from run_record.manifest import Manifest

SCHEMA = 1


def verdict_content(
    evaluation: Evaluation,
    manifest: Manifest,
    evidence: str,
    since: Mapping[str, Since] | None = None,
    *,
    contradictions: Sequence[Contradiction] = (),
) -> dict[str, Any]:
    """The file's content; `evidence` is the name of the evidence directory that was judged. `since`: criterion → since
    when it was NOGO."""
    return {
        "schema": SCHEMA,
        "scenario": manifest.scenario.name,
        "run_id": manifest.run_id,
        "verdict": evaluation.verdict.value,
        "exit_code": int(evaluation.exit_code),
        "aborted": evaluation.aborted,
        "rehearsal": manifest.is_rehearsal,
        "load_applied": evaluation.load.value,
        "reason": _reason(evaluation.reason),
        "deciding": list(evaluation.deciding),
        "evidence": evidence,
        "contradictions": [{"equation": one.equation.value, "params": _params(one.params)} for one in contradictions],
        "steps": {name: verdict.value for name, verdict in evaluation.steps.items()},
        "criteria": [_criterion(result, (since or {}).get(result.criterion.id)) for result in evaluation.results],
    }


def _criterion(result: Result, since: Since | None) -> dict[str, Any]:
    criterion, measurement = result.criterion, result.measurement
    return {
        "id": criterion.id,
        "verdict": result.verdict.value,
        "value": number(measurement.value),
        "unit": measurement.unit,
        "go": criterion.go.text,
        "nogo": criterion.nogo.text if criterion.nogo else None,
        "samples": measurement.samples,
        "window": _window(measurement.window),
        "source": measurement.source,
        "reason": _reason(result.reason),
        "measure": criterion.measure,
        "group": result.group.value,
        "advisory": criterion.advisory,
        "at_least": measurement.at_least,
        "interval": None if measurement.interval is None else [number(edge) for edge in measurement.interval],
        "bounds": None if measurement.bounds is None else [number(edge) for edge in measurement.bounds],
        "phase": criterion.phase,
        "between_s": None if criterion.between is None else [number(edge) for edge in criterion.between],
        "series": measurement.series,
        "coverage": number(measurement.coverage),
        "warnings": list(measurement.warnings),
        "details": {name: number(value) for name, value in measurement.details},
        "beside": _beside(criterion.beside, result.beside),
        "since": _since(since),
    }


def _since(since: Since | None) -> dict[str, Any] | None:
    if since is None:
        return None
    return {
        "start": instant(since.start_s),
        "end": instant(since.end_s),
        "lasting": since.lasting,
        "about": since.about,
    }


def _beside(name: str | None, measurement: Measurement | None) -> dict[str, Any] | None:
    if name is None or measurement is None:
        return None
    return {
        "measure": name,
        "value": number(measurement.value),
        "unit": measurement.unit,
        "at_least": measurement.at_least,
        "reason": None if measurement.why_not is None else _reason(measurement.why_not),
    }


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "code": reason.code.value,
        "params": _params(reason.params),
    }


def _params(params: Mapping[str, Param]) -> dict[str, Any]:
    return {name: value if isinstance(value, str) else number(value) for name, value in params.items()}


def _window(window: Window | None) -> dict[str, str] | None:
    return None if window is None else {"start": instant(window.start_s), "end": instant(window.end_s)}


def instant(unix_s: float) -> str:
    """UTC, ISO 8601, milliseconds; whatever the machine's time zone."""
    return datetime.fromtimestamp(round(unix_s * 1000) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def number(value: float | None) -> float | int | None:
    """A number as JSON may hold it: whole ones as integers, others to six decimals, infinite ones as null."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if value == int(value) else round(value, 6)
