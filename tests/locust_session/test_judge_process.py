"""The judge is another program: its exit code is the run's when it is an answer, and INTERNAL when it is none."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import gevent
import pytest

from locust_session import judge_process
from scenarios.errors import ExitCode


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a stand-in in the place of the `runbook` package."""

    def put(body: str) -> None:
        (tmp_path / "runbook").mkdir(exist_ok=True)
        (tmp_path / "runbook" / "__init__.py").write_text("")
        (tmp_path / "runbook" / "__main__.py").write_text(f"import os, signal, sys\n{body}\n")
        monkeypatch.setattr(judge_process, "PROJECT_ROOT", tmp_path)
        monkeypatch.chdir(tmp_path)

    return put


@pytest.fixture
def judged(stand_in):
    """Judges with a stand-in."""

    def run(body: str) -> tuple[int, str]:
        stand_in(body)
        return judge_process.judge(Path("/runs/some run"))

    return run


@pytest.mark.parametrize("code", list(ExitCode))
def test_an_answer_is_passed_on(judged, code):
    assert judged(f"sys.exit({int(code)})") == (code, "")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_what_it_says_comes_through_whatever_the_terminals_encoding(judged, monkeypatch, encoding):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    assert judged("print('INDÉTERMINÉ, attendu ≥ 100')") == (0, "INDÉTERMINÉ, attendu ≥ 100\n")


@pytest.mark.parametrize(
    "body",
    [
        "sys.exit(1)",
        "sys.exit(2)",
        "sys.exit(99)",
        "raise RuntimeError('boom')",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.kill(os.getpid(), signal.SIGTERM)",
    ],
)
def test_what_is_no_answer_is_an_internal_error_never_go(judged, body):
    assert judged(body)[0] == ExitCode.INTERNAL


def test_it_is_told_which_run_and_what_it_prints_is_handed_back(judged):
    assert judged("print(sys.argv[1:])") == (0, "['judge', '/runs/some run']\n")


def test_it_is_told_where_to_ask(stand_in, tmp_path):
    stand_in("print(sys.argv[1:], flush=True)")
    run, where = tmp_path / "run", tmp_path / "desk.yaml"
    run.mkdir()
    assert judge_process.judge(run, where) == (0, f"['judge', '{run}', '--env', '{where}']\n")
    assert judge_process.follow(run, where).wait() == 0
    assert (run / "live" / "follow.log").read_text() == f"['judge', '{run}', '--env', '{where}', '--follow']\n"


def test_words_that_are_no_utf_8_do_not_lose_the_verdict(judged):
    code, said = judged("sys.stdout.buffer.write(b'GO \\xff'); sys.stdout.flush(); sys.exit(20)")
    assert (code, said[:3]) == (20, "GO ")


def test_it_runs_in_a_session_of_its_own_so_that_a_ctrl_c_does_not_reach_it(judged):
    assert judged("print(os.getsid(0) == os.getpid())") == (0, "True\n")


def test_who_looks_on_is_passed_by_by_a_ctrl_c_and_shares_the_cpu_with_the_run_by_its_niceness(stand_in, tmp_path):
    stand_in("print(os.getpid(), os.getpgrp(), os.getsid(0), flush=True)")
    run = tmp_path / "run"
    run.mkdir()
    assert judge_process.follow(run).wait() == 0
    pid, group, session = map(int, (run / "live" / "follow.log").read_text().split())
    assert (group, session) == (pid, os.getsid(0))


def test_who_looks_on_and_does_not_end_is_killed_and_what_it_had_read_is_removed(stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(judge_process, "ENDS_WITHIN_S", 0.2)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    stand_in(f"import time\n{deaf}\nos.mkdir(sys.argv[2] + f'/live/.looks-{{os.getpid()}}')\ntime.sleep(60)")
    run = tmp_path / "run"
    run.mkdir()
    follower = judge_process.follow(run)
    deadline_s = time.monotonic() + 20
    while not list(run.glob("live/.looks-*")):
        assert time.monotonic() < deadline_s, (run / "live" / "follow.log").read_text()
        gevent.sleep(0.02)
    judge_process.end(follower, run)
    assert follower.poll() == -signal.SIGKILL
    assert [path.name for path in (run / "live").iterdir()] == ["follow.log"]
