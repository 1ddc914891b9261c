"""Runs that break, each on topics of its own: they do so side by side, and beside other tests."""

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
from tests.lab.runs import LOCUST, Run, faults, variant

REFUSED = f"{REMOTE_PREFIX}faults-refused-1"
#: A load that goes on for long after some hundreds of its records have arrived, and how many it sends.
AT_LENGTH = ("duration: 6s", "duration: 20s")
FAULTS_AT_LENGTH_RECORDS = 6000
#: At how many instants a run is ended. `MM2GATE_SIGTERM_INSTANTS=20` asks for more than a test run has time for.
INSTANTS = int(os.environ.get("MM2GATE_SIGTERM_INSTANTS", "2"))


def admin(lab: Lab, cluster: str) -> AdminClient:
    seen = lab.seen_by(ADMIN)
    return AdminClient(client_configuration(getattr(seen.environment, cluster), seen, "test"))


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


def topic_deleted(lab: Lab, directory: Path) -> Run:
    run = Run.start(faults("deleted", directory, AT_LENGTH), lab, directory / "runs")
    run.until(lambda: run.arrived > 600)
    topic = f"{TOPIC_PREFIX}faults-deleted-1"
    client = admin(lab, "source")
    client.delete_topics([topic])[topic].result(10)
    run.wait()
    return run


def read_refused(lab: Lab, directory: Path) -> Run:
    run = Run.start(faults("refused", directory, AT_LENGTH), lab, directory / "runs")
    run.until(lambda: run.arrived > 600)
    with denied(lab, REFUSED):
        run.wait()
    return run


def disk_full(lab: Lab, directory: Path) -> Run:
    """The kernel refuses to let any file grow beyond 12 KB, as it does on a full disk, in the middle of a row too.

    A row of the timeline is some 400 bytes: a load of a minute gets there long before its end.
    """
    limited = ("prlimit", f"--fsize={12 * 1024}", *LOCUST, "--headless")
    scenario = faults("full", directory, ("duration: 6s", "duration: 60s"))
    run = Run.start(scenario, lab, directory / "runs", limited)
    run.wait()
    return run


def strict(lab: Lab, directory: Path) -> Run:
    """The short scenario at length, under a limit that nothing can hold and that ends the load."""
    scenario = variant(
        directory / "strict.yaml",
        ("short-{n}", "strict-{n}"),
        ("rate: 500/s, duration: 5s", "rate: 500/s, duration: 300s"),
        ('go: "< 30 s"}', 'go: "< 1 ms", stop: {after: 5s, grace: 5s}}'),
    )
    run = Run.start(scenario, lab, directory / "runs")
    run.wait()
    return run


def ended_at(lab: Lab, directory: Path, instant: int) -> tuple[Run, str]:
    """A run that gets SIGTERM at a random instant, from its first moment to the middle of the judge's work."""
    after_s = random.Random(f"{INSTANTS} {instant}").uniform(0.2, 18)
    run = Run.start(faults(f"term{instant}", directory), lab, directory / "runs")
    deadline_s = time.monotonic() + after_s
    while time.monotonic() < deadline_s and run.process.poll() is None:
        time.sleep(0.02)
    run.signal(signal.SIGTERM)
    run.wait()
    return run, f"SIGTERM after {after_s:.2f} s: {run.output}"


class Broken:
    """The runs, each a future."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self._pool = ThreadPoolExecutor(3)
        self._directory = directory
        self.deleted = self._play(topic_deleted, lab, "deleted")
        self.refused = self._play(read_refused, lab, "refused")
        self.full = self._play(disk_full, lab, "full")
        self.strict = self._play(strict, lab, "strict")
        self.ended: list[Future[tuple[Run, str]]] = [
            self._play(ended_at, lab, f"term{instant}", instant) for instant in range(INSTANTS)
        ]

    def _play(self, what: Any, lab: Lab, name: str, *more: int) -> Future[Any]:
        directory = self._directory / name
        directory.mkdir()
        return self._pool.submit(what, lab, directory, *more)

    def close(self) -> None:
        self._pool.shutdown(wait=True)
