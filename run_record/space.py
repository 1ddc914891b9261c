"""How much room a run takes on the disk, before it is played: more than it will, never much less.

The record grows with time, Prometheus's answers with scrapes × series. How many workers and tasks there are is not
known yet, so they are reckoned as many; tests hold the figures against records as they are, and against a run of a day.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from scenarios.errors import Refused
from scenarios.plan import RunPlan

MIB = 1024**2
#: A second of the timeline; and one that holds histograms: every tenth, every sixtieth after the first hour.
ROW_BYTES = 450
HISTOGRAMS_BYTES = 10_000
HISTOGRAMS_EVERY_S, HISTOGRAMS_EVERY_S_LATER, LATER_S = 10, 60, 3600
#: A stream of the ledger with its examples; the four histograms of a phase; all else that is written once.
STREAM_BYTES = 1_500
PHASE_BYTES = 40_000
ONCE_BYTES = 500_000
#: One point of an answer of Prometheus: an instant in milliseconds, and a value of seventeen digits.
POINT_BYTES = 36
#: Roles that the judge asks for: of each mirrored partition, of each task and its producer, of each worker and node.
ROLES_OF_A_PARTITION, ROLES_OF_A_TASK, ROLES_OF_A_WORKER = 6, 15, 9
TASKS_AT_MOST = 16
#: Series of a worker beyond one for each role: processors and network interfaces of its node.
SERIES_OF_A_NODE = 24
#: Scrapes around the load that are asked for too.
SCRAPES_AROUND = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """In bytes. `live`: what the judge that looks on keeps meanwhile; it is gone when the run is over."""

    record_bytes: int
    evidence_bytes: int
    live_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.record_bytes + self.evidence_bytes + self.live_bytes

    def __str__(self) -> str:
        return f"{_mib(self.record_bytes)} of record, {_mib(self.evidence_bytes)} of evidence"


def room_for(plan: RunPlan) -> Room:
    """What a run takes at most, canaries and drain at their limits."""
    evidence_bytes = _evidence_bytes(plan)
    return Room(record_bytes=_record_bytes(plan), evidence_bytes=evidence_bytes, live_bytes=evidence_bytes)


def _record_bytes(plan: RunPlan) -> int:
    seconds = math.ceil(plan.longest_s)
    early_s = min(seconds, LATER_S)
    histograms = early_s // HISTOGRAMS_EVERY_S + (seconds - early_s) // HISTOGRAMS_EVERY_S_LATER + 1
    streams = sum(topic.partitions for topic in plan.topics)
    return (
        ONCE_BYTES
        + seconds * ROW_BYTES
        + histograms * HISTOGRAMS_BYTES
        + streams * STREAM_BYTES
        + len(plan.loads) * PHASE_BYTES
    )


def _evidence_bytes(plan: RunPlan) -> int:
    environment = plan.environment
    asked_s = plan.longest_s + environment.connect.offset_flush_interval
    scrapes = math.ceil(asked_s / environment.prometheus.scrape_interval) + SCRAPES_AROUND
    partitions = sum(topic.partitions for topic in plan.topics)
    tasks = max(plan.scenario.connector.tasks_max or 0, TASKS_AT_MOST)
    workers = max(len(environment.connect.urls), 2)
    series = (
        ROLES_OF_A_PARTITION * partitions + ROLES_OF_A_TASK * tasks + (ROLES_OF_A_WORKER + SERIES_OF_A_NODE) * workers
    )
    return ONCE_BYTES + scrapes * series * POINT_BYTES


def require_room(plan: RunPlan, runs_directory: Path) -> None:
    """Refuses a run whose record would not fit where it goes. Raises Refused; a place that cannot be asked is taken to
    have room, as whoever cannot write there is told so."""
    needed, free_bytes = room_for(plan), _free_bytes(runs_directory)
    if free_bytes is not None and free_bytes < needed.total_bytes:
        raise Refused(
            f"{runs_directory}: {_mib(free_bytes)} free, and {plan.scenario.name} may take {_mib(needed.total_bytes)} "
            f"there ({needed}, as much once more while it goes on); make room, or choose another place with --runs-dir"
        )


def _free_bytes(directory: Path) -> int | None:
    """Of the file system that the directory is on, or will be."""
    for place in (directory.absolute(), *directory.absolute().parents):
        try:
            found = os.statvfs(place)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return found.f_bavail * found.f_frsize
    return None


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / MIB:,.1f} MiB"
