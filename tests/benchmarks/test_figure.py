"""A row of the table: what holds is what the numbers say, and what was not measured holds nothing."""

from __future__ import annotations

import json

import pytest

from benchmarks.figure import Figure
from benchmarks.report import Report, screen_table


def figure(value, direction="<=", limit=10.0, **more) -> Figure:
    return Figure(name="n", title="t", unit="ms", value=value, direction=direction, limit=limit, **more)


@pytest.mark.parametrize(
    ("value", "direction", "holds"),
    [
        (10.0, "<=", True),
        (10.1, "<=", False),
        (10.0, ">=", True),
        (9.9, ">=", False),
        (float("nan"), "<=", False),
        (float("nan"), ">=", False),
        (float("inf"), "<=", False),
        (None, "<=", None),
    ],
)
def test_a_target_is_reached_or_it_is_not(value, direction, holds):
    assert figure(value, direction).holds is holds


def test_a_row_without_a_target_neither_holds_nor_fails():
    shown = figure(5.0, None, None)
    assert shown.holds is None
    assert shown.target == ""


def test_the_median_of_the_runs_is_the_value_and_the_spread_is_shown():
    made = Figure.median([3.0, 1.0, 8.0], name="n", title="t", unit="ms", direction="<=", limit=4)
    assert made.value == 3.0
    assert made.holds is True
    assert made.cells() == ("t", "3 ms (1 – 8)", "<= 4 ms", "yes")


def report(*figures, problems=()) -> Report:
    return Report(
        figures=figures, mode="bench", took_s=60, load_average=(0.5, 1.5), profiles={"Where": "here"}, problems=problems
    )


def test_both_files_say_the_same(tmp_path):
    made = report(figure(5.0), figure(50.0), figure(None, note="later"), problems=("soak: no lab",))
    made.write(tmp_path)
    content = json.loads((tmp_path / "results.json").read_text())
    assert [one["holds"] for one in content["figures"]] == [True, False, None]
    assert {"name", "value", "unit", "target", "holds"} <= content["figures"][0].keys()
    text = (tmp_path / "results.md").read_text()
    assert "| t | 50 ms | <= 10 ms | NO |" in text
    assert "not measured" in text
    assert "soak: no lab" in text
    assert made.failed == (made.figures[1],)


def test_the_table_on_the_screen_has_a_line_per_figure():
    lines = screen_table([figure(5.0), figure(50.0)]).splitlines()
    assert len(lines) == 3
    assert lines[2].endswith("NO")
