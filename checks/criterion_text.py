"""A criterion of verdict.json in one English line, for terminals, CI logs and JUnit. The fiche has words of its own."""

from __future__ import annotations

import math
from typing import Any

from checks.markdown import one_line
from checks.words import side
from scenarios.conditions import Condition, parse_condition


def measured(criterion: dict[str, Any]) -> str:
    """The value and its unit; the reason's code where there is none, or where it may not be judged."""
    code = str(criterion["reason"]["code"]).replace("_", " ")
    if criterion["value"] is None:
        return code
    text = f"{'at least ' if criterion.get('at_least') else ''}{_number(criterion)} {criterion['unit']}"
    return text if criterion["verdict"] != "INCONCLUSIVE" else f"{text} ({code})"


def against(criterion: dict[str, Any]) -> str:
    """What was measured, what would have been GO, and since when it was not, where a figure over time shows it."""
    since = _since(criterion.get("since"))
    return one_line(f"{criterion['id']}: {measured(criterion)}, GO if {criterion['go']}{since}")


def _number(criterion: dict[str, Any]) -> str:
    """Counts in full, six digits of anything else; more where they would put it on the wrong side of a limit."""
    value = float(criterion["value"])
    if value.is_integer():
        return str(int(value))
    conditions = [parse_condition(text) for text in (criterion["go"], criterion.get("nogo")) if text is not None]
    if any(_is_elsewhere(condition) for condition in conditions):
        return f"{value:.15g}"  # verdict.json has six decimals at most
    wanted = [condition.interval(unit=criterion["unit"], plan_records=0) for condition in conditions]
    limits = [edge for interval in wanted for edge in (interval.low, interval.high) if math.isfinite(edge)]
    written = (f"{value:.{digits}g}" for digits in range(6, 18))
    return next(text for text in written if all(side(float(text), limit) == side(value, limit) for limit in limits))


def _is_elsewhere(condition: Condition) -> bool:
    """Whether its limit is not in its text: that of the plan is in the record, that of a baseline beside it."""
    return condition.number is None or condition.slack is not None


def _since(since: dict[str, Any] | None) -> str:
    if since is None:
        return ""
    start, end = (f"{since[edge][:19]}Z" for edge in ("start", "end"))
    until = "to the end" if since["lasting"] else f"to {end[11:]}"
    return f", {'about ' if since['about'] else ''}from {start} {until}"
