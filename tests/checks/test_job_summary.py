"""summary.md: the verdict first, then what stands against a GO, then the totals; under a megabyte whatever happens."""

from __future__ import annotations

import json

import pytest
from markdown_it import MarkdownIt

from checks import job_summary
from checks.metric_profiles import Role
from tests.checks.test_fiche import HOSTILE
from tests.support.records import HEALTHY, always, healthy_metrics, scenario_text, spoil


def summary(judged) -> str:
    return (judged.directory / "summary.md").read_text(encoding="utf-8").replace("\u00a0", " ").replace("\u202f", " ")


def test_a_go_is_said_first_and_nothing_stands_against_it(judge):
    text = summary(judge())
    assert text.startswith("# GO : phase1_smoke\n")
    assert "Aucun critère en dehors de GO." in text
    assert "| 100 | 100 | 0 | 0 | 100 | 0 | 0 | 0 | 0 | 0 | 0 |" in text


def test_what_failed_comes_before_what_could_not_be_measured_and_both_before_the_rest(judge):
    metrics = spoil(healthy_metrics(), Role.LATENCY_MAX, always(float("nan")))
    judged = judge(metrics, counts=HEALTHY.__class__(sent=100, acked=100, arrived=97, late=2, lost=1))
    text = summary(judged)
    verdicts = {one["id"]: one["verdict"] for one in judged.content["criteria"] if not one["advisory"]}
    places = {id_: text.index(f"`{id_}`") for id_ in verdicts}
    worst_first = sorted(places, key=places.__getitem__)
    assert [verdicts[id_] for id_ in worst_first if verdicts[id_] != "GO"] == sorted(
        (verdict for verdict in verdicts.values() if verdict != "GO"), key=["NOGO", "INCONCLUSIVE", "GREY"].index
    )
    first_go = min(places[id_] for id_, verdict in verdicts.items() if verdict == "GO")
    assert all(places[id_] < first_go for id_, verdict in verdicts.items() if verdict != "GO")
    assert "| 100 | 100 | 0 | 0 | 97 | 1 | 2 | 0 | 0 | 0 | 0 |" in text


def test_its_links_lead_to_files_of_the_run(judge):
    judged = judge()
    tokens = [child for token in MarkdownIt().parse(summary(judged)) for child in token.children or []]
    links = [token.attrGet("href") for token in tokens if token.type == "link_open"]
    assert len(links) == 4
    assert all((judged.directory / link).exists() for link in links)


def test_a_run_that_was_killed_has_a_summary_too(judge):
    text = summary(judge(counts=None))
    assert "INDÉTERMINÉ" in text.splitlines()[0]
    assert "Pas de bilan." in text


def test_hostile_text_adds_no_row_and_no_link(judge):
    text = summary(judge(evidence={"errors": {Role.POLL_TOTAL: HOSTILE}, "connect_error": HOSTILE}))
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert "<script" not in html
    assert "evil" not in "".join(part for part in html.split('href="')[1:])


def test_a_thousand_criteria_are_cut_not_refused(judge):
    lines = [f'{{id: c{n}, measure: ledger.lost, go: "== {n % 2} records"}}' for n in range(1000)]
    text = summary(judge(scenario=scenario_text(lines)))
    assert len(text.encode()) < 1_000_000
    assert "Et 400 de plus, dans la fiche." in text


@pytest.mark.parametrize("size", [10, 999_999, 1_000_001, 3_000_000])
def test_it_stays_below_githubs_limit(size):
    text = "é|\n" * (size // 4)
    cut = job_summary._cut(text)
    assert len(cut.encode()) <= 1_000_000
    assert cut == text or cut.endswith("|\n\n…\n")


def test_its_verdict_is_that_of_the_verdict_file(judge):
    judged = judge(counts=HEALTHY.__class__(sent=100, acked=100, arrived=99, lost=1))
    assert json.loads((judged.directory / "verdict.json").read_text())["verdict"] == "NOGO"
    assert summary(judged).startswith("# NOGO : ")
