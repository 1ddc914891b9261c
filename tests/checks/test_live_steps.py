"""A staircase while it is climbed: a step has a verdict when it is over, settled and seen, and not before."""

from __future__ import annotations

import json

import pytest

from checks.evidence import Evidence
from checks.follow import _a_step_waits
from checks.live import LiveRecord, LiveRun, Timeline, evaluate_live, live_content, windows_until
from checks.live_fiche import live_fiche
from checks.record_inputs import environment_of, scenario_of
from checks.windows import Windows
from run_record.store import SEAL, RunRecord
from tests.support.ramp import REST_S, START_S, STEP_S, ramp_metrics, write_ramp
from tests.support.records import T0_NS, T0_S, write_evidence

STEPS = ["step_1000", "step_2500"]
ENDED_S = START_S + STEP_S


@pytest.fixture
def look(tmp_path):
    """What the live verdict says of the steps at an instant, when Prometheus knows all up to another."""

    def at(now_s, known_s=None, *, metrics=None, **settings):
        directory = write_ramp(tmp_path / f"{now_s}", STEPS, **settings)
        write_evidence(directory, metrics or ramp_metrics(STEPS))
        evidence = Evidence.open(RunRecord.open(directory).evidence())
        record = directory / "record"
        for name in (SEAL, "ledger.json", "latency.json"):
            (record / name).unlink()
        manifest = json.loads((record / "manifest.json").read_text(encoding="utf-8"))
        (record / "manifest.json").write_text(json.dumps({**manifest, "phases": [], "ending": None}), encoding="utf-8")
        for name in ("events.jsonl", "timeline.jsonl"):
            lines = [json.loads(line) for line in (record / name).read_text(encoding="utf-8").splitlines()]
            kept = [line for line in lines if line["at_ns"] <= T0_NS + now_s * 1e9]
            (record / name).write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        timeline = Timeline(record / "timeline.jsonl")
        timeline.read()
        live = LiveRecord.of(RunRecord.open(directory), tuple(timeline.rows), timeline.histograms)
        scenario, environment = scenario_of(live.manifest).scenario, environment_of(live.manifest).environment
        known_s = now_s - 4 if known_s is None else known_s
        windows = windows_until(Windows.of(live, environment), T0_S + known_s)
        run = LiveRun(record=live, evidence=evidence, environment=environment, windows=windows)
        evaluation = evaluate_live(run, scenario)
        return live_content(run, scenario, evaluation)["steps"], evaluation

    return at


def test_step_that_goes_on_has_no_verdict(look):
    steps, found = look(START_S + 15)
    assert steps == {}
    assert found.result("s1000_p99").verdict.value == "NOT_RUN"


def test_step_that_is_over_is_not_judged_before_prometheus_has_seen_what_follows_it(look):
    assert look(ENDED_S + 30, known_s=ENDED_S + 5)[0] == {}


def test_step_that_is_over_and_seen_is_judged(look):
    steps, found = look(ENDED_S + 30)
    assert {r.criterion.id: r.reason for r in found.results if r.of_step and r.verdict.value == "INCONCLUSIVE"} == {}
    assert steps == {"step_1000": "GO"}
    assert found.result("s1000_load").measurement.value == 100
    assert found.result("s2500_p99").verdict.value == "NOT_RUN"


def test_step_whose_backlog_may_still_go_is_judged_when_its_rest_is_over(look):
    settings = {"backlog": {"step_1000": 5000.0}, "recovers_s": 500.0}
    assert look(ENDED_S + 60, **settings)[0] == {}
    steps, found = look(ENDED_S + REST_S + 6, known_s=ENDED_S + REST_S + 1, **settings)
    assert steps == {"step_1000": "NOGO"}
    assert found.result("s1000_recovery").verdict.value == "NOGO"


def test_slow_step_is_nogo_by_its_own_records(look):
    assert look(ENDED_S + 30, e2e_ms={"step_1000": 3000.0})[0] == {"step_1000": "NOGO"}


def test_second_step_is_not_judged_by_the_first_ones_records(look):
    at_s = ENDED_S + REST_S + STEP_S + 30
    steps, found = look(at_s, e2e_ms={"step_1000": 3000.0})
    assert steps == {"step_1000": "NOGO", "step_2500": "GO"}
    assert found.result("s2500_p99").measurement.value == pytest.approx(30, rel=0.01)
    assert found.result("s2500_load").measurement.value == 100


@pytest.mark.parametrize(
    ("looked_s", "until_s", "waits"),
    [
        (None, 19, False),
        (None, 21, True),
        (15, 21, True),
        (20, 40, False),
        (40, 121, True),
        (120, 140, False),
    ],
)
def test_run_that_waits_for_a_step_is_looked_at_whatever_it_costs(tmp_path, looked_s, until_s, waits):
    """20 s after the step's end, and when its rest of 120 s is over; seconds are counted from the step's end."""
    directory = write_ramp(tmp_path, ["step_1000"])
    record = RunRecord.open(directory)
    phases = tuple(phase for phase in record.manifest.phases if phase.kind != "drain" and phase.kind != "watch")
    phases = (*phases[:-1], phases[-1].model_copy(update={"planned_s": REST_S}))
    at_rest = LiveRecord.of(record, (), {})
    object.__setattr__(at_rest, "manifest", record.manifest.model_copy(update={"phases": phases}))
    ended_s = T0_S + ENDED_S
    looked = None if looked_s is None else ended_s + looked_s
    assert _a_step_waits(at_rest, looked_s=looked, until_s=ended_s + until_s) is waits


def test_latencies_of_a_stretch_are_the_same_while_the_run_goes_on_and_are_merged_once(tmp_path):
    record = RunRecord.open(write_ramp(tmp_path, STEPS))
    timeline = Timeline(record.directory / "record" / "timeline.jsonl")
    timeline.read()
    edges_ns = (T0_NS + round(START_S * 1e9), T0_NS + round(ENDED_S * 1e9))
    whole = record.histogram_between("e2e", *edges_ns)
    pictures = [LiveRecord.of(record, tuple(timeline.rows), timeline.histograms, timeline) for _ in range(2)]
    found = [picture.histogram_between("e2e", *edges_ns) for picture in pictures]
    assert found[0].to_json() == whole.to_json()
    assert whole.count > 0
    assert found[1] is found[0]


def test_checkpoint_fiche_names_the_steps_that_were_judged_and_leaves_out_those_that_were_not_begun(tmp_path, look):
    _, found = look(ENDED_S + 30)
    run = next(iter(tmp_path.glob(f"{ENDED_S + 30}/*phase4_ramp")))
    record = RunRecord.open(run)
    timeline = Timeline(run / "record" / "timeline.jsonl")
    timeline.read()
    live = LiveRecord.of(record, tuple(timeline.rows), timeline.histograms, timeline)
    scenario, environment = scenario_of(live.manifest).scenario, environment_of(live.manifest).environment
    windows = windows_until(Windows.of(live, environment), T0_S + ENDED_S + 26)
    evidence = Evidence.open(record.evidence())
    text = live_fiche(
        LiveRun(record=live, evidence=evidence, environment=environment, windows=windows),
        scenario,
        found,
        language="fr",
    )
    assert "| `step_1000` | **GO** |" in text
    assert "`s1000_p99`" in text
    assert "`s2500_p99`" not in text
