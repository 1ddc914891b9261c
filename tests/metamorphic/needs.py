"""What each criterion of a run needs: the metrics that its measure reads, and over which window. Told by the measures
themselves as they read, so that this suite need not be told when one changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from checks.case import Case
from checks.evaluate import evaluate
from checks.evidence import Evidence, Metric
from checks.measurement import Window
from checks.measures.completeness import Look
from checks.measures.registry import Run
from checks.metric_profiles import Role
from checks.verdict import Verdict
from checks.windows import Windows
from run_record.store import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a criterion came to, and each role that its measure read with the windows in which it looked at it."""

    verdict: Verdict
    window: Window | None
    looks: Mapping[Role, tuple[Window, ...]]


def needs_of(directory: Path) -> dict[str, Need]:
    """Criterion → what it needs. Each is judged by itself, so that what others read is not taken for its own."""
    record = RunRecord.open(directory)
    evidence = record.evidence()
    assert evidence is not None
    case = Case.of(record, evidence)
    needs = {}
    for criterion in case.scenario.criteria:
        alone = case.scenario.model_copy(update={"criteria": (criterion.model_copy(update={"beside": None}),)})
        with _reading() as seen:
            (result,) = evaluate(case.run, alone).results
        whole, window = case.evaluation.result(criterion.id), result.measurement.window
        assert whole is not None
        own = () if window is None else (window,)
        # Who reads a role without a look at how complete it is looks at it where its figure is from.
        looks = {role: tuple(dict.fromkeys(windows)) or own for role, windows in seen.items()}
        needs[criterion.id] = Need(verdict=whole.verdict, window=window, looks=looks)
    return needs


@contextmanager
def _reading() -> Iterator[dict[Role, list[Window]]]:
    seen: dict[Role, list[Window]] = {}
    read, at = Evidence.metric, Look.at.__func__  # type: ignore[attr-defined]

    def metric(evidence: Evidence, role: Role) -> Metric:
        seen.setdefault(role, [])
        return read(evidence, role)

    def look(cls: type[Look], run: Run, role: Role, windows: Windows, window: Window, **how: bool) -> Look:
        seen.setdefault(role, []).append(window)
        return at(cls, run, role, windows, window, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evidence, "metric", metric)
        patch.setattr(Look, "at", classmethod(look))
        yield seen
