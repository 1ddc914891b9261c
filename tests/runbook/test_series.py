"""Variants of a scenario: a run of each, the worst of their exit codes, and a page that puts them side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from checks.judge import judge_run
from checks.series_fiche import Variant, series_fiche, worst_code
from runbook.series import Series
from scenarios.errors import ExitCode
from scenarios.scenario import load
from tests.scenarios.examples import ENVIRONMENT
from tests.support.phase2 import COUNTS, phase2_metrics, write_phase2
from tests.support.records import write_evidence

ROOT = Path(__file__).resolve().parents[2]
LOADED = load("s6_payload_sizes")


@pytest.fixture
def played(tmp_path, monkeypatch):
    """A series whose runs are written by hand: exit codes by variant."""

    def build(*codes):
        series = Series(loaded=LOADED, arguments=("s6_payload_sizes", "--env", "e"), runs_directory=tmp_path)
        left, told = list(codes), []

        def play_one(values):
            told.append(dict(values))
            code = left.pop(0)
            if code != ExitCode.REFUSED:
                name = f"2027011{len(told)}T080000Z-s6_payload_sizes"
                counts = replace(COUNTS, arrived=COUNTS.acked - 1, lost=1) if code == ExitCode.NOGO else COUNTS
                directory = write_phase2(tmp_path, run_id=name, counts=counts)
                write_evidence(directory, phase2_metrics())
                assert judge_run(directory).exit_code == code
            return int(code)

        monkeypatch.setattr(Series, "_play_one", lambda _, values: play_one(values))
        return series.play(), told, tmp_path

    return build


def content(runs):
    (file,) = runs.glob("*-series/series.json")
    return json.loads(file.read_text(encoding="utf-8")), (file.parent / "fiche.md").read_text(encoding="utf-8")


def test_every_variant_is_played_in_order_and_the_worst_code_is_left_with(played):
    code, told, runs = played(ExitCode.GO, ExitCode.NOGO, ExitCode.GO, ExitCode.GO)
    assert code == ExitCode.NOGO
    assert told == [dict(variant) for variant in LOADED.scenario.variants]
    series, fiche = content(runs)
    assert [one["verdict"] for one in series["variants"]] == ["GO", "NOGO", "GO", "GO"]
    assert "| 100B | 5000/s | **GO** |" in fiche.replace("\u00a0", " ")
    assert "| 1KB | 2000/s | **NOGO** |" in fiche
    assert "Toutes les variantes ont été jouées." in fiche


def test_series_ends_where_the_next_run_would_be_refused_too(played):
    code, told, runs = played(ExitCode.GO, ExitCode.REFUSED)
    assert (code, len(told)) == (ExitCode.REFUSED, 2)
    series, fiche = content(runs)
    assert series["variants"][1] == {
        "values": {"size": "1KB", "rate": "2000/s"},
        "run": None,
        "verdict": None,
        "exit_code": 40,
    }
    assert "**La série n'est pas allée à son terme**" in fiche


def run_of(runs: Path, name: str) -> Path:
    """A run that was judged GO, by another program or on another day."""
    directory = runs / name
    (directory / "record").mkdir(parents=True)
    content = {"verdict": "GO", "rehearsal": False, "criteria": [], "deciding": []}
    (directory / "verdict.json").write_text(json.dumps(content), encoding="utf-8")
    return directory


def test_variant_that_was_refused_has_no_verdict_whatever_was_played_before_the_series(played, tmp_path):
    run_of(tmp_path, "20200101T000000Z-s6_payload_sizes")
    played(ExitCode.REFUSED)
    series, fiche = content(tmp_path)
    (first,) = series["variants"]
    assert (first["run"], first["verdict"], first["exit_code"]) == (None, None, 40)
    assert "| 100B | 5000/s | **non joué** |" in fiche.replace("\u00a0", " ")


def test_run_of_a_scenario_whose_name_begins_alike_is_no_variant(tmp_path, monkeypatch):
    def play_one(*_):
        run_of(tmp_path, "20270111T080000Z-s6_payload_sizes_x")
        return int(ExitCode.REFUSED)

    monkeypatch.setattr(Series, "_play_one", play_one)
    Series(loaded=LOADED, arguments=("s6_payload_sizes", "--env", "e"), runs_directory=tmp_path).play()
    assert content(tmp_path)[0]["variants"][0]["run"] is None


def test_variants_that_begin_in_the_same_second_are_told_apart(tmp_path, monkeypatch):
    names = iter(["", "-2", "-10"])

    def play_one(*_):
        suffix = next(names, None)
        if suffix is None:
            return int(ExitCode.REFUSED)
        run_of(tmp_path, f"20270111T080000Z-s6_payload_sizes{suffix}")
        return int(ExitCode.GO)

    monkeypatch.setattr(Series, "_play_one", play_one)
    Series(loaded=LOADED, arguments=("s6_payload_sizes", "--env", "e"), runs_directory=tmp_path).play()
    assert [one["run"] for one in content(tmp_path)[0]["variants"]] == [
        "20270111T080000Z-s6_payload_sizes",
        "20270111T080000Z-s6_payload_sizes-2",
        "20270111T080000Z-s6_payload_sizes-10",
        None,
    ]


BETWEEN_RUNS = """
import os, signal, sys
import runbook.series
from runbook.__main__ import main

runbook.series.Series._play_one = lambda *_: os.kill(os.getpid(), signal.SIGTERM) or 0
sys.argv = ["mm2gate", "run", "s6_payload_sizes", "--env", "desk.yaml"]
main()
"""


def test_series_that_is_told_to_end_between_two_runs_does_not_say_that_nothing_began(tmp_path):
    (tmp_path / "desk.yaml").write_text(ENVIRONMENT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", BETWEEN_RUNS],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == ExitCode.ABORTED, done.stderr
    assert "ended by SIGTERM; the series ends here" in done.stderr
    assert "before anything began" not in done.stderr


@pytest.mark.parametrize(
    ("codes", "wanted", "worst"),
    [((0, 0), 2, 0), ((0, 10), 2, 10), ((0, 0), 3, 30), ((20, 30), 2, 20), ((20, 50), 2, 50), ((), 2, 30)],
)
def test_series_is_as_good_as_its_worst_run_and_not_go_unless_whole(codes, wanted, worst):
    assert worst_code(codes, wanted=wanted) == worst


def test_page_of_a_series_without_any_run_can_be_read():
    variant = Variant(values={"size": "100B", "rate": "5000/s"}, directory=None, exit_code=40)
    assert "**non joué**" in series_fiche(LOADED.scenario, [variant], language="fr")
