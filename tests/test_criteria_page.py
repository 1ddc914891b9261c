"""docs/criteria.md is current: every criterion of every scenario is on it, with its limits and its queries."""

from __future__ import annotations

import pytest

from scenarios.scenario import library_names, load
from tests.criteria_page import CLOSING, OPENING, PAGE, tables, with_tables


@pytest.fixture(scope="module")
def text() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_tables_are_current(text):
    assert OPENING in text
    assert CLOSING in text
    assert with_tables(text) == text, "run: python -m tests.criteria_page"


@pytest.mark.parametrize("name", library_names())
def test_every_criterion_has_a_line_with_its_limits(text, name):
    section = text.partition(f"### `{name}`")[2].partition("\n### ")[0]
    for criterion in load(name).scenario.criteria:
        (row,) = [line for line in section.splitlines() if f"| `{criterion.id}`" in line]
        assert f"`{criterion.go.text}`" in row
        assert criterion.nogo is None or f"`{criterion.nogo.text}`" in row
        assert row.split(" | ")[0].strip("| "), f"{name}: {criterion.id} stands under no line of the runbook"


def test_every_measure_says_what_it_asks(text):
    asked = text.partition("## What each measure asks")[2]
    for name in library_names():
        for criterion in load(name).scenario.criteria:
            body = asked.partition(f"### {criterion.measure}\n")[2].partition("\n### ")[0]
            assert "\n- " in body, criterion.measure


@pytest.mark.parametrize(
    ("measure", "query"),
    [
        ("mm2.latency_avg", "replication_latency_ms_avg"),
        ("mm2.latency_avg", "record_count"),
        ("connect.replication_ratio", "source_record_write"),
        ("connect.replication_ratio", "source_record_poll"),
        ("ledger.lost", "record/ledger.json"),
        ("e2e.p99", "record/latency.json"),
        ("workers.cpu", "node_cpu_seconds_total"),
    ],
)
def test_a_measure_names_all_that_it_reads(measure, query):
    body = tables().partition(f"### {measure}\n")[2].partition("\n### ")[0]
    assert query in body
