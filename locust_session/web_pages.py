"""What the web UI shows of a run, from its files alone: the verdicts as text, the fiche as HTML. Pure, but for reading.

Everything in these files may have been written by others (labels, broker messages, scenario names). Rows are plain
text, which Locust's page and our templates escape; Markdown is rendered with its HTML shown, not obeyed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from scenarios.judged_run import MARK, verdict_file

Row = dict[str, str]

#: As the fiches print them.
VERDICTS = {"GREY": "GRIS", "INCONCLUSIVE": "INDÉTERMINÉ", "NOT_RUN": "NON ÉVALUÉ"}
COLUMNS = {
    "criterion": "Criterion",
    "verdict": "Verdict",
    "measured": "Measured",
    "go": "GO if",
    "nogo": "NOGO if",
    "why": "Why",
}
#: What may be read of a run → its file, and whether it is Markdown to be rendered.
DOCUMENTS = {
    "fiche": ("fiche.md", True),
    "live-fiche": ("live/fiche.md", True),
    "fiche.md": ("fiche.md", False),
    "verdict.json": ("verdict.json", False),
    "ledger.json": ("record/ledger.json", False),
    "manifest.json": ("record/manifest.json", False),
    MARK: (MARK, False),
}
LONGEST_WHY = 300
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def verdict_of(run_directory: Path) -> dict[str, Any] | None:
    """The verdict, else the live one, else None; a file that cannot be read is as good as none."""
    for name in ("verdict.json", "live/verdict.json"):
        file = document_of(run_directory, name)
        try:
            content = None if file is None else json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict):
            return content
    return None


def document_of(run_directory: Path, file: str) -> Path | None:
    """A run's file, if it is there; a document of a judgement, only if that reached its end."""
    path = run_directory / file
    whole = file not in ("fiche.md", "verdict.json") or verdict_file(run_directory) is not None
    return path if whole and path.is_file() else None


def word(verdict: object) -> str:
    """A verdict as the fiches print it."""
    return VERDICTS.get(str(verdict), str(verdict))


def rows(content: dict[str, Any]) -> list[Row]:
    """A line for the run, and one for each criterion."""
    return [_run(content), *(_criterion(one) for one in content.get("criteria", []))]


def _run(content: dict[str, Any]) -> Row:
    remarks = [text for key, text in (("rehearsal", "REHEARSAL"), ("aborted", "aborted")) if content.get(key)]
    if content.get("live"):
        remarks.append(f"so far: {content.get('phase')}, {content.get('as_of')}")
    elif content.get("deciding"):
        remarks.append("decided by " + ", ".join(content["deciding"]))
    return {
        "criterion": str(content.get("run_id")),
        "verdict": word(content.get("verdict")),
        "measured": "",
        "go": "",
        "nogo": "",
        "why": "; ".join(remarks),
    }


def _criterion(one: dict[str, Any]) -> Row:
    return {
        "criterion": f"{one.get('id')}{' (advisory)' if one.get('advisory') else ''}",
        "verdict": word(one.get("verdict")),
        "measured": _measured(one),
        "go": str(one.get("go") or ""),
        "nogo": str(one.get("nogo") or ""),
        "why": _why(one.get("reason")),
    }


def _measured(one: dict[str, Any]) -> str:
    value = one.get("value")
    if not isinstance(value, int | float):
        return "–"
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
    return f"{'at least ' if one.get('at_least') else ''}{text} {one.get('unit', '')}"


def _why(reason: Any) -> str:
    """The code and its figures; the sentence is in the fiche. Nothing where the comparison says it all."""
    if not isinstance(reason, dict) or reason.get("code") in ("go_met", "nogo_met", "go_missed", "between"):
        return ""
    figures = [f"{name} {value}" for name, value in reason.get("params", {}).items() if name != "traceback"]
    text = str(reason.get("code")).replace("_", " ") + (f": {', '.join(figures)}" if figures else "")
    return text if len(text) <= LONGEST_WHY else f"{text[: LONGEST_WHY - 1]}…"


def html_of(markdown: str) -> str:
    """Markdown as HTML; HTML in it is shown as text, and links lead only where a link may."""
    return str(_MARKDOWN.render(markdown))


def figure_of(run_directory: Path, name: str) -> Path | None:
    """A figure of the run, if there is one of that name."""
    path = run_directory / "figures" / name
    return path if re.fullmatch(r"[\w-]+\.svg", name) and path.is_file() else None
