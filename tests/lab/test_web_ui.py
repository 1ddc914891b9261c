"""The web UI on a real lab, over HTTP as its page speaks: choose, start, watch, read, stop, start again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.handles import Lab
from lab.ports import free_ports
from run_record.store import RunRecord
from tests.lab.runs import LOCUST, ROOT, SHORT, SHORT_RECORDS, Outcome, assert_drained, short_is_go, variant


@dataclass(kw_only=True)
class Browser:
    """The page's side of the conversation."""

    process: subprocess.Popen[bytes]
    url: str
    environment: str
    runs: Path
    log: Path

    def start(self, **form: str) -> dict[str, Any]:
        """The form as Locust's page posts it, its disabled fields too."""
        fields = {"user_count": "0", "spawn_rate": "0", "host": "", "run_time": "", "profile": "", "rehearsal": "1"}
        content = {**fields, "scenario": SHORT, "env": self.environment, **form}
        return dict(requests.post(f"{self.url}/swarm", data=content, timeout=30).json())

    def until_it_answers(self) -> None:
        deadline_s = time.monotonic() + 120
        while True:
            try:
                self.get("mm2gate/state")
            except requests.ConnectionError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline_s, self.log.read_text()
                time.sleep(0.1)
            else:
                return

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self.url}/{path}", timeout=60)

    @property
    def rows(self) -> list[dict[str, str]]:
        """The Verdict tab."""
        told = self.get("stats/requests").json()["extended_stats"]
        return list(told[0]["data"]) if told else []

    def until(self, text: str, *, within_s: float = 90) -> None:
        deadline_s = time.monotonic() + within_s
        while text not in self.get("mm2gate/state").json()["text"]:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline_s, self.get("mm2gate/state").text
            time.sleep(0.2)

    def until_row(self, criterion: str, verdict: str, *, within_s: float = 120) -> None:
        deadline_s = time.monotonic() + within_s
        while (criterion, verdict) not in {(row["criterion"], row["verdict"]) for row in self.rows}:
            assert time.monotonic() < deadline_s, self.rows
            time.sleep(0.2)

    def until_judged(self, *, within_s: float = 240) -> None:
        deadline_s = time.monotonic() + within_s
        while self.get("mm2gate/state").json()["busy"] or self.get("stats/requests").json()["state"] != "stopped":
            assert time.monotonic() < deadline_s, self.get("mm2gate/state").text
            time.sleep(0.2)

    @property
    def records(self) -> list[RunRecord]:
        return [RunRecord.open(directory) for directory in sorted(self.runs.iterdir())]


@contextmanager
def opened(lab: Lab, directory: Path, *, scenario: str = SHORT) -> Iterator[Browser]:
    """Locust's web UI in a directory, and a browser on it. It knows three environments: the lab, and two bent ones."""
    port = free_ports(("web",))["web"]
    text = lab.environment_file.read_text(encoding="utf-8")
    text = text.replace("secrets/", f"{lab.environment_file.parent}/secrets/")
    (directory / "environments").mkdir()
    for name, bent in (
        ("prod", text.replace("production: false", "production: true").replace("name: lab", "name: prod")),
        ("down", re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:9", text, count=1)),
    ):
        (directory / "environments" / f"{name}.yaml").write_text(bent, encoding="utf-8")
    log = directory / "log"
    ours = ["--scenario", scenario, "--env", str(lab.environment_file), "--runs-dir", "runs"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*LOCUST, "--web-port", str(port), *ours],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    browser = Browser(
        process=process,
        url=f"http://127.0.0.1:{port}",
        environment=str(lab.environment_file),
        runs=directory / "runs",
        log=log,
    )
    try:
        browser.until_it_answers()
        yield browser
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture(scope="module")
def browser(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One UI for the tests that follow each other in it."""
    with opened(lab, tmp_path_factory.mktemp("web")) as browser:
        yield browser


def test_what_is_refused_is_said_and_nothing_is_played(browser: Browser) -> None:
    for form, said in (
        ({"scenario": "nosuch"}, "was not known"),
        ({"env": "/etc/passwd"}, "was not known"),
        ({"env": "prod"}, "production"),
        ({"env": "down"}, "source cluster at 127.0.0.1:9: no answer"),
        ({"runs_dir": "/tmp"}, "may not set"),
    ):
        answer = browser.start(**form)
        assert answer["success"] is False
        assert said in answer["message"]
        assert said in browser.log.read_text()
    assert not browser.runs.exists()


def test_stop_answers_at_once_and_the_run_is_drained_sealed_and_judged(browser: Browser) -> None:
    assert browser.start()["success"], browser.log.read_text()
    browser.until(": rising")
    assert requests.post(f"{browser.url}/stop", timeout=60).json()["success"]
    answered_ns = time.time_ns()
    browser.until_judged()
    (record,) = browser.records
    assert record.sealed
    assert record.manifest.ending is not None
    assert record.manifest.ending.how == "stopped"
    assert answered_ns < record.manifest.ending.at_ns, "the answer did not wait for the run's end"
    assert_drained(record)
    counts = record.counts()
    assert counts is not None
    assert 0 < counts.sent < SHORT_RECORDS
    assert browser.rows[0]["verdict"] == "INDÉTERMINÉ"


def test_a_run_that_goes_on_is_watched_live(lab: Lab, tmp_path: Path) -> None:
    long = variant(tmp_path / "long.yaml", ("rate: 500/s, duration: 5s", "rate: 500/s, duration: 300s"))
    with opened(lab, tmp_path, scenario=long) as browser:
        assert browser.start(scenario=long)["success"], browser.log.read_text()
        browser.until_row("duplicated", "GO")
        assert {row["criterion"]: row["verdict"] for row in browser.rows}["lost"] == "NON ÉVALUÉ"
        assert "TEST EN COURS" in browser.get("mm2gate/live-fiche").text
        assert "stop it first" in browser.start(scenario=long)["message"]


def test_started_again_it_comes_to_what_it_comes_to_headless(browser: Browser) -> None:
    assert browser.start()["success"], browser.log.read_text()
    browser.until(": steady")
    browser.until_judged()
    assert {row["verdict"] for row in browser.rows} == {"GO"}
    assert "Fiche technique" in browser.get("mm2gate/fiche").text
    record = browser.records[-1]
    assert record.sealed
    assert Outcome.of(record.directory) == short_is_go()
    browser.process.send_signal(signal.SIGTERM)
    assert browser.process.wait(120) == 0  # the last run's


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_then_the_process(lab: Lab, tmp_path: Path, number: signal.Signals) -> None:
    with opened(lab, tmp_path) as browser:
        assert browser.start()["success"], browser.log.read_text()
        browser.until(": rising")
        browser.process.send_signal(number)
        assert browser.process.wait(240) == 50
    (record,) = browser.records
    assert record.sealed
    assert record.manifest.ending is not None
    assert record.manifest.ending.how == ("sigterm" if number == signal.SIGTERM else "sigint")
    assert (record.directory / "verdict.json").is_file()
