"""A run on another `tasks.max`: sets it on MM2's source connector, and restores what was, however the run ends.

What was is on disk before anything is changed (in the runs' directory, without the rest of the configuration, which may
hold secrets), so that even after a SIGKILL the next run on the same connector restores it first. The caller lets
signals raise (`runbook.signals.interruptible`); the restoring itself is not cut short by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from clients.connect import Connect
from run_record.store import private_directory, write_json
from runbook.output import say
from runbook.signals import finishing
from scenarios.environment import LoadedEnvironment
from scenarios.errors import Mm2gateError, Refused

KEY = "tasks.max"
#: Connect's own default, where the configuration has no such key.
DEFAULT = "1"
SETTLES_WITHIN_S = 120.0


@contextmanager
def tasks_max(environment: LoadedEnvironment, wanted: int, runs_directory: Path) -> Iterator[None]:
    """While the block runs, the source connector has so many tasks at most. Raises Refused or ConnectFailure."""
    connector, connect = environment.environment.connect.connectors.source, Connect.of(environment)
    seen, meant = connect.root().kafka_cluster_id, environment.environment.target.cluster_id
    if seen != meant:
        raise Refused(
            f"Connect keeps its state on cluster {seen}, and the target of {environment.file} is {meant}; "
            f"{KEY} is not changed on a Connect that is not the one meant"
        )
    undo = runs_directory / f".undo-{quote(connector, safe='')}.json"
    restore(connect, undo)
    before = connect.config(connector).get(KEY, DEFAULT)
    if before == str(wanted):
        yield
        return
    private_directory(runs_directory, exist_ok=True)
    try:
        write_json(undo, {"connector": connector, KEY: before})
        _set(connect, connector, str(wanted))
        yield
    finally:
        with finishing(f"{KEY} is being put back; wait for it"):
            restore(connect, undo)


def restore(connect: Connect, undo: Path) -> None:
    """Puts back what a run before left changed, if one did; says so, and how to do it by hand when it fails."""
    if not undo.is_file():
        return
    try:
        content = json.loads(undo.read_text(encoding="utf-8"))
        connector, before = str(content["connector"]), str(content[KEY])
    except (ValueError, KeyError, TypeError):
        raise Refused(
            f"{undo}: says what a run left changed, and cannot be read; put {KEY} right, and delete it"
        ) from None
    try:
        _set(connect, connector, before)
    except Mm2gateError as error:
        raise Refused(
            f"{connector}: {KEY} could not be set back to {before} ({error}); set it, and delete {undo}"
        ) from None
    undo.unlink()


def _set(connect: Connect, connector: str, value: str) -> None:
    """Replaces the one key, whatever else the configuration says by now, and waits until the tasks run again."""
    config = connect.config(connector)
    connect.put_config(connector, {**config, KEY: value})
    connect.wait_running(connector, timeout_s=SETTLES_WITHIN_S)
    say(f"{connector}: {KEY} = {value} (was {config.get(KEY, DEFAULT)})", err=True)
