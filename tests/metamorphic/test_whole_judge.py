"""Some fifty damages go through the whole judge, documents and all; and what was not sealed again is refused."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.metamorphic.bed import Bed, as_json
from tests.metamorphic.damages import HOLES, NONE, POISONS
from tests.metamorphic.needs import Need, needs_of
from tests.metamorphic.test_record import BREAKS, LIES, documents, text_with, told_only

SEED = 12
ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("verdict.json", "fiche.md", "junit.xml", "summary.md", "report.html")
#: GREY, NOGO, INCONCLUSIVE, aborted, and "nothing in it can be judged": all but GO.
NO_PASS = (10, 20, 30, 50, 70)


@pytest.fixture(scope="module")
def green(smoke, tmp_path_factory) -> Path:
    """A run with the green documents of its true judgement."""
    run = tmp_path_factory.mktemp("green") / smoke.directory.name
    shutil.copytree(smoke.directory, run)
    assert judge(run) == 0
    return run


@pytest.fixture
def copy(green, tmp_path) -> Bed:
    """The same for one damage."""
    shutil.copytree(green, tmp_path / green.name)
    return Bed(directory=tmp_path / green.name)


@pytest.fixture(scope="module")
def needs(smoke) -> dict[str, Need]:
    """What each criterion of the run reads, and where: a damage elsewhere is none."""
    return needs_of(smoke.directory)


def judge(run: Path) -> int:
    """`mm2gate judge` as a program; its exit code. Its last word is no traceback."""
    command = [sys.executable, "-P", "-m", "runbook", "judge", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT)})
    assert "Traceback" not in done.stderr
    assert done.returncode == 0 or done.stdout + done.stderr
    return done.returncode


def no_green_document(run: Path, code: int) -> None:
    """What lies in the directory says what the exit code says, or nothing does."""
    there = [name for name in DOCUMENTS if (run / name).exists()]
    if code == 70:
        assert there == []
    else:
        assert there == [*DOCUMENTS]
        assert json.loads((run / "verdict.json").read_text(encoding="utf-8"))["exit_code"] == code


def of_the_record(count: int) -> list[tuple]:
    found = [
        (file, line, path, edit)
        for file, line, path, value in documents("phase1_smoke")
        for edit in (*BREAKS, *LIES)
        if edit.applies(value) and not (edit in LIES and told_only(file, path))
    ]
    return random.Random(SEED).sample(found, count)


def of_the_evidence(count: int) -> list[tuple]:
    roles = ("up", "poll_total", "write_total", "latency_avg", "latency_max", "active_count", "failed_tasks")
    found = [
        (role, damage)
        for role in roles
        for damage in (NONE, *HOLES[:6], *POISONS[:3])
        if role != "up" or not damage.poison
    ]
    return random.Random(SEED).sample(found, count)


@pytest.mark.parametrize(("file", "line", "path", "edit"), of_the_record(28))
def test_a_damaged_record_leaves_no_green_sheet(copy, file, line, path, edit):
    text = text_with(copy, file, line, path, edit)
    with copy.damaged({f"record/{file}": lambda _: text}) as run:
        code = judge(run)
        assert code in NO_PASS
        no_green_document(run, code)


@pytest.mark.parametrize(("role", "damage"), of_the_evidence(22))
def test_damaged_evidence_leaves_no_green_sheet(copy, needs, role, damage):
    windows = [window for need in needs.values() for window in need.looks.get(role, ())]
    span = min(window.start_s for window in windows), max(window.end_s for window in windows)

    def change(body):
        return {**body, "data": {**body["data"], "result": damage.apply(body["data"]["result"], span)}}

    (file,) = [name for found, name in copy.answers() if found == role]
    with copy.damaged({file: as_json(change)}) as run:
        code = judge(run)
        assert code in NO_PASS
        no_green_document(run, code)


@pytest.mark.parametrize("file", ["record/manifest.json", "record/ledger.json", "record/timeline.jsonl", "evidence"])
def test_what_was_changed_behind_the_seal_is_refused_and_no_old_sheet_stays(copy, file):
    name = next(name for _, name in copy.answers()) if file == "evidence" else file
    with copy.damaged({name: lambda text: text + " "}, reseal=False) as run:
        assert judge(run) == 70
        no_green_document(run, 70)
