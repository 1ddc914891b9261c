"""Pages of the runbook: which criteria fill their steps, conditions and boxes. Data in report_templates/pages/."""

from __future__ import annotations

from typing import Literal

from checks.evaluate import Evaluation
from checks.verdict import Verdict, worst
from checks.words import TEMPLATES
from scenarios.scenario import Scenario
from scenarios.yaml_file import StrictModel, parse


class PageCondition(StrictModel):
    """A GO or NOGO line of the page, and the criteria that answer it."""

    when: Literal["go", "nogo"]
    criteria: tuple[str, ...]


class PageLine(StrictModel):
    """A line of the page: the text to find in the fiche, and the criterion or cell that fills it."""

    page: str
    find: str
    criterion: str | None = None
    cell: str | None = None


class Page(StrictModel):
    """One page: its template, and what its parts hang on. `diagnosis`: what stands on it for a NOGO. `curve`: whether
    the lag is drawn over the load, or on to the end of the watch. It is that of a phase of the runbook, or that of a
    scenario."""

    template: str
    runbook_phase: int | None = None
    scenario: str | None = None
    steps: dict[str, tuple[str, ...]]
    conditions: dict[str, PageCondition]
    boxes: dict[str, tuple[str, ...]]
    lines: tuple[PageLine, ...]
    diagnosis: Literal["symptoms", "bottleneck"] = "symptoms"
    curve: Literal["load", "run"] = "load"

    def is_of(self, scenario: Scenario) -> bool:
        """Whether the scenario names this page, or the page the scenario."""
        if self.scenario is not None:
            return self.scenario == scenario.name
        return self.runbook_phase == scenario.runbook_phase

    @property
    def criteria(self) -> set[str]:
        """Every criterion that the page needs."""
        parts = [*self.steps.values(), *(c.criteria for c in self.conditions.values()), *self.boxes.values()]
        return {name for part in parts for name in part} | {line.criterion for line in self.lines if line.criterion}


def page_of(scenario: Scenario) -> Page | None:
    """The page whose fiche a scenario fills; None when it has none, or lacks a criterion that the page needs."""
    ids = {criterion.id for criterion in scenario.criteria}
    for entry in sorted((TEMPLATES / "pages").iterdir(), key=lambda entry: entry.name):
        page = parse(entry.read_text(encoding="utf-8"), Page, file=f"report_templates/pages/{entry.name}")
        if page.is_of(scenario) and page.criteria <= ids:
            return page
    return None


def unfilled_lines(scenario: str, text: str) -> list[str]:
    """Lines of a scenario's page that a fiche lacks, or shows with an empty cell, a blank to fill or a leftover."""
    entry = TEMPLATES / "pages" / f"{scenario}.yaml"
    page = parse(entry.read_text(encoding="utf-8"), Page, file=entry.name)
    rows = text.replace("\u00a0", " ").replace("\u202f", " ").split("\n")
    return [line.page for line in page.lines if not any(line.find in row and _filled(row) for row in rows)]


def _filled(row: str) -> bool:
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    return all(cell and "___" not in cell and cell not in ("None", "nan") for cell in cells)


def verdict_of(evaluation: Evaluation, criteria: tuple[str, ...]) -> Verdict:
    """The worst verdict of some criteria."""
    return worst(result.verdict for result in evaluation.results if result.criterion.id in criteria)


def answer_of(evaluation: Evaluation, condition: PageCondition) -> bool | None:
    """Whether a GO or NOGO line of the page is met; None when it could not be told."""
    verdicts = {result.verdict for result in evaluation.results if result.criterion.id in condition.criteria}
    if condition.when == "go":
        if verdicts == {Verdict.GO}:
            return True
        return False if verdicts & {Verdict.NOGO, Verdict.GREY} else None
    if Verdict.NOGO in verdicts:
        return True
    return None if Verdict.INCONCLUSIVE in verdicts else False
