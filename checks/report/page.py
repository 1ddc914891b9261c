"""report.html of one run: what it came to and why, whether the load was applied, figures over time, every criterion
with its evidence, the ledger with examples, and where it all comes from.

The views of the fiche are used as they are, so that both documents say the same in the same words. The page is a
function of record and evidence alone: the same bytes on any machine, at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from checks.case import Case
from checks.criterion_views import CriterionView
from checks.markdown import Md, code
from checks.measures import Run
from checks.pages import page_of
from checks.report.figures import Side, events_of, figures_of
from checks.report.html import render
from checks.report.texts import sayer, texts_of
from checks.since_text import elapsed
from checks.stairs_views import COLUMNS as STEP_COLUMNS
from checks.verdict import Verdict
from checks.views import Views
from checks.words import Words
from scenarios.secret_shapes import without_secrets

#: Beside its word and its colour, each verdict has a sign.
SIGNS = {
    Verdict.GO: "✓",
    Verdict.GREY: "≈",
    Verdict.NOGO: "✗",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_RUN: "–",
}
EXAMPLES = ("lost", "late", "failed", "duplicated", "reordered", "corrupted")
EXAMPLES_MOST = 20
#: Criteria that the verdict's sentence names; the rest are in the table.
NAMED_MOST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionRow:
    """A criterion as the page shows it: the fiche's view of it, and its verdict as a key and a sign."""

    view: CriterionView
    key: str
    sign: str
    deciding: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleRow:
    """Examples of one anomaly in one stream."""

    topic: str
    partition: str
    sender: str
    places: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One kind of anomaly: how many records, and the first examples."""

    name: str
    count: str
    rows: tuple[ExampleRow, ...]
    more: bool


def report(case: Case, *, language: str) -> str:
    """The page, in one of the catalogue's languages."""
    run, scenario, evaluation = case.run, case.scenario, case.evaluation
    words = Words.load(language)
    texts = texts_of(language)
    say = sayer(texts, words)
    views = Views(run, scenario, evaluation, case.findings, words)
    page = page_of(scenario)
    context = views.context(page)
    side = Side.of(run, evaluation)
    rows = criterion_rows(side, views)
    named = deciding(rows)
    return render(
        "report.html.j2",
        words,
        {
            **context,
            "say": say,
            "foreign": "" if run.record.manifest.has_envelopes else run.record.manifest.load,
            "sign": SIGNS[evaluation.verdict],
            "load_sign": SIGNS[evaluation.load],
            "signs": {words.verdict(verdict): sign for verdict, sign in SIGNS.items()},
            "keys": {words.verdict(verdict): verdict.value for verdict in SIGNS},
            "stairs": "stairs" in context["page"],
            "stair_columns": [words.of("measures", name) for name in STEP_COLUMNS],
            "rows": rows,
            "named": named[:NAMED_MOST],
            "unnamed": max(len(named) - NAMED_MOST, 0),
            "bottleneck": views.bottleneck(),
            "figures": figures_of(side, texts, words),
            "events": events_of(side, texts, words),
            "phase_rows": phase_rows(side, context["phases"], words),
            "anomalies": list(anomalies(run, words)),
            "anomaly_titles": {kind: say(f"anomaly_{kind}") for kind in EXAMPLES},
            "scenario_text": run.record.manifest.scenario.text,
            "environment_text": without_secrets(run.record.manifest.environment.text),
            "connectors": [
                (name, json.dumps(config, indent=2, ensure_ascii=False, sort_keys=True))
                for name, config in connector_configs(run)
            ],
            "topics": [
                (topic.source, topic.remote, words.number(topic.partitions)) for topic in run.record.manifest.topics
            ],
        },
    )


def criterion_rows(side: Side, views: Views) -> list[CriterionRow]:
    """Every criterion, in the scenario's order."""
    return [
        CriterionRow(
            view=views.criteria.of(result),
            key=result.verdict.value,
            sign=SIGNS[result.verdict],
            deciding=result.criterion.id in side.evaluation.deciding,
        )
        for result in side.evaluation.results
    ]


def deciding(rows: list[CriterionRow]) -> list[tuple[CriterionRow, Md]]:
    """The criteria that decided, and their ids; those that say the same of the same figure are said once."""
    groups: dict[tuple[str, ...], list[CriterionRow]] = {}
    for row in rows:
        if row.deciding:
            view = row.view
            same = (view.title, view.measured, view.wanted, view.refused, view.since, view.verdict)
            groups.setdefault(same, []).append(row)
    return [(group[0], Md(", ".join(code(row.view.id) for row in group))) for group in groups.values()]


def phase_rows(side: Side, phases: list[dict[str, str]], words: Words) -> list[dict[str, str]]:
    """The phases as the figures number them, with their start from the load's."""
    return [
        {**phase, "number": words.number(band.number), "at": elapsed(words, band.start_s)}
        for phase, band in zip(phases, side.bands(), strict=True)
    ]


def anomalies(run: Run, words: Words) -> Iterator[Anomaly]:
    """What went wrong with records, by kind, with at most 20 examples of each. Places are [first, end) in the order in
    which a sender wrote to a partition."""
    ledger = run.record.ledger
    if ledger is None:
        return
    for kind in EXAMPLES:
        count = ledger["totals"][kind]
        found = [
            (stream, example)
            for stream in sorted(ledger["streams"], key=lambda s: (s["topic"], s["partition"], s["sender"]))
            for example in stream["examples"].get(kind, ())
        ]
        if not count and not found:
            continue
        rows: dict[tuple[str, str, str], list[str]] = {}
        for stream, example in found[:EXAMPLES_MOST]:
            key = (stream["topic"], words.number(stream["partition"]), words.number(stream["sender"]))
            rows.setdefault(key, []).append(_place(example, words))
        yield Anomaly(
            name=kind,
            count=words.number(count),
            rows=tuple(
                ExampleRow(topic=topic, partition=partition, sender=sender, places=", ".join(places))
                for (topic, partition, sender), places in rows.items()
            ),
            more=_records(example for _, example in found[:EXAMPLES_MOST]) < count,
        )


def _place(example: Any, words: Words) -> str:
    if not isinstance(example, list):
        return words.number(example)
    first, end = example
    return words.number(first) if end == first + 1 else f"{words.number(first)} → {words.number(end - 1)}"


def _records(examples: Iterator[Any]) -> int:
    return sum(example[1] - example[0] if isinstance(example, list) else 1 for example in examples)


def connector_configs(run: Run) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and configuration of MM2's connectors, as far as they may be kept. Evidence of an older version has those of
    others too."""
    content, ours = run.evidence.connect("connectors").content, run.environment.connect.connectors
    for name, parts in sorted(content.items()) if isinstance(content, dict) else ():
        if name not in (ours.source, ours.checkpoint, ours.heartbeat):
            continue
        info = parts.get("info") if isinstance(parts, dict) else None
        if isinstance(info, dict) and isinstance(info.get("config"), dict):
            yield name, {str(key): str(value) for key, value in sorted(info["config"].items())}
