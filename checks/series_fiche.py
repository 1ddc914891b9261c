"""A series of runs side by side: what was varied, what each came to, and the figures that the variants are about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checks.fiche import jinja_of
from checks.markdown import spaced
from checks.verdict import Verdict
from checks.words import Words
from scenarios.errors import ExitCode
from scenarios.judged_run import verdict_file
from scenarios.scenario import Scenario

SCHEMA = 1
#: The columns of the page, by measure, as far as the scenario has them.
COLUMNS = (
    "arrivals.rate",
    "e2e.p50",
    "e2e.p99",
    "mm2.latency_avg",
    "mm2.latency_max",
    "ledger.backlog_max",
    "connect.buffer_utilization",
    "workers.cpu",
    "ledger.lost",
)
_BADNESS = (
    ExitCode.GO,
    ExitCode.GREY,
    ExitCode.INCONCLUSIVE,
    ExitCode.NOGO,
    ExitCode.REFUSED,
    ExitCode.ABORTED,
    ExitCode.BAD_SPEC,
    ExitCode.INTERNAL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One run of a series; without a directory when a guard refused it."""

    values: dict[str, str]
    directory: Path | None
    exit_code: int

    @property
    def verdict(self) -> dict[str, Any] | None:
        """What the judge wrote of it, if it came to that."""
        file = None if self.directory is None else verdict_file(self.directory)
        return None if file is None else json.loads(file.read_text(encoding="utf-8"))


def worst_code(codes: Sequence[int], *, wanted: int) -> int:
    """The worst of the exit codes; a series that was not played whole is INCONCLUSIVE at best."""
    cut = [ExitCode.INCONCLUSIVE] if len(codes) < wanted else []
    return int(max([*codes, *cut], key=lambda code: _BADNESS.index(ExitCode(code)), default=ExitCode.INCONCLUSIVE))


def series_content(scenario: Scenario, played: Sequence[Variant]) -> dict[str, Any]:
    """series.json: each variant's values, run and verdict."""
    return {
        "schema": SCHEMA,
        "scenario": scenario.name,
        "variants_wanted": len(scenario.variants),
        "exit_code": worst_code([one.exit_code for one in played], wanted=len(scenario.variants)),
        "variants": [
            {
                "values": one.values,
                "run": None if one.directory is None else one.directory.name,
                "verdict": None if (verdict := one.verdict) is None else verdict["verdict"],
                "exit_code": one.exit_code,
            }
            for one in played
        ],
    }


def series_fiche(scenario: Scenario, played: Sequence[Variant], *, language: str) -> str:
    """The page."""
    words = Words.load(language)
    measures = {name for c in scenario.criteria for name in (c.measure, c.beside) if name is not None}
    columns = [name for name in COLUMNS if name in measures]
    verdicts = [one.verdict for one in played]
    text = (
        jinja_of(language)
        .get_template("series.md.j2")
        .render(
            scenario=scenario.name,
            question=scenario.question.in_language(language),
            variables=[
                words.named(name, variable.meaning.in_language(language))
                for name, variable in scenario.variables.items()
            ],
            names=list(scenario.variables),
            columns=[words.of("measures", name) for name in columns],
            rows=[_row(one, list(scenario.variables), columns, words) for one in played],
            missing=words.number(len(scenario.variants) - len(played)) if len(played) < len(scenario.variants) else "",
            rehearsal=any(verdict is not None and verdict["rehearsal"] for verdict in verdicts),
        )
    )
    numbers = words.catalogue.numbers
    return spaced(text.strip() + "\n", before=numbers.space_before, after=numbers.space_after)


def _row(one: Variant, names: list[str], columns: list[str], words: Words) -> dict[str, Any]:
    verdict = one.verdict
    values = {} if verdict is None else _values_of(verdict)
    return {
        "values": [one.values[name] for name in names],
        "verdict": words.phrase("not_played") if verdict is None else words.verdict(Verdict(verdict["verdict"])),
        "cells": [
            words.measured(*values[name]) if name in values else str(words.phrase("not_measured")) for name in columns
        ],
        "deciding": ", ".join([] if verdict is None else verdict["deciding"]) or "–",
        "run": "–" if one.directory is None else one.directory.name,
    }


def _values_of(verdict: dict[str, Any]) -> dict[str, tuple[float, str]]:
    """Measure → value and unit, of criteria and of what stands beside them."""
    found: dict[str, tuple[float, str]] = {}
    for criterion in verdict["criteria"]:
        for part in (criterion["beside"], criterion):
            if part is not None and part["value"] is not None:
                found[part["measure"]] = (part["value"], part["unit"])
    return found
