"""What `mm2gate judge` and the end of a run print: the verdict, what stands against a GO, and where the fiche is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from checks.criterion_text import against as text_against

MOST_LINES = 12


def verdict_text(verdict_file: Path, fiche_file: Path) -> str:
    """The text, from verdict.json alone."""
    return "\n".join(_lines(json.loads(verdict_file.read_text(encoding="utf-8")), fiche_file))


def _lines(content: dict[str, Any], fiche_file: Path) -> Iterator[str]:
    rehearsal = ", REHEARSAL" if content["rehearsal"] else ""
    aborted = ", aborted" if content["aborted"] else ""
    yield f"{content['verdict']}  {content['scenario']} ({content['run_id']}{rehearsal}{aborted})"
    against = [one for one in content["criteria"] if _stands_against(one)]
    for criterion in against[:MOST_LINES]:
        yield f"  {criterion['verdict']:<12} {text_against(criterion)}"
    if len(against) > MOST_LINES:
        yield f"  and {len(against) - MOST_LINES} more"
    yield f"fiche: {fiche_file}"


def _stands_against(criterion: dict[str, Any]) -> bool:
    """Whether it keeps the run from a GO: not what only informs, or looks at a step that was never tried."""
    return criterion["verdict"] not in ("GO", "NOT_RUN") and not criterion.get("advisory")
