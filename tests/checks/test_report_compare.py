"""Two runs side by side: what was not equal about them comes first, then what each came to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from click.testing import CliRunner

from checks.judge import judge_run
from checks.report.files import compare_runs
from runbook.cli import cli
from scenarios.errors import RunRecordError
from tests.checks.html_page import plain, read
from tests.support.phase2 import during, phase2_metrics, spoil, write_phase2
from tests.support.records import (
    HEALTHY,
    SOURCE_CONNECTOR,
    Role,
    connector,
    healthy_connectors,
    write_evidence,
    write_run,
)


def judged(directory, metrics=None):
    write_evidence(directory, metrics)
    judge_run(directory)
    return directory


@pytest.fixture
def two_loads(tmp_path):
    """Two nominal loads of one scenario, the second slower."""
    first = judged(write_phase2(tmp_path / "a"), phase2_metrics())
    slow = spoil(phase2_metrics(), Role.LATENCY_AVG, during(600.0))
    second = judged(write_phase2(tmp_path / "b", run_id="20270116T080000Z-phase2_nominal"), slow)
    return first, second


def compared(first, second):
    return read(compare_runs(first, second, language="fr").read_text(encoding="utf-8"))


def row(page, criterion):
    (found,) = [one for one in page.by_id("values").all("tr") if criterion in one.children[0].text.split()]
    return [plain(cell.text) for cell in found.children]


def test_runs_under_equal_conditions_are_compared_value_by_value(two_loads):
    page = compared(*two_loads)
    assert "Aucune condition ne diffère" in page.by_id("conditions").text
    assert "n'ont pas posé la même question" not in plain(page.text)
    assert row(page, "latency_avg")[1:] == [
        "< 500 ms", "20 ms✓ GO", "600 ms≈ GRIS", "▼ moins bon+580 ms (+2 900 %)"
    ]  # fmt: skip
    assert row(page, "lost")[2:] == ["0✓ GO", "0✓ GO", "="]


def test_conditions_that_differ_come_first_and_forbid_a_conclusion(two_loads, tmp_path):
    other = judged(write_run(tmp_path / "c", counts=replace(HEALTHY, arrived=99, lost=1)))
    page = compared(two_loads[0], other)
    sections = [one.attributes["id"] for one in page.all("section")]
    assert sections[0] == "conditions"
    said = plain(page.by_id("conditions").text)
    assert "n'ont pas posé la même question" in said
    rows = [[plain(cell.text) for cell in one.children] for one in page.by_id("conditions").all("tr")]
    assert ["Scénario", "phase2_nominal", "phase1_smoke"] in rows
    assert ["Facteur sur les durées", "1/30", "1"] in rows
    assert row(page, "poll_total")[2] == "seulement dans B"


def test_a_connector_that_only_one_run_had_is_one_line(two_loads, tmp_path):
    other = write_phase2(tmp_path / "c", run_id="20270117T080000Z-phase2_nominal")
    connectors = healthy_connectors()
    del connectors["mm2-heartbeat"]
    connectors[SOURCE_CONNECTOR] = connector(SOURCE_CONNECTOR, tasks_max="8")
    write_evidence(other, phase2_metrics(), connectors=connectors)
    judge_run(other)
    conditions = compared(two_loads[0], other).by_id("conditions")
    rows = [[plain(cell.text) for cell in one.children] for one in conditions.all("table")[0].all("tr")]
    assert sorted(rows[1:]) == [
        ["Connecteur mm2-heartbeat", "présent", "absent"],
        ["Connecteur mm2-source-connector, tasks.max", "absent", "8"],
    ]


def test_curves_are_laid_over_each_other(two_loads):
    figure = compared(*two_loads).by_id("figure-mm2_latency")
    assert [plain(one.text).partition(" maximum")[0] for one in figure.all("li")][:2] == ["A : moyenne", "B : moyenne"]
    assert len(figure.all("path")) == 4


def test_what_others_wrote_stays_text(two_loads, tmp_path):
    hostile = "<script>alert(1)</script>]]>\u202e<img src=//evil>"
    other = write_phase2(tmp_path / "c", run_id="20270117T080000Z-phase2_nominal")
    connectors = healthy_connectors() | {SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, topics=hostile)}
    write_evidence(other, phase2_metrics(), connectors=connectors)
    judge_run(other)
    page = compared(two_loads[0], other)
    assert "<script>alert(1)</script>]]> <img src=//evil>" in page.by_id("conditions").text
    assert not page.all("script")
    assert not page.all("img")


def test_it_needs_nothing_but_itself(two_loads):
    names = {one.name for one in compared(*two_loads).everything()}
    assert not names & {"script", "link", "img", "iframe"}


def test_a_run_that_was_not_judged_is_refused_with_what_to_do(two_loads, tmp_path):
    unjudged = write_run(tmp_path / "d")
    with pytest.raises(RunRecordError, match="was not judged yet; run `mm2gate judge"):
        compare_runs(two_loads[0], unjudged, language="fr")


class TestTheCommand:
    def test_it_writes_fiche_and_report_again_without_a_socket(self, two_loads):
        directory = two_loads[0]
        before = {name: (directory / name).read_bytes() for name in ("fiche.md", "report.html", "verdict.json")}
        for name in ("fiche.md", "report.html"):
            (directory / name).unlink()
        result = CliRunner().invoke(cli, ["report", str(directory)])
        assert result.exit_code == 0
        assert result.output == f"fiche: {directory}/fiche.md\nreport: {directory}/report.html\n"
        assert before == {name: (directory / name).read_bytes() for name in before}

    def test_it_compares(self, two_loads):
        first, second = two_loads
        result = CliRunner().invoke(cli, ["report", str(first), "--compare", str(second)])
        assert result.output == f"comparison: {first}/compare-{second.name}.html\n"
