"""What the terminal ends with: the verdict, criteria by their words and values, the lead, and always a next step."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from click.testing import CliRunner

from checks.judge import judge_run
from checks.lead import DECIDE, KINDS, PRESSURE, UNMEASURED
from checks.metric_profiles import Role
from checks.reasons import Code
from checks.verdict import Verdict
from checks.words import Words, languages
from run_record.manifest import Ending
from runbook.cli import cli
from runbook.verdict_text import verdict_text
from tests.checks.test_fiche import HOSTILE
from tests.checks.test_languages import not_english
from tests.support.records import (
    HEALTHY,
    PHASES,
    SOURCE_CONNECTOR,
    T0_NS,
    always,
    connector,
    healthy_connectors,
    healthy_metrics,
    scenario_text,
    spoil,
    write_evidence,
    write_run,
)

PAUSED = {"connectors": {**healthy_connectors(), SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, "PAUSED", ("PAUSED",))}}
UNREAD = spoil(spoil(healthy_metrics(), Role.WRITE_TOTAL, always(6.0)), Role.POLL_TOTAL, always(6.0))
RUNS = {
    "GO": {},
    "paused": {
        "metrics": UNREAD,
        "evidence": PAUSED,
        "counts": replace(HEALTHY, arrived=0, late=100),
    },
    "altered": {"counts": replace(HEALTHY, corrupted=1)},
    "lost": {"counts": replace(HEALTHY, arrived=99, lost=1)},
    "slow": {"e2e_ms": [1500.0] * 100, "metrics": spoil(healthy_metrics(), Role.LATENCY_AVG, always(1400.0))},
    "grey": {"metrics": spoil(healthy_metrics(), Role.LATENCY_AVG, lambda at_s: 200.0)},
    "prometheus": {"evidence": {"errors": dict.fromkeys(Role, "connection refused")}},
    "exporter": {"metrics": spoil(healthy_metrics(), Role.UP, lambda s: 0.0 if 75 < s < 110 else 1.0, which=1)},
    "connect": {"evidence": {"connect_error": "connection refused"}},
    "unloaded": {"counts": HEALTHY.__class__(sent=90, acked=90, arrived=90)},
    "unreadable": {"evidence": {"bodies": {Role.POLL_TOTAL: "<html>"}}},
    "aborted": {"ending": Ending(how="sigint", aborted=True, at_ns=T0_NS + 90 * 10**9)},
    "killed": {"counts": None, "phases": (*PHASES[:2], ("smoke", "load", 71, 76, 100))},
    "failed": {"counts": None, "failed": "no partitions", "phases": PHASES[:1]},
    "rehearsal": {"rehearsal": "1/30"},
    "nothing_asked": {
        "scenario": scenario_text(['{id: lost, measure: ledger.lost, go: "== 0 records", advisory: true}'])
    },
    "hostile": {
        "evidence": {"errors": {Role.POLL_TOTAL: HOSTILE}, "connect_error": HOSTILE},
        "counts": replace(HEALTHY, acked=99, failed=1, arrived=90, late=9),
        "last_errors": [HOSTILE],
    },
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The text of one of the runs in a language, and its judgement; each is judged once."""

    @cache
    def build(name, language="fr"):
        settings = dict(RUNS[name])
        metrics, evidence = settings.pop("metrics", None), settings.pop("evidence", {})
        directory = write_run(tmp_path_factory.mktemp("runs"), **settings)
        write_evidence(directory, metrics, **evidence)
        judgement = judge_run(directory, language=language)
        return verdict_text(judgement, language=language), judgement

    return build


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("name", RUNS)
def test_every_verdict_but_a_go_ends_with_a_next_step_and_the_files_to_open(told, language, name):
    text, judgement = told(name, language)
    words = Words.load(language)
    assert text.startswith(f"{words.verdict(judgement.verdict)}  phase1_smoke")
    to_do = words.named(words.phrase("to_do"), "").strip()
    steps = [line for line in text.splitlines() if line.startswith(to_do)]
    assert len(steps) == (judgement.verdict is not Verdict.GO), text
    assert all(len(step) > len(to_do) + 15 for step in steps)
    assert text.splitlines()[-2:] == [f"  {judgement.fiche_file}", f"  {judgement.fiche_file.with_name('report.html')}"]


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("name", RUNS)
def test_it_is_at_most_a_hundred_columns_of_plain_text(told, language, name):
    text, judgement = told(name, language)
    shown = text.replace(str(judgement.fiche_file.parent), "RUN")
    assert [line for line in shown.splitlines() if len(line) > 100 and len(line.split()) > 1] == []
    assert not any(ord(character) < 32 and character != "\n" for character in text)
    assert "`" not in text.replace("y`z`", "")
    assert "**" not in text


@pytest.mark.parametrize("name", [name for name in RUNS if name != "hostile"])
def test_in_english_no_word_of_french_is_left(told, name):
    assert not_english(told(name, "en")[0]) == []


def test_criteria_are_named_by_their_words_with_value_unit_and_what_was_expected(told):
    text, judgement = told("slow")
    assert "Latence de réplication MM2, moyenne : 1 400 ms, attendu < 100 ms" in text.replace("\u202f", " ")
    for result in judgement.evaluation.results:
        assert f"({result.criterion.id})" not in text
        assert f"{result.criterion.id}:" not in text


def test_the_lead_and_the_command_that_mends_it_are_there(told):
    text, _ = told("paused")
    assert "Piste la plus probable : mm2-source-connector est en pause" in text
    assert f"curl -X PUT 'http://w1:8083/connectors/{SOURCE_CONNECTOR}/resume'" in text


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("paused", "Ce qui est NOGO et en décide :"),
        ("grey", "Ce qu'une personne doit trancher :"),
        ("exporter", "Ce qui empêche de conclure :"),
    ],
)
def test_each_verdict_has_a_heading_of_its_own(told, name, heading):
    assert heading in told(name)[0].splitlines()


def test_an_inconclusive_run_leads_with_what_kept_it_from_being_judged(told):
    text, _ = told("exporter")
    assert "Ce qui a empêché de juger : l'exporter w2:9404 ne répondait pas" in text


@pytest.mark.parametrize("code", Code)
def test_every_reason_comes_to_a_step(code):
    for language in languages():
        steps = Words.load(language).catalogue.steps
        assert steps.get(code.value, steps["unmeasured"])


def test_every_step_is_of_a_reason_or_of_a_kind():
    known = {code.value for code in Code} | {kind for kind, _ in KINDS} | {DECIDE, PRESSURE, UNMEASURED}
    assert set(Words.load("fr").catalogue.steps) <= known
    assert {kind for kind, _ in KINDS} | {DECIDE, PRESSURE, UNMEASURED} <= set(Words.load("fr").catalogue.steps)


@pytest.mark.parametrize(("arguments", "word"), [((), "INDÉTERMINÉ"), (("--lang", "en"), "INCONCLUSIVE")])
def test_the_command_speaks_the_language_that_is_asked_for(tmp_path, arguments, word):
    directory = write_run(tmp_path)
    write_evidence(directory, **RUNS["prometheus"]["evidence"])
    done = CliRunner().invoke(cli, ["judge", str(directory), *arguments])
    assert done.output.startswith(f"{word}  phase1_smoke")
    assert done.exit_code == 30
