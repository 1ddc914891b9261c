"""A staircase as it is played: a step, a rest, the judge's verdict, and the step to which it leads."""

from __future__ import annotations

import json
import time

import gevent
import pytest

from locust_session import conductor as conductor_module
from locust_session.wire import ToNodes
from scenarios.plan import NS_PER_S
from tests.locust_session.fakes import Stage, quicken
from tests.scenarios.examples import plan, with_phases

RATES = "[100/s, 200/s, 400/s]"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    quicken(monkeypatch)
    monkeypatch.setattr(conductor_module, "VERDICT_LOOK_S", 0.01)
    monkeypatch.setattr(conductor_module, "VERDICT_WITHIN_S", 20.0)


def stairs(*, rates=RATES, rest="150ms"):
    text = with_phases(f"{{name: step, profile: steps, rates: {rates}, duration: 100ms, rest: {rest}}}")
    return plan(
        text.replace("patience: 5s, cap: 20s", "patience: 300ms, cap: 1s").replace("patience: 5s}", "patience: 300ms}")
    )


@pytest.fixture
def climb(tmp_path):
    """Plays a staircase beside a judge that knows which steps are GO; the stage and the record."""

    def play(verdict_of, *faults, **more):
        stage = Stage(tmp_path, stairs(**more), *faults)

        def judge():
            while True:
                gevent.sleep(0.02)
                directory = stage.conductor.directory
                if directory is None:
                    continue
                over = [p.name for p in stage.conductor._chronicle.phases if p.kind == "load" and p.end_ns is not None]
                said = {name: verdict for name in over if (verdict := verdict_of(name)) is not None}
                (directory / "live").mkdir(exist_ok=True)
                (directory / "live" / "verdict.json").write_text(json.dumps({"steps": said}))

        return stage, stage.play(judge)

    return play


def kinds(record):
    return [(phase.name, phase.kind) for phase in record.manifest.phases if phase.kind in ("load", "rest")]


def carrying(limit):
    return lambda name: "GO" if float(name.split("_")[1]) <= limit else "NOGO"


def test_steps_are_played_with_rests_until_one_fails_and_the_best_again(climb):
    stage, record = climb(carrying(200))
    names = ["step_100", "step_200", "step_400", "step_200_again"]
    assert kinds(record) == [one for name in names for one in ((name, "load"), (f"{name}_rest", "rest"))]
    assert record.manifest.planned_records == 10 + 20 + 40 + 20 == stage.nodes[0]._sent
    assert (record.manifest.ending.how, record.manifest.ending.aborted) == ("completed", False)
    judged = [(e["phase"], e["verdict"], e["judged"]) for e in record.events if e["event"] == "step_judged"]
    assert judged == [(name, carrying(200)(name), True) for name in names]


def test_each_step_starts_on_the_load_clock_when_the_nodes_were_told(climb):
    stage, record = climb(carrying(100))
    told = stage.nodes[0].told(ToNodes.PLAY)
    loads = record.manifest.of_kind("load")
    assert [one["phase"] for one in told] == [0, 1, 3]
    start_ns = loads[0].start_ns
    for order, load in zip(told, loads, strict=True):
        assert load.start_ns - start_ns == pytest.approx(order["start_s"] * NS_PER_S, abs=2)


def test_a_rest_lasts_at_least_what_the_scenario_wants(climb):
    _, record = climb(carrying(1e9), rates="[100/s]")
    rests = record.manifest.of_kind("rest")
    assert len(rests) == 2
    assert all(rest.duration_s >= 0.15 for rest in rests)


def test_without_a_verdict_the_ramp_ends(climb, monkeypatch):
    monkeypatch.setattr(conductor_module, "VERDICT_WITHIN_S", 0.3)
    _, record = climb(lambda name: None)
    assert kinds(record) == [("step_100", "load"), ("step_100_rest", "rest")]
    (judged,) = [event for event in record.events if event["event"] == "step_judged"]
    assert (judged["verdict"], judged["judged"]) == ("INCONCLUSIVE", False)
    assert record.manifest.ending.how == "completed"


def test_generator_that_cannot_send_a_step_ends_the_ramp(climb, monkeypatch):
    monkeypatch.setattr(conductor_module, "OVERTIME_S", 0.5)
    _, record = climb(carrying(1e9), "slow")
    assert [phase.name for phase in record.manifest.of_kind("load")] == ["step_100"]
    assert [event["sent"] for event in record.events if event["event"] == "load_incomplete"] == [9]


def test_stop_in_a_rest_ends_the_run_and_its_record_is_whole(tmp_path):
    stage = Stage(tmp_path, stairs(rest="60s"))
    began_s = time.monotonic()
    record = stage.play(stage.when("step_100_rest", lambda: stage.conductor.end_early("stopped")))
    assert time.monotonic() - began_s < 20
    assert record.sealed
    assert record.manifest.ending.how == "stopped"
    assert record.manifest.planned_records == 10


def test_warm_up_is_played_first_and_nobody_waits_for_a_verdict_on_it(tmp_path, monkeypatch):
    monkeypatch.setattr(conductor_module, "VERDICT_WITHIN_S", 0.3)
    text = with_phases("{name: step, profile: steps, rates: [100/s], duration: 100ms, rest: 50ms, warm: 100ms}")
    text = text.replace("patience: 5s, cap: 20s", "patience: 300ms, cap: 1s").replace(
        "patience: 5s}", "patience: 300ms}"
    )
    record = Stage(tmp_path, plan(text)).play()
    assert [phase.name for phase in record.manifest.of_kind("load")] == ["step_warm", "step_100"]
    assert [event["phase"] for event in record.events if event["event"] == "step_judged"] == ["step_100"]
