"""The documents of a judgement appear together or not at all, and none outlives the verdict that it tells of."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from checks import judge as judges
from checks.documents import NAMES, judgement_of, publish
from checks.judge import judge_run
from checks.report.files import compare_runs, report_run
from locust_session import web_pages
from run_record.store import SEAL, sums
from scenarios.errors import RunRecordError, SpecError
from scenarios.judged_run import MARK, verdict_file
from scenarios.variables import resolved
from tests.support.records import HEALTHY, write_evidence, write_run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def judged(tmp_path):
    """A run that was judged GO."""
    directory = write_run(tmp_path / "runs")
    write_evidence(directory)
    assert judge_run(directory).verdict == "GO"
    return directory


def there(directory: Path) -> set[str]:
    """Documents that are there."""
    return {path.name for path in directory.iterdir() if path.is_file() and path.name != MARK}


def spoil(directory: Path) -> None:
    """Another judgement would come to NOGO."""
    shutil.rmtree(directory / "record")
    other = write_run(directory.parent / "spoilt", counts=replace(HEALTHY, arrived=99, lost=1))
    shutil.move(other / "record", directory / "record")


def test_a_whole_judgement_leaves_all_documents_and_no_mark(judged):
    assert there(judged) == set(NAMES)
    assert not (judged / MARK).exists()
    assert verdict_file(judged) is not None


# --- a judgement that fails ------------------------------------------------------------------------------------------


def broken_seal(directory: Path) -> None:
    (directory / "record" / "ledger.json").write_text("{}")


def broken_evidence(directory: Path) -> None:
    (directory / "evidence" / "001" / "index.json").write_text("{}")


def unreadable_manifest(directory: Path) -> None:
    (directory / "record" / "manifest.json").write_bytes(b"\0" * 100)
    (directory / "record" / SEAL).write_text(sums(directory / "record"))


@pytest.mark.parametrize("damage", [broken_seal, broken_evidence, unreadable_manifest])
def test_what_cannot_be_judged_leaves_no_document_of_when_it_could(judged, damage):
    damage(judged)
    with pytest.raises(RunRecordError) as said:
        judge_run(judged)
    assert there(judged) == set()
    assert str(said.value) in (judged / MARK).read_text(encoding="utf-8")
    assert verdict_file(judged) is None


@pytest.mark.parametrize("part", ["fiche", "report", "junit", "job_summary", "verdict_content"])
@pytest.mark.parametrize("error", [RuntimeError("a bug"), MemoryError(), KeyboardInterrupt(), SystemExit(3)])
def test_a_judge_that_crashes_leaves_no_green_sheet(judged, monkeypatch, part, error):
    def crash(*_, **__):
        raise error

    monkeypatch.setattr(judges, part, crash)
    with pytest.raises(type(error)):
        judge_run(judged)
    assert there(judged) == set()
    assert "no verdict" in (judged / MARK).read_text(encoding="utf-8")


def test_the_next_judgement_removes_the_mark(judged):
    whole = {name: (judged / name).read_bytes() for name in NAMES}
    record = (judged / "record" / "ledger.json").read_bytes()
    broken_seal(judged)
    with pytest.raises(RunRecordError):
        judge_run(judged)
    (judged / "record" / "ledger.json").write_bytes(record)
    judge_run(judged)
    assert {name: (judged / name).read_bytes() for name in NAMES} == whole
    assert not (judged / MARK).exists()


def test_a_comparison_shows_no_verdict_that_is_gone(judged, tmp_path):
    other = write_run(tmp_path, run_id="other")
    write_evidence(other)
    judge_run(other)
    page = compare_runs(judged, other, language="en")
    broken_seal(judged)
    with pytest.raises(RunRecordError):
        judge_run(judged)
    assert not page.exists()


def test_what_is_asked_wrongly_touches_nothing(judged):
    with pytest.raises(SpecError, match="no reports in this language"):
        judge_run(judged, language="tlh")
    with pytest.raises(SpecError, match="--env"):
        judge_run(judged, refresh=True)
    assert there(judged) == set(NAMES)
    assert verdict_file(judged) is not None


def test_what_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "verdict.json").write_text("mine")
    with pytest.raises(RunRecordError, match="not a run directory"):
        judge_run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["verdict.json"]


# --- a disk that is full ---------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk():
    """No file may grow beyond so many bytes: the kernel's own refusal."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(most_bytes: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("most_bytes", [0, 100, 5_000, 50_000])
def test_where_there_is_no_room_for_all_documents_there_is_none(judged, small_disk, most_bytes):
    """Whichever of them is the first that is too long."""
    small_disk(most_bytes)
    with pytest.raises(RunRecordError, match="cannot be written"):
        judge_run(judged)
    small_disk(resource.RLIM_INFINITY)
    assert there(judged) == set()
    assert verdict_file(judged) is None


FULL_DISK = """
mkdir disk && mount -t tmpfs -o size=1m full disk && cp -r runs disk/runs && cd disk
head -c 10m /dev/zero > filler 2> /dev/null
"$1" -m runbook judge runs/* > said 2>&1 < /dev/null
code=$?
rm filler
ls runs/*/ >&2
exit $code
"""


def test_on_a_disk_that_is_really_full_the_judge_says_so_and_leaves_no_sheet(judged, tmp_path):
    """A filesystem of one megabyte, and not a byte of it left."""
    # As whoever may mount: in a namespace of its own, which ends with the test.
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", FULL_DISK, "sh", sys.executable]
    if subprocess.run([*command[:3], "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a filesystem of his own")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 70, done.stderr
    left = set(done.stderr.split())
    assert {"record", "evidence"} <= left
    assert not left & set(NAMES)


# --- killed ----------------------------------------------------------------------------------------------------------

CALLS = ("open", "replace", "unlink", "fsync")


def killed_at(call: int, directory: Path, documents: dict[str, str]) -> bool:
    """Judges in a process that is killed before its nth call that changes anything on the disk; whether it was."""
    child = os.fork()
    if child == 0:
        left = [call]

        def counted(function):
            def counting(*arguments, **more):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **more)

            return counting

        for name in CALLS:
            setattr(os, name, counted(getattr(os, name)))
        with judgement_of(directory):
            publish(directory, documents)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_killed_at_any_instant_it_leaves_all_documents_of_one_judgement_or_none_that_pass_for_it(tmp_path):
    """Killed before each of its calls that changes anything on the disk."""
    old, new = ({name: f"{which} {name}" for name in NAMES} for which in ("old", "new"))
    outcomes = []
    for call in range(1, 200):
        for name, text in old.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / MARK).unlink(missing_ok=True)
        killed = killed_at(call, tmp_path, new)
        left = {name: (tmp_path / name).read_text() for name in NAMES if (tmp_path / name).exists()}
        if verdict_file(tmp_path) is not None:  # before it changed anything, or after everything
            assert left in (old, new)
        outcomes.append(verdict_file(tmp_path) is not None)
        if not killed:
            break
    assert (outcomes[0], outcomes[-1]) == (True, True)
    assert len(outcomes) > 25
    assert outcomes.count(True) <= 4, "between the first change and the last one there is no verdict"


# --- who reads them --------------------------------------------------------------------------------------------------


def failed(directory: Path) -> None:
    broken_seal(directory)
    with pytest.raises(RunRecordError):
        judge_run(directory)


def half_done(directory: Path) -> None:
    """As when it was killed while its documents appeared."""
    (directory / MARK).write_text("begun")


@pytest.mark.parametrize("end", [failed, half_done])
def test_nobody_reads_what_is_not_whole(judged, tmp_path, end: Callable[[Path], None]):
    other = write_run(tmp_path, run_id="other")
    write_evidence(other)
    end(judged)
    with pytest.raises(RunRecordError, match=r"was not judged yet|changed since the record was sealed"):
        report_run(judged, language="en")
    with pytest.raises(RunRecordError, match=r"baseline|seal"):
        judge_run(other, baseline=judged)
    with pytest.raises(SpecError, match="is no judged run"):
        resolved({"capacity": f"@{judged}"}, rehearsed=False)
    assert web_pages.verdict_of(judged) is None
    assert web_pages.document_of(judged, "fiche.md") is None
    assert web_pages.document_of(judged, MARK) is not None


def test_a_report_is_of_the_evidence_that_was_judged(judged):
    write_evidence(judged, errors={})
    newer = judged / "evidence" / "002"
    assert newer.is_dir()
    report_run(judged, language="en")
    assert "evidence/001" in (judged / "report.html").read_text(encoding="utf-8")


def test_a_report_is_of_the_verdict_that_was_written(judged):
    content = json.loads((judged / "verdict.json").read_text(encoding="utf-8"))
    (judged / "verdict.json").write_text(json.dumps({**content, "verdict": "NOGO"}), encoding="utf-8")
    with pytest.raises(RunRecordError, match="says NOGO, and this version comes to GO"):
        report_run(judged, language="en")


def test_documents_are_published_all_or_none(tmp_path, small_disk):
    publish(tmp_path, {"fiche.md": "old", "report.html": "old"})
    small_disk(100)
    with pytest.raises(RunRecordError, match="cannot be written"):
        publish(tmp_path, {"fiche.md": "new", "report.html": "x" * 200})
    small_disk(resource.RLIM_INFINITY)
    assert (tmp_path / "fiche.md").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"fiche.md", "report.html"}


# --- evidence that is not judged -------------------------------------------------------------------------------------


def test_newer_evidence_that_was_not_sealed_is_named_on_the_sheet(judged):
    (judged / "evidence" / "002").mkdir()
    judge_run(judged)
    fiche = (judged / "fiche.md").read_text(encoding="utf-8")
    assert "les preuves `002` sont plus récentes et non scellées" in fiche
    assert json.loads((judged / "verdict.json").read_text(encoding="utf-8"))["evidence"] == "001"
