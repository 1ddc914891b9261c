"""Every language says the same: the same words, the same templates, the same figures in them."""

from __future__ import annotations

import math
import re
from importlib import resources
from typing import Any

import pytest
from jinja2 import Environment as Jinja
from jinja2 import nodes
from ruamel.yaml import YAML

from checks.judge import judge_run
from checks.metric_profiles import Role
from checks.reasons import Code, Reason
from checks.report.texts import texts_of
from checks.words import Words, languages
from run_record.manifest import Ending
from scenarios import scenario as scenarios
from scenarios.scenario import library_names
from tests.support.phase2 import phase2_metrics, write_phase2
from tests.support.ramp import ramp_metrics, write_ramp
from tests.support.records import T0_NS, always, environment_text, healthy_metrics, spoil, write_evidence, write_run

TEMPLATES = resources.files("report_templates")
OTHERS = [language for language in languages() if language != "fr"]
#: Whole fiches that a language must have; a page without one in it gets the general fiche.
NEEDED = {entry.name for entry in (TEMPLATES / "fr").iterdir() if entry.name.endswith(".j2")} - {
    "phase3_latency.md.j2",
    "phase4_ramp.md.j2",
    "phase5_soak.md.j2",
    "s4_burst.md.j2",
}
BOTH = [(language, name) for language in OTHERS for name in sorted(NEEDED)]
FRENCH = re.compile(r"[éèêàçùÉÀ]|\b(le|la|les|des|une|est|pas|aucun|sur la|mesuré)\b")
#: In English a sign follows its word at once.
FRENCH_SPACING = re.compile(r"\S [:;!?](\s|$)")


def not_english(text: str) -> list[str]:
    """Lines that are not English."""
    return [line for line in text.splitlines() if FRENCH.search(line) or FRENCH_SPACING.search(line)]


def keys(value: Any, path: str = "") -> set[str]:
    if not isinstance(value, dict):
        return {path}
    return set().union(*(keys(part, f"{path}.{name}") for name, part in value.items()))


def catalogue(language: str) -> dict[str, Any]:
    return Words.load(language).catalogue.model_dump()


def figures(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)", text))


def texts(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        return {k: v for name, part in value.items() for k, v in texts(part, f"{path}.{name}").items()}
    if isinstance(value, (list, tuple)):
        return {k: v for number, part in enumerate(value) for k, v in texts(part, f"{path}.{number}").items()}
    return {path: str(value)}


def test_there_is_english():
    assert "en" in languages()


@pytest.mark.parametrize("name", library_names())
def test_a_scenario_of_ours_asks_its_question_in_every_language(name):
    scenario = scenarios.load(name).scenario
    for text in (scenario.question, *(variable.meaning for variable in scenario.variables.values())):
        assert set(text.model_dump()) == set(languages())
        assert len(set(text.model_dump().values())) == len(languages())
        assert not FRENCH.search(text.en)


@pytest.mark.parametrize("language", OTHERS)
class TestWords:
    def test_same_keys(self, language):
        assert keys(catalogue(language)) == keys(catalogue("fr"))

    def test_same_figures_in_every_sentence(self, language):
        ours, french = texts(catalogue(language)), texts(catalogue("fr"))
        assert ours.keys() == french.keys()
        assert {name for name in ours if figures(ours[name]) != figures(french[name])} == set()

    def test_no_word_of_french_is_left(self, language):
        raw = YAML(typ="safe").load((TEMPLATES / language / "words.yaml").read_text(encoding="utf-8"))
        assert {name: text for name, text in texts(raw).items() if FRENCH.search(text)} == {}


#: Words that are no plural, or the same in the singular.
NO_PLURAL = {"ms", "s", "fois", "series", "is", "was", "sans"}


def sentences(language: str) -> dict[str, str]:
    """Everything that takes figures, of the fiche and of the report."""
    report = {f".html{path}": text for path, text in texts(texts_of(language).model_dump()).items()}
    return {path: text for path, text in (texts(catalogue(language)) | report).items() if "{" in text}


@pytest.mark.parametrize("language", languages())
class TestFigures:
    def test_every_figure_is_of_a_kind_or_of_a_unit(self, language):
        known = {"", "n", "code", "pct", "at", *Words.load(language).catalogue.units}
        kinds = {path: set(re.findall(r"\{\w+:?(\w*)\}", text)) for path, text in sentences(language).items()}
        assert {path: found - known for path, found in kinds.items() if not found <= known} == {}

    def test_one_is_not_several(self, language):
        """Every sentence with 1 in the place of each of its numbers."""
        words = Words.load(language)
        plurals = {}
        for path, text in sentences(language).items():
            shown = re.findall(r"\{(\w+):?(\w*)\}", text)
            told = words.fill(text, {name: "x" if kind in ("", "code") else 1 for name, kind in shown})
            plurals[path] = set(re.findall(r"\b1\s(\w*s)\b", told)) - NO_PLURAL
        assert {path: found for path, found in plurals.items() if found} == {}

    def test_several_are_several(self, language):
        words = Words.load(language)
        lost = words.reason(Reason.of(Code.NEVER_ARRIVED, missing=2))
        one = words.reason(Reason.of(Code.NEVER_ARRIVED, missing=1))
        assert {"fr": "ne sont jamais arrivés", "en": "acknowledged records never"}[language] in lost
        assert {"fr": "n'est jamais arrivé", "en": "acknowledged record never"}[language] in one


def names_in(text: str) -> set[str]:
    """What a template prints or asks: dotted names, in no order."""
    tree = Jinja().parse(text)
    found = set()
    for node in tree.find_all((nodes.Getattr, nodes.Name, nodes.Getitem)):
        if isinstance(node, nodes.Getattr):
            found.add(f".{node.attr}")
        elif isinstance(node, nodes.Name):
            found.add(node.name)
        elif isinstance(node.arg, nodes.Const):
            found.add(f"[{node.arg.value}]")
    return found


@pytest.mark.parametrize(("language", "name"), BOTH)
class TestTemplates:
    def test_same_figures_and_blocks(self, language, name):
        ours, french = ((TEMPLATES / one / name).read_text(encoding="utf-8") for one in (language, "fr"))
        assert names_in(ours) == names_in(french)
        for block in ("{% include", "{% for", "{% if", "{% endif", "\n## ", "\n|---", "{{"):
            assert ours.count(block) == french.count(block), block

    def test_no_word_of_french_is_left(self, language, name):
        text = re.sub(r"\{[{%].*?[}%]\}", "", (TEMPLATES / language / name).read_text(encoding="utf-8"))
        assert [line for line in text.splitlines() if FRENCH.search(line)] == []


def written(run, language: str) -> str:
    """All documents of a run in a language; of the page what is neither a tag nor code."""
    judge_run(run, language=language)
    fiche, summary, page = (
        (run / name).read_text(encoding="utf-8") for name in ("fiche.md", "summary.md", "report.html")
    )
    page = re.sub(r"<(style|pre|code)\b.*?</\1>", "x", page, flags=re.DOTALL)
    return "\n".join((fiche, summary, re.sub(r"<[^>]+>", "\n", page)))


RUNS = {
    "GO": {},
    "NOGO": {"metrics": spoil(healthy_metrics(), Role.ACTIVE_COUNT, always(900.0))},
    "GREY": {"metrics": spoil(healthy_metrics(), Role.LATENCY_AVG, lambda at_s: 200.0)},
    "INCONCLUSIVE": {"metrics": spoil(healthy_metrics(), Role.POLL_TOTAL, always(math.nan))},
    "aborted": {"ending": Ending(how="sigint", aborted=True, at_ns=T0_NS + 90 * 10**9)},
    "rehearsal": {"rehearsal": "1/30"},
    "killed": {"counts": None},
    "dedicated": {"environment": environment_text().replace('urls: ["http://127.0.0.1:9"]', "")},
}


@pytest.mark.parametrize("name", RUNS)
def test_phase_1_in_english(tmp_path, name):
    settings = dict(RUNS[name])
    metrics = settings.pop("metrics", None)
    run = write_run(tmp_path, **settings)
    write_evidence(run, metrics)
    text = written(run, "en")
    assert "Technical sheet, phase 1: smoke test of MirrorMaker 2" in text
    assert not_english(text) == []


def test_verdict_is_the_same_in_every_language(tmp_path):
    run = write_run(tmp_path)
    write_evidence(run)
    seen = set()
    for language in languages():
        judge_run(run, language=language)
        seen.add((run / "verdict.json").read_bytes())
    assert len(seen) == 1


@pytest.mark.parametrize("growing", [False, True], ids=["stable", "growing"])
def test_phase_2_in_english(tmp_path, growing):
    run = write_phase2(tmp_path, backlog=lambda at_s: 40 + (300 * at_s if growing else at_s % 7))
    write_evidence(run, phase2_metrics())
    text = written(run, "en")
    assert "Trend of the lag: **growing**" in text if growing else "Trend of the lag: **stable**" in text
    assert not_english(text) == []


def test_phase_4_in_english(tmp_path):
    steps = ["step_1000", "step_2500", "step_5000", "step_2500_again"]
    run = write_ramp(tmp_path, steps, e2e_ms={"step_5000": 9000.0}, backlog={"step_5000": 60_000.0}, recovers_s=20.0)
    write_evidence(run, ramp_metrics(steps, latency_ms={"step_5000": 4000.0}))
    text = written(run, "en")
    assert "| 2,500\u00a0rec/s |" in text
    assert not_english(text) == []


def test_a_page_without_a_fiche_in_the_language_gets_the_general_one(tmp_path):
    from scenarios.scenario import load

    text = load("phase2_nominal").text.replace("runbook_phase: 2", "runbook_phase: 3")
    run = write_phase2(tmp_path, scenario=text)
    write_evidence(run, phase2_metrics())
    assert "# Technical sheet: phase2_nominal" in written(run, "en")
