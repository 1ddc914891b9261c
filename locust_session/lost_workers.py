"""Which workers Locust has given up, and how long it waits before it does. It says so only in its log."""

from __future__ import annotations

from collections.abc import Iterable

from locust import runners
from locust.runners import MasterRunner, Runner

#: Heartbeats, one a second, that a worker may miss. Locust's three would take one that stands still for five seconds
#: for dead, and end the test with it when it is the only one; a machine that is moved to another host takes as long.
PATIENCE_BEATS = 15


def be_patient() -> None:
    """For the masters of this process: Locust has no option for it."""
    runners.HEARTBEAT_LIVENESS = PATIENCE_BEATS


def lost(runner: Runner, workers: Iterable[str]) -> list[str]:
    """Of these workers those that left or went missing; one that is missing stays in `clients` for a minute."""
    if not isinstance(runner, MasterRunner):
        return []
    missing = {client.id for client in runner.clients.missing}
    return [worker for worker in workers if worker in missing or worker not in runner.clients]
