"""Two runs side by side: what was not the same about them, what each came to, and their curves overlaid. Pure.

A difference between two figures says something about MM2 only as far as everything else was equal, so conditions that
differ come first, and runs of another scenario, load or cluster are said not to be comparable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from checks.case import Case
from checks.criterion_views import CriterionView, CriterionViews
from checks.evaluate import Result
from checks.markdown import Md
from checks.report.figures import Side, compared_figures
from checks.report.html import render
from checks.report.page import SIGNS, connector_configs
from checks.report.texts import Texts, sayer, texts_of
from checks.verdict import RANK
from checks.views import Views
from checks.words import Words

#: Conditions without which two runs did not ask the same question of the same system.
ESSENTIAL = (
    "scenario", "scenario_sha256", "rehearsal", "planned", "record_bytes", "topics", "partitions", "source_cluster",
    "target_cluster",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionRow:
    """A condition of both runs."""

    key: str
    name: Md
    first: str
    second: str

    @property
    def differs(self) -> bool:
        return self.first != self.second


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one run says of a criterion."""

    key: str
    sign: str
    verdict: str
    measured: Md
    wanted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRow:
    """A criterion in both runs; a cell is None where a run's scenario has no such criterion. `trend`: worse, better, or
    neither, by the verdicts alone: which way a figure should go is the condition's to say."""

    id: str
    title: str
    first: Cell | None
    second: Cell | None
    difference: str
    trend: str


def comparison(first: Case, second: Case, *, language: str) -> str:
    """The page: `first` is A, `second` is B, and differences are B − A."""
    words = Words.load(language)
    texts = texts_of(language)
    conditions = list(_conditions(first, second, texts, words))
    differing = [row for row in conditions if row.differs]
    sides = Side.of(first.run, first.evaluation), Side.of(second.run, second.evaluation)
    return render(
        "compare.html.j2",
        words,
        {
            "say": sayer(texts, words),
            "first": _head(first, words),
            "second": _head(second, words),
            "conditions": differing,
            "equal": [row for row in conditions if not row.differs],
            "essential": ", ".join(row.name for row in differing if row.key in ESSENTIAL),
            "rows": list(_rows(first, second, words)),
            "figures": compared_figures(*sides, texts, words),
        },
    )


def _head(case: Case, words: Words) -> dict[str, Any]:
    manifest, evaluation = case.run.record.manifest, case.evaluation
    views = Views(case.run, case.scenario, evaluation, (), words)
    return {
        "run_id": manifest.run_id,
        "scenario": manifest.scenario.name,
        "environment": manifest.environment.name,
        "played_at": words.instant(manifest.started_at_ns / 1e9),
        "verdict": words.verdict(evaluation.verdict),
        "key": evaluation.verdict.value,
        "sign": SIGNS[evaluation.verdict],
        "reason": views.overall_reason(),
        "load": words.verdict(evaluation.load),
        "load_key": evaluation.load.value,
        "load_sign": SIGNS[evaluation.load],
        "rehearsal": manifest.rehearsal if manifest.is_rehearsal else "",
    }


def _conditions(first: Case, second: Case, texts: Texts, words: Words) -> Iterator[ConditionRow]:
    both = {name for name, _ in connector_configs(first.run)} & {name for name, _ in connector_configs(second.run)}
    a, b = _facts(first, both, texts, words), _facts(second, both, texts, words)
    absent = texts.say["absent"]
    for key in dict.fromkeys([*a, *b]):
        name = (a.get(key) or b[key])[0]
        yield ConditionRow(key=key, name=name, first=a.get(key, ("", absent))[1], second=b.get(key, ("", absent))[1])


def _facts(case: Case, connectors: set[str], texts: Texts, words: Words) -> dict[str, tuple[Md, str]]:
    """Everything about a run that is not its outcome: key → name, value. `connectors` are compared key by key; of
    others it is enough that they are there."""
    manifest, evidence = case.run.record.manifest, case.run.evidence
    workers = evidence.connect("workers").content or ()
    loads = manifest.of_kind("load")
    plain = {
        "scenario": manifest.scenario.name,
        "scenario_sha256": manifest.scenario.sha256,
        "question": case.scenario.question.in_language(words.language),
        "rehearsal": manifest.rehearsal,
        "planned": ", ".join(
            str(
                words.phrase(
                    "planned", records=load.records, seconds=load.planned_s, rate=load.records / load.planned_s
                )
            )
            for load in loads
            if load.planned_s
        ),
        "record_bytes": words.number(manifest.record_bytes),
        "topics": ", ".join(topic.source for topic in manifest.topics),
        "partitions": words.number(sum(topic.partitions for topic in manifest.topics)),
        "environment": manifest.environment.name,
        "source_cluster": manifest.environment.source.cluster_id,
        "target_cluster": manifest.environment.target.cluster_id,
        "connect": ", ".join(sorted({str(worker.get("version") or "–") for worker in workers})) or "–",
        "profile": evidence.profile.name,
        "senders": ", ".join(sorted(worker.host for worker in manifest.workers)) or "–",
        "ending": words.of("endings", manifest.ending.how) if manifest.ending else str(words.phrase("unfinished")),
    }
    facts = {key: (Md(texts.conditions[key]), value) for key, value in plain.items()}
    for name, version in sorted(manifest.versions.items()):
        facts[f"version {name}"] = (words.fill(texts.conditions["version"], {"name": name}), version)
    for connector, config in connector_configs(case.run):
        if connector not in connectors:
            title = words.fill(texts.conditions["connector_there"], {"name": connector})
            facts[f"connector {connector}"] = (title, texts.say["present"])
            continue
        for key, value in config.items():
            title = words.fill(texts.conditions["connector"], {"name": connector, "key": key})
            facts[f"connector {connector} {key}"] = (title, value)
    return facts


def _rows(first: Case, second: Case, words: Words) -> Iterator[ComparedRow]:
    a = {result.criterion.id: result for result in first.evaluation.results}
    b = {result.criterion.id: result for result in second.evaluation.results}
    views = [CriterionViews(case.run, words) for case in (first, second)]
    for criterion_id in dict.fromkeys([*a, *b]):
        one, other = a.get(criterion_id), b.get(criterion_id)
        cells = [
            None if result is None else _cell(view.of(result), result)
            for view, result in zip(views, (one, other), strict=True)
        ]
        some = one or other
        assert some is not None
        yield ComparedRow(
            id=criterion_id,
            title=words.of("measures", some.criterion.measure),
            first=cells[0],
            second=cells[1],
            difference=_difference(one, other, words),
            trend=_trend(one, other),
        )


def _cell(view: CriterionView, result: Result) -> Cell:
    return Cell(
        key=result.verdict.value,
        sign=SIGNS[result.verdict],
        verdict=view.verdict,
        measured=view.measured,
        wanted=view.wanted,
    )


def _difference(one: Result | None, other: Result | None, words: Words) -> str:
    """B − A, and in % of A; nothing where the two did not measure the same thing."""
    if one is None or other is None or one.criterion.measure != other.criterion.measure:
        return "–"
    a, b = one.measurement.value, other.measurement.value
    if a is None or b is None or abs(a) == float("inf") or abs(b) == float("inf"):
        return "–"
    if a == b:
        return "="
    sign = "+" if b > a else ""
    text = f"{sign}{words.measured(b - a, one.measurement.unit)}"
    return text if a == 0 else f"{text} ({sign}{words.number(round(100 * (b - a) / abs(a), 1))} %)"


def _trend(one: Result | None, other: Result | None) -> str:
    if one is None or other is None or RANK[one.verdict] == RANK[other.verdict]:
        return ""
    return "worse" if RANK[other.verdict] > RANK[one.verdict] else "better"
