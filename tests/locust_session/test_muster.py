"""The muster: a node that would do otherwise than the master ends the run before anything is created, prepared or sent,
and is named with all that differs; the others' identities are in the record."""

from __future__ import annotations

import time

import pytest

from locust_session import muster as muster_module
from locust_session.wire import ToNodes
from run_record.store import RunRecord
from scenarios.errors import ExitCode
from tests.locust_session.fakes import Stage, quick_plan, quicken

NOTHING_MORE = {"mm2gate.identify", "mm2gate.pulse"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    quicken(monkeypatch)
    monkeypatch.setattr(muster_module, "IDENTIFIED_WITHIN_S", 0.3)


@pytest.fixture
def stage(tmp_path):
    return lambda *faults, **more: Stage(tmp_path, quick_plan(), *faults, **more)


def refused(played: Stage) -> list[str]:
    """Plays it; the lines of its refusal. Nothing was created, prepared or sent."""
    record = played.play()
    assert played.conductor.exit_code == ExitCode.REFUSED, played.conductor.detail
    assert played.master.created == 0
    assert {kind for node in played.nodes for kind, _ in node.heard} <= NOTHING_MORE
    assert record.sealed
    assert record.ledger is None
    assert record.manifest.ending.detail == played.conductor.detail
    return played.conductor.detail.splitlines()


def test_a_worker_with_another_environment_ends_the_run_before_anything_is_created_or_sent(stage):
    played = stage(nodes=2)
    played.nodes[1].other = {"environment": "prod", "environment_sha256": "f" * 64, "source_cluster_id": "CCCC"}
    (said,) = refused(played)
    assert said.startswith("worker host (pid 1, 1) does not play what the master plays: environment prod (")
    for part in ("sha256 ffffffffffff", "source CCCC, target BBBB", "the master's is desk (", "source AAAA"):
        assert part in said


def test_every_worker_that_differs_is_named_with_all_that_differs(stage):
    played = stage(nodes=3)
    played.nodes[0].other = {"scenario_sha256": "e" * 64, "load": "none"}
    played.nodes[2].ahead_ns = -5 * 10**9
    first, second = refused(played)
    assert "worker host (pid 1, 0)" in first
    assert "--load none" in first
    assert "scenario eeeeeeeeeeee" in first
    assert "worker host (pid 1, 2)" in second
    assert "clock 5.0 s behind" in second


def test_what_a_workers_own_client_sees_is_named(stage):
    played = stage(nodes=2)
    trouble = "source cluster at 127.0.0.1:1: is cluster ZZZZ, but desk.yaml says AAAA"
    played.nodes[0].cluster_trouble = trouble
    assert refused(played) == [f"worker host (pid 1, 0): {trouble}"]


@pytest.mark.parametrize(
    ("mm2gate", "said"), [("", "mm2gate a version that does not say which it is"), ("1.9.0", "mm2gate 1.9.0")]
)
def test_a_worker_of_another_version_is_refused_in_words_and_not_waited_for(stage, monkeypatch, mm2gate, said):
    monkeypatch.setattr(muster_module, "IDENTIFIED_WITHIN_S", 60.0)
    played = stage(nodes=2, versions={"mm2gate": "2.0.0"})
    played.nodes[0].mm2gate, played.nodes[1].mm2gate = "2.0.0", mm2gate
    began_s = time.monotonic()
    (line,) = refused(played)
    assert time.monotonic() - began_s < 30
    assert f"{said}, the master's is 2.0.0" in line
    assert not played.nodes[1].told(ToNodes.IDENTIFY), "it may not know the question"


def test_a_worker_that_does_not_answer_who_it_is_ends_the_run(stage):
    played = stage("no_identity", nodes=2)
    (line,) = refused(played)
    assert line.startswith("worker host (pid 1, 1) did not say what it would play within 0.3 s")


def test_a_run_that_is_ended_while_its_nodes_are_asked_is_ended_and_not_refused(stage, monkeypatch):
    monkeypatch.setattr(muster_module, "IDENTIFIED_WITHIN_S", 60.0)
    played = stage("no_identity")

    def end() -> None:
        while not played.nodes[0].told(ToNodes.IDENTIFY):
            time.sleep(0.002)
        played.conductor.end_early("sigterm")

    record = played.play(end)
    assert record.manifest.ending.how == "sigterm"
    assert played.conductor.exit_code is None
    assert played.master.created == 0


def test_the_record_lists_who_every_worker_was(stage):
    played = stage(nodes=2, versions={"mm2gate": "2.0.0", "python": "3.11"})
    for node, ahead_ns in zip(played.nodes, (0, 400_000_000), strict=True):
        node.mm2gate, node.ahead_ns = "2.0.0", ahead_ns
    record = played.play()
    first, second = record.manifest.workers
    assert first.identity == second.identity
    assert first.identity.versions["mm2gate"] == "2.0.0"
    assert first.identity.scenario_sha256 == record.manifest.scenario.sha256
    assert (first.identity.source_cluster_id, first.identity.target_cluster_id) == ("AAAA", "BBBB")
    assert (first.clock.ahead_of_master_ns, second.clock.ahead_of_master_ns) == (0, 400_000_000)


def test_a_refused_worker_is_in_the_record_with_what_it_said(stage):
    played = stage()
    played.nodes[0].other = {"environment_sha256": "f" * 64}
    refused(played)
    (worker,) = RunRecord.open(played.conductor.directory).manifest.workers
    assert worker.identity.environment_sha256 == "f" * 64
