"""`mm2gate judge RUN --follow`: looks on while a run goes on, and keeps live/verdict.json and live/fiche.md up to date.

When a criterion marked `stop` has been NOGO for its time, it also writes live/stop-request.json, once.

A process of its own, at a low priority, that never asks more of the machine than a twentieth of one processor; it
reads what the run writes, and writes only in live/, each file whole or not at all. It ends when the record is sealed,
when its parent dies, or on SIGTERM; it decides nothing, so that it never leaves with the exit code of a GO. Its figures
from Prometheus are read and thrown away: evidence is collected once, by the judge, at the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from checks.early_stop import FILE, StopWatch
from checks.evidence import Evidence
from checks.live import (
    SETTLES_S,
    LiveRecord,
    LiveRun,
    Timeline,
    checkpoints_reached,
    evaluate_live,
    live_content,
    no_evidence,
    windows_until,
)
from checks.live_fiche import live_fiche
from checks.metric_profiles import PROFILES
from checks.record_inputs import environment_of, scenario_of, to_ask
from checks.windows import NS_PER_S, Windows
from run_record.store import RunRecord, is_sealed, looks_of, private_directory, write_json, write_text
from scenarios.environment import Environment, LoadedEnvironment
from scenarios.errors import ExitCode, RunRecordError
from scenarios.scenario import Scenario
from scenarios.secrets import hidden
from scenarios.visible import visible

NICE = 10
EVERY_S = 5.0
#: Prometheus and Connect are asked less often than the timeline is read.
LOOK_EVERY_S = 15.0
#: The share of one processor that pictures may take in the long run; and of Prometheus's time, that looks may.
SHARE = 0.05
NOTICE_S = 0.5


def follow_run(directory: Path, *, language: str = "fr", given: LoadedEnvironment | None = None) -> None:
    """Follows a run to its end; what goes wrong on the way is said on stderr, and tried again.

    `given` says whom to ask; without it nobody is. Raises RunRecordError where there is no run at all, Refused where it
    was played on another environment.
    """
    if not (directory / "record").is_dir():
        raise RunRecordError(f"{directory}: not a run directory (no record/)")
    if given is not None:
        to_ask(RunRecord.open(directory).manifest, given)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.ABORTED))
    os.nice(NICE)
    looks = looks_of(directory, os.getpid())
    private_directory(looks, exist_ok=True)
    try:
        _until_it_ends(directory, Follower(directory=directory, looks=looks, language=language, given=given))
    finally:
        shutil.rmtree(looks, ignore_errors=True)  # with the run, if that is gone


def _until_it_ends(directory: Path, follower: Follower) -> None:
    parent = os.getppid()

    def over() -> bool:
        return is_sealed(directory / "record") or os.getppid() != parent

    next_s = 0.0
    while not over():
        if time.monotonic() >= next_s:
            began_s, spent_s = time.monotonic(), time.process_time() - follower.looking_s
            try:
                follower.write()
            except Exception:  # noqa: BLE001 - a picture that cannot be drawn must not end the following
                print(visible(hidden(traceback.format_exc())), file=sys.stderr, flush=True)
            spent_s = time.process_time() - follower.looking_s - spent_s
            next_s = began_s + max(EVERY_S, spent_s / SHARE)
        time.sleep(NOTICE_S)


@dataclass(slots=True, kw_only=True)
class Follower:
    """One run, and the last look at it."""

    directory: Path
    looks: Path
    language: str
    given: LoadedEnvironment | None = None
    now_s: Callable[[], float] = time.time
    looking_s: float = 0.0
    """Processor time that all looks took; they have a pace of their own."""
    _timeline: Timeline = field(init=False)
    _inputs: tuple[Scenario, Environment] | None = None
    _evidence: Evidence = field(init=False)
    _looked_s: float | None = None
    _look_again_s: float = 0.0
    _stop_watch: StopWatch = field(default_factory=StopWatch)

    def __post_init__(self) -> None:
        self._timeline = Timeline(self.directory / "record" / "timeline.jsonl")
        self._evidence = no_evidence(self.looks, next(iter(PROFILES)))

    def write(self) -> None:
        """Draws one picture: verdicts first, then the fiche."""
        opened = RunRecord.open(self.directory)
        self._timeline.read()
        record = LiveRecord.of(opened, tuple(self._timeline.rows), self._timeline.histograms, self._timeline)
        if self._inputs is None:
            self._inputs = scenario_of(record.manifest).scenario, environment_of(record.manifest).environment
        scenario, environment = self._inputs
        windows = Windows.of(record, environment)
        self._look(record, environment, windows)
        run = LiveRun(
            record=record,
            evidence=self._evidence,
            environment=environment,
            windows=windows_until(windows, self._looked_s),
        )
        evaluation = evaluate_live(run, scenario)
        live = self.directory / "live"
        request = self._stop_watch.look(record, evaluation.results)
        if request is not None and not (live / FILE).exists():
            write_json(live / FILE, request)
        text = live_fiche(run, scenario, evaluation, language=self.language)
        write_text(live / "fiche.md", text)
        for name in checkpoints_reached(run, scenario):
            if not (live / name).is_file():
                write_text(live / name, text)
        # The last of all: who sees a verdict finds its fiche.
        write_json(live / "verdict.json", live_content(run, scenario, evaluation))

    def _look(self, record: RunRecord, environment: Environment, windows: Windows | None) -> None:
        """Asks Prometheus and Connect once the load has begun, no oftener than its cost allows, unless a step waits."""
        now_s = self.now_s()
        # Up to here every scrape has been made, and is in the database.
        until_s = now_s - 2 * environment.prometheus.scrape_interval
        if self.given is None or windows is None or until_s <= windows.start_s:
            return
        if now_s < self._look_again_s and not _a_step_waits(record, looked_s=self._looked_s, until_s=until_s):
            return
        # Only here is anything that can open a socket so much as imported.
        from checks.collect import look

        began_s, spent_s = time.monotonic(), time.process_time()
        index = look(record, self.given, windows_until(windows, until_s), self.looks)
        self.looking_s += time.process_time() - spent_s
        self._evidence, self._looked_s = Evidence(directory=self.looks, index=index), until_s
        self._look_again_s = now_s + max(LOOK_EVERY_S, (time.monotonic() - began_s) / SHARE)


def _a_step_waits(record: RunRecord, *, looked_s: float | None, until_s: float) -> bool:
    """Whether a step of a staircase is over, and a look now would show what its verdict needs: the run waits for it."""
    phases = record.manifest.phases
    if not phases or phases[-1].kind != "rest":
        return False
    ended_s = phases[-1].start_ns / NS_PER_S
    instants_s = (ended_s + SETTLES_S, ended_s + (phases[-1].planned_s or 0.0))
    return any((looked_s or 0.0) < at_s <= until_s for at_s in instants_s)
