"""The lead: which row of the diagnosis is about what decided, and what to do next. Pure.

A row may fit and have nothing to do with the verdict: a connector that is paused now explains no record that was
altered, and a slow source no metric that is missing. So a row leads only if it explains a criterion that decided
(checks/rows/table.py), and whatever the verdict, there is a next step: the row's, or else that of the criterion which
stands at the root of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from checks.evaluate import Evaluation, Result
from checks.finding import Finding
from checks.reasons import Code
from checks.rows.table import (
    ARRIVING,
    CAPACITY,
    EXPLAINS,
    LATENCY,
    MEASURED_IN_PART,
    NOT_LOADED,
    PASSING,
    SENDING,
    STATE,
)
from checks.verdict import Verdict
from scenarios.measures import Group

#: Reasons that only pass on what another criterion has: they are no root.
PASSED_ON = NOT_LOADED | {Code.LOAD_NOT_JUDGED, Code.LATE_MAY_BE_LOST, Code.DRAIN_CUT_SHORT, Code.NOTHING_POLLED}
#: Kinds of criteria that share a next step, in the order in which they are looked for.
KINDS: tuple[tuple[str, frozenset[str]], ...] = (
    ("arriving", ARRIVING),
    ("passing", PASSING),
    ("latency", LATENCY),
    ("state", STATE),
    ("sending", SENDING),
    ("duplicated", frozenset({"ledger.duplicated"})),
    ("altered", frozenset({"ledger.corrupted", "ledger.reordered", "ledger.phantom"})),
    ("capacity", CAPACITY),
)
#: Every other measure: workers, buffers, commits.
PRESSURE = "pressure"
#: A reason without a step of its own.
UNMEASURED = "unmeasured"
#: A verdict that a person has to complete.
DECIDE = "decide"
#: What ended the run speaks for the whole of it.
ENDINGS = frozenset({Code.ABORTED, Code.CRASHED, Code.NO_CRITERIA, Code.CUT_SHORT, Code.RECORD_UNRELIABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """`finding`: the row that leads, if one explains what decided. `steps`: names of what to do next, the first that a
    catalogue has; there is always one."""

    finding: Finding | None
    steps: tuple[str, ...]


def lead_of(evaluation: Evaluation, findings: Iterable[Finding]) -> Lead | None:
    """The lead of a verdict that is not GO."""
    if evaluation.verdict is Verdict.GO:
        return None
    fitting = sorted((one for one in findings if one.fits), key=lambda one: one.from_page)
    leading = next((one for one in fitting if explains_all(one, evaluation) or explained(one, evaluation)), None)
    return Lead(finding=leading, steps=_steps(evaluation))


def explained(finding: Finding, evaluation: Evaluation) -> tuple[str, ...]:
    """Ids of the deciding criteria that a row may explain."""
    explains = EXPLAINS[finding.row]
    return tuple(
        result.criterion.id
        for result in deciding(evaluation)
        if result.reason.code in explains.codes
        or (_is_measured(result) and result.criterion.measure in explains.measures)
    )


def explains_all(finding: Finding, evaluation: Evaluation) -> bool:
    """Whether a row explains why the run as a whole is not GO, whatever its criteria say, or each that decided."""
    if evaluation.reason.code in EXPLAINS[finding.row].codes:
        return True
    return bool(evaluation.deciding) and len(explained(finding, evaluation)) == len(evaluation.deciding)


def deciding(evaluation: Evaluation) -> list[Result]:
    """The results that are as bad as the verdict."""
    return [result for result in evaluation.results if result.criterion.id in evaluation.deciding]


def about_performance(evaluation: Evaluation) -> bool:
    """Whether what decided was measured, and is about how fast records flow: then a bottleneck may explain it."""
    return evaluation.verdict is not Verdict.GO and any(
        _is_measured(result)
        and (result.group in (Group.PERFORMANCE, Group.CAPACITY) or result.criterion.measure in ARRIVING)
        for result in deciding(evaluation)
    )


def _is_measured(result: Result) -> bool:
    return result.verdict is not Verdict.INCONCLUSIVE or result.reason.code in MEASURED_IN_PART


def _steps(evaluation: Evaluation) -> tuple[str, ...]:
    if evaluation.reason.code in ENDINGS and evaluation.verdict is Verdict.INCONCLUSIVE:
        return (evaluation.reason.code.value,)
    root = _root(deciding(evaluation))
    if root is None:
        return (evaluation.reason.code.value, UNMEASURED)
    if not _is_measured(root):
        return (root.reason.code.value, UNMEASURED)
    kind = kind_of(root.criterion.measure)
    return (DECIDE,) if evaluation.verdict is Verdict.GREY else (kind,)


def kind_of(measure: str) -> str:
    """The kind of a criterion's measure."""
    return next((kind for kind, measures in KINDS if measure in measures), PRESSURE)


def _root(results: Sequence[Result]) -> Result | None:
    """What the others hang on: whether the load was applied, then what is not just passed on."""
    ordered = sorted(results, key=lambda one: (one.group is not Group.LOAD, one.reason.code in PASSED_ON))
    return ordered[0] if ordered else None
