"""Runs as a user starts them: by the command line, in a process of their own, on a real lab."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.handles import Lab
from locust_session.drain import HURRIED_PATIENCE_S
from run_record.store import RunRecord
from scenarios import scenario as scenarios

ROOT = Path(__file__).resolve().parents[2]
#: Counts of the ledger that are about records of other runs.
OF_OTHERS = ("foreign", "unattributed")
MM2GATE = (sys.executable, "-m", "runbook")
LOCUST = (sys.executable, "-m", "locust", "-f", str(ROOT / "locustfiles" / "mm2.py"))
SHORT = str(Path(__file__).with_name("short.yaml"))
SHORT_RECORDS = 3700
COUNTERS = str(Path(__file__).with_name("counters.yaml"))
FAULTS = Path(__file__).with_name("faults.yaml")
FAULTS_RECORDS = 1800


def faults(topic: str, directory: Path, *changes: tuple[str, str]) -> str:
    """The scenario for a fault, on a topic of its own, with other words in their places."""
    return rewritten(FAULTS, directory / f"faults-{topic}.yaml", ("TOPIC", topic), *changes)


def variant(path: Path, *changes: tuple[str, str]) -> str:
    """The short scenario with other words in their places."""
    return rewritten(Path(SHORT), path, *changes)


def rewritten(scenario: Path, path: Path, *changes: tuple[str, str]) -> str:
    """A scenario with other words in their places, each of which is there once."""
    text = scenario.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return str(path)


def assert_drained(record: RunRecord) -> None:
    """What a run sent before it was ended was waited for: all has arrived, or MM2 stood still for as long as such a
    run has patience."""
    counts = record.counts()
    assert counts is not None
    assert counts.balanced, counts
    assert (counts.sent, counts.lost) == (counts.acked, 0), counts
    assert counts.arrived + counts.late == counts.sent, counts
    drain = record.manifest.phase("drain")
    waited_s = (drain.duration_s or 0.0) if drain is not None else 0.0
    assert counts.late == 0 or waited_s >= HURRIED_PATIENCE_S, counts


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run came to; the same plan must come to the same, however it was played."""

    verdict: str
    exit_code: int
    counts: dict[str, int]
    criteria: dict[str, str]

    @classmethod
    def of(cls, directory: Path) -> Outcome:
        """From the run's own files. Counts of zero are left out, and so is what other runs had sent before."""
        verdict = json.loads((directory / "verdict.json").read_text(encoding="utf-8"))
        totals = json.loads((directory / "record" / "ledger.json").read_text(encoding="utf-8"))["totals"]
        return cls(
            verdict=verdict["verdict"],
            exit_code=verdict["exit_code"],
            counts={name: count for name, count in totals.items() if count and name not in OF_OTHERS},
            criteria={one["id"]: one["verdict"] for one in verdict["criteria"]},
        )


def short_is_go() -> Outcome:
    """What an undisturbed run of short.yaml comes to."""
    return Outcome(
        verdict="GO",
        exit_code=0,
        counts=dict.fromkeys(("sent", "acked", "arrived"), SHORT_RECORDS),
        criteria={criterion.id: "GO" for criterion in scenarios.load(SHORT).scenario.criteria},
    )


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
    _reader: threading.Thread | None = None

    @classmethod
    def start(
        cls,
        scenario: str,
        lab: Lab,
        runs_directory: Path,
        command: tuple[str, ...] = (*MM2GATE, "run"),
        *options: str,
    ) -> Run:
        """Starts `mm2gate run`, or a Locust command, on a scenario."""
        runs_directory.mkdir(parents=True, exist_ok=True)
        named = [scenario] if command[:3] == MM2GATE else ["--scenario", scenario]
        process = subprocess.Popen(
            [*command, *named, "--env", str(lab.environment_file), "--runs-dir", str(runs_directory), *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        run = cls(process=process, runs_directory=runs_directory)
        run._reader = threading.Thread(target=run._read, daemon=True)
        run._reader.start()
        return run

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
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

    def until_it_takes(self, number: signal.Signals) -> None:
        """Until the process has made up its mind about a signal, which the kernel would otherwise end it by."""
        bit = 1 << (number - 1)

        def taken() -> bool:
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
            masks = re.findall(r"^Sig(?:Blk|Ign|Cgt):\s+(\w+)$", status, re.MULTILINE)
            return any(int(mask, 16) & bit for mask in masks)

        self.until(taken)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def signal_group(self, number: signal.Signals) -> None:
        """As a terminal does it with Ctrl-C: to the process and its children."""
        os.killpg(self.process.pid, number)

    @property
    def arrived(self) -> int:
        """How many records have, by the last second that is written."""
        files = list(self.runs_directory.glob("*/record/timeline.jsonl"))
        rows = RunRecord.open(self.directory).timeline if files else ()
        return rows[-1].arrived if rows else 0

    def wait(self, *, within_s: float = 400) -> int:
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        # The last lines; a child that outlives its parent may keep the pipe open, and is not waited for.
        if self._reader is not None:
            self._reader.join(2)
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
    def streams(self) -> list[dict[str, Any]]:
        content = json.loads((self.directory / "record" / "ledger.json").read_text(encoding="utf-8"))
        return list(content["streams"])

    @property
    def report(self) -> str:
        """The words of the HTML page."""
        text = re.sub(
            r"<(style|script).*?</\1>",
            "",
            (self.directory / "report.html").read_text(encoding="utf-8"),
            flags=re.DOTALL,
        )
        return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", text)))

    @property
    def outcome(self) -> Outcome:
        return Outcome.of(self.directory)

    @property
    def fiche(self) -> str:
        """With plain spaces: French puts others before a colon."""
        text = (self.directory / "fiche.md").read_text(encoding="utf-8")
        return text.replace("\u00a0", " ").replace("\u202f", " ")

    @property
    def record(self) -> RunRecord:
        return RunRecord.open(self.directory)

    def _events(self) -> str:
        files = list(self.runs_directory.glob("*/record/events.jsonl"))
        return files[0].read_text(encoding="utf-8") if files else ""
