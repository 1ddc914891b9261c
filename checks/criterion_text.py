"""A criterion of verdict.json in one English line, for terminals, CI logs and JUnit. The fiche has words of its own."""

from __future__ import annotations

from typing import Any

from checks.markdown import one_line


def measured(criterion: dict[str, Any]) -> str:
    """The value and its unit; the reason's code where there is none, or where it may not be judged."""
    code = str(criterion["reason"]["code"]).replace("_", " ")
    if criterion["value"] is None:
        return code
    text = f"{'at least ' if criterion.get('at_least') else ''}{criterion['value']:g} {criterion['unit']}"
    return text if criterion["verdict"] != "INCONCLUSIVE" else f"{text} ({code})"


def against(criterion: dict[str, Any]) -> str:
    """What was measured, what would have been GO, and since when it was not, where a figure over time shows it."""
    since = _since(criterion.get("since"))
    return one_line(f"{criterion['id']}: {measured(criterion)}, GO if {criterion['go']}{since}")


def _since(since: dict[str, Any] | None) -> str:
    if since is None:
        return ""
    start, end = (f"{since[edge][:19]}Z" for edge in ("start", "end"))
    until = "to the end" if since["lasting"] else f"to {end[11:]}"
    return f", {'about ' if since['about'] else ''}from {start} {until}"
