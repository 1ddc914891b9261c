"""The judge as a whole: the contract of its files, and the same bytes wherever and whenever it is asked again."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from checks.judge import judge_run
from checks.metric_profiles import Role
from scenarios.errors import RunRecordError, SpecError
from tests.support.records import HEALTHY, always, healthy_metrics, spoil, write_evidence, write_run

DERIVED = ("verdict.json", "fiche.md", "junit.xml", "summary.md")
ROOT = Path(__file__).resolve().parents[2]


def read(directory):
    return {name: (directory / name).read_bytes() for name in DERIVED}


@pytest.fixture
def spoilt_run(tmp_path):
    directory = write_run(tmp_path / "runs", counts=replace(HEALTHY, arrived=97, late=2, lost=1), last_errors=["a | b"])
    write_evidence(directory, spoil(healthy_metrics(), Role.LATENCY_MAX, always(float("nan"))))
    judge_run(directory)
    return directory


def test_judging_again_writes_the_same_bytes(spoilt_run):
    before = read(spoilt_run)
    for name in DERIVED:
        (spoilt_run / name).unlink()
    judge_run(spoilt_run)
    assert read(spoilt_run) == before


def test_copy_elsewhere_in_another_zone_and_locale_gives_the_same_bytes(spoilt_run, tmp_path):
    copy = tmp_path / "away" / "renamed"
    shutil.copytree(spoilt_run, copy)
    for name in DERIVED:
        (copy / name).unlink()
    call = "import sys; from pathlib import Path; from checks.judge import judge_run; judge_run(Path(sys.argv[1]))"
    settings = {"TZ": "Pacific/Chatham", "LC_ALL": "C", "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", call, copy], check=True, cwd=tmp_path, env={**os.environ, **settings})
    assert read(copy) == read(spoilt_run)


def test_judging_from_evidence_opens_no_socket_and_loads_no_client(spoilt_run, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    judge_run(spoilt_run)
    call = (
        "import sys; from pathlib import Path; from checks.judge import judge_run; judge_run(Path(sys.argv[1]));"
        "sys.exit(any(name.split('.')[0] in ('requests', 'clients', 'locust') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", call, spoilt_run], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_newest_sealed_evidence_is_judged(spoilt_run):
    write_evidence(spoilt_run, errors=dict.fromkeys(Role, "down"))
    judge_run(spoilt_run)
    assert json.loads((spoilt_run / "verdict.json").read_text())["evidence"] == "002"


def test_evidence_whose_collection_was_killed_is_passed_over(spoilt_run):
    (spoilt_run / "evidence" / "002").mkdir()
    judge_run(spoilt_run)
    assert json.loads((spoilt_run / "verdict.json").read_text())["evidence"] == "001"


@pytest.mark.parametrize("path", ["record/ledger.json", "evidence/001/index.json"])
def test_nothing_is_judged_of_what_changed_after_its_seal(spoilt_run, path):
    (spoilt_run / path).write_text("{}")
    with pytest.raises(RunRecordError, match="changed since"):
        judge_run(spoilt_run)


def test_run_that_still_goes_on_is_not_judged(tmp_path):
    done = write_run(tmp_path, counts=None)
    with (done / "record" / "events.jsonl").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(RunRecordError, match="still going on"):
            judge_run(done)


def test_directory_that_is_no_run_is_said_in_a_sentence(tmp_path):
    with pytest.raises(RunRecordError, match="not a run directory"):
        judge_run(tmp_path)


def test_language_without_templates_is_refused(spoilt_run):
    with pytest.raises(SpecError, match="no reports in this language; there are en, fr"):
        judge_run(spoilt_run, language="tlh")


def test_verdict_file_keeps_its_contract(spoilt_run):
    content = json.loads((spoilt_run / "verdict.json").read_text())
    assert {"schema", "scenario", "run_id", "verdict", "exit_code", "aborted", "rehearsal", "criteria"} <= set(content)
    assert content["schema"] == 1
    keys = {"id", "verdict", "value", "unit", "go", "nogo", "samples", "window", "source", "reason"}
    for criterion in content["criteria"]:
        assert keys | {"group", "advisory", "beside"} <= set(criterion)
        assert set(criterion["reason"]) == {"code", "params"}
    latency = next(criterion for criterion in content["criteria"] if criterion["id"] == "latency_avg")
    assert latency["window"] == {"start": "2027-01-15T08:01:11.000Z", "end": "2027-01-15T08:02:23.000Z"}
    assert latency["beside"]["measure"] == "e2e.mean"


def test_no_number_in_json_is_nan_or_infinite(spoilt_run):
    def refuse(word):
        raise AssertionError(word)

    json.loads((spoilt_run / "verdict.json").read_text(), parse_constant=refuse)
