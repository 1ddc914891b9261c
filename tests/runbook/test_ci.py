"""In a CI job the judge says more: annotations, a section, a summary; and no text of others becomes a command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.ci import MOST_ANNOTATIONS, for_ci, github_annotations, gitlab_section, with_links_to
from tests.checks.test_junit import content, criterion

COMMAND = re.compile(r"::(error|warning|notice) title=([^:,\r\n]*)::([^\r\n]*)")
URL = "https://ci.example.net/a/b/actions/runs/7#artifacts"


def unescaped(text: str) -> str:
    for code in ("3A", "2C", "0A", "0D", "25"):
        text = text.replace(f"%{code}", chr(int(code, 16)))
    return text


def annotations(*told: dict[str, Any], verdict: str = "NOGO") -> list[tuple[str, str, str]]:
    found = []
    for line in github_annotations(content(*told, verdict=verdict)):
        match = COMMAND.fullmatch(line)
        assert match is not None, line
        found.append((match[1], unescaped(match[2]), unescaped(match[3])))
    return found


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A judged run's verdict.json, with a summary beside it."""
    told = content(criterion(), criterion("NOGO", "go_missed", id="lost"), verdict="NOGO")
    (tmp_path / "verdict.json").write_text(json.dumps(told))
    (tmp_path / "summary.md").write_text("# NOGO\n\n[Fiche technique](fiche.md) · [preuves](evidence/001/)\n")
    return tmp_path / "verdict.json"


def said(file: Path, **environment: str) -> list[str]:
    lines: list[str] = []
    for_ci(file, say=lines.append, environment=environment, now_s=1_700_000_000.5)
    return lines


def test_outside_of_ci_nothing_is_added(run):
    assert said(run) == []
    assert said(run, GITHUB_ACTIONS="false", GITLAB_CI="") == []


def test_every_criterion_that_is_not_go_is_annotated_worst_first():
    told = (
        criterion(),
        criterion("GREY", "between", id="rate"),
        criterion("INCONCLUSIVE", "no_series", id="cpu", value=None),
        criterion("NOGO", "go_missed", id="lost"),
        criterion("NOGO", "go_missed", id="heap", advisory=True),
    )
    assert annotations(*told) == [
        ("error", "mm2gate smoke: NOGO", "lost: 250 ms, GO if < 100 ms"),
        ("error", "mm2gate smoke: INCONCLUSIVE", "cpu: no series, GO if < 100 ms"),
        ("warning", "mm2gate smoke: GREY", "rate: 250 ms, GO if < 100 ms"),
        ("notice", "mm2gate smoke: NOGO, advisory", "heap: 250 ms, GO if < 100 ms"),
    ]


def test_an_aborted_run_is_annotated_though_its_criteria_are_go():
    assert annotations(criterion(), verdict="INCONCLUSIVE") == [("error", "mm2gate smoke: INCONCLUSIVE", "all go")]


def test_more_than_github_shows_are_counted_not_dropped():
    found = annotations(*[criterion("NOGO", "go_missed", id=f"c{n}") for n in range(25)])
    assert len(found) == MOST_ANNOTATIONS
    assert found[-1][2] == "and 16 more; see the job summary"


@given(text=st.text(max_size=60))
def test_no_text_ends_a_command_or_starts_another(text):
    ((_, title, message),) = annotations(criterion("NOGO", "go_missed", id=text, go=text))
    assert title == "mm2gate smoke: NOGO"
    assert message.count("GO if") >= 1


def test_percent_signs_and_separators_are_escaped_as_the_runner_undoes_them():
    told = content(criterion("NOGO", "go_missed", id="a", go=">= 99 %"), verdict="NOGO") | {"scenario": "x,y:z%\n"}
    (line,) = github_annotations(told)
    assert line == "::error title=mm2gate x%2Cy%3Az%25%0A%3A NOGO::a: 250 ms, GO if >= 99 %25"


def test_no_text_is_a_command_of_the_runners_older_kind():
    told = content(criterion("NOGO", "go_missed", id="a##[add-mask]GO"), verdict="NOGO") | {
        "scenario": "##[group]\u202e"
    }
    (line,) = github_annotations(told)
    assert "##[" not in line
    assert "\u202e" not in line


def test_gitlab_gets_a_folded_section_with_every_criterion(run):
    (section,) = said(run, GITLAB_CI="true")
    start, *lines, end = section.split("\n")
    assert start == ("\x1b[0Ksection_start:1700000000:mm2gate_criteria[collapsed=true]\r\x1b[0Kcriteria of smoke (2)")
    assert lines == ["  GO           p99: 250 ms, GO if < 100 ms", "  NOGO         lost: 250 ms, GO if < 100 ms"]
    assert end == "\x1b[0Ksection_end:1700000000:mm2gate_criteria\r\x1b[0K"


def test_no_criterion_can_end_the_section():
    hostile = criterion("NOGO", "go_missed", id="x\n\x1b[0Ksection_end:1:mm2gate_criteria\r\x1b[0K")
    section = gitlab_section(content(hostile, verdict="NOGO"), now_s=1)
    assert len(section.split("\n")) == 3
    assert section.count("\x1b[0Ksection_end") == 1


def test_the_summary_is_appended_behind_what_is_there_with_links_to_the_jobs_artifacts(run, tmp_path):
    job = tmp_path / "job.md"
    job.write_text("before\n")
    environment = {"SERVER_URL": "https://ci.example.net", "REPOSITORY": "a/b", "RUN_ID": "7"}
    said(run, GITHUB_STEP_SUMMARY=str(job), **{f"GITHUB_{key}": value for key, value in environment.items()})
    assert job.read_text() == f"before\n# NOGO\n\n[Fiche technique]({URL}) · [preuves]({URL})\n\n"


def test_without_an_address_links_become_text():
    text = r"[a](b.md), [web](https://x), \[not\](a link)"
    assert with_links_to(text, "") == r"a, [web](https://x), \[not\](a link)"
    assert with_links_to(text, URL) == rf"[a]({URL}), [web](https://x), \[not\](a link)"


def test_a_summary_that_cannot_be_appended_does_not_cost_the_verdict(run, tmp_path):
    (line,) = said(run, GITHUB_STEP_SUMMARY=str(tmp_path / "no" / "such"))
    assert "could not be appended" in line
