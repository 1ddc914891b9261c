"""What runs write is for the user who starts them: nobody else of the machine may read it, whatever the umask."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime

import pytest

from checks.collect import collect
from checks.follow import Follower
from checks.judge import judge_run
from locust_session import judge_process
from run_record.plain import require_plain
from run_record.store import RunRecord, RunWriter, new_run_id, write_json
from runbook.series import _directory
from scenarios.errors import RunRecordError
from tests.checks.test_collect import LATER
from tests.support.given import as_played
from tests.support.records import write_evidence, write_run


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def open_to_others(directory):
    """Paths below it that others, or the group, may do anything with."""
    return [
        f"{path.relative_to(directory)} {stat.S_IMODE(path.lstat().st_mode):o}"
        for path in (directory, *directory.rglob("*"))
        if stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]


@pytest.mark.usefixtures("umask")
def test_a_run_its_evidence_its_documents_and_what_is_written_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    runs = tmp_path / "somewhere" / "runs"
    run = write_run(runs)
    write_evidence(run)
    for path in (run / "evidence", *(run / "evidence").rglob("*")):  # the tests' own hand
        path.chmod(path.stat().st_mode & 0o700)
    judge_run(run)
    collect(RunRecord.open(run), as_played(run), clock=LATER)
    monkeypatch.setattr(judge_process, "_command", lambda *_: ["true"])
    judge_process.follow(run).wait()
    Follower(directory=run, looks=run, language="fr", now_s=lambda: 0.0).write()
    _directory(runs, "series")
    write_json(runs / ".undo-x.json", {})
    assert {"verdict.json", "report.html", "evidence", "live", "record"} <= {path.name for path in run.iterdir()}
    assert open_to_others(runs) == []


def test_runs_that_were_there_before_are_left_as_their_owner_wants_them(tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir(mode=0o755)
    RunWriter.create(runs, new_run_id("x", datetime.now(UTC)))
    assert stat.S_IMODE(runs.stat().st_mode) == 0o755


def test_a_file_that_lies_ready_under_the_name_of_a_draft_is_not_written_through(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f".x.json.{os.getpid()}").symlink_to(victim)
    write_json(tmp_path / "x.json", {"a": 1})
    assert victim.read_text() == "mine"
    assert not (tmp_path / "x.json").is_symlink()


def test_a_record_of_files_and_directories_is_plain_and_one_with_anything_else_is_not(tmp_path):
    (tmp_path / "record").mkdir()
    (tmp_path / "evidence" / "001").mkdir(parents=True)
    (tmp_path / "record" / "x").write_text("")
    require_plain(tmp_path, below=("record", "evidence"))
    (tmp_path / "evidence" / "001" / "x").symlink_to("/etc/hostname")
    with pytest.raises(RunRecordError, match="evidence/001/x: is a link"):
        require_plain(tmp_path, below=("record", "evidence"))
