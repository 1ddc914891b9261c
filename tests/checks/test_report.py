"""report.html: it says what was judged, needs nothing but itself, and nothing that others wrote can break out of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from checks.judge import judge_run
from checks.metric_profiles import Role
from checks.report.figures import ROUTINE
from checks.report.html import FOLDER, policy, spaced, style
from checks.report.texts import texts_of
from checks.verdict import Verdict
from checks.words import languages
from run_record.manifest import Ending
from run_record.store import SEAL, sums
from tests.checks.html_page import plain, read
from tests.support.phase2 import during, phase2_metrics, write_phase2
from tests.support.phase2 import spoil as spoil2
from tests.support.ramp import ramp_metrics, write_ramp
from tests.support.records import (
    HEALTHY,
    PHASES,
    SOURCE_CONNECTOR,
    connector,
    healthy_connectors,
    healthy_metrics,
    spoil,
    write_evidence,
    write_run,
)

HOSTILE = (
    "x</code></pre></svg>]]><script>alert(1)</script><img src=//evil> \u202eRTL\u2066 \x00 `y` **z** [l](http://evil)"
)


def text_of(directory):
    return (directory / "report.html").read_text(encoding="utf-8")


def page_of(directory):
    return read(text_of(directory))


@pytest.fixture
def report(judge):
    """The page of a synthetic smoke test."""

    def build(*args, **settings):
        return page_of(judge(*args, **settings).directory)

    return build


@pytest.fixture
def phase2(tmp_path):
    """The page of a synthetic nominal load, and its directory."""

    def build(metrics=None, **settings):
        directory = write_phase2(tmp_path, **settings)
        write_evidence(directory, metrics or phase2_metrics())
        judge_run(directory)
        return page_of(directory), directory

    return build


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """The page of a smoke test that went well."""
    directory = write_run(tmp_path_factory.mktemp("smoke"))
    write_evidence(directory)
    judge_run(directory)
    return page_of(directory)


@pytest.fixture(scope="module")
def nominal(tmp_path_factory):
    """The page of a nominal load that went well."""
    directory = write_phase2(tmp_path_factory.mktemp("nominal"))
    write_evidence(directory, phase2_metrics())
    judge_run(directory)
    return page_of(directory)


def rewrite_ledger(directory, change):
    """Changes a record's ledger, and seals it again."""
    file = directory / "record" / "ledger.json"
    ledger = json.loads(file.read_text(encoding="utf-8"))
    change(ledger)
    file.write_text(json.dumps(ledger), encoding="utf-8")
    (directory / "record" / SEAL).write_text(sums(directory / "record"), encoding="utf-8")


class TestItNeedsNothingButItself:
    def test_it_asks_nobody_for_anything_and_runs_nothing(self, judge):
        directory = judge().directory
        page = page_of(directory)
        names = {one.name for one in page.everything()}
        assert not names & {
            "script",
            "link",
            "img",
            "iframe",
            "object",
            "embed",
            "form",
            "base",
            "image",
            "use",
            "video",
        }
        for one in page.everything():
            assert not [key for key in one.attributes if key.startswith("on") or key in ("src", "style", "srcset")]
            assert one.attributes.get("href", "#").startswith("#")
        assert not re.search(r"url\(|@import|expression\(", text_of(directory))

    def test_its_policy_forbids_all_but_its_own_style_sheet(self, smoke):
        page = smoke
        (meta,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
        (sheet,) = page.all("style")
        digest = base64.b64encode(hashlib.sha256(sheet.text.encode()).digest()).decode()
        assert meta.attributes["content"] == policy()
        assert policy() == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"

    def test_the_same_run_gives_the_same_bytes_wherever_it_lies(self, judge, tmp_path):
        directory = judge().directory
        first = text_of(directory)
        elsewhere = tmp_path / "elsewhere" / directory.name
        shutil.copytree(directory, elsewhere)
        (elsewhere / "report.html").unlink()
        judge_run(elsewhere)
        assert text_of(elsewhere) == first
        assert str(tmp_path) not in first


class TestWhatOthersWrote:
    def hostile(self, tmp_path, language="fr"):
        directory = write_run(
            tmp_path,
            counts=replace(HEALTHY, acked=90, arrived=80, failed=10, lost=10),
            last_errors=[HOSTILE],
            unaccounted=[{"worker": HOSTILE, "owned": [HOSTILE], "sent": 3}],
            read_refused=[HOSTILE],
        )
        rewrite_ledger(
            directory,
            lambda ledger: ledger["streams"][0].update(topic=HOSTILE, examples={"lost": [[0, 10]], "duplicated": [7]}),
        )
        connectors = healthy_connectors() | {
            SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, "FAILED", trace=HOSTILE, transforms=HOSTILE)
        }
        write_evidence(
            directory, warnings={Role.POLL_TOTAL: [HOSTILE]}, errors={Role.UP: HOSTILE}, connectors=connectors
        )
        judge_run(directory, language=language)
        return directory

    def test_it_stays_text(self, tmp_path):
        text = text_of(self.hostile(tmp_path))
        page = read(text)
        assert not page.all("script")
        assert not page.all("img")
        assert "<script>alert(1)" in page.text
        assert "[l](http://evil)" in page.text
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00]", text)

    def test_it_is_shown_where_it_matters(self, tmp_path):
        page = page_of(self.hostile(tmp_path))
        assert "<script>alert(1)" in page.by_id("ledger").text
        assert "<script>alert(1)" in page.by_id("diagnosis").text
        assert "<script>alert(1)" in page.by_id("provenance").text


class TestWhatItSays:
    def test_the_verdict_comes_first_with_its_sign_and_its_word(self, smoke):
        (box,) = smoke.all("section", **{"class": "verdict GO"})
        assert plain(box.text).startswith("✓ GO : les")

    @pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.NOT_RUN])
    def test_every_verdict_has_a_sign_and_a_word_of_its_own(self, judge, verdict):
        spoilt = {
            Verdict.GO: {},
            Verdict.GREY: {"metrics": spoil(healthy_metrics(), Role.LATENCY_AVG, lambda at_s: 200.0)},
            Verdict.NOGO: {"counts": replace(HEALTHY, arrived=99, lost=1)},
            Verdict.INCONCLUSIVE: {"evidence": {"errors": {Role.POLL_TOTAL: "down"}}},
        }[verdict]
        run = judge(**spoilt)
        assert run.judgement.verdict is verdict
        (box,) = page_of(run.directory).all("section", **{"class": f"verdict {verdict.value}"})
        sign, word = box.text.split()[:2]
        assert (sign, word) == {
            Verdict.GO: ("✓", "GO"),
            Verdict.GREY: ("≈", "GRIS"),
            Verdict.NOGO: ("✗", "NOGO"),
            Verdict.INCONCLUSIVE: ("?", "INDÉTERMINÉ"),
        }[verdict]

    def test_a_nogo_says_what_how_much_since_when_and_which_row_fits_with_its_figures(self, phase2):
        metrics = spoil2(phase2_metrics(), Role.THROTTLE_MAX, during(300.0))
        metrics = spoil2(metrics, Role.LATENCY_MAX, lambda at_s: 6000.0 if 101 < at_s < 131 else 90.0)
        page, _ = phase2(metrics, e2e_ms=[20.0] * 1999 + [9000.0])
        (box,) = page.all("section", **{"class": "verdict NOGO"})
        said = plain(box.text)
        assert "Latence de réplication MM2, maximum (latency_max) : 6 000 ms" in said
        assert "attendu < 2 000 ms, NOGO si > 5 000 ms" in said
        assert "de T+34 s à T+59 s" in said
        assert "cible (lecture ≫ écriture, ou la cible retient MM2)" in said
        assert "la cible impose à MM2 d'attendre (300 ms au plus) : un quota" in said
        assert "lu 1 000/s" in said

    def test_a_throttle_that_was_seen_is_a_sign_however_many_scrapes_were_missed(self, phase2):
        seldom = lambda at_s: None if 80 < at_s < 95 or 100 < at_s < 125 else 300.0  # noqa: E731
        metrics = spoil2(phase2_metrics(), Role.THROTTLE_MAX, seldom)
        metrics = spoil2(metrics, Role.LATENCY_MAX, lambda at_s: 6000.0 if 101 < at_s < 131 else 90.0)
        page, _ = phase2(metrics, e2e_ms=[20.0] * 1999 + [9000.0])
        said = plain(page.all("section", **{"class": "verdict NOGO"})[0].text)
        assert "la cible impose à MM2 d'attendre (300 ms au plus) : un quota" in said

    def test_where_no_bottleneck_fits_the_symptom_that_does_is_named(self, phase2):
        metrics = spoil2(phase2_metrics(), Role.LATENCY_AVG, during(450.0))
        page, _ = phase2(spoil2(metrics, Role.LATENCY_MAX, during(900.0)), e2e_ms=[1400.0] * 2000)
        (box,) = page.all("section", **{"class": "verdict NOGO"})
        said = "Ligne du diagnostic qui correspond : Latence > 500 ms : MM2 450 ms, bout en bout 1 400 ms."
        assert said in plain(box.text)

    def test_criteria_that_say_the_same_are_said_once(self, phase2):
        page, _ = phase2(e2e_ms=[1500.0] * 2000)
        (box,) = page.all("section", **{"class": "verdict NOGO"})
        assert "(t30_latency_p99, check_p99)" in plain(box.text)

    def test_every_criterion_unfolds_on_its_value_its_limits_and_its_query(self, judge):
        run = judge()
        page = page_of(run.directory)
        for result in run.judgement.evaluation.results:
            unfolded = page.by_id(f"c-{result.criterion.id}")
            assert unfolded.children[0].name == "details"
            assert "GO" in unfolded.all("summary")[0].text
            assert re.sub(r"\s", "", result.measurement.source) in re.sub(r"\s", "", unfolded.text)
            assert result.criterion.measure in unfolded.text

    def test_whether_the_load_was_applied_is_answered_before_anything_else(self, report):
        page = report(counts=replace(HEALTHY, sent=60, acked=60, arrived=60))
        sections = [one.attributes.get("id") for one in page.all("section")]
        assert sections[1] == "load"
        assert "Non : 60 sur 100 messages envoyés" in plain(page.by_id("load").text)

    def test_a_run_that_was_killed_says_so_and_shows_what_there_is(self, judge):
        phases = [*PHASES[:2], ("smoke", "load", 71, None, 100)]
        page = page_of(judge(counts=None, phases=phases).directory)
        assert "TEST TUÉ EN ROUTE" in page.text
        assert "Pas de bilan" in page.by_id("ledger").text

    def test_a_run_that_never_got_to_its_load_has_a_page(self, judge):
        page = page_of(judge(counts=None, failed="no partitions", phases=PHASES[:1]).directory)
        assert "TEST INTERROMPU" in page.text

    def test_a_stopped_run_shows_how_it_ended_on_its_figures(self, judge):
        ending = Ending(how="stopped", aborted=True, at_ns=1)
        page = page_of(judge(ending=ending).directory)
        assert "TEST INTERROMPU" in page.text
        assert "arrêté depuis l'interface web" in page.text


class TestAStaircase:
    def test_its_steps_and_its_capacity_are_shown_with_what_stopped_it(self, tmp_path):
        steps = ["step_1000", "step_2500", "step_5000", "step_2500_again"]
        slow = {"e2e_ms": {"step_5000": 9000.0}, "backlog": {"step_5000": 60_000.0}, "recovers_s": 20.0}
        directory = write_ramp(tmp_path, steps, **slow)
        write_evidence(directory, ramp_metrics(steps, latency_ms={"step_5000": 4000.0}))
        judge_run(directory)
        stairs = page_of(directory).by_id("stairs")
        said = plain(stairs.text)
        assert "Capacité confirmée : 2 500 enr./s. Débit recommandé : 1 750 enr./s (70 %)." in said
        rows = [[plain(cell.text) for cell in row.children] for row in stairs.all("tr")]
        verdicts = {row[0]: row[1] for row in rows[1:]}
        assert [verdict for title, verdict in verdicts.items() if "2 500" in title] == ["✓ GO", "✓ GO"]
        assert "`" not in page_of(directory).by_id("load").text
        limits = plain(page_of(directory).by_id("figure-e2e").text)
        assert "s5000_p99" in limits
        assert "s7500_p99" not in limits, "a step that was never played has no limit to draw"
        assert [verdict for title, verdict in verdicts.items() if "5 000" in title] == ["✗ NOGO"]

    def test_a_run_that_is_none_has_no_such_section(self, smoke):
        assert not [one for one in smoke.all("section") if one.attributes.get("id") == "stairs"]


class TestTheLedger:
    def examples(self, judge, kind, examples, count):
        run = judge(counts=replace(HEALTHY, arrived=100 - count, lost=count))
        rewrite_ledger(run.directory, lambda ledger: ledger["streams"][0].update(examples={kind: examples}))
        judge_run(run.directory)
        return page_of(run.directory).by_id("ledger")

    def test_examples_are_ranges_with_their_place(self, judge):
        ledger = self.examples(judge, "lost", [[3, 5], [9, 10]], 3)
        said = plain(ledger.text)
        assert "Perdus : 3." in said
        assert "t.generated-data-01.json" in said
        assert "3 → 4, 9" in said
        assert "Il y en a d'autres" not in said

    def test_at_most_twenty_are_shown_and_the_rest_is_said(self, judge):
        ledger = self.examples(judge, "lost", [[2 * n, 2 * n + 1] for n in range(20)], 30)
        assert "38" in ledger.text
        assert "Il y en a d'autres" in ledger.text

    def test_nothing_wrong_is_said_too(self, smoke):
        assert "Aucun enregistrement refusé, perdu" in smoke.by_id("ledger").text

    def test_lost_records_are_dated_by_their_place_in_the_stream(self, judge):
        run = judge(counts=replace(HEALTHY, arrived=90, lost=10), anomalies_from=0.5)
        # Ten seconds of load, a hundred records: the fiftieth was sent half way through.
        assert "environ de T+5 s à T+6 s" in plain(page_of(run.directory).by_id("c-lost").text)


class TestTheFigures:
    FIGURES = ("rate", "e2e", "backlog", "mm2_latency", "workers")

    def test_each_is_there_with_words_for_who_cannot_see_it(self, nominal):
        for name in self.FIGURES:
            figure = nominal.by_id(f"figure-{name}")
            (drawing,) = figure.all("svg", role="img")
            labels = drawing.attributes["aria-labelledby"].split()
            assert all(drawing.by_id(label).text.strip() for label in labels)
            assert figure.all("table")

    def test_limits_are_drawn_and_named(self, phase2):
        page, _ = phase2(backlog=lambda at_s: 900 + 300 * (at_s > 30))
        backlog = page.by_id("figure-backlog")
        texts = [plain(one.text) for one in backlog.all("text")]
        assert "GO < 5 000" in texts
        assert "NOGO > 10 000" in texts
        assert backlog.all("line", **{"class": "stroke limit go"})
        assert backlog.all("line", **{"class": "stroke limit nogo"})

    def test_a_limit_far_above_does_not_flatten_the_curve(self, phase2):
        page, _ = phase2(backlog=lambda _: 40)
        texts = [plain(one.text) for one in page.by_id("figure-backlog").all("text")]
        assert "↑ GO < 5 000" in texts
        assert "500" in texts

    def test_phases_are_numbered_on_every_figure_as_in_the_list(self, nominal):
        page = nominal
        numbers = [one.text for one in page.by_id("figure-rate").all("text", **{"class": "halo number"})]
        assert {"2", "3", "5"} <= set(numbers)
        rows = [[plain(cell.text) for cell in row.children] for row in page.by_id("over_time").all("tr")]
        assert ["3", "nominal", "charge"] in [row[:3] for row in rows]

    def test_events_that_are_news_are_lettered_and_listed(self, judge):
        run = judge()
        events = run.directory / "record" / "events.jsonl"
        event = {"at_ns": 1_800_000_075_000_000_000, "event": "worker_lost", "worker": "w<7>", "owned": ["t:1"]}
        events.write_text(events.read_text() + json.dumps(event) + "\n")
        (run.directory / "record" / SEAL).write_text(sums(run.directory / "record"))
        judge_run(run.directory)
        page = page_of(run.directory)
        rows = [[plain(cell.text) for cell in row.children] for row in page.by_id("over_time").all("tr")]
        text = "un générateur de charge a disparu (worker w<7>, owned t:1)"
        assert ["▼a", "T+4 s", "2027-01-15 08:01:15 UTC", text] in rows
        assert [one.text for one in page.by_id("figure-rate").all("text", **{"class": "halo mark"})] == ["▼a"]

    def test_a_run_of_hours_has_a_page_hardly_larger_than_one_of_minutes(self, judge):
        hours = [("smoke", "load", 5, 18_000, 100), ("drain", "drain", 18_000, 18_002, 0)]
        long = judge(phases=hours).directory / "report.html"
        assert long.stat().st_size < 250_000

    def test_what_was_not_measured_is_said_not_drawn(self, judge):
        run = judge(evidence={"errors": dict.fromkeys(Role, "down")})
        assert "Rien à tracer" in page_of(run.directory).by_id("figure-mm2_latency").text


class TestForEveryReader:
    def test_tables_have_heads_and_ids_are_unique(self, nominal):
        page = nominal
        for table in page.all("table"):
            assert table.all("th")
            assert all(one.attributes.get("scope") in ("col", "row") for one in table.all("th"))
        ids = [one.attributes["id"] for one in page.everything() if "id" in one.attributes]
        assert len(ids) == len(set(ids))
        anchors = [one.attributes["href"][1:] for one in page.all("a")]
        assert set(anchors) <= set(ids)
        (html,) = page.all("html")
        assert html.attributes["lang"] == "fr"

    def test_curves_differ_by_their_dashes_and_limits_by_theirs(self):
        dashes = dict(re.findall(r"^\.(s\d)\{[^}]*?(?:stroke-dasharray:([^;}]+))?[;}]", style(), re.MULTILINE))
        dashes = {name: re.search(rf"^\.{name}\{{(.*)\}}", style(), re.MULTILINE)[1] for name in dashes}
        drawn = [re.search(r"dasharray:([^;]+)", text) for text in dashes.values()]
        assert len({found[1] if found else "" for found in drawn}) == 4
        limits = [
            re.search(rf"^\.stroke\.{kind}\{{.*dasharray:([^;}}]+)", style(), re.MULTILINE)[1]
            for kind in ("go", "nogo")
        ]
        assert limits[0] != limits[1]

    @pytest.mark.parametrize(
        ("ink", "ground"),
        [
            ("ink", "ground"), ("soft", "ground"), ("soft", "shade"), ("ink", "shade"), ("go", "ground"),
            ("nogo", "ground"), ("grey", "ground"), ("unknown", "ground"), ("go", "go-bg"), ("nogo", "nogo-bg"),
            ("grey", "grey-bg"), ("unknown", "unknown-bg"), ("s1", "ground"), ("s2", "ground"), ("s3", "ground"),
        ],
    )  # fmt: skip
    def test_text_stands_out_from_its_ground(self, ink, ground):
        colours = dict(re.findall(r"--([\w-]+):(#[0-9a-f]{3,6})", style()))
        light, dark = sorted((luminance(colours[name]) for name in (ink, ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5

    def test_french_spaces_do_not_break(self, smoke):
        assert "GO\u00a0: " in smoke.all("section")[0].text


def luminance(colour):
    """Of WCAG 2."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


class TestWords:
    def test_every_event_that_a_run_writes_has_a_word_or_is_routine(self):
        text = (Path(__file__).resolve().parents[2] / "docs" / "run-record.md").read_text(encoding="utf-8")
        table = text.partition("## record/events.jsonl")[2].partition("\n## ")[0]
        events = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
        assert "run_started" in events
        assert events - ROUTINE <= set(texts_of("fr").events)

    def test_every_language_of_the_fiche_has_the_words_of_the_report(self):
        french = texts_of("fr").model_dump()
        translated = [entry.name.removesuffix(".yaml") for entry in FOLDER.iterdir() if entry.name.endswith(".yaml")]
        assert {*languages(), "en"} <= set(translated)
        for language in translated:
            assert _shape(texts_of(language).model_dump()) == _shape(french), language

    def test_a_sign_stays_with_its_number(self):
        assert spaced("<p>GO &lt; 500 ms, ≥ 3, <code>a &lt; 5</code></p>", before="", after="") == (
            "<p>GO &lt;\u00a0500 ms, ≥\u00a03, <code>a &lt; 5</code></p>"
        )

    def test_a_language_without_a_space_before_the_colon_gets_none(self):
        assert spaced("<p>GO : <code>a : b</code></p>", before="", after="") == "<p>GO: <code>a : b</code></p>"

    def test_code_keeps_its_spaces(self):
        html = '<p title="a : b">a : b</p><pre>a : b</pre><code>« c »</code>« d »'
        assert spaced(html, before=":»", after="«") == (
            '<p title="a : b">a\u00a0: b</p><pre>a : b</pre><code>« c »</code>«\u00a0d\u00a0»'
        )


def _shape(content):
    """Keys, and the figures that each sentence takes."""
    if isinstance(content, dict):
        return {key: _shape(value) for key, value in content.items()}
    return sorted(set(re.findall(r"\{(\w+)", content)))
