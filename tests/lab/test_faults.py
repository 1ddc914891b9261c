"""What breaks under a run is told for what it is: a verdict, no hang, and nothing lost of what was recorded before."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from clients.kafka import client_configuration
from lab.accounts import ADMIN, LOAD, REMOTE_PREFIX, TOPIC_PREFIX
from lab.handles import Lab
from tests.lab.runs import LOCUST, Run, mm2gate

PLANNED = 1800
REFUSED = f"{REMOTE_PREFIX}faults-refused-1"
TEMPLATE = Path(__file__).with_name("faults.yaml")
#: At how many instants a run is ended. `MM2GATE_SIGTERM_INSTANTS=20` asks for more than a test run has time for.
INSTANTS = int(os.environ.get("MM2GATE_SIGTERM_INSTANTS", "2"))


def scenario(topic: str, directory: Path) -> str:
    path = directory / "faults.yaml"
    path.write_text(TEMPLATE.read_text(encoding="utf-8").replace("TOPIC", topic), encoding="utf-8")
    return str(path)


def admin(lab: Lab, cluster: str) -> AdminClient:
    seen = lab.seen_by(ADMIN)
    return AdminClient(client_configuration(getattr(seen.environment, cluster), seen, "test"))


def whole(run: Run) -> dict[str, int]:
    """The totals of a record that is sealed and adds up."""
    record = run.record
    assert record.sealed, run.output
    counts = record.counts()
    assert counts is not None
    assert counts.balanced, counts
    assert "Traceback" not in run.output
    return run.totals


@contextmanager
def denied(lab: Lab, topic: str) -> Iterator[None]:
    """The load's user may not read this topic of the target."""
    place = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, f"User:{LOAD}", "*")
    rule = (AclOperation.READ, AclPermissionType.DENY)
    client = admin(lab, "target")
    for future in client.create_acls([AclBinding(*place, *rule)]).values():
        future.result(10)
    try:
        yield
    finally:
        for future in client.delete_acls([AclBindingFilter(*place, *rule)]).values():
            future.result(10)


# --- what breaks, each on a topic of its own, so that they can break side by side -------------------------------------


def topic_deleted(lab: Lab, directory: Path) -> Run:
    run = Run.start(scenario("deleted", directory), lab, directory / "runs")
    run.until_phase("steady")
    time.sleep(3)
    topic = f"{TOPIC_PREFIX}faults-deleted-1"
    client = admin(lab, "source")
    client.delete_topics([topic])[topic].result(10)
    run.wait(within_s=90)
    return run


def read_refused(lab: Lab, directory: Path) -> Run:
    run = Run.start(scenario("refused", directory), lab, directory / "runs")
    run.until_phase("steady")
    time.sleep(3)
    with denied(lab, REFUSED):
        run.wait(within_s=90)
    return run


def disk_full(lab: Lab, directory: Path) -> Run:
    """The kernel refuses to let any file grow beyond 6 KB, as it does on a full disk, in the middle of a row too."""
    limited = ("prlimit", f"--fsize={6 * 1024}", *LOCUST, "--headless")
    run = Run.start(scenario("full", directory), lab, directory / "runs", limited)
    run.wait(within_s=60)
    return run


def ended_at(lab: Lab, directory: Path, instant: int) -> tuple[Run, str]:
    """A run that gets SIGTERM at a random instant, from its first moment to the middle of the judge's work."""
    after_s = random.Random(f"{INSTANTS} {instant}").uniform(0.2, 18)
    run = Run.start(scenario(f"term{instant}", directory), lab, directory / "runs")
    deadline_s = time.monotonic() + after_s
    while time.monotonic() < deadline_s and run.process.poll() is None:
        time.sleep(0.02)
    run.signal(signal.SIGTERM)
    run.wait(within_s=40)
    return run, f"SIGTERM after {after_s:.2f} s: {run.output}"


class Broken:
    """The runs, each a future."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self._pool = ThreadPoolExecutor(3)
        self._directory = directory
        self.deleted = self._play(topic_deleted, lab, "deleted")
        self.refused = self._play(read_refused, lab, "refused")
        self.full = self._play(disk_full, lab, "full")
        self.ended: list[Future[tuple[Run, str]]] = [
            self._play(ended_at, lab, f"term{instant}", instant) for instant in range(INSTANTS)
        ]

    def _play(self, what: Any, lab: Lab, name: str, *more: int) -> Future[Any]:
        directory = self._directory / name
        directory.mkdir()
        return self._pool.submit(what, lab, directory, *more)

    def close(self) -> None:
        self._pool.shutdown(wait=True)


@pytest.fixture(scope="module")
def broken(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    runs = Broken(lab, tmp_path_factory.mktemp("faults"))
    yield runs
    runs.close()


# --- what the records say ---------------------------------------------------------------------------------------------


def test_source_topic_deleted_mid_run_is_send_errors_by_name_and_nothing_lost(broken: Broken) -> None:
    run = broken.deleted.result()
    totals = whole(run)
    assert run.process.returncode in (20, 30), run.output
    assert totals["arrived"] > 300
    assert totals["failed"] + totals["unknown"] > 300, totals
    assert totals["lost"] == 0, "MM2 may not have had them before they were gone; nobody can tell"
    assert run.criteria["send_errors"]["verdict"] != "GO"
    assert run.record.ledger is not None
    assert run.record.ledger["last_errors"], "what the source said"


def test_target_read_refused_mid_run_is_inconclusive_by_name_never_lost(broken: Broken) -> None:
    run = broken.refused.result()
    totals = whole(run)
    assert run.process.returncode == 30, run.output
    assert totals["sent"] == totals["acked"] == PLANNED
    assert 0 < totals["arrived"] < PLANNED
    assert totals["lost"] == 0, "it could not be read, which proves nothing"
    assert run.record.ledger is not None
    assert run.record.ledger["read_refused"] == [REFUSED]
    assert run.criteria["lost"]["reason"]["code"] == "read_refused"
    assert REFUSED in run.fiche


def test_disk_full_under_the_runs_ends_the_load_with_a_sentence_and_what_was_recorded_is_judged(
    broken: Broken,
) -> None:
    run = broken.full.result()
    assert run.process.returncode in (50, 70), run.output
    assert "record cannot be written" in run.output
    assert "Traceback" not in run.output, run.output
    assert max(row.sent for row in run.record.timeline) > 0
    assert run.record.torn == ()
    done = mm2gate("judge", str(run.directory))
    assert done.returncode == 50, done.stdout + done.stderr
    assert run.verdict["aborted"] is True
    assert "INDÉTERMINÉ" in run.fiche


@pytest.mark.parametrize("instant", range(INSTANTS))
def test_sigterm_at_a_random_instant_leaves_a_whole_record(broken: Broken, instant: int) -> None:
    run, what = broken.ended[instant].result()
    code = run.process.returncode
    assert "Traceback" not in run.output, what
    directories = list(run.runs_directory.iterdir()) if run.runs_directory.exists() else []
    if not directories:
        assert code == 50, what
        return
    record = run.record
    assert record.sealed, what
    assert record.manifest.ending is not None
    if record.manifest.ending.how == "completed":  # it came while the record was being judged
        assert code in (0, 50), what
    else:
        assert (code, record.manifest.ending.how) == (50, "sigterm"), what
    counts = record.counts()
    if counts is not None:
        assert counts.balanced, what
        assert counts.sent == counts.acked == counts.arrived, what


def test_target_broker_restarted_mid_run_loses_nothing(lab: Lab, broken: Broken, tmp_path: Path) -> None:
    broken.close()
    run = Run.start(scenario("restart", tmp_path), lab, tmp_path / "runs")
    run.until_phase("steady")
    time.sleep(2)
    lab.component("target").stop()
    lab.component("target").start()
    code = run.wait(within_s=120)
    totals = whole(run)
    assert totals["sent"] == totals["acked"] == PLANNED
    assert totals["lost"] == 0
    assert totals["arrived"] + totals["late"] == PLANNED
    assert code in (0, 20), run.output
    assert "worker_lost" not in {event["event"] for event in run.record.events}
