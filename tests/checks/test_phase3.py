"""Phase 3: where the time goes, hot partitions, and the fiche; and S4, whose question is how the lag comes back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks.case import Case
from checks.decomposition import decomposed
from checks.judge import judge_run
from checks.measures import measure
from checks.metric_profiles import Role
from checks.pages import Page, unfilled_lines
from checks.words import TEMPLATES
from run_record.store import RunRecord
from scenarios.scenario import load
from scenarios.yaml_file import parse
from tests.support.phase2 import END_S, TOPICS, during, growing, phase2_metrics, spoil, write_phase2
from tests.support.records import T0_S, write_evidence


def page(name):
    return parse((TEMPLATES / "pages" / f"{name}.yaml").read_text(encoding="utf-8"), Page, file=name)


@pytest.fixture
def judge(tmp_path):
    """What a run's fiche says, and its judgement."""

    def build(metrics=None, evidence=None, *, scenario="phase3_latency", **settings):
        # A minute of 1000 records/s, and a minute's watch, whatever the scenario.
        text = load(scenario).text.replace("10_000/s", "1000/s").replace("duration: 5min", "duration: 60s")
        settings = {"rehearsal": "1/15" if scenario == "phase3_latency" else "1", **settings}
        directory = write_phase2(tmp_path, scenario=text, run_id=f"20270115T080000Z-{scenario}", **settings)
        write_evidence(directory, metrics or phase2_metrics(), **(evidence or {}))
        judgement = judge_run(directory)
        fiche = (directory / "fiche.md").read_text(encoding="utf-8")
        return fiche.replace("\u00a0", " ").replace("\u202f", " "), judgement.evaluation

    return build


def row_of(text, find):
    return next(line for line in text.split("\n") if find in line)


class TestDecomposition:
    def test_parts_add_up_to_what_was_measured_from_end_to_end(self):
        found = decomposed(
            {"load.send_delay_mean": 1.0, "mm2.record_age_avg": 9.0, "mm2.latency_avg": 20.0, "e2e.mean": 24.0}
        )
        assert [part.mean_ms for part in found.parts] == [1, 9, 11, 3]
        assert found.parts[-1].until_ms == 24
        assert found.largest.name == "in_mm2"
        assert sum(part.share_percent for part in found.parts) == pytest.approx(100)

    @pytest.mark.parametrize("missing", ["load.send_delay_mean", "mm2.record_age_avg", "mm2.latency_avg", "e2e.mean"])
    def test_a_mean_that_is_missing_is_no_part_and_nothing_is_the_largest(self, missing):
        values = {"load.send_delay_mean": 1.0, "mm2.record_age_avg": 9.0, "mm2.latency_avg": 20.0, "e2e.mean": 24.0}
        del values[missing]
        found = decomposed(values)
        assert any(part.mean_ms is None for part in found.parts)
        assert found.largest is None

    def test_fiche_shows_it(self, judge):
        fiche, _ = judge(e2e_ms=[24.0] * 2000)
        assert "La moyenne de bout en bout est de **24 ms**" in fiche
        assert "| envoyé | lu par MM2 | 9 ms |" in row_of(fiche, "Jusqu'à la lecture par MM2")
        assert "| 11 ms |" in row_of(fiche, "| Dans MM2")


class TestHotPartitions:
    def test_ten_times_the_others_is_nogo_and_the_partition_is_named(self, judge):
        metrics = spoil(phase2_metrics(), Role.LATENCY_AVG, during(210.0), which=3)
        fiche, found = judge(metrics)
        result = found.result("hot_partition")
        assert (result.verdict.value, result.measurement.value) == ("NOGO", pytest.approx(10.5))
        named = row_of(fiche, f"source.{TOPICS[3]}-0")
        assert "210 ms" in named
        assert fiche.index(named) < fiche.index(row_of(fiche, f"source.{TOPICS[0]}-0"))

    def test_nine_times_is_go(self, judge):
        metrics = spoil(phase2_metrics(), Role.LATENCY_AVG, during(180.0), which=3)
        assert judge(metrics)[1].result("hot_partition").verdict.value == "GO"

    def test_latencies_below_a_millisecond_are_no_ratio(self, judge):
        metrics = spoil(phase2_metrics(), Role.LATENCY_AVG, during(0.01))
        metrics = spoil(metrics, Role.LATENCY_AVG, during(0.9), which=3)
        assert judge(metrics)[1].result("hot_partition").measurement.value == 1

    def test_share_of_a_hot_key_is_shown(self, judge):
        metrics = phase2_metrics()
        for number in range(10):
            count = 60_000 * 10 / 19 if number == 3 else 60_000 / 19
            metrics = spoil(metrics, Role.RECORD_COUNT, growing(60.0, round(count)), which=number)
        fiche, _ = judge(spoil(metrics, Role.LATENCY_AVG, during(60.0), which=3))
        assert "52,6" in row_of(fiche, f"source.{TOPICS[3]}-0")


class TestPages:
    @pytest.mark.parametrize("name", ["phase3_latency", "s4_burst"])
    def test_every_line_is_filled_on_a_healthy_run_and_on_a_blind_one(self, judge, tmp_path, name):
        fiche, found = judge(scenario=name)
        assert unfilled_lines(name, fiche) == []
        required = [r.criterion.id for r in found.results if r.required and r.verdict.value != "GO"]
        assert required == []
        assert fiche.count("______________") == 3

    @pytest.mark.parametrize("name", ["phase3_latency", "s4_burst"])
    def test_every_line_stays_filled_when_nothing_could_be_measured(self, judge, name):
        fiche, _ = judge(evidence={"errors": dict.fromkeys(Role, "down"), "connect_error": "down"}, scenario=name)
        assert unfilled_lines(name, fiche) == []

    @pytest.mark.parametrize("name", ["phase3_latency", "s4_burst"])
    def test_scenario_has_every_criterion_of_the_page(self, name):
        assert page(name).criteria <= {criterion.id for criterion in load(name).scenario.criteria}


class TestRecovery:
    def test_time_to_below_1000_is_counted_from_the_loads_end(self, judge):
        """40 000 behind at the end of the load, 200 fewer each second: below 1000 after the last of them."""
        behind = lambda at_s: 40_000 if at_s <= 60 else max(40_000 - 2000 * (at_s - 60), 0)  # noqa: E731
        _, found = judge(scenario="s4_burst", backlog=behind, load_end_s=END_S + 60)
        result = found.result("recovery")
        assert result.measurement.value == pytest.approx(20, abs=1)
        assert result.verdict.value == "GO"

    def test_backlog_that_comes_back_was_not_gone(self, tmp_path):
        """As when the source acknowledges late what it had taken long before."""
        directory = write_phase2(tmp_path)
        write_evidence(directory, phase2_metrics())
        record = RunRecord.open(directory)
        case = Case.of(record, record.evidence())

        def behind(row):
            after_s = row.at_ns / 1e9 - T0_S - END_S
            return 5000 if after_s <= 2 or 20 < after_s < 30 else 0

        rows = tuple(replace(row, backlog=behind(row)) for row in record.timeline)
        vars(record)["_timeline"] = (rows, ())
        assert measure("backlog.recovery", case.run).value == pytest.approx(30, abs=1)

    def test_backlog_that_stays_is_at_least_as_long_as_was_watched(self, judge):
        _, found = judge(scenario="s4_burst", backlog=lambda _: 5000, load_end_s=END_S + 300)
        result = found.result("recovery")
        assert result.measurement.at_least
        assert result.reason.code.value == "not_recovered"
        assert result.verdict.value == "INCONCLUSIVE", "it was watched for a minute, and five are allowed"
