"""Masters and workers in processes of their own: one that would play something else is refused; one that stands still
goes on, and one that comes back too late counts no more. They are played side by side, since they mostly wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from lab.ports import free_ports
from run_record.counts import Counts
from run_record.store import RunRecord, read_lines
from tests.scenarios.examples import ENVIRONMENT, with_phases

HERE = Path(__file__).parent
LOCUST = (sys.executable, "-m", "locust", "-f", str(HERE / "fake_load.py"))
#: Longer than a node waits for its silent master, and than Locust by itself waits for a worker.
FREEZE_S = 7.0
RATE = 200


@dataclass(kw_only=True)
class Team:
    """A master and its workers, or one process alone, each in a directory of its own with files of the same names."""

    place: Path
    workers: int
    other_environment: str = ""
    beats: int = 15
    lasts_s: int = 2
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    code: int = -1

    def start(self) -> None:
        where = ["--scenario", "s.yaml", "--env", "desk.yaml", "--runs-dir", str(self.place / "runs")]
        port = str(free_ports(("master",))["master"])
        if not self.workers:
            self._start("alone", "--headless", *where)
            return
        address = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
        self._start("master", "--headless", "--master", "--expect-workers", str(self.workers), *address, *where)
        for number in range(self.workers):
            self._start(f"worker {number}", "--worker", "--master-host", "127.0.0.1", "--master-port", port)

    def _start(self, name: str, *arguments: str) -> None:
        directory = self.place / name
        directory.mkdir(parents=True)
        load = f"{{name: one, profile: nominal, rate: {RATE}/s, duration: {self.lasts_s}s}}"
        (directory / "s.yaml").write_text(with_phases(load))
        last = name == f"worker {self.workers - 1}"
        (directory / "desk.yaml").write_text(self.other_environment if last and self.other_environment else ENVIRONMENT)
        with (directory / "log").open("w") as log:
            self.processes.append(
                subprocess.Popen(
                    [*LOCUST, *arguments],
                    cwd=directory,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "PATIENCE_BEATS": str(self.beats)},
                )
            )

    def freeze(self, *numbers: int, seconds: float) -> None:
        """In the middle of the load, one after the other: the processes of these numbers, the master or the only one
        being 0, do not run."""
        self._until(lambda: any(event.get("phase") == "one" for event in self.events))
        for number in numbers:
            time.sleep(3.0)
            self.processes[number].send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            self.processes[number].send_signal(signal.SIGCONT)

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 240
        while not condition():
            assert time.monotonic() < deadline_s, self.said
            assert self.processes[0].poll() is None, self.said
            time.sleep(0.1)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for file in self.place.glob("runs/*/record/events.jsonl") for event in read_lines(file)[0]]

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    @property
    def said(self) -> str:
        return "\n".join(log.read_text() for log in sorted(self.place.glob("*/log")))

    @property
    def record(self) -> RunRecord:
        (directory,) = (self.place / "runs").iterdir()
        return RunRecord.open(directory)

    def play(self, meanwhile: Callable[[Team], None] = lambda _: None) -> None:
        with self._ended():
            self.start()
            meanwhile(self)
            self.code = self.processes[0].wait(180)

    @contextmanager
    def _ended(self) -> Iterator[None]:
        try:
            yield
        finally:
            for process in self.processes:
                if process.poll() is None:
                    process.kill()
                process.wait()


@pytest.fixture(scope="module")
def teams(tmp_path_factory):
    """All of them, played together."""
    place = tmp_path_factory.mktemp("teams")
    other = ENVIRONMENT.replace("cluster_id: AAAA", "cluster_id: CCCC") + "production: true\n"
    played: dict[str, tuple[Team, Callable[[Team], None]]] = {
        "another environment": (Team(place=place / "a", workers=2, other_environment=other), lambda _: None),
        "alone": (Team(place=place / "b", workers=0, lasts_s=14), lambda team: team.freeze(0, seconds=FREEZE_S)),
        "with a worker": (
            Team(place=place / "c", workers=1, lasts_s=26),
            lambda team: team.freeze(1, 0, seconds=FREEZE_S),
        ),
        "too long": (
            Team(place=place / "d", workers=2, beats=8, lasts_s=34),
            lambda team: team.freeze(1, seconds=17),
        ),
    }
    threads = [Thread(target=team.play, args=(meanwhile,)) for team, meanwhile in played.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {name: team for name, (team, _) in played.items()}


def test_a_worker_with_another_environment_is_named_before_anything_is_prepared(teams):
    team = teams["another environment"]
    assert team.code == 40, team.said
    said = (team.place / "master" / "log").read_text()
    assert f"(pid {team.processes[2].pid}, " in said
    assert "does not play what the master plays: environment desk (" in said
    for part in ("source CCCC", "source AAAA", "worker 1/desk.yaml", "master/desk.yaml"):
        assert part in said
    assert "Traceback" not in team.said
    assert team.record.ledger is None
    assert [event["event"] for event in team.events] == ["run_started", "names_asked", "run_ended"]


@pytest.mark.parametrize("name", ["alone", "with a worker"])
def test_a_process_that_stood_still_sends_all_the_same_and_is_named_with_how_long(teams, name):
    team = teams[name]
    assert team.code == 20, team.said  # the fake judge's
    records = RATE * team.lasts_s
    assert team.record.counts() == Counts(sent=records, acked=records, arrived=records), team.said
    ending = team.record.manifest.ending
    assert (ending.how, ending.aborted) == ("completed", False)
    assert team.named("worker_lost") == team.named("load_incomplete") == []
    stalls = [one for one in team.named("stood_still") if one["lasted_s"] > FREEZE_S - 1]
    (worker,) = (one.id for one in team.record.manifest.workers)
    assert [one["worker"] for one in stalls] == ([worker] if name == "alone" else [worker, None])
    assert all(one["lasted_s"] == pytest.approx(FREEZE_S, abs=1.5) for one in stalls)
    start_ns = team.record.manifest.phase("one").start_ns
    assert start_ns + 2e9 < stalls[0]["from_ns"] < start_ns + 6e9, "by the master's clock"


def test_a_worker_whose_master_stood_still_holds_its_load_and_goes_on_when_it_hears_it_again(teams):
    team = teams["with a worker"]
    (held,) = team.named("load_held")
    assert held["worker"] == team.record.manifest.workers[0].id
    assert 0.3 < held["lasted_s"] < FREEZE_S - 3


def test_a_worker_that_comes_back_when_it_was_given_up_is_named_and_not_half_counted(teams):
    team = teams["too long"]
    assert team.code == 20, team.said
    (lost,), (returned,) = team.named("worker_lost"), team.named("worker_returned")
    assert lost["worker"] == returned["worker"] == team.record.ledger["unaccounted"][0]["worker"]
    half = RATE * team.lasts_s // 2
    assert team.record.counts() == Counts(sent=half, acked=half, arrived=half)
    last = team.record.timeline[-1]
    assert last.sent == half + team.record.ledger["unaccounted"][0]["sent"]
    assert team.record.manifest.ending.how == "completed"
