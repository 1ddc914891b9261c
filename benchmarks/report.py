"""The table on the screen, `results.json` for scripts and `results.md` for people."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.figure import Figure

HEADINGS = ("figure", "value (least – most of the runs)", "must reach", "holds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one call of `make bench` found."""

    figures: tuple[Figure, ...]
    mode: str
    took_s: float
    load_average: tuple[float, float]
    """Of the machine, 1 min, before and after: what others did meanwhile."""
    profiles: dict[str, str]
    """Title → text: where the time goes."""
    problems: tuple[str, ...] = ()
    """Figures that could not be had, and why."""

    @property
    def failed(self) -> tuple[Figure, ...]:
        """Rows that do not hold."""
        return tuple(figure for figure in self.figures if figure.holds is False)

    def to_json(self) -> dict[str, Any]:
        return {
            "figures": [figure.to_json() for figure in self.figures],
            "mode": self.mode,
            "took_s": round(self.took_s),
            "machine": machine(),
            "load_average": list(self.load_average),
            "problems": list(self.problems),
        }

    def write(self, directory: Path) -> None:
        """Both files."""
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False)
        (directory / "results.json").write_text(text + "\n", encoding="utf-8")
        (directory / "results.md").write_text(self.to_markdown(), encoding="utf-8")

    def to_markdown(self) -> str:
        before, after = self.load_average
        took = f"{self.took_s / 60:.0f} min; load average before {before:.1f}, after {after:.1f}"
        lines = [
            "# Benchmark results",
            "",
            f"Written by `make {self.mode}`; do not edit. {machine()}. It took {took}.",
            "Medians. The lab's JVMs share these cores with the generator, so trust ratios, which are taken within one",
            "round of runs, more than absolute figures.",
            "",
            *_markdown_table(self.figures),
        ]
        if self.problems:
            lines += ["", "## Not measured", "", *(f"- {problem}" for problem in self.problems)]
        notes = [f"- {figure.title}: {figure.note}" for figure in self.figures if figure.note]
        if notes:
            lines += ["", "## Notes", "", *notes]
        for title, text in self.profiles.items():
            lines += ["", f"## {title}", "", "```", text.rstrip(), "```"]
        return "\n".join(lines) + "\n"


def machine() -> str:
    """What it ran on."""
    memory_gib = psutil.virtual_memory().total / 2**30
    return f"{psutil.cpu_count()} cores, {memory_gib:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def screen_table(figures: Sequence[Figure]) -> str:
    """In columns."""
    rows = [HEADINGS, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _markdown_table(figures: Sequence[Figure]) -> list[str]:
    rows = [HEADINGS, ("---",) * len(HEADINGS), *(figure.cells() for figure in figures)]
    return ["| " + " | ".join(row) + " |" for row in rows]
