"""A run, judged: `judge(...)` builds record and evidence and gives what the judge wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from checks.judge import Judgement, judge_run
from tests.support.records import write_evidence, write_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A judged run directory."""

    directory: Path
    judgement: Judgement

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.directory / "verdict.json").read_text(encoding="utf-8"))
        return content

    @property
    def criteria(self) -> dict[str, dict[str, Any]]:
        return {criterion["id"]: criterion for criterion in self.content["criteria"]}

    @property
    def fiche(self) -> str:
        """The fiche, its no-break spaces as plain ones."""
        text = (self.directory / "fiche.md").read_text(encoding="utf-8")
        return text.replace("\u00a0", " ").replace("\u202f", " ")

    def rows(self) -> dict[str, Any]:
        """Rows of the diagnosis that fit."""
        return {finding.row: finding for finding in self.judgement.findings if finding.fits}


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[Callable[..., Judged]]:
    def build(metrics: Any = None, evidence: dict[str, Any] | None = None, **settings: Any) -> Judged:
        directory = write_run(tmp_path, **settings)
        write_evidence(directory, metrics, **(evidence or {}))
        return Judged(directory=directory, judgement=judge_run(directory))

    return build
