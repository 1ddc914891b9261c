"""A load generator that stood still, stopped, or whose clock was set: what becomes of the figures, and what is said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checks.case import Case
from checks.consistency import Contradiction, Equation
from checks.measures.registry import measure
from checks.reasons import Code
from run_record.manifest import Cut, Ending
from run_record.store import SEAL, RunRecord, sums
from tests.checks.conftest import Judged
from tests.support.records import (
    HEALTHY,
    LOAD_END_S,
    LOAD_START_S,
    PHASES,
    T0_NS,
    scenario_text,
    write_evidence,
    write_run,
)

MID_LOAD_NS = T0_NS + round((LOAD_START_S + LOAD_END_S) / 2 * 1e9)
#: Before the load, so that nothing is measured in what is taken away.
ROWS_KEPT = 12
CLOCK = {"ahead_of_master_ns": 0, "largest_step_ns": 0}


def stall(event: str = "stood_still", worker: str | None = "w", lasted_s: float = 6.0, from_ns: int = MID_LOAD_NS):
    return {"at_ns": from_ns, "event": event, "worker": worker, "from_ns": from_ns, "lasted_s": lasted_s}


def identity_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """What a worker of the run that this manifest tells of has said."""
    environment = manifest["environment"]
    return {
        "versions": manifest["versions"],
        "load": manifest["load"],
        "scenario_sha256": manifest["scenario"]["sha256"],
        "environment": environment["name"],
        "environment_file": "/there/environment.yaml",
        "environment_sha256": hashlib.sha256(environment["text"].encode()).hexdigest(),
        "source_cluster_id": environment["source"]["cluster_id"],
        "target_cluster_id": environment["target"]["cluster_id"],
        "plan_sha256": "a" * 64,
    }


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., Judged]:
    """A run of which the record tells more: events, and its worker's clock."""

    def build(
        *events: dict[str, Any],
        clock: dict[str, int] | None = None,
        other: dict[str, str] | None = None,
        rows_lost: int = 0,
        **settings: Any,
    ) -> Judged:
        directory = write_run(tmp_path, **settings)
        record = directory / "record"
        manifest = json.loads((record / "manifest.json").read_text(encoding="utf-8"))
        manifest["workers"][0]["clock"] = clock
        if other is not None:
            manifest["workers"][0]["identity"] = identity_of(manifest) | other
        lines = (record / "timeline.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [*lines[:ROWS_KEPT], *lines[ROWS_KEPT + rows_lost :]] if rows_lost else lines
        (record / "timeline.jsonl").write_text("".join(kept), encoding="utf-8")
        (record / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        with (record / "events.jsonl").open("a", encoding="utf-8") as lines:
            lines.writelines(json.dumps(event) + "\n" for event in events)
        (record / SEAL).write_text(sums(record), encoding="utf-8")
        write_evidence(directory, None)
        return Judged(directory)

    return build


def measured(judged: Judged, name: str):
    record = RunRecord.open(judged._directory)
    return measure(name, Case.of(record, record.evidence()).run)


# --- records that were never sent ------------------------------------------------------------------------------------


def test_a_generator_that_stopped_for_good_is_not_punctual_by_what_it_did_send(told):
    stopped = told(counts=replace(HEALTHY, sent=60, acked=60, arrived=60), send_delay_ms=[1.0] * 60, e2e_ms=[20.0] * 60)
    p99 = measured(stopped, "load.send_delay_p99")
    assert p99.value == float("inf")
    assert (p99.note.code, p99.note.params, p99.samples) == (Code.NEVER_SENT, {"missing": 40}, 100)
    largest, mean = (measured(stopped, f"load.send_delay_{name}") for name in ("max", "mean"))
    assert largest.at_least
    assert mean.at_least
    assert stopped.criteria["send_delay"]["verdict"] != "GO"
    assert stopped.content["verdict"] not in ("GO", "NOGO"), "a generator cannot blame the system under test"


def test_one_record_of_many_that_was_never_sent_moves_no_percentile(told):
    counts = replace(HEALTHY, sent=999, acked=999, arrived=999)
    scenario = scenario_text().replace("rate: 10/s", "rate: 100/s")
    phases = [(*phase[:4], 1000 if phase[1] == "load" else 0) for phase in PHASES]
    told_of = told(counts=counts, scenario=scenario, phases=phases, send_delay_ms=[1.0] * 999)
    p99 = measured(told_of, "load.send_delay_p99")
    assert (p99.value, p99.note) == (1, None)


@pytest.mark.parametrize(
    "ending",
    [
        Ending(how="stopped", aborted=True, at_ns=T0_NS + 10**12),
        Ending(
            how="criterion",
            aborted=False,
            at_ns=T0_NS + 10**12,
            cut=Cut(criterion="c", value=1.0, unit="ms", nogo_since_ns=1, at_ns=2, due_records=60),
        ),
    ],
    ids=["stopped by a person", "ended by a criterion"],
)
def test_what_a_load_that_was_ended_did_not_send_was_not_late(told, ending):
    counts = replace(HEALTHY, sent=60, acked=60, arrived=60)
    found = measured(told(counts=counts, ending=ending, send_delay_ms=[1.0] * 60), "load.send_delay_p99")
    assert (found.value, found.note) == (1, None)


# --- stalls ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (stall(), "le générateur de charge w est resté figé 6 s à partir de"),
        (stall(worker=None), "le générateur de charge master est resté figé"),
        (stall("load_held"), "le générateur de charge w n'entendait plus son maître et n'a rien envoyé pendant 6 s"),
    ],
)
def test_a_generator_that_was_interrupted_is_named_with_when_and_how_long_and_decides_nothing(told, event, said):
    judged = told(event)
    fiche = judged.fiche.replace("`", "")
    assert "Réserves" in fiche
    assert said in fiche
    assert judged.content["verdict"] == "GO"


def test_of_several_stalls_the_longest_is_named_and_how_many_there_were(told):
    fiche = told(stall(lasted_s=2.0), stall(lasted_s=9.0), stall(lasted_s=3.0)).fiche
    assert fiche.count("est resté figé") == 1
    assert "est resté figé 9 s" in fiche
    assert "3 interruptions en tout" in fiche


def test_a_stall_of_before_the_load_or_after_the_drain_is_none_of_the_figures(told):
    before, after = T0_NS, T0_NS + round((LOAD_END_S + 3600) * 1e9)
    assert "Réserves" not in told(stall(from_ns=before, lasted_s=1.0), stall(from_ns=after)).fiche


@pytest.mark.parametrize("key", ["lasted_s", "from_ns", "worker"])
def test_an_event_that_lacks_a_key_is_no_reservation_and_no_crash(told, key):
    event = stall()
    del event[key]
    assert "est resté figé" not in told(event).fiche


def test_seconds_that_the_process_stood_still_that_writes_them_are_missing_from_no_record(told):
    """Others' stalls leave no hole in the timeline."""
    long = {"lasted_s": 30.0, "from_ns": T0_NS + ROWS_KEPT * 10**9}
    assert contradictions(told(stall(**long) | {"master": True}, rows_lost=30)) == []
    for events in ([], [stall(**long) | {"master": False}], [stall(**long)]):
        assert [one.equation for one in contradictions(told(*events, rows_lost=30))] == [Equation.ROWS_MISSING]


# --- who the worker was ----------------------------------------------------------------------------------------------


def contradictions(judged: Judged) -> list[Contradiction]:
    return list(judged._case.run.contradictions)


def test_a_worker_that_played_what_the_record_says_contradicts_nothing(told):
    assert contradictions(told(other={})) == []
    assert contradictions(told()) == [], "schema 1 does not tell"


@pytest.mark.parametrize(
    "key", ["load", "scenario_sha256", "environment_sha256", "source_cluster_id", "target_cluster_id"]
)
def test_a_worker_that_played_something_else_than_the_record_says_makes_it_unreliable(told, key):
    judged = told(other={key: "perf-test" if key == "load" else "another"})
    (found,) = contradictions(judged)
    assert found.equation is Equation.WORKERS
    assert found.where == f"record/manifest.json: workers.0.identity.{key}"
    assert judged.content["verdict"] == "INCONCLUSIVE"


# --- a worker's clock ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_s", [5, -5])
def test_a_workers_clock_that_was_set_takes_mm2s_latencies_with_it_and_nothing_else(told, step_s):
    judged = told(clock=CLOCK | {"largest_step_ns": step_s * 10**9})
    for name in ("mm2.latency_avg", "mm2.latency_max"):
        found = measured(judged, name)
        assert found.why_not.code is Code.WORKER_CLOCK_STEPPED, name
        assert found.why_not.params == {"worker": "local", "step_s": step_s}
    assert measured(judged, "connect.in_flight_max").value is not None
    assert measured(judged, "e2e.max").value == 20, "one node's monotonic clock times both ends"
    assert "l'horloge du générateur de charge" in judged.fiche


@pytest.mark.parametrize("clock", [None, CLOCK, CLOCK | {"largest_step_ns": 300_000_000}])
def test_a_clock_that_was_slewed_or_of_which_nothing_is_told_takes_nothing(told, clock):
    judged = told(clock=clock)
    assert measured(judged, "mm2.latency_avg").value is not None
    assert "Réserves" not in judged.fiche
