"""Whole runs in real Locust processes: alone and with workers, to the end and cut short; each leaves a whole record,
counts that add up, and its judge's exit code. They are played side by side, since they mostly wait."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from run_record.counts import Counts
from run_record.store import RunRecord, read_lines
from tests.scenarios.examples import ENVIRONMENT, with_phases

HERE = Path(__file__).parent
LOAD = (
    "{name: one, profile: nominal, rate: 200/s, duration: 1s}",
    "{name: two, profile: nominal, rate: 101/s, duration: 1s}",
)
RECORDS = 301
LONG = ("{name: one, profile: nominal, rate: 200/s, duration: 600s}",)


@dataclass
class Played:
    code: int
    said: str
    record: RunRecord


class Player:
    """A run of Locust in a process group of its own; `nohup`: started as by that command."""

    def __init__(
        self,
        place: Path,
        phases: tuple[str, ...],
        *arguments: str,
        stderr: int | None = None,
        nohup: bool = False,
        judges_for_s: float = 0.0,
    ) -> None:
        place.mkdir()
        self._runs = place / "runs"
        (place / "scenario.yaml").write_text(with_phases(*phases))
        (place / "desk.yaml").write_text(ENVIRONMENT)
        self._log = place / "log"
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            free_port = one.getsockname()[1]
        command = [sys.executable, "-m", "locust", "-f", str(HERE / "fake_load.py"), "--headless"]
        if nohup:
            command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command]
        files = ["--scenario", str(place / "scenario.yaml"), "--env", str(place / "desk.yaml")]
        rest = ["--runs-dir", str(self._runs), "--master-bind-port", str(free_port), "--master-port", str(free_port)]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, *files, *rest, *arguments],
                stdout=log,
                stderr=log if stderr is None else stderr,
                cwd=HERE.parents[1],
                env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
                | {"JUDGES_FOR_S": str(judges_for_s)},
                start_new_session=True,
            )

    def when(self, phase: str) -> None:
        """Returns when the run is in that phase."""
        deadline_s = time.monotonic() + 120
        while True:
            for events in self._runs.glob("*/record/events.jsonl"):
                if any(event.get("phase") == phase for event in read_lines(events)[0]):
                    return
            assert time.monotonic() < deadline_s, self._log.read_text()
            assert self.process.poll() is None, self._log.read_text()
            time.sleep(0.05)

    def when_sealed(self) -> None:
        """Returns when the record is whole, and the judge has its turn."""
        deadline_s = time.monotonic() + 120
        while not list(self._runs.glob("*/record/SHA256SUMS")):
            assert time.monotonic() < deadline_s, self._log.read_text()
            time.sleep(0.05)

    def said(self) -> str:
        return self._log.read_text()

    @property
    def runs(self) -> Path:
        return self._runs

    def played(self) -> Played:
        try:
            code = self.process.wait(timeout=120)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        (directory,) = self._runs.iterdir()
        return Played(code, self._log.read_text(), RunRecord.open(directory))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All runs, started together."""
    place = tmp_path_factory.mktemp("processes")
    players = {
        "alone": Player(place / "alone", LOAD),
        "workers": Player(place / "workers", LOAD, "--processes", "2"),
        "sigterm": Player(place / "sigterm", LONG),
        "ctrl-c": Player(place / "ctrl-c", LONG, "--processes", "2"),
        "run-time": Player(place / "run-time", LONG, "--run-time", "12s"),
        "hang-up": Player(place / "hang-up", LONG, "--processes", "2"),
        "nohup": Player(place / "nohup", LOAD, nohup=True),
        "judged": Player(place / "judged", LOAD, judges_for_s=2),
    }
    read, unread = os.pipe()
    players["unread"] = Player(place / "unread", LOAD, stderr=unread)
    os.close(unread)
    players["unread"].when("canary")
    os.close(read)
    players["nohup"].when("one")
    players["nohup"].process.send_signal(signal.SIGHUP)
    players["sigterm"].when("one")
    time.sleep(0.5)
    players["sigterm"].process.send_signal(signal.SIGTERM)
    players["ctrl-c"].when("one")
    time.sleep(0.5)
    os.killpg(players["ctrl-c"].process.pid, signal.SIGINT)  # as a terminal does: to master and workers alike
    players["hang-up"].when("one")
    time.sleep(0.5)
    os.killpg(players["hang-up"].process.pid, signal.SIGHUP)  # a terminal that is closed
    players["judged"].when_sealed()
    for _ in range(2):
        time.sleep(0.5)
        players["judged"].process.send_signal(signal.SIGTERM)
    return {name: player.played() for name, player in players.items()}


@pytest.mark.parametrize(
    ("name", "workers"), [("alone", 1), ("workers", 2), ("nohup", 1), ("unread", 1), ("judged", 1)]
)
def test_a_run_to_its_end_sends_the_plan_exactly_however_many_share_it(runs, name, workers):
    run = runs[name]
    assert run.record.counts() == Counts(sent=RECORDS, acked=RECORDS, arrived=RECORDS), run.said
    assert [run.record.counts(phase).sent for phase in ("one", "two")] == [200, 101]
    assert len(run.record.manifest.workers) == workers
    assert run.record.manifest.ending.how == "completed"
    assert run.record.sealed


def test_sigterm_while_the_run_is_judged_changes_nothing_and_nothing_is_said_twice(runs):
    run = runs["judged"]
    assert run.code == 20, run.said
    assert "Traceback" not in run.said, run.said
    assert (run.said.count("judged "), run.said.count("Response time percentiles")) == (1, 1), run.said


@pytest.mark.parametrize(
    ("name", "how"), [("sigterm", "sigterm"), ("ctrl-c", "sigint"), ("run-time", "run_time"), ("hang-up", "sigterm")]
)
def test_a_run_cut_short_leaves_a_whole_record_of_what_was_sent(runs, name, how):
    run = runs[name]
    assert (run.record.manifest.ending.how, run.record.manifest.ending.aborted) == (how, True), run.said
    counts = run.record.counts()
    assert counts.balanced
    assert 0 < counts.sent == counts.arrived < 200 * 600
    assert run.record.sealed
    assert [phase.name for phase in run.record.manifest.phases] == ["canary", "one", "drain"]


ALL = ["alone", "workers", "sigterm", "ctrl-c", "run-time", "hang-up", "nohup", "unread"]


@pytest.mark.parametrize("name", ALL)
def test_the_process_leaves_with_the_judges_code_and_without_a_traceback(runs, name):
    run = runs[name]
    assert run.code == 20, run.said
    assert f"judged {run.record.directory}" in run.said
    assert "Traceback" not in run.said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_master_that_waits_for_its_workers_leaves_at_once(tmp_path, number):
    player = Player(tmp_path / "waiting", LONG, "--master", "--expect-workers", "3", "--loglevel", "DEBUG")
    try:
        deadline_s = time.monotonic() + 120
        while "Waiting for workers to be ready" not in player.said():
            assert time.monotonic() < deadline_s, player.said()
            time.sleep(0.05)
        player.process.send_signal(number)
        assert player.process.wait(timeout=30) == 50, player.said()
    finally:
        if player.process.poll() is None:
            player.process.kill()
            player.process.wait()
    assert "nothing was sent" in player.said()
    assert "Traceback" not in player.said()
    assert not player.runs.exists()
