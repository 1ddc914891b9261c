"""Labs for the lab tests, and runs on them as a user starts them: by the command line, in a process of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.handles import Lab
from run_record.store import RunRecord

ROOT = Path(__file__).resolve().parents[2]
MM2GATE = (sys.executable, "-m", "runbook")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a real lab."""
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.lab)


def mm2gate(*arguments: str, cwd: Path | None = None, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    """Runs the command line to its end."""
    return subprocess.run(
        [*MM2GATE, *arguments],
        cwd=cwd or ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def lab_up(state_dir: Path, *options: str) -> Lab:
    done = mm2gate("lab", "up", "--state-dir", str(state_dir), *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return Lab.open(state_dir)


def lab_down(state_dir: Path) -> None:
    done = mm2gate("lab", "down", "--state-dir", str(state_dir))
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass(kw_only=True)
class Run:
    """A run that was started: follow it with `until`, end it with `signal`, and read it after `wait`."""

    process: subprocess.Popen[str]
    runs_directory: Path
    output: str = ""

    @classmethod
    def start(cls, scenario: str, lab: Lab, runs_directory: Path, command: tuple[str, ...] = (*MM2GATE, "run")) -> Run:
        runs_directory.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            [*command, scenario, "--env", str(lab.environment_file), "--runs-dir", str(runs_directory)]
            if command[-1] == "run"
            else [
                *command,
                "--scenario",
                scenario,
                "--env",
                str(lab.environment_file),
                "--runs-dir",
                str(runs_directory),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        run = cls(process=process, runs_directory=runs_directory)
        threading.Thread(target=run._read, daemon=True).start()
        return run

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    @property
    def directory(self) -> Path:
        (directory,) = self.runs_directory.iterdir()
        return directory

    def until(self, condition: Callable[[], object], *, within_s: float = 60) -> None:
        deadline_s = time.monotonic() + within_s
        while not condition():
            assert self.process.poll() is None, f"the run ended first: {self.output}"
            assert time.monotonic() < deadline_s, f"not within {within_s} s: {self.output}"
            time.sleep(0.1)

    def until_phase(self, name: str, *, within_s: float = 120) -> None:
        self.until(lambda: f'"phase": "{name}"' in self._events(), within_s=within_s)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, *, within_s: float = 400) -> int:
        code = self.process.wait(within_s)
        time.sleep(0.2)  # the reader's last lines
        return code

    @property
    def verdict(self) -> dict[str, Any]:
        return dict(json.loads((self.directory / "verdict.json").read_text(encoding="utf-8")))

    @property
    def criteria(self) -> dict[str, dict[str, Any]]:
        return {criterion["id"]: criterion for criterion in self.verdict["criteria"]}

    @property
    def totals(self) -> dict[str, int]:
        content = json.loads((self.directory / "record" / "ledger.json").read_text(encoding="utf-8"))
        return dict(content["totals"])

    @property
    def fiche(self) -> str:
        return (self.directory / "fiche.md").read_text(encoding="utf-8")

    @property
    def record(self) -> RunRecord:
        return RunRecord.open(self.directory)

    def _events(self) -> str:
        files = list(self.runs_directory.glob("*/record/events.jsonl"))
        return files[0].read_text(encoding="utf-8") if files else ""


@pytest.fixture(scope="session")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Lab]]:
    """Two labs side by side, warm: one that is left in order, one that tests put out of order."""
    directories = [tmp_path_factory.mktemp("lab") / name for name in ("good", "bad")]
    try:
        with ThreadPoolExecutor(2) as pool:
            good, bad = pool.map(lab_up, directories)
        yield good, bad
    finally:
        for directory in directories:
            if directory.exists():
                lab_down(directory)


@pytest.fixture(scope="session")
def lab(labs: tuple[Lab, Lab]) -> Lab:
    """The lab that is in order."""
    return labs[0]


@pytest.fixture(scope="session")
def impatient_phase1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phase 1 itself, but for how long it waits for what will never come."""
    text = (ROOT / "scenarios" / "library" / "phase1_smoke.yaml").read_text(encoding="utf-8")
    text, drains = re.subn(r"patience: 60s", "patience: 15s", text)
    text, canaries = re.subn(r"^phases:", "canary: {patience: 15s}\nphases:", text, flags=re.MULTILINE)
    assert (drains, canaries) == (1, 1)
    path = tmp_path_factory.mktemp("scenarios") / "phase1_impatient.yaml"
    path.write_text(text, encoding="utf-8")
    return path
