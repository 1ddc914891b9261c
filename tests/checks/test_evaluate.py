"""From measurements to the run's verdict and exit code."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from checks import evaluate as evaluation_module
from checks.evaluate import evaluate
from checks.evidence import Evidence
from checks.measures import Run, measure
from checks.metric_profiles import Role
from checks.record_inputs import environment_of, scenario_of
from checks.windows import Windows
from run_record.counts import Counts
from run_record.manifest import Ending
from run_record.store import RunRecord
from tests.support.records import (
    HEALTHY,
    PHASES,
    SOURCE_CONNECTOR,
    always,
    connector,
    during_look_back,
    growing,
    healthy_connectors,
    healthy_metrics,
    scenario_text,
    spoil,
    write_evidence,
    write_run,
)

PAUSED = {**healthy_connectors(), SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, "PAUSED", ("PAUSED", "PAUSED"))}
LEDGER = ("produced", "send_errors", "on_target", "lost", "late", "duplicated", "reordered", "corrupted", "phantom")


def stopped(how="sigint", at_s=143):
    return Ending(how=how, aborted=True, at_ns=1_800_000_000_000_000_000 + at_s * 10**9)


def test_clean_run_is_go(judge):
    run = judge()
    assert (run.content["verdict"], run.content["exit_code"]) == ("GO", 0)
    assert run.content["reason"]["code"] == "all_go"
    assert {criterion["verdict"] for criterion in run.criteria.values()} == {"GO"}


def test_one_lost_record_is_nogo(judge):
    run = judge(counts=replace(HEALTHY, arrived=99, lost=1))
    assert (run.content["verdict"], run.content["exit_code"]) == ("NOGO", 20)
    assert {"lost", "on_target", "backlog_end"} <= set(run.content["deciding"])


def test_number_between_the_zones_is_grey(judge):
    run = judge(spoil(healthy_metrics(), Role.LATENCY_AVG, during_look_back(300.0)))
    assert (run.content["verdict"], run.content["exit_code"]) == ("GREY", 10)
    assert run.criteria["latency_avg"]["reason"]["code"] == "between"


def test_silent_prometheus_is_inconclusive_and_the_ledger_is_judged_all_the_same(judge):
    run = judge(evidence={"errors": dict.fromkeys(Role, "Prometheus at x: connection refused")})
    assert (run.content["verdict"], run.content["exit_code"]) == ("INCONCLUSIVE", 30)
    assert {run.criteria[name]["verdict"] for name in LEDGER} == {"GO"}
    assert run.criteria["poll_total"]["reason"]["code"] == "prometheus_failed"


def test_nogo_outranks_what_could_not_be_measured(judge):
    run = judge(counts=replace(HEALTHY, corrupted=1), evidence={"errors": dict.fromkeys(Role, "x")})
    assert run.content["verdict"] == "NOGO"


def test_advisory_criterion_is_shown_and_does_not_decide(judge):
    run = judge(spoil(healthy_metrics(), Role.RECORD_COUNT, growing(1.0, 40.0)))
    assert run.criteria["record_count_agrees"]["verdict"] == "NOGO"
    assert run.content["verdict"] == "GO"


def test_dropped_topic_is_nogo_with_late_and_lost_never_go(judge):
    """What a Filter in front of MM2's producer does: all is polled, nothing written, nothing arrives."""
    metrics = spoil(healthy_metrics(), Role.WRITE_TOTAL, always(6.0))
    metrics = spoil(spoil(metrics, Role.RECORD_COUNT, always(1.0)), Role.LATENCY_AVG, always(math.nan))
    run = judge(metrics, counts=replace(HEALTHY, arrived=0, late=100))
    assert run.content["verdict"] == "NOGO"
    verdicts = {name: criterion["verdict"] for name, criterion in run.criteria.items()}
    assert (verdicts["on_target"], verdicts["late"], verdicts["write_total"]) == ("NOGO", "NOGO", "NOGO")
    assert verdicts["lost"] == "INCONCLUSIVE"
    assert run.criteria["lost"]["reason"] == {"code": "late_may_be_lost", "params": {"late": 100}}


# Was the load applied?


def test_generator_that_fell_short_cannot_blame_mm2(judge):
    slow = spoil(healthy_metrics(), Role.LATENCY_AVG, during_look_back(900.0))
    run = judge(slow, counts=Counts(sent=90, acked=90, arrived=90))
    assert run.content["verdict"] == "INCONCLUSIVE"
    assert run.criteria["load_achieved"]["verdict"] == "INCONCLUSIVE"
    assert run.criteria["latency_avg"]["reason"]["code"] == "load_not_applied"
    assert run.criteria["produced"]["reason"] == {"code": "plan_not_sent", "params": {"sent": 90, "planned": 100}}


def test_good_latency_under_too_little_load_is_no_go_either(judge):
    run = judge(send_delay_ms=[5000.0])
    assert run.criteria["send_delay"]["verdict"] == "INCONCLUSIVE"
    assert run.criteria["latency_avg"]["verdict"] == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("settings", "criterion"),
    [
        ({"counts": Counts(sent=90, acked=90, arrived=89, lost=1)}, "lost"),
        ({"counts": Counts(sent=90, acked=90, arrived=90, corrupted=1)}, "corrupted"),
        ({"counts": Counts(sent=90, acked=90, arrived=90), "evidence": {"connectors": PAUSED}}, "not_running"),
    ],
)
def test_integrity_and_state_stay_nogo_whatever_the_load(judge, settings, criterion):
    run = judge(**settings)
    assert run.criteria[criterion]["verdict"] == "NOGO"
    assert run.content["exit_code"] == 20


def test_scenario_that_never_asks_for_the_load_gets_no_verdict_on_performance(judge):
    run = judge(scenario=scenario_text(['{id: latency, measure: e2e.mean, go: "< 1 s"}']))
    assert run.content["verdict"] == "INCONCLUSIVE"
    assert run.criteria["latency"]["reason"]["code"] == "load_not_judged"


def test_source_that_refuses_is_nogo_for_the_plan_was_sent(judge):
    run = judge(counts=replace(HEALTHY, acked=90, failed=10, arrived=90))
    assert run.criteria["produced"]["verdict"] == "NOGO"


def test_percentile_of_too_few_samples_is_inconclusive(judge):
    lines = ['{id: achieved, measure: load.achieved, go: "== 100 %"}', '{id: p99, measure: e2e.p99, go: "< 1 s"}']
    run = judge(scenario=scenario_text(lines))
    assert run.criteria["p99"]["reason"] == {"code": "too_few_samples", "params": {"samples": 100, "needed": 1000}}


def test_infinite_percentile_is_nogo_and_null_in_json(judge):
    lines = ['{id: achieved, measure: load.achieved, go: "== 100 %"}', '{id: p50, measure: e2e.p50, go: "< 1 s"}']
    run = judge(scenario=scenario_text(lines), counts=replace(HEALTHY, arrived=40, late=60))
    assert (run.criteria["p50"]["verdict"], run.criteria["p50"]["value"]) == ("NOGO", None)
    assert run.criteria["p50"]["reason"] == {"code": "never_arrived", "params": {"missing": 60}}


def test_lost_load_worker_is_inconclusive_but_damage_stays_nogo(judge):
    lost = [{"worker": "w2", "owned": ["t:1"], "sent": 50}]
    half = Counts(sent=50, acked=50, arrived=50)
    run = judge(counts=half, unaccounted=lost)
    assert run.content["verdict"] == "INCONCLUSIVE"
    assert run.criteria["on_target"]["reason"]["code"] == "worker_lost"
    damaged = judge(counts=replace(half, corrupted=1), unaccounted=lost, run_id="damaged")
    assert damaged.criteria["corrupted"]["verdict"] == "NOGO"


def test_unreadable_mirror_is_never_nogo(judge):
    run = judge(counts=replace(HEALTHY, arrived=0, late=100), read_refused=["source.t"])
    assert run.content["verdict"] == "INCONCLUSIVE"
    assert "NOGO" not in {criterion["verdict"] for criterion in run.criteria.values() if not criterion["advisory"]}


# Runs that did not end as planned.


def test_aborted_run_is_never_go(judge):
    run = judge(ending=stopped())
    assert (run.content["verdict"], run.content["exit_code"], run.content["aborted"]) == ("INCONCLUSIVE", 50, True)
    assert run.content["reason"]["params"]["how"] == "sigint"


def test_what_a_short_drain_left_behind_is_not_mm2s_fault(judge):
    phases = (*PHASES[:2], ("smoke", "load", 71, 76, 100), ("drain", "drain", 76, 79, 0))
    run = judge(counts=Counts(sent=50, acked=50, arrived=40, late=10), phases=phases, ending=stopped(at_s=79))
    verdicts = {name: criterion["verdict"] for name, criterion in run.criteria.items()}
    assert "NOGO" not in {verdicts[name] for name in ("late", "backlog_end", "on_target", "produced", "lost")}
    assert run.criteria["late"]["reason"]["code"] == "drain_cut_short"
    assert (run.content["verdict"], run.content["exit_code"]) == ("INCONCLUSIVE", 50)


def test_damage_seen_before_the_abort_is_nogo(judge):
    phases = (*PHASES[:2], ("smoke", "load", 71, 76, 100), ("drain", "drain", 76, 79, 0))
    run = judge(counts=Counts(sent=50, acked=50, arrived=49, lost=1), phases=phases, ending=stopped("sigterm", at_s=79))
    assert (run.content["verdict"], run.content["exit_code"]) == ("NOGO", 20)


def test_late_records_of_a_whole_drain_stay_nogo_though_the_watch_was_cut(judge):
    phases = (*PHASES[:4], ("watch", "watch", 83, 90, 0))
    run = judge(counts=replace(HEALTHY, arrived=90, late=10), phases=phases, ending=stopped(at_s=90))
    assert run.criteria["late"]["verdict"] == "NOGO"


def test_run_aborted_before_its_load_says_so_everywhere(judge):
    run = judge(phases=(PHASES[0], ("silence", "silence", 5, 30, 0)), counts=Counts(), ending=stopped(at_s=30))
    assert (run.content["verdict"], run.content["exit_code"]) == ("INCONCLUSIVE", 50)
    assert run.criteria["poll_total"]["reason"]["code"] == "load_not_started"


def test_run_that_failed_before_its_load_was_not_killed(judge):
    run = judge(phases=PHASES[:1], counts=None, failed="the topic could not be created")
    assert (run.content["verdict"], run.content["exit_code"]) == ("INCONCLUSIVE", 50)
    reasons = {criterion["reason"]["code"] for criterion in run.criteria.values()}
    assert "load_not_started" in reasons
    assert "record_unfinished" not in reasons
    assert "the topic could not be created" in run.fiche
    assert "**Non** : 0 sur 100 messages envoyés." in run.fiche


def test_killed_run_is_inconclusive_and_tells_the_last_thing_known(judge):
    run = judge(counts=None, phases=(*PHASES[:2], ("smoke", "load", 71, 76, 100)), evidence={"connectors": PAUSED})
    assert (run.content["verdict"], run.content["exit_code"], run.content["aborted"]) == ("INCONCLUSIVE", 50, True)
    reason = run.content["reason"]
    assert reason["code"] == "crashed"
    assert (reason["params"]["phase"], reason["params"]["sent"]) == ("smoke", 50)
    assert reason["params"]["at_ns"] == 1_800_000_076_000_000_000


# A measure that crashes is a result.


def test_crashing_measure_is_inconclusive_with_its_traceback_and_stops_no_other(tmp_path):
    directory = write_run(tmp_path)
    write_evidence(directory)
    record = RunRecord.open(directory)
    environment = environment_of(record.manifest).environment
    run = Run(
        record=record,
        evidence=Evidence.open(record.evidence()),
        environment=environment,
        windows=Windows.of(record, environment),
    )

    def crash(name, run):
        if name == "ledger.lost":
            raise ZeroDivisionError("planted")
        return measure(name, run)

    evaluation = evaluate(run, scenario_of(record.manifest).scenario, measure=crash)
    lost = evaluation.result("lost")
    assert (lost.verdict, lost.reason.params["error"]) == ("INCONCLUSIVE", "ZeroDivisionError: planted")
    assert "test_evaluate.py" in lost.reason.params["traceback"]
    assert str(tmp_path.anchor) + "work" not in lost.reason.params["traceback"]
    assert evaluation.verdict == "INCONCLUSIVE"
    assert sum(result.verdict == "GO" for result in evaluation.results) == len(evaluation.results) - 1


def test_exit_codes_are_those_that_help_prints():
    assert {verdict.value: int(code) for verdict, code in evaluation_module.EXIT_CODES.items()} == {
        "GO": 0,
        "GREY": 10,
        "NOGO": 20,
        "INCONCLUSIVE": 30,
    }
