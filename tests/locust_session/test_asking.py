"""Names are asked for by another program: what it finds wrong is refused alike however the run was started, and what
becomes of the program itself refuses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import gevent
import pytest

from checks.metric_profiles import Role
from locust_session import asking, judge_process
from locust_session.asking import Asked, ask
from run_record.store import RunRecord
from scenarios.errors import ExitCode, Refused
from tests.locust_session.fakes import Stage, quick_plan, quicken
from tests.support.deployment import LEDGER, Deployment, scenario, served
from tests.support.servers import Reply

ROOT = Path(__file__).resolve().parents[2]
CHOSEN = {"scenario": "small.yaml", "env": "desk.yaml", "rehearsal": "1/2", "load": "none", "set": "a=1,b=2"}
FAKE_LOAD = ("-m", "locust", "-f", str(Path(__file__).with_name("fake_load.py")), "--headless")
#: Records that MM2 counted are asked for; they need no silence before the load, so neither does the run.
COUNTED = '{id: counted, measure: mm2.record_count_gap, go: "== 0 records"}'


def answer(outcome: str = "ok", *again: str) -> dict:
    return {"id": "x", "outcome": outcome, "sentence": "s", "advice": "a", "needed_by": [], "again": [*again]}


# --- the program's answer --------------------------------------------------------------------------------------------


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Asks a stand-in in the place of the `runbook` package."""

    def put(body: str, **options) -> Asked:
        (tmp_path / "runbook").mkdir(exist_ok=True)
        (tmp_path / "runbook" / "__init__.py").write_text("")
        (tmp_path / "runbook" / "__main__.py").write_text(f"import json, os, signal, sys, time\n{body}\n")
        monkeypatch.setattr(judge_process, "PROJECT_ROOT", tmp_path)
        monkeypatch.chdir(tmp_path)
        return ask(CHOSEN, "before_load", scrape_s=1.0, **options)

    return put


def test_it_is_told_what_is_played_and_when_it_is_asked(stand_in):
    asked = stand_in("print(json.dumps({'answers': [], 'refusals': sys.argv[1:], 'remarks': []}))")
    options = ["--env=desk.yaml", "--rehearsal=1/2", "--load=none", "--set=a=1,b=2", "--moment=before_load"]
    assert list(asked.refusals) == ["names", *options, "--", "small.yaml"]


def test_its_answers_are_handed_on_and_refuse_with_its_lines(stand_in):
    content = {"answers": [answer("refused", "canary_lost")], "refusals": ["one", "two"], "remarks": ["three"]}
    asked = stand_in(f"print({json.dumps(content)!r}); sys.exit(40)")
    assert (asked.remarks, asked.trouble) == (("three",), "")
    assert asked.worth_asking("canary_lost")
    assert not asked.worth_asking("canary_crossed")
    with pytest.raises(Refused, match=r"^one\ntwo$"):
        asked.refuse()


WHOLE = "print(json.dumps({'answers': [], 'refusals': ['no'], 'remarks': []}))"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("raise RuntimeError('boom')", id="it breaks"),
        pytest.param("sys.exit(64)", id="it cannot read the files"),
        pytest.param("print('[]')", id="no answer of its kind"),
        pytest.param("print('{')", id="half an answer"),
        pytest.param(f"{WHOLE}\nsys.stdout.flush()\nos.kill(os.getpid(), signal.SIGKILL)", id="it is killed"),
        pytest.param(f"{WHOLE}\nsys.exit(70)", id="it breaks after its answer"),
        pytest.param("sys.stdout.buffer.write(b'\\xff' * 100)", id="not text"),
    ],
)
def test_a_program_that_breaks_refuses_nothing_and_says_so(stand_in, body):
    asked = stand_in(body)
    asked.refuse()
    assert asked.answers == ()
    assert asked.trouble.startswith("names were not asked for: the program ended with ")
    assert asked.remarks == (asked.trouble,)
    assert asked.to_json()["trouble"] == asked.trouble


def test_a_program_that_cannot_be_started_refuses_nothing(monkeypatch):
    monkeypatch.setattr(asking.sys, "executable", "/nowhere/python")
    asked = ask(CHOSEN, "before_load", scrape_s=1.0)
    assert "no program could be started" in asked.trouble


@pytest.mark.parametrize("given_up", [False, True])
def test_a_program_that_does_not_end_is_ended_and_refuses_nothing(stand_in, tmp_path, monkeypatch, given_up):
    monkeypatch.setattr(asking, "ASKS_FOR_S", 0.0)
    monkeypatch.setattr(asking, "STARTS_AND_ENDS_WITHIN_S", 60.0 if given_up else 2.0)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN); open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
    began_s = time.monotonic()
    asked = stand_in(deaf, given_up=lambda: given_up and (tmp_path / "pid").exists())
    assert ("the run is to end" if given_up else "not answered within 2 s") in asked.trouble
    assert time.monotonic() - began_s < 30
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()


# --- the program itself ----------------------------------------------------------------------------------------------


def start(*arguments: str, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=options.pop("cwd", ROOT),
        env={**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


@pytest.fixture
def written(tmp_path):
    """Writes a scenario with these criteria, and a deployment's environment."""

    def write(environment: str, *criteria: str) -> tuple[str, str]:
        (tmp_path / "small.yaml").write_text(scenario(*criteria))
        (tmp_path / "desk.yaml").write_text(environment)
        return str(tmp_path / "small.yaml"), str(tmp_path / "desk.yaml")

    return write


def wrong() -> Deployment:
    """The environment looks for mirrors under another name."""
    deployment = Deployment.healthy()
    deployment.environment = deployment.environment.replace("prefix: t.", 'prefix: t., remote_name: "src_{topic}"')
    return deployment


SENTENCE = "we look for the mirror of t.a-1 under the name src_t.a-1"
BOTH_NAMES = (SENTENCE, "writes source.t.a-1")


def test_it_ends_when_the_one_that_started_it_has(written):
    silent = Deployment.healthy()
    silent.spoilt = lambda _: Reply(after_s=60)
    with served(silent) as there:
        small, desk = written(there.environment, *LEDGER)
        names = [sys.executable, "-P", "-m", "runbook", "names", small, "--env", desk]
        parent = f"import subprocess, time; print(subprocess.Popen({names!r}).pid, flush=True); time.sleep(60)"
        process = start("-c", parent)
        pid = int(process.stdout.readline())
        deadline_s = time.monotonic() + 60
        while not there.connect:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        process.kill()
        process.wait()
        while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        process.stdout.close()
        process.stderr.close()


def test_it_ends_in_time_whoever_drips_and_keeps_what_was_told(written, tmp_path):
    """Connect answers at once; Prometheus answers each question as late as it may."""
    slow = wrong()
    empty = json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}})
    slow.spoilt_metrics = lambda _: Reply(after_s=3.5, body=empty)
    code = "import runbook.preflight.program as p; p.TOTAL_S = 6.0; from runbook.cli import main; main()"
    with served(slow) as there:
        small, desk = written(there.environment, *LEDGER, COUNTED)
        began_s = time.monotonic()
        code, output, errors = finished(start("-c", code, "names", small, "--env", desk))
    assert time.monotonic() - began_s < 40, errors
    content = json.loads(output)
    assert code == 40
    assert content["refusals"][0].startswith(SENTENCE)
    assert {one["id"]: one["outcome"] for one in content["answers"]}["names"] == "not_told"


# --- the run ---------------------------------------------------------------------------------------------------------


def locust(small: str, desk: str, runs: Path, *more: str) -> tuple[int, str, str]:
    files = ("--scenario", small, "--env", desk, "--runs-dir", str(runs))
    return finished(start(*FAKE_LOAD, *files, *more, env={"ASKS_FOR_NAMES": "1"}, start_new_session=True))


def test_plain_locust_refuses_with_the_sentences_on_stderr_and_writes_nothing(written, tmp_path):
    with served(wrong()) as there:
        code, _, errors = locust(*written(there.environment, *LEDGER), tmp_path / "runs")
    assert code == 40, errors
    (line,) = [line for line in errors.splitlines() if line.startswith("mm2gate: ")]
    assert all(name in line for name in BOTH_NAMES)
    assert "Traceback" not in errors
    assert not (tmp_path / "runs").exists()


def test_a_master_of_many_workers_refuses_too(written, tmp_path):
    with served(wrong()) as there:
        code, _, errors = locust(*written(there.environment, *LEDGER), tmp_path / "runs", "--processes", "2")
    assert code == 40, errors
    assert errors.count(SENTENCE) == 1


def test_mm2gate_run_refuses_with_all_that_is_wrong_beside_the_clusters(written, tmp_path):
    """Nothing listens where the clusters should be, which is said too."""
    with served(wrong()) as there:
        small, desk = written(there.environment, *LEDGER)
        run = ("-m", "runbook", "run", small, "--env", desk, "--runs-dir", str(tmp_path / "runs"))
        code, _, errors = finished(start(*run))
    assert code == 40, errors
    lines = [line for line in errors.splitlines() if line.startswith("mm2gate: ")]
    assert lines[0].startswith("mm2gate: source cluster at 127.0.0.1:1: ")
    assert all(name in lines[1] for name in BOTH_NAMES)
    assert not (tmp_path / "runs").exists()


def test_a_run_of_right_names_is_played_and_its_record_tells_what_was_asked(written, tmp_path):
    with served(Deployment.healthy()) as there:
        small, desk = written(there.environment, *LEDGER)
        Path(small).write_text(without_fences(Path(small)))
        code, _, errors = locust(small, desk, tmp_path / "runs")
    assert code == 20, errors  # what the judge of this test always says
    (directory,) = (tmp_path / "runs").iterdir()
    (event,) = asked_events(RunRecord.open(directory))
    assert event["moment"] == "before_load"
    assert {one["outcome"] for one in event["answers"]} == {"ok"}
    assert "hunter2" not in (directory / "record" / "events.jsonl").read_text()


def test_a_metric_that_is_missing_when_the_canary_has_crossed_refuses_before_the_load(written, tmp_path):
    mirrors = [Role.RECORD_COUNT, Role.BYTE_COUNT, Role.LATENCY_AVG, Role.LATENCY_MAX]
    with served(Deployment.healthy().without(*mirrors, Role.RECORD_AGE_AVG, Role.RECORD_AGE_MAX)) as there:
        small, desk = written(there.environment, COUNTED)
        Path(small).write_text(without_fences(Path(small)))
        code, output, errors = locust(small, desk, tmp_path / "runs")
    assert code == 40, errors
    sentence = "Prometheus has no kafka_connect_mirror_source_connector_record_count of ours"
    assert sentence in errors
    assert f"mm2gate: {sentence}" in output
    assert "judged" not in output
    (directory,) = (tmp_path / "runs").iterdir()
    record = RunRecord.open(directory)
    assert record.sealed
    assert [event["moment"] for event in asked_events(record)] == ["before_load", "canary_crossed"]
    assert [phase.name for phase in record.manifest.phases] == ["canary"]
    assert record.manifest.ending.how == "failed"
    assert sentence in record.manifest.ending.detail


def without_fences(path: Path) -> str:
    return "".join(
        line for line in path.read_text().splitlines(keepends=True) if not ("silence" in line or "watch" in line)
    ).replace("duration: 10s", "duration: 1s")


def asked_events(record: RunRecord) -> list[dict]:
    return [event for event in record.events if event["event"] == "names_asked"]


def test_a_person_who_ends_the_run_does_not_wait_for_what_is_asked(written, tmp_path):
    silent = Deployment.healthy()
    silent.spoilt = lambda _: Reply(after_s=60)
    with served(silent) as there:
        small, desk = written(there.environment, *LEDGER)
        files = ("--scenario", small, "--env", desk, "--runs-dir", str(tmp_path / "runs"))
        process = start(*FAKE_LOAD, *files, env={"ASKS_FOR_NAMES": "1"}, start_new_session=True)
        deadline_s = time.monotonic() + 60
        while not there.connect:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        began_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code, _, errors = finished(process)
    assert code == 50, errors
    assert time.monotonic() - began_s < 15
    assert not (tmp_path / "runs").exists()


# --- after the canary ------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A run whose names were asked for before, with something left to tell, and are asked for again by `second`."""
    quicken(monkeypatch)

    def make(second, *faults: str, silence: bool = True, again: str = "canary_crossed") -> Stage:
        made = Stage(tmp_path, quick_plan(silence=silence), *faults)
        first = Asked(moment="before_load", answers=(answer("not_told", again),))
        made.conductor.facts = replace(made.conductor.facts, asked=first)
        made.moments = []

        def asked(moment):
            made.moments.append(moment)
            return second(moment)

        made.conductor.ask = asked
        return made

    return make


def refused(moment) -> Asked:
    return Asked(moment=moment, answers=(answer("refused"),), refusals=("it is called otherwise; correct it",))


def test_what_the_canaries_tell_is_asked_in_the_silence_and_refuses_before_anything_is_sent(stage):
    made = stage(refused)
    record = made.play()
    assert made.moments == ["canary_crossed"]
    assert made.conductor.exit_code is ExitCode.REFUSED
    assert record.sealed
    assert [phase.name for phase in record.manifest.phases] == ["canary", "silence"]
    assert record.manifest.ending.detail == "it is called otherwise; correct it"
    assert [event["moment"] for event in asked_events(record)] == ["before_load", "canary_crossed"]
    assert "it is called otherwise" in made.screen.getvalue()
    assert record.counts().sent == 0


@pytest.mark.parametrize("silence", [False, True])
def test_what_contradicts_nothing_lets_the_load_start(stage, silence):
    made = stage(lambda moment: Asked(moment=moment, remarks=("Prometheus was silent",)), silence=silence)
    record = made.play()
    assert made.conductor.exit_code is None
    assert record.manifest.ending.how == "completed"
    assert "Prometheus was silent" in made.screen.getvalue()


@pytest.mark.parametrize(
    ("faults", "again", "moments"),
    [
        ((), "canary_lost", []),
        (("canary_lost",), "canary_crossed", []),
        (("canary_lost",), "canary_lost", ["canary_lost"]),
    ],
)
def test_it_is_asked_only_where_this_moment_can_tell_more(stage, faults, again, moments):
    made = stage(lambda moment: Asked(moment=moment), *faults, again=again)
    assert made.play().manifest.ending.how == "completed"
    assert made.moments == moments


def test_a_run_that_is_ended_while_names_are_asked_for_is_no_refusal(stage):
    def slow(moment):
        gevent.sleep(1.0)
        return refused(moment)

    made = stage(slow)
    record = made.play(made.when("silence", lambda: made.conductor.end_early("stopped")))
    assert made.conductor.exit_code is None
    assert record.manifest.ending.how == "stopped"
    assert [event["moment"] for event in asked_events(record)] == ["before_load"]
