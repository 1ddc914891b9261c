"""Phase 4: every step is judged, the capacity lies between the right two, and the fiche says what stopped the ramp."""

from __future__ import annotations

import pytest

from checks.judge import judge_run
from checks.pages import Page, unfilled_lines
from checks.words import TEMPLATES
from run_record.manifest import Ending
from scenarios.scenario import load
from scenarios.yaml_file import parse
from tests.support.ramp import end_of, ramp_metrics, write_ramp
from tests.support.records import T0_NS, write_evidence

PAGE = parse((TEMPLATES / "pages" / "phase4_ramp.yaml").read_text(encoding="utf-8"), Page, file="phase4_ramp.yaml")
CLIMBED = ["step_1000", "step_2500", "step_2500_again"]
STOPPED = ["step_1000", "step_2500", "step_5000", "step_2500_again"]
SLOW = {"e2e_ms": {"step_5000": 9000.0}, "backlog": {"step_5000": 60_000.0}, "recovers_s": 20.0}


@pytest.fixture
def judge(tmp_path):
    """What a ramp's fiche says, and its judgement."""

    def build(steps=STOPPED, metrics=None, evidence=None, **settings):
        directory = write_ramp(tmp_path, steps, **(settings or SLOW))
        write_evidence(directory, metrics or ramp_metrics(steps, latency_ms={"step_5000": 4000.0}), **(evidence or {}))
        judgement = judge_run(directory)
        text = (directory / "fiche.md").read_text(encoding="utf-8")
        return text.replace("\u00a0", " ").replace("\u202f", " "), judgement.evaluation

    return build


def row_of(text, find):
    return next(line for line in text.split("\n") if find in line)


class TestTheCapacity:
    def test_is_the_last_step_that_was_go_and_go_again(self, judge):
        fiche, found = judge()
        assert {name: verdict.value for name, verdict in found.steps.items()} == {
            "step_1000": "GO",
            "step_2500": "GO",
            "step_5000": "NOGO",
            "step_2500_again": "GO",
        }
        capacity = found.result("capacity")
        assert (capacity.measurement.value, capacity.verdict.value) == (2500, "GO")
        assert capacity.beside.value == pytest.approx(1750)
        assert found.verdict.value == "GO"
        assert "**Capacité confirmée : 2 500 enr./s. Débit recommandé : 1 750 enr./s** (70 %)" in fiche
        assert "La limite est entre cette valeur et 5 000 enr./s." in fiche

    def test_is_not_known_to_be_more_where_the_confirmation_fails(self, judge):
        steps = ["step_1000", "step_2500", "step_5000", "step_2500_again", "step_1000_again"]
        fiche, found = judge(
            steps,
            e2e_ms={"step_5000": 9000.0, "step_2500_again": 9000.0},
            backlog={"step_5000": 60_000.0},
        )
        assert found.result("capacity").measurement.value == 1000
        assert found.verdict.value == "GREY"
        assert "À 2 500 enr./s, le palier était GO une fois, et ne l'a plus été à la confirmation." in fiche

    def test_is_a_lower_bound_where_every_step_was_go(self, judge):
        steps = ["step_1000", "step_2500", "step_5000", "step_7500", "step_10000", "step_10000_again"]
        fiche, found = judge(steps, ramp_metrics(steps), e2e_ms={})
        assert found.result("capacity").measurement.value == 10_000
        assert found.result("capacity").measurement.at_least
        assert found.verdict.value == "GO"
        assert "Tous les paliers joués sont GO : la capacité est au moins celle-là." in fiche

    def test_below_the_nominal_load_is_nogo(self, judge):
        fiche, found = judge(["step_1000"], ramp_metrics(["step_1000"]), e2e_ms={"step_1000": 5000.0})
        assert found.result("capacity").measurement.value == 0
        assert found.verdict.value == "NOGO"
        assert "**Phase 4 terminée** : ☐ GO pour Phase 5 ☑ NOGO" in fiche

    def test_of_a_ramp_that_ended_before_the_confirmation_is_not_known_and_no_nogo(self, judge):
        """A step was GO, the next was not, and then it was stopped: nothing says that MM2 carries less than it did."""
        fiche, found = judge(
            ["step_1000", "step_2500"],
            ramp_metrics(["step_1000", "step_2500"]),
            e2e_ms={"step_2500": 9000.0},
            ending=Ending(how="stopped", aborted=True, at_ns=T0_NS + int(end_of(["step_1000", "step_2500"]) * 1e9)),
        )
        assert {name: verdict.value for name, verdict in found.steps.items()} == {
            "step_1000": "GO",
            "step_2500": "NOGO",
        }
        capacity = found.result("capacity")
        assert (capacity.measurement.value, capacity.measurement.at_least) == (0, True)
        assert capacity.verdict.value == "INCONCLUSIVE"
        assert found.verdict.value == "INCONCLUSIVE"
        assert "**Capacité confirmée : au moins 0 enr./s. Débit recommandé : au moins 0 enr./s** (70 %)" in fiche
        assert "À 1 000 enr./s, le palier était GO une fois, et n'a pas été rejoué." in fiche
        assert unfilled_lines("phase4_ramp", fiche) == []

    def test_step_that_could_not_be_judged_proves_nothing(self, judge):
        """The generator fell short at 5000/s: that is no limit of MM2's, and the capacity is at least 2500."""
        _, found = judge(sent={"step_5000": 90_000}, backlog={})
        assert found.steps["step_5000"].value == "INCONCLUSIVE"
        capacity = found.result("capacity").measurement
        assert (capacity.value, capacity.at_least) == (2500, True)
        assert found.verdict.value == "GO"

    def test_nothing_measured_is_no_capacity(self, judge):
        fiche, found = judge(evidence={"errors": dict.fromkeys(ramp_metrics(STOPPED), "down")}, backlog={})
        assert found.result("capacity").measurement.value is None
        assert found.verdict.value == "INCONCLUSIVE"
        assert "**La capacité n'est pas connue**" in fiche


class TestTheSteps:
    def test_loss_on_any_step_is_nogo_whatever_the_capacity(self, judge):
        _, found = judge(lost={"step_5000": 1}, **SLOW)
        assert found.result("capacity").verdict.value == "GO"
        assert found.verdict.value == "NOGO"
        assert found.deciding == ("lost",)

    def test_steps_that_were_not_played_are_not_judged_and_do_not_decide(self, judge):
        fiche, found = judge()
        assert found.result("s7500_p99").verdict.value == "NOT_RUN"
        assert not found.result("s7500_p99").required
        assert "| Palier 7 500 msg/s | **non joué** |" in fiche

    def test_a_step_is_judged_by_its_own_records_and_seconds(self, judge):
        _, found = judge()
        assert found.result("s1000_p99").measurement.value == pytest.approx(30, rel=0.01)
        assert found.result("s5000_p99").measurement.value == pytest.approx(9000, rel=0.01)
        assert found.result("s2500_lag").measurement.value <= 40
        assert found.result("s5000_lag").measurement.value == 60_000
        assert found.result("s1000_latency_avg").measurement.value == 20
        assert found.result("s5000_latency_avg").measurement.value == 4000

    def test_backlog_that_is_not_gone_after_the_rest_is_no_recovery(self, judge):
        _, found = judge(e2e_ms={}, backlog={"step_5000": 5000.0}, recovers_s=500.0, metrics=ramp_metrics(STOPPED))
        recovery = found.result("s5000_recovery")
        assert recovery.measurement.at_least
        assert recovery.verdict.value == "NOGO"
        assert found.result("s2500_recovery").verdict.value == "GO"

    def test_recovery_is_counted_from_the_steps_end(self, judge):
        _, found = judge(e2e_ms={}, backlog={"step_2500": 5000.0}, recovers_s=30.0, metrics=ramp_metrics(STOPPED))
        assert found.result("s2500_recovery").measurement.value == pytest.approx(31, abs=1)

    def test_confirmation_is_judged_by_the_criteria_of_its_step(self, judge):
        _, found = judge()
        again = found.result("s2500_p99_step_2500_again")
        assert again.criterion.go.text == "< 2 s"
        assert again.verdict.value == "GO"

    def test_cpu_of_one_step_is_not_that_of_another(self, judge):
        metrics = ramp_metrics(STOPPED, cpu_share={"step_5000": 0.97})
        _, found = judge(metrics=metrics)
        assert found.result("s5000_cpu").measurement.value > 80
        assert found.steps["step_5000"].value == "NOGO"
        assert found.result("s2500_cpu").measurement.value == pytest.approx(20, abs=3)


class TestThePage:
    def test_every_line_is_there(self, judge):
        fiche, _ = judge()
        assert unfilled_lines("phase4_ramp", fiche) == []
        assert fiche.count("______________") == 3

    def test_every_line_stays_filled_when_nothing_could_be_measured(self, judge):
        fiche, _ = judge(evidence={"errors": dict.fromkeys(ramp_metrics(STOPPED), "down"), "connect_error": "down"})
        assert unfilled_lines("phase4_ramp", fiche) == []

    def test_what_stopped_the_ramp_is_named_with_its_figures(self, judge):
        fiche, _ = judge(
            metrics=ramp_metrics(STOPPED, latency_ms={"step_5000": 4000.0}, throttle_ms={"step_5000": 800.0})
        )
        row = row_of(fiche, "Ce qui l'a arrêté")
        assert "Latence de bout en bout, p99 : 9 0" in row
        assert "goulot du côté : cible (la cible impose à MM2 d'attendre (800 ms au plus) : un quota)" in row

    def test_source_that_is_slow_to_acknowledge_is_named_before_mm2(self, judge):
        fiche, _ = judge(**SLOW)
        assert "voir d'abord le cluster source" not in fiche
        fiche, _ = judge(ack_ms={"step_5000": 8000.0}, **SLOW)
        assert "la source acquitte en 8 000 ms en moyenne" in row_of(fiche, "Ce qui l'a arrêté")

    def test_rests_are_no_pause_of_the_source(self, judge):
        """Between two steps nothing is polled, since nothing is sent."""
        fiche, _ = judge()
        assert "rien n'a été lu" not in fiche

    def test_scenario_has_every_criterion_of_the_page(self):
        assert PAGE.criteria <= {criterion.id for criterion in load("phase4_ramp").scenario.criteria}
