"""docs/ci.md: its examples are YAML that CI systems read, and their commands are run here as far as they can be."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from scenarios.errors import EXIT_CODE_MEANINGS
from scenarios.scenario import library_names
from tests.scenarios.examples import ENVIRONMENT
from tests.test_docs import DOCS, ROOT, fault_of

PAGE = (DOCS / "ci.md").read_text(encoding="utf-8")
GITHUB, GITLAB = (
    YAML(typ="safe", pure=True).load(text)
    for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
)
STEPS: list[dict[str, Any]] = GITHUB["jobs"]["gate"]["steps"]
#: `exec` in front of a command changes who gets the signals, not what is done.
LINES = [step["run"].removeprefix("exec ") for step in STEPS if "run" in step]
SECRETS = {name for step in STEPS for name in step.get("env", {}) if name != "SCENARIO"}
LOGIN = "security: {protocol: SASL_PLAINTEXT, mechanism: PLAIN, username: load, password_env: MM2GATE_SOURCE_PASSWORD}"


def test_every_exit_code_is_in_its_table_word_for_word():
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", PAGE, flags=re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == {int(c): text for c, text in EXIT_CODE_MEANINGS.items()}


def test_other_pages_leave_the_table_of_exit_codes_to_this_one():
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        rows = re.findall(r"^\| (?:10|20|30|40|50|64|70) \|", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert not rows or page.name == "ci.md", page


@pytest.mark.parametrize("line", LINES)
def test_commands_and_options_are_those_of_the_command_line(line):
    program, *words = shlex.split(line)
    assert program == "mm2gate"
    given = [word for word in words if word.startswith("-") or word in ("run", "plan")]
    assert fault_of(given) is None


def test_both_examples_do_the_same():
    assert GITLAB[".gate"]["script"] == LINES


def scenarios_of_the_examples() -> set[str]:
    jobs = [job for name, job in GITLAB.items() if isinstance(job, dict) and not name.startswith(".")]
    chosen = GITHUB[True if True in GITHUB else "on"]["workflow_dispatch"]["inputs"]["scenario"]
    return {job["variables"]["SCENARIO"] for job in jobs} | {chosen["default"]}


def test_examples_play_scenarios_that_there_are_within_their_time():
    assert scenarios_of_the_examples() <= set(library_names())
    assert {job["stage"] for job in GITLAB.values() if isinstance(job, dict) and "stage" in job} == set(
        GITLAB["stages"]
    )
    assert all(GITLAB[job["extends"]] for job in GITLAB.values() if isinstance(job, dict) and "extends" in job)


def test_what_the_examples_keep_is_where_runs_are_written():
    for line in LINES:
        assert "--runs-dir runs" in line or " run " not in f" {line} "
    (upload,) = [step for step in STEPS if "upload-artifact" in step.get("uses", "")]
    assert upload["with"]["path"] == "runs/"
    assert upload["if"] == "always()"
    artifacts = GITLAB[".gate"]["artifacts"]
    assert artifacts["paths"] == ["runs/"]
    assert artifacts["reports"]["junit"] == "runs/*/junit.xml"
    assert artifacts["when"] == "always"


def test_only_grey_is_allowed_to_fail():
    assert GITLAB[".gate"]["allow_failure"] == {"exit_codes": 10}


@pytest.mark.parametrize("line", LINES)
def test_the_commands_themselves_run_in_a_shell_up_to_the_secret_that_is_not_here(line, tmp_path: Path):
    """As a job does it: the line in a shell, the scenario in a variable. `plan` succeeds, `run` is refused (40)."""
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    mm2gate = bin_directory / "mm2gate"
    mm2gate.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m runbook "$@"\n')
    mm2gate.chmod(0o755)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "staging.yaml").write_text(
        ENVIRONMENT.replace("cluster_id: AAAA", f"cluster_id: AAAA, {LOGIN}")
    )
    done = subprocess.run(
        ["bash", "-e", "-c", line],
        cwd=tmp_path,
        env={
            **{name: value for name, value in os.environ.items() if name not in SECRETS},
            "PATH": f"{bin_directory}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SCENARIO": "phase1_smoke",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if " plan " in line:
        assert (done.returncode, done.stderr) == (0, "")
        assert "records      100 of 1,024 bytes, and 12 canaries" in done.stdout
    else:
        assert done.returncode == 40, done.stdout + done.stderr
        (sentence,) = done.stderr.strip().splitlines()
        assert "environment variable MM2GATE_SOURCE_PASSWORD is not set" in sentence
        assert "MM2GATE_SOURCE_PASSWORD" in SECRETS
