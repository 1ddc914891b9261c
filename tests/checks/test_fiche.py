"""The fiche: every line of the runbook's page, filled; and nothing that others wrote can break it."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from checks.diagnosis import OUR_ROWS, PAGE_ROWS
from checks.markdown import Md, block, code, escape, spaced
from checks.metric_profiles import Role
from checks.pages import Page, unfilled_lines
from checks.reasons import Code, Reason
from checks.words import TEMPLATES, Words
from run_record.counts import Counts
from run_record.manifest import Ending
from scenarios.conditions import parse_condition
from scenarios.measures import MEASURES, Group
from scenarios.scenario import load
from scenarios.yaml_file import parse
from tests.checks.html_page import plain, read
from tests.support.records import (
    HEALTHY,
    PHASES,
    SOURCE_CONNECTOR,
    connector,
    healthy_connectors,
    healthy_metrics,
    item,
    scenario_text,
    spoil,
    write_evidence,
    write_run,
)

HOSTILE = "x|y`z`\n# titre <script>alert(1)</script> [lien](http://evil) | --- | *gras* \u202e"
PAGE = parse((TEMPLATES / "pages" / "phase1_smoke.yaml").read_text(encoding="utf-8"), Page, file="phase1_smoke.yaml")
WORDS = Words.load("fr")


def row_of(text, find):
    return next(line for line in text.split("\n") if find in line)


def test_a_nogo_says_since_when(judge):
    fiche = judge(spoil(healthy_metrics(), Role.LATENCY_MAX, lambda at_s: 700.0 if 75 < at_s < 90 else 40.0)).fiche
    line = row_of(fiche, "(`latency_max`)")
    assert "700 ms, attendu < 500 ms, de T+9 s à T+14 s (5 s, dès 2027-01-15 08:01:20 UTC)." in line


def test_a_figure_of_the_report_says_on_which_side_of_its_limits_it_was(judge):
    run = judge(spoil(healthy_metrics(), Role.LATENCY_MAX, lambda at_s: 499.96 if 75 < at_s < 90 else 40.0))
    figure = plain(read((run.directory / "report.html").read_text(encoding="utf-8")).by_id("figure-mm2_latency").text)
    assert "499,96 ms" in figure
    assert "499,96 T+15 s" in figure, "and in the table below it"


@pytest.mark.parametrize(
    ("value", "shown", "verdict"),
    [(499.96, "499,96 ms", "GO"), (500.04, "500,04 ms", "NOGO"), (700.04, "700 ms", "NOGO")],
)
def test_a_value_is_on_the_fiche_on_the_side_of_its_limit_where_it_was_judged(judge, value, shown, verdict):
    run = judge(spoil(healthy_metrics(), Role.LATENCY_MAX, lambda at_s: value if 75 < at_s < 90 else 40.0))
    assert run.criteria["latency_max"]["verdict"] == verdict
    assert shown in row_of(run.fiche, "Max Replication Latency")


class TestThePage:
    @pytest.mark.parametrize("line", PAGE.lines, ids=lambda line: line.page)
    def test_each_line_is_in_the_fiche_with_its_value_and_verdict(self, judge, line):
        run = judge(counts=replace(HEALTHY, arrived=97, late=3))
        row = row_of(run.fiche, line.find)
        if line.criterion is not None:
            result = run.judgement.evaluation.result(line.criterion)
            assert f"**{WORDS.verdict(result.verdict)}**" in row
            assert str(round(result.measurement.value)) in row
        assert line.page not in unfilled_lines("phase1_smoke", run.fiche)

    def test_nothing_is_left_to_fill_but_what_is_written_by_hand(self, judge):
        fiche = judge().fiche
        assert unfilled_lines("phase1_smoke", fiche) == []
        assert fiche.count("______________") == 3
        assert "INDÉTERMINÉ" not in fiche
        heads = ("| | Envoyés", "| | |\n")
        assert not re.search(r"\| *\|", fiche.replace(heads[0], "").replace(heads[1], ""))

    def test_every_line_stays_filled_when_nothing_could_be_measured(self, judge):
        run = judge(evidence={"errors": dict.fromkeys(Role, "down"), "connect_error": "down"})
        assert unfilled_lines("phase1_smoke", run.fiche) == []
        assert "non mesuré" in row_of(run.fiche, "Total Records Polled")

    def test_a_removed_line_and_a_blank_are_noticed(self, judge):
        fiche = judge().fiche
        assert "Étape 1.2, panneau 1" in unfilled_lines("phase1_smoke", fiche.replace("Total Records Polled", ""))
        row = row_of(fiche, "Latence moyenne")
        blank = f"| Latence moyenne | _______ ms | {row.split('|')[3]} |"
        assert unfilled_lines("phase1_smoke", fiche.replace(row, blank)) == ["Étape 1.3, baseline 1"]

    def test_scenario_has_every_criterion_of_the_page(self):
        ids = {criterion.id for criterion in load("phase1_smoke").scenario.criteria}
        assert PAGE.criteria <= ids

    def test_misleading_panels_have_the_true_figure_beside_them(self, judge):
        fiche = judge(counts=replace(HEALTHY, arrived=90, late=10)).fiche
        assert "Retard de réplication maximal (acquittés − arrivés) : 10" in row_of(fiche, "Active Records (Lag)")
        assert "Latence de bout en bout, moyenne :" in row_of(fiche, "Avg Replication Latency")

    def test_panels_count_from_the_tasks_start_and_so_show_both_readings(self, judge):
        assert "+100 (12 → 112)" in row_of(judge().fiche, "Total Records Polled")

    def test_filter_of_the_page_is_tried_on_the_connectors_name(self, judge):
        assert "ne trouverait rien ici : le connecteur s'appelle `mm2-source-connector`" in judge().fiche


class TestTheAnswer:
    def test_clean_run(self, judge):
        assert "**Verdict : GO.** Peut-on passer en phase 2 ? **Oui**" in judge().fiche
        assert "☑ GO pour la phase 2 ☐ NOGO, diagnostic requis" in judge().fiche

    def test_lost_record(self, judge):
        fiche = judge(counts=replace(HEALTHY, arrived=99, lost=1)).fiche
        assert "**Verdict : NOGO.** Peut-on passer en phase 2 ? **Non**" in fiche
        assert "- **Enregistrements perdus** (`lost`) : 1, attendu = 0, " in fiche, "and since when"
        assert "☐ GO pour la phase 2 ☑ NOGO, diagnostic requis" in fiche

    def test_what_could_not_be_measured(self, judge):
        fiche = judge(evidence={"errors": dict.fromkeys(Role, "Prometheus at x: connection refused")}).fiche
        assert "**Verdict : INDÉTERMINÉ.** Peut-on passer en phase 2 ? **On ne peut pas le dire**" in fiche
        assert "☐ GO pour la phase 2 ☐ NOGO, diagnostic requis ☑ INDÉTERMINÉ" in fiche

    def test_rehearsal_says_so_on_top_and_is_no_yes(self, judge):
        fiche = judge(rehearsal="1/30").fiche
        assert fiche.split("\n")[2].startswith("> **RÉPÉTITION** : les durées de charge ont été multipliées par 1/30.")
        assert "**En répétition seulement**" in fiche

    def test_killed_run_says_what_happened(self, judge):
        fiche = judge(counts=None, phases=(*PHASES[:2], ("smoke", "load", 71, 76, 100))).fiche
        assert "> **TEST TUÉ EN ROUTE** : le test a été tué pendant la phase `smoke`" in fiche
        assert "2027-01-15 08:01:16 UTC" in fiche
        assert "50 envoyés, 50 acquittés, 50 arrivés" in fiche
        assert "non scellé" in fiche
        assert unfilled_lines("phase1_smoke", fiche) == []

    def test_killed_before_anything_was_sent(self, judge):
        fiche = judge(counts=None, phases=PHASES[:1]).fiche
        assert "**Verdict : INDÉTERMINÉ.**" in fiche

    def test_interrupted_run_says_how_and_when(self, judge):
        ending = Ending(how="sigint", aborted=True, at_ns=1_800_000_143 * 10**9)
        assert "> **TEST INTERROMPU** : test interrompu au clavier (Ctrl-C) à 2027-01-15 08:02:23 UTC" in (
            judge(ending=ending).fiche
        )

    def test_generator_that_fell_short(self, judge):
        fiche = judge(counts=Counts(sent=90, acked=90, arrived=90)).fiche
        assert "**Non** : 90 sur 100 messages envoyés." in fiche


def test_scenario_without_a_page_gets_the_general_fiche(judge):
    run = judge(
        scenario=scenario_text(
            [
                '{id: achieved, measure: load.achieved, go: "== 100 %"}',
                '{id: mean, measure: e2e.mean, go: "< 100 ms", nogo: "> 1 s", beside: mm2.latency_avg}',
            ]
        )
    )
    assert run.fiche.startswith("# Fiche technique : phase1_smoke")
    assert "| Latence de bout en bout, moyenne (`mean`) | < 100 ms | 20 ms | **GO** |" in run.fiche
    assert "Latence de réplication MM2, moyenne : 25 ms" in run.fiche


# What others wrote.


def test_hostile_labels_traces_and_errors_stay_in_their_cells(tmp_path, judge):
    clean = judge().fiche
    metrics = healthy_metrics()
    twin = item(lambda _: 1.0, instance="w1:9404", connector=SOURCE_CONNECTOR, task="0", x=HOSTILE)
    metrics[Role.ACTIVE_COUNT] = [twin, {**twin, "metric": {**twin["metric"], "x": "2", "task": HOSTILE}}]
    evidence = {
        "connectors": {
            **healthy_connectors(),
            SOURCE_CONNECTOR: connector(
                SOURCE_CONNECTOR, "RUNNING", ("FAILED",), trace=HOSTILE, transforms=HOSTILE, topics=HOSTILE
            ),
        },
        "errors": {Role.POLL_TOTAL: HOSTILE},
        "warnings": {Role.LATENCY_MAX: [HOSTILE]},
        "workers": [{"url": "http://w2:8083", "error": HOSTILE}],
    }
    run = judge(
        metrics,
        evidence,
        counts=replace(HEALTHY, acked=99, failed=1, arrived=90, late=9),
        last_errors=[HOSTILE],
        run_id="hostile",
        ending=Ending(how="failed", aborted=True, at_ns=1_800_000_143 * 10**9, detail=HOSTILE),
    )
    assert "titre" in run.fiche
    assert "<script>" not in outside_code(run.fiche)
    assert not re.search(r"(?<!\\)\]\(http", outside_code(run.fiche))
    assert "\u202e" not in run.fiche
    assert not [line for line in run.fiche.split("\n") if line.startswith("# titre")]
    assert tables_are_whole(run.fiche)
    assert tables_are_whole(clean)
    html = rendered(run.fiche)
    assert "<script" not in html
    assert "href=" not in html
    assert html.count("<table>") == rendered(clean).count("<table>")
    assert headings(html) == headings(rendered(clean))


def rendered(text):
    return MarkdownIt("commonmark").enable("table").render(text)


def headings(html):
    """Titles, verdicts left out: those of the criteria differ between two runs."""
    return re.findall(r"<h\d>(.*?)(?: : [A-ZÉ]+)?</h\d>", html)


def outside_code(text):
    """The text without fenced blocks and code spans."""
    text = re.sub(r"(?ms)^(`{3,})[^\n]*\n.*?^\1$", "", text)
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)


def tables_are_whole(text):
    """Every row of a table has as many cells as its head."""
    text = re.sub(r"(?ms)^(`{3,})[^\n]*\n.*?^\1$", "", text)
    for table in re.findall(r"(?m)(?:^\|.*\n)+", text):
        widths = {len(re.split(r"(?<!\\)\|", row)) for row in table.strip().split("\n")}
        if len(widths) != 1:
            return False
    return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("`x`", r"\`x\`"),
        ("<b>", "&lt;b&gt;"),
        ("< 100 ms", "< 100 ms"),
        ("source->target", "source->target"),
        ("a\r\nb\tc", "a b c"),
        ("[x](y)", r"\[x\](y)"),
        ("&lt;", "&amp;lt;"),
        ("a_b", "a_b"),
        ("\u202eabc", "abc"),
    ],
)
def test_escape(text, shown):
    assert escape(text) == shown


def test_code_spans_hold_any_backticks_and_no_cell_border():
    assert code("a``b") == "```a``b```"
    assert code("`a") == "`` `a ``"
    assert code("a|b") == r"`a\|b`"
    assert block("a\n```\nb").startswith("````\n")


def test_no_break_spaces_go_where_french_wants_them_and_never_into_code():
    text = "Oui : « non » `a : b` 5 %\n```\nx : y\n```\n| a : b |"
    assert spaced(text, before=":»%", after="«") == (
        "Oui\u00a0: «\u00a0non\u00a0» `a : b` 5\u00a0%\n```\nx : y\n```\n| a\u00a0: b |"
    )


# Words.


def test_catalogue_has_a_word_for_everything_and_for_nothing_else():
    catalogue = WORDS.catalogue
    assert set(catalogue.reasons) == {code.value for code in Code}
    assert set(catalogue.measures) == set(MEASURES)
    assert set(catalogue.diagnosis) == {*PAGE_ROWS, *OUR_ROWS}
    assert set(catalogue.groups) == {group.value for group in Group}
    assert {spec.unit for spec in MEASURES.values()} <= {*catalogue.units}
    assert set(catalogue.endings) == set(Ending.model_fields["how"].annotation.__args__)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1\u202f234\u202f567"),
        (0.125, "0,125"),
        (0.004, "0,004"),
        (31.24, "31,24"),
        (116.44, "116,4"),
        (-5, "−5"),
        (99.98, "99,98"),
        (1234.6, "1\u202f235"),
        (float("inf"), "∞"),
    ],
)
def test_numbers_are_written_in_french(value, text):
    assert WORDS.number(value) == text


def test_rounding_never_makes_a_whole_of_what_is_not():
    assert WORDS.quantity(99.99996, "%") == "99,99996\u00a0%"
    assert WORDS.quantity(100.0, "%") == "100\u00a0%"


@pytest.mark.parametrize(
    ("value", "unit", "limit", "text"),
    [
        (5000.4, "ms", 5000, "5\u202f000,4\u00a0ms"),
        (4999.96, "ms", 5000, "4\u202f999,96\u00a0ms"),
        (98.9996, "%", 99, "98,9996\u00a0%"),
        (499.96, "ms", 500, "499,96\u00a0ms"),
        (949.96, "records/s", 950, "949,96\u00a0enr./s"),
        (-0.00001, "records/s", 0, "−0,00001\u00a0enr./s"),
        (1e-12, "records", 0, "0,000000000001"),
        (1234.8, "ms", 1234.56, "1\u202f235\u00a0ms"),
    ],
)
def test_a_figure_is_shown_on_its_own_side_of_its_limit(value, unit, limit, text):
    assert WORDS.measured(value, unit, limits=(limit,)) == text


@pytest.mark.parametrize("limit", [0, 100, 5000, 1e9])
def test_a_figure_far_from_its_limit_is_written_as_without_one(limit):
    for value in (0.125, 31.24, 116.44, 1234.6, 5001.4, 1234567, math.inf, math.nan):
        assert WORDS.number(value, limits=(limit,)) == WORDS.number(value)


@given(st.floats(-1e7, 1e7), st.floats(-1e7, 1e7))
def test_no_rounding_moves_a_figure_to_its_limit_or_across(value, limit):
    shown = WORDS.number(value, limits=(limit,))
    number = float(shown.replace("\u202f", "").replace(",", ".").replace("−", "-"))
    assert (number > limit, number < limit) == (value > limit, value < limit)


def test_a_reason_shows_its_figure_on_its_own_side_of_what_was_wanted():
    low = Reason.of(Code.LOW_COVERAGE, percent=94.9996, wanted=95.0, where="up", points=3, interval_s=5.0)
    assert "94,9996\u00a0% seulement (minimum 95\u00a0%)" in WORDS.reason(low)
    skewed = Reason.of(Code.CLOCK_SKEWED, offset_s=-15.0004, tolerance_s=15.0)
    assert "−15,0004\u00a0s (toléré : 15\u00a0s)" in WORDS.reason(skewed)


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ("< 1234.56 ms", "< 1\u202f234,56\u00a0ms"),
        ("949.999..1050.001 records/s", "de 949,999 à 1\u202f050,001\u00a0enr./s"),
        ("<= baseline + max(33.333 %, 1234.56 ms)", "33,333\u00a0% ou 1\u202f234,56\u00a0ms"),
    ],
)
def test_a_condition_is_shown_with_every_digit_of_its_author(condition, text):
    assert text in WORDS.condition(parse_condition(condition), planned=100)


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ("== plan records", "= 100"),
        ("< 100 ms", "< 100\u00a0ms"),
        (">= 99 %", "≥ 99\u00a0%"),
        ("950..1050 records/s", "de 950 à 1\u202f050\u00a0enr./s"),
    ],
)
def test_conditions_are_written_in_french(condition, text):
    assert WORDS.condition(parse_condition(condition), planned=100) == text


def test_figure_that_was_not_measured_is_a_dash_not_a_hole():
    assert WORDS.fill("{x:ms} et {y}", {"x": 5}) == "5\u00a0ms et –"
    assert WORDS.fill("{x:partitions}", {}) == "–\u00a0partitions"
    assert isinstance(WORDS.fill("{x}", {"x": "a|b"}), Md)


def test_fiche_of_a_run_is_written_beside_it(tmp_path):
    directory = write_run(tmp_path)
    write_evidence(directory)
    from checks.judge import judge_run

    assert judge_run(directory).fiche_file == directory / "fiche.md"
