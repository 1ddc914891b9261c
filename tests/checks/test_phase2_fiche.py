"""The fiche of phase 2: every line of the page, filled; the optimisation section; what a rehearsal may claim."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks.judge import judge_run
from checks.metric_profiles import Role
from checks.optimisation import ROWS, judged
from checks.pages import Page, unfilled_lines
from checks.words import TEMPLATES, Words
from scenarios.scenario import load
from scenarios.yaml_file import parse
from tests.support.phase2 import COUNTS, START_S, during, growing, phase2_metrics, spoil, write_phase2
from tests.support.records import SOURCE_CONNECTOR, connector, healthy_connectors, write_evidence

PAGE = parse(
    (TEMPLATES / "pages" / "phase2_nominal.yaml").read_text(encoding="utf-8"), Page, file="phase2_nominal.yaml"
)
WORDS = Words.load("fr")
HALF = 30_000.0


@pytest.fixture
def judge(tmp_path):
    """What a run's fiche says, and its judgement."""

    def build(metrics=None, evidence=None, **settings):
        directory = write_phase2(tmp_path, **settings)
        write_evidence(directory, metrics or phase2_metrics(), **(evidence or {}))
        judgement = judge_run(directory)
        text = (directory / "fiche.md").read_text(encoding="utf-8")
        return text.replace("\u00a0", " ").replace("\u202f", " "), judgement

    return build


def row_of(text, find):
    return next(line for line in text.split("\n") if find in line)


class TestThePage:
    def test_every_line_is_there_with_its_verdict(self, judge):
        fiche, judgement = judge(spoil(phase2_metrics(), Role.LATENCY_AVG, during(700.0)))
        assert unfilled_lines("phase2_nominal", fiche) == []
        for line in PAGE.lines:
            row = row_of(fiche, line.find)
            if line.criterion is not None:
                result = judgement.evaluation.result(line.criterion)
                assert f"**{WORDS.verdict(result.verdict)}**" in row, line.page
            elif line.cell.startswith("box_"):
                assert row.count("☑") == 1, line.page

    def test_nothing_is_undecided_on_a_healthy_run(self, judge):
        fiche, judgement = judge()
        assert "INDÉTERMINÉ" not in fiche
        assert "non mesuré" not in fiche
        assert fiche.count("______________") == 3
        assert judgement.verdict.value == "GO"

    def test_every_line_stays_filled_when_nothing_could_be_measured(self, judge):
        fiche, _ = judge(evidence={"errors": dict.fromkeys(Role, "down"), "connect_error": "down"})
        assert unfilled_lines("phase2_nominal", fiche) == []

    def test_killed_run_has_a_fiche_too(self, judge):
        phases = (("silence", "silence", 5, 71, 0), ("smoke", "load", 71, 76, 60_000))
        fiche, _ = judge(counts=None, phases=phases)
        assert "> **TEST TUÉ EN ROUTE**" in fiche
        assert unfilled_lines("phase2_nominal", fiche) == []

    def test_scenario_has_every_criterion_of_the_page(self):
        assert PAGE.criteria <= {criterion.id for criterion in load("phase2_nominal").scenario.criteria}

    def test_page_of_the_seed_is_all_there(self, judge):
        """The rows of the runbook's own tables, as it writes them."""
        fiche, _ = judge()
        for panel in (
            "Avg Replication Latency", "Max Replication Latency", "Total Record Rate", "Total Byte Rate",
            "Active Records (Lag)", "Replication Ratio", "Offset Commit Failure %", "Buffer Utilization %",
            "CPU Usage", "Memory Usage", "Network I/O", "Latence avg", "Lag", "Ratio réplication", "CPU workers",
            "Latence p99", "Lag final", "Total messages", "Lag stable", "Pas d'erreurs",
        ):  # fmt: skip
            assert panel in fiche


class TestTheAnswer:
    def test_run_at_full_length_is_no_rehearsal(self, judge):
        fiche, _ = judge(rehearsal="1")
        assert "RÉPÉTITION" not in fiche

    def test_rehearsal_says_so_on_top_and_is_no_yes(self, judge):
        fiche, _ = judge()
        assert fiche.split("\n")[2].startswith("> **RÉPÉTITION** : les durées de charge ont été multipliées par 1/30.")
        assert "Peut-on passer en phase 3 ? **En répétition seulement**" in fiche
        assert "**Phase 2 terminée** : ☑ GO pour Phase 3 ☐ NOGO - voir section optimisation" in fiche

    def test_nogo(self, judge):
        fiche, _ = judge(counts=replace(COUNTS, arrived=59_999, lost=1))
        assert "**Phase 2 terminée** : ☐ GO pour Phase 3 ☑ NOGO - voir section optimisation" in fiche
        assert "Aucune de ces lignes ne correspond" in fiche

    def test_limits_that_differ_are_judged_apart_and_the_worse_wins(self, judge):
        """CPU 75 %: grey on the panel (70/85), GO on the checklist (80)."""
        _, judgement = judge(spoil(phase2_metrics(), Role.NODE_CPU_IDLE, lambda at_s: 0.25 * at_s))
        found = judgement.evaluation
        assert (found.result("cpu").verdict, found.result("check_cpu").verdict) == ("GREY", "GO")
        assert found.verdict == "GREY"


HEALTHY = {
    "poll": 1000.0, "write": 1000.0, "acked": 1000.0, "idle": 5.0, "in_flight": 40.0, "buffer": 3.0, "throttle": 0.0,
    "growth": 0.0, "growth_least": -0.1, "backlog": 60.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "fitting", "signs"),
    [
        ({}, None, ()),
        ({"throttle": 434.0}, "target", ("throttled",)),
        ({"write": 600.0}, "target", ("poll_above_write",)),
        ({"in_flight": 21_000.0, "buffer": 95.0}, "target", ("in_flight_high", "buffer_full")),
        ({"poll": 333.0, "write": 333.0, "idle": 40.0}, "source", ("nothing_polled", "poll_low")),
        ({"poll": 400.0, "write": 400.0}, "source", ("poll_low",)),
        ({"poll": 900.0, "write": 900.0, "growth": 100.0, "growth_least": 90.0}, "capacity", ("lag_grows",)),
        # A target that holds MM2 back makes it read less: it is the target all the same.
        ({"throttle": 400.0, "poll": 300.0, "write": 300.0, "idle": 12.0}, "target", ("throttled",)),
    ],
)
def test_one_side_at_a_time(changed, fitting, signs):
    rows = judged({**HEALTHY, **changed}, idle_least_s=15)
    assert [row.row for row in rows] == list(ROWS)
    assert [row.row for row in rows if row.fits] == ([fitting] if fitting else [])
    assert sum((row.signs for row in rows), ()) == signs


def test_nothing_known_is_nothing_told():
    assert [row.fits for row in judged({}, idle_least_s=15)] == [None, None, None]


class TestOptimisation:
    def test_quota_on_the_target(self, judge):
        metrics = spoil(phase2_metrics(), Role.THROTTLE_MAX, during(2177.0))
        metrics = spoil(metrics, Role.RECORD_COUNT, growing(60, HALF / 2))
        fiche, judgement = judge(metrics, backlog=lambda at_s: 500 * at_s)
        assert judgement.verdict.value == "NOGO"
        assert "Goulot le plus probable : **cible**" in fiche
        assert "2 177 ms" in row_of(fiche, "| cible |")
        for priority in ("P0", "P1", "P2"):
            assert f"| {priority} |" in fiche

    def test_connector_paused_in_the_middle(self, judge):
        metrics = phase2_metrics()
        for role in (Role.POLL_TOTAL, Role.WRITE_TOTAL, Role.RECORD_COUNT, Role.BYTE_COUNT):
            metrics = spoil(metrics, role, growing(60, HALF / 2, until_s=START_S + 30))
        paused = {**healthy_connectors(), SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, "PAUSED", ("PAUSED", "PAUSED"))}
        fiche, judgement = judge(
            metrics,
            {"connectors": paused},
            backlog=lambda at_s: 1000 * max(at_s - 30, 0),
            counts=replace(COUNTS, arrived=30_000, late=30_000),
        )
        assert judgement.verdict.value == "NOGO"
        assert "Goulot le plus probable : **source** (rien n'a été lu pendant" in fiche
        assert "À voir d'abord : `mm2-source-connector` est en pause" in fiche
        assert "PUT …/resume" in fiche

    def test_load_above_capacity(self, judge):
        metrics = phase2_metrics()
        for role in (Role.POLL_TOTAL, Role.WRITE_TOTAL, Role.RECORD_COUNT):
            metrics = spoil(metrics, role, growing(60, HALF * 0.9))
        fiche, _ = judge(metrics, backlog=lambda at_s: 100 * at_s)
        assert "Goulot le plus probable : **capacité**" in fiche
        assert "tasks.max" in fiche

    def test_nothing_to_do_on_a_go(self, judge):
        fiche, _ = judge()
        assert "Rien à optimiser : le verdict est GO." in fiche
        assert "Goulot le plus probable" not in fiche


def test_every_row_and_sign_has_its_words():
    assert set(WORDS.catalogue.optimisation) == set(ROWS)
    signs = {
        "throttled",
        "poll_above_write",
        "in_flight_high",
        "buffer_full",
        "nothing_polled",
        "poll_low",
        "lag_grows",
    }
    assert set(WORDS.catalogue.optimisation_signs) == signs
    assert all(set(row.actions) == {"P0", "P1", "P2"} for row in WORDS.catalogue.optimisation.values())
