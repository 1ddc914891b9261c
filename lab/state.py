"""What one lab command leaves for the next: `lab.json`.

It is written before the first process starts and again after each one, so a command that is killed leaves behind
what `down` needs. It is advice, not truth: whether a process lives is asked of the kernel each time.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from lab.cache import write_atomically
from lab.process import ProcessId
from scenarios.errors import LabError

SCHEMA = 1


class Stage(StrEnum):
    """How far `up` came."""

    STARTING = "starting"
    UP = "up"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabState:
    """One lab, as data."""

    lab_id: str
    stage: Stage
    kafka_version: str
    ports: dict[str, int]
    cluster_ids: dict[str, str]
    commands: dict[str, tuple[str, ...]]
    """What started each component: starting it again is the same command, whatever was installed since."""
    processes: dict[str, ProcessId] = field(default_factory=dict)

    def with_process(self, component: str, process: ProcessId) -> LabState:
        """The state after a component was started."""
        return replace(self, processes={**self.processes, component: process})


def save(state: LabState, file: Path) -> None:
    """Replace the file in one step."""
    write_atomically(file, json.dumps({"schema": SCHEMA, **asdict(state)}, indent=2) + "\n", mode=0o600)


def load(file: Path) -> LabState | None:
    """What the file says; None when there is none. LabError when it is not ours to understand."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LabError(
            f"{file} cannot be read ({error}); end the lab's processes by hand and remove {file.parent}"
        ) from None
    try:
        if data["schema"] != SCHEMA:
            raise LabError(f"{file} was written by another version of mm2gate; take that lab down with that version")
        return LabState(
            lab_id=str(data["lab_id"]),
            stage=Stage(data["stage"]),
            kafka_version=str(data["kafka_version"]),
            ports={str(name): int(port) for name, port in data["ports"].items()},
            cluster_ids={str(name): str(value) for name, value in data["cluster_ids"].items()},
            commands={str(name): tuple(map(str, argv)) for name, argv in data["commands"].items()},
            processes={
                str(name): ProcessId(pid=int(entry["pid"]), started_s=float(entry["started_s"]))
                for name, entry in data["processes"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LabError(
            f"{file} is damaged ({error!r}); end the lab's processes by hand and remove {file.parent}"
        ) from None
