"""Phase 5: checkpoints, trends, events and the fiche of a day, rehearsed at 1/240: six minutes."""

from __future__ import annotations

import numpy as np
import pytest

from checks.judge import judge_run
from checks.measures.parts import TASK_ROLES
from checks.metric_profiles import Role
from checks.pages import Page, unfilled_lines
from checks.words import TEMPLATES
from run_record.counts import Counts
from scenarios.scenario import load
from scenarios.yaml_file import parse
from tests.support.phase2 import TOPICS, phase2_metrics
from tests.support.records import T0_NS, T0_S, points, write_evidence, write_run

PAGE = parse((TEMPLATES / "pages" / "phase5_soak.yaml").read_text(encoding="utf-8"), Page, file="phase5_soak.yaml")
RATE, START_S, LOAD_S = 700, 71.0, 360.0
END_S, WATCHED_S = START_S + LOAD_S, START_S + LOAD_S + 62
RECORDS = int(RATE * LOAD_S)
PHASES = (
    ("canary", "canary", 0, 5, 0),
    ("silence", "silence", 5, START_S, 0),
    ("soak", "load", START_S, END_S, RECORDS),
    ("drain", "drain", END_S, END_S + 2, 0),
    ("watch", "watch", END_S + 2, WATCHED_S, 0),
)


def share_of(at_s):
    return min(max((at_s - START_S) / LOAD_S, 0.0), 1.0)


def metrics():
    """The metrics of phase 2's healthy minute, over six minutes."""
    labels = {role: [one["metric"] for one in items] for role, items in phase2_metrics().items()}
    values = {
        Role.UP: lambda _: 1.0,
        Role.POLL_TOTAL: lambda at_s: 60 + RECORDS / 2 * share_of(at_s),
        Role.WRITE_TOTAL: lambda at_s: 60 + RECORDS / 2 * share_of(at_s),
        Role.RECORD_COUNT: lambda at_s: 6 + RECORDS / len(TOPICS) * share_of(at_s),
        Role.ACTIVE_COUNT: lambda _: 20.0,
        Role.LATENCY_AVG: lambda at_s: 20.0 if START_S < at_s < END_S + 60 else float("nan"),
        Role.LATENCY_MAX: lambda at_s: 90.0 if START_S < at_s < END_S + 60 else float("nan"),
        Role.PROCESS_CPU: lambda at_s: 0.2 * at_s,
        Role.NODE_CPU_IDLE: lambda at_s: 0.7 * at_s,
        Role.NODE_MEMORY_AVAILABLE: lambda _: 600.0,
        Role.NODE_MEMORY_TOTAL: lambda _: 1000.0,
        Role.HEAP_USED: lambda at_s: 200.0 + 100.0 * (at_s % 20 / 20),
        Role.HEAP_MAX: lambda _: 1000.0,
        Role.BUFFER_AVAILABLE: lambda _: 31.0,
        Role.BUFFER_TOTAL: lambda _: 32.0,
        Role.REBALANCES: lambda _: 3.0,
    }
    return {
        role: [{"metric": one, "values": points(values.get(role, lambda _: 0.0), end_s=WATCHED_S + 20)} for one in ones]
        for role, ones in labels.items()
    }


def spoilt(role, value):
    found = metrics()
    return {**found, role: [{**one, "values": points(value, end_s=WATCHED_S + 20)} for one in found[role]]}


@pytest.fixture
def judge(tmp_path):
    def build(metrics_=None, evidence=None, *, e2e_ms=lambda _: 30.0):
        loaded = load("phase5_soak", settings={"capacity": "1000/s"})
        directory = write_run(
            tmp_path,
            counts=Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS),
            phases=PHASES,
            rehearsal="1/240",
            scenario=loaded.text,
            partitions=1,
            e2e_ms=e2e_ms,
            backlog=lambda at_s: 40 if START_S < at_s <= END_S else 0,
            keep_histograms=True,
            run_id="20270115T080000Z-phase5_soak",
        )
        write_evidence(directory, metrics_ or metrics(), **(evidence or {}))
        judgement = judge_run(directory)
        text = (directory / "fiche.md").read_text(encoding="utf-8")
        return text.replace("\u00a0", " ").replace("\u202f", " "), judgement.evaluation

    return build


def test_healthy_day_is_go_and_every_line_of_the_page_is_filled(judge):
    fiche, found = judge()
    assert unfilled_lines("phase5_soak", fiche) == []
    assert {r.criterion.id: r.verdict.value for r in found.results if r.verdict.value != "GO"} == {}
    assert "| T+24 h | **GO** |" in fiche


def test_every_line_stays_filled_when_nothing_could_be_measured(judge):
    fiche, _ = judge(evidence={"errors": dict.fromkeys(Role, "down"), "connect_error": "down"})
    assert unfilled_lines("phase5_soak", fiche) == []


def test_slow_hours_spoil_their_own_checkpoint_and_no_other(judge):
    """Hours 8 to 12 of the day are seconds 120 to 180 of the rehearsal."""
    _, found = judge(e2e_ms=lambda at_s: 8000.0 if START_S + 120 < at_s <= START_S + 180 else 30.0)
    verdicts = {mark: found.result(f"{mark}_p99").verdict.value for mark in ("t1", "t4", "t8", "t12", "t24")}
    assert verdicts == {"t1": "GO", "t4": "GO", "t8": "GO", "t12": "NOGO", "t24": "GO"}


@pytest.mark.parametrize(("grows_by", "verdict"), [(0.0, "GO"), (0.05, "GO"), (0.25, "GREY"), (0.8, "NOGO")])
def test_memory_that_grows_is_told_by_how_much(judge, grows_by, verdict):
    """400 of 1000 in use at the start."""
    metrics_ = spoilt(Role.NODE_MEMORY_AVAILABLE, lambda at_s: 600.0 - 400 * grows_by * share_of(at_s))
    result = judge(metrics_)[1].result("memory_trend")
    assert result.verdict.value == verdict
    assert result.measurement.value == pytest.approx(100 * grows_by * 0.9, abs=100 * grows_by * 0.15 + 0.1)


def test_heap_is_read_after_its_collections(judge):
    """A sawtooth is no trend; a floor that rises is one."""
    _, found = judge()
    assert abs(found.result("heap_trend").measurement.value) < 5
    leak = spoilt(Role.HEAP_USED, lambda at_s: 200.0 * (1 + share_of(at_s)) + 100.0 * (at_s % 20 / 20))
    assert judge(leak)[1].result("heap_trend").verdict.value == "NOGO"


def test_cpu_that_grows_is_grey_and_one_that_is_full_is_nogo(judge):
    rising = np.cumsum([0.2 + 0.3 * share_of(s) for s in range(int(WATCHED_S) + 40)])
    _, found = judge(spoilt(Role.NODE_CPU_IDLE, lambda at_s: at_s - float(rising[int(at_s)])))
    assert found.result("cpu_trend").verdict.value == "GREY"
    assert found.result("cpu_trend").criterion.nogo.text == "never"
    _, full = judge(spoilt(Role.NODE_CPU_IDLE, lambda at_s: 0.01 * at_s))
    assert full.result("cpu_saturated").verdict.value == "NOGO"


@pytest.mark.parametrize(
    ("trend", "role"),
    [
        ("memory_trend", Role.NODE_MEMORY_AVAILABLE),
        ("heap_trend", Role.HEAP_USED),
        ("cpu_trend", Role.NODE_CPU_IDLE),
    ],
)
def test_node_that_says_too_little_is_not_left_out_of_a_trend(judge, trend, role):
    metrics_ = metrics()
    metrics_[role] = [
        {**one, "values": [[at_s, value if at_s < T0_NS / 1e9 + 120 else "NaN"] for at_s, value in one["values"]]}
        if one["metric"]["instance"].startswith("w2")
        else one
        for one in metrics_[role]
    ]
    result = judge(metrics_)[1].result(trend)
    assert (result.verdict.value, result.reason.code.value) == ("INCONCLUSIVE", "low_coverage")


def test_rebalances_count_once_however_many_workers_saw_them(judge):
    metrics_ = spoilt(Role.REBALANCES, lambda at_s: 3.0 + (2 if at_s > 200 else 0))
    result = judge(metrics_)[1].result("rebalances")
    assert (result.measurement.value, result.verdict.value) == (2, "GO")
    metrics_ = spoilt(Role.REBALANCES, lambda at_s: 3.0 + (5 if at_s > 200 else 0))
    assert judge(metrics_)[1].result("rebalances").verdict.value == "GREY"


def test_task_that_failed_and_was_restarted_is_seen(judge):
    metrics_ = metrics()
    metrics_[Role.FAILED_TASKS][0]["values"] = points(
        lambda at_s: 1.0 if 150 < at_s < 180 or 250 < at_s < 260 else 0.0, end_s=WATCHED_S + 20
    )
    result = judge(metrics_)[1].result("task_failures")
    assert (result.measurement.value, result.verdict.value) == (2, "GREY")


@pytest.mark.parametrize(
    "seen",
    [
        # Failed just as the load began, and restarted after two scrapes.
        lambda at_s: 1.0 if START_S < at_s < START_S + 8 else 0.0,
        # The task came to this worker, which had none, and failed there.
        lambda at_s: None if at_s < START_S + 14 else 1.0 if at_s < START_S + 22 else 0.0,
    ],
    ids=["before the first scrape of the load", "on a worker that had no task"],
)
def test_failure_that_no_scrape_before_it_shows_is_seen(judge, seen):
    metrics_ = metrics()
    metrics_[Role.FAILED_TASKS][1]["values"] = points(seen, end_s=WATCHED_S + 20)
    came_s = metrics_[Role.FAILED_TASKS][1]["values"][0][0] - T0_S
    for role in TASK_ROLES:
        # Until then the task was on the other worker.
        _, task = metrics_[role]
        before = {**task, "metric": {**task["metric"], "instance": "w1:9404"}}
        metrics_[role] += [{**before, "values": [pair for pair in task["values"] if pair[0] - T0_S < came_s]}]
        task["values"] = [pair for pair in task["values"] if pair[0] - T0_S >= came_s]
    result = judge(metrics_)[1].result("task_failures")
    assert (result.measurement.value, result.verdict.value) == (1, "GREY")


def test_task_that_had_failed_before_is_no_failure_of_the_run(judge):
    result = judge(spoilt(Role.FAILED_TASKS, lambda _: 1.0))[1].result("task_failures")
    assert result.measurement.value == 0


def test_failed_task_that_may_have_failed_before_is_not_told(judge):
    """Nobody scraped the workers before the load began."""
    metrics_ = metrics()
    for role, value in ((Role.UP, 1.0), (Role.FAILED_TASKS, 1.0)):
        metrics_[role] = [
            {**one, "values": points(lambda _, value=value: value, start_s=START_S + 4, end_s=WATCHED_S + 20)}
            for one in metrics_[role]
        ]
    result = judge(metrics_)[1].result("task_failures")
    assert (result.verdict.value, result.reason.code.value) == ("INCONCLUSIVE", "no_base")


def test_scenario_has_every_criterion_of_the_page():
    assert PAGE.criteria <= {criterion.id for criterion in load("phase5_soak").scenario.criteria}
