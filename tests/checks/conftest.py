"""A run, judged: `judge(...)` builds record and evidence and gives what the judge wrote."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from checks.case import Case
from checks.judge import Judgement, judge_run
from checks.verdict_file import verdict_content
from run_record.store import RunRecord
from tests.support.records import write_evidence, write_run


class Judged:
    """A judged run directory. Documents are written when the first of them is asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        record = RunRecord.open(directory)
        self._case = Case.of(record, record.evidence() or directory)

    @cached_property
    def judgement(self) -> Judgement:
        return judge_run(self._directory)

    @property
    def directory(self) -> Path:
        """With all documents."""
        return self.judgement.verdict_file.parent

    @cached_property
    def content(self) -> dict[str, Any]:
        """Of verdict.json."""
        case = self._case
        run = case.run
        return verdict_content(case.evaluation, run.record.manifest, run.evidence.directory.name, case.since)

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
        return {finding.row: finding for finding in self._case.findings if finding.fits}


@pytest.fixture(autouse=True)
def impatient_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a judge writes need not outlive a power cut here: that it does is a matter of tests/run_record."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[Callable[..., Judged]]:
    def build(metrics: Any = None, evidence: dict[str, Any] | None = None, **settings: Any) -> Judged:
        directory = write_run(tmp_path, **settings)
        write_evidence(directory, metrics, **(evidence or {}))
        return Judged(directory)

    return build
