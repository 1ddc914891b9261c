"""What each criterion of a run needs: the metrics that its measure reads, and over which window. Told by the measures
themselves as they read, so that this suite need not be told when one changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from checks.case import Case
from checks.evaluate import evaluate
from checks.evidence import Evidence, Metric
from checks.measurement import Window
from checks.metric_profiles import Role
from checks.verdict import Verdict
from run_record.store import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A criterion's: the roles that its measure read, and the window of its figure, if it has one."""

    verdict: Verdict
    roles: frozenset[Role]
    window: Window | None


def needs_of(directory: Path) -> dict[str, Need]:
    """Criterion → what it needs. Each is judged by itself, so that what others read is not taken for its own."""
    record = RunRecord.open(directory)
    evidence = record.evidence()
    assert evidence is not None
    case = Case.of(record, evidence)
    needs = {}
    for criterion in case.scenario.criteria:
        alone = case.scenario.model_copy(update={"criteria": (criterion.model_copy(update={"beside": None}),)})
        with _reading() as roles:
            (result,) = evaluate(case.run, alone).results
        whole = case.evaluation.result(criterion.id)
        assert whole is not None
        needs[criterion.id] = Need(verdict=whole.verdict, roles=frozenset(roles), window=result.measurement.window)
    return needs


@contextmanager
def _reading() -> Iterator[set[Role]]:
    roles: set[Role] = set()
    read = Evidence.metric

    def metric(evidence: Evidence, role: Role) -> Metric:
        roles.add(role)
        return read(evidence, role)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evidence, "metric", metric)
        yield roles
