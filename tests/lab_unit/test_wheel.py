"""The wheel holds all that mm2gate needs: in a bare environment and an empty directory it plans, and is a worker.

The environment has the third parties of this one on its path, and nothing else of it; nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.ports import free_ports
from runbook.installation import PACKAGES, shadowed
from tests.scenarios.examples import ENVIRONMENT
from tests.test_imports import ROOMS

ROOT = Path(__file__).resolve().parents[2]
MASTER = "from locust import User, task\n\nclass MirrorUser(User):\n    @task\n    def nothing(self):\n        pass\n"


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """In an empty environment but for what is given: no PYTHONPATH leads back to the checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since a build leaves files in its source."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir")
    done = run(sys.executable, "-m", "pip", "wheel", "-q", *options, out, source, cwd=out)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bin/ of an environment with the wheel. A .pth of it names our third parties' directory, whose own .pth files
    (that of the checkout's editable install among them) are not followed from there."""
    home = tmp_path_factory.mktemp("bare")
    assert run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home).returncode == 0
    site = next(home.glob("lib/python*/site-packages"))
    done = run(
        sys.executable, "-m", "pip", "--python", home / "bin" / "python", "install", "-q", "--no-deps", "--no-index",
        wheel, cwd=home,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (site / "third_parties.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return tmp_path


def site_of(bare: Path) -> Path:
    return next(bare.parent.glob("lib/python*/site-packages"))


def test_every_file_of_every_package_is_in_the_wheel(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    files = {
        path.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert not sorted(files - packed)
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in packed)


def test_the_packages_that_are_looked_after_are_all_of_ours():
    assert set(PACKAGES) == set(ROOMS)


def test_scenarios_are_listed_and_planned_in_an_empty_directory(bare: Path, empty: Path):
    listed = run(bare / "mm2gate", "scenarios", cwd=empty)
    assert listed.returncode == 0, listed.stderr
    assert [line.split()[0] for line in listed.stdout.splitlines()] == sorted(
        path.stem for path in (ROOT / "scenarios" / "library").glob("*.yaml")
    )
    (empty / "desk.yaml").write_text(ENVIRONMENT)
    planned = run(bare / "mm2gate", "plan", "phase2_nominal", "--env", "desk.yaml", cwd=empty)
    assert "1,800,000 of 1,024 bytes" in planned.stdout, planned.stderr
    assert run(bare / "mm2gate", "--version", cwd=empty).stdout.startswith("mm2gate")


def test_the_locustfile_is_the_wheels_and_plain_locust_refuses_a_bad_scenario_with_it(bare: Path, empty: Path):
    found = run(bare / "mm2gate", "locustfile", "mm2", cwd=empty)
    assert found.stdout.strip() == str(site_of(bare) / "locustfiles" / "mm2.py")
    (empty / "desk.yaml").write_text(ENVIRONMENT)
    options = ("--headless", "--scenario", "none_such", "--env", "desk.yaml")
    done = run(bare / "python", "-m", "locust", "-f", found.stdout.strip(), *options, cwd=empty)
    assert done.returncode == 64, done.stderr
    assert "no such scenario" in done.stderr


def test_a_worker_elsewhere_joins_its_master(bare: Path, empty: Path):
    locustfile = run(bare / "mm2gate", "locustfile", "mm2", cwd=empty).stdout.strip()
    (empty / "master.py").write_text(MASTER)
    port = str(free_ports(("master",))["master"])
    log = empty / "master.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    python = str(bare / "python")
    master_command = [python, "-m", "locust", "-f", "master.py", "--master", "--headless", "--expect-workers", "2"]
    worker_command = [python, "-m", "locust", "-f", locustfile, "--worker", "--master-host", "127.0.0.1"]
    with log.open("w") as stream:
        master = subprocess.Popen(
            [*master_command, "--master-bind-host", "127.0.0.1", "--master-bind-port", port],
            cwd=empty, env=kept, stdout=stream, stderr=stream,
        )  # fmt: skip
        worker = subprocess.Popen(
            [*worker_command, "--master-port", port],
            cwd=empty, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    try:
        deadline_s = time.monotonic() + 180
        while "1 workers connected" not in log.read_text():
            assert worker.poll() is None, worker.communicate()[0]
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(0.1)
    finally:
        worker.terminate()
        said, _ = worker.communicate(timeout=60)
        master.kill()
        master.wait()
    assert "Traceback" not in said
    assert "mm2gate:" not in said


@pytest.fixture
def crowded(empty: Path) -> Iterator[Path]:
    """A working directory with a package of one of our names, as many a project has."""
    (empty / "clients").mkdir()
    (empty / "clients" / "__init__.py").write_text("raise SystemExit('the wrong clients')\n")
    (empty / "scenarios").mkdir()  # a folder of YAML files is no package, and in nobody's way
    return empty


def test_a_package_of_the_same_name_in_the_working_directory_is_refused_with_both_paths(bare: Path, crowded: Path):
    ours = site_of(bare) / "clients"
    locustfile = str(site_of(bare) / "locustfiles" / "mm2.py")
    for command in (["locust", "-f", locustfile, "--headless"], ["runbook", "scenarios"]):
        done = run(bare / "python", "-m", *command, cwd=crowded)
        assert done.returncode == 40, done.stderr
        (sentence,) = done.stderr.strip().splitlines()
        assert f"{crowded / 'clients'} would be used instead of {ours}" in sentence


def test_the_command_itself_does_not_look_into_the_working_directory(bare: Path, crowded: Path):
    done = run(bare / "mm2gate", "scenarios", cwd=crowded)
    assert done.returncode == 0, done.stderr
    pointed = run(bare / "mm2gate", "scenarios", cwd=crowded, PYTHONPATH=str(crowded))
    assert pointed.returncode == 40
    assert "take it off PYTHONPATH" in pointed.stderr


def test_a_package_that_was_installed_over_ours_is_noticed(bare: Path, empty: Path):
    file = site_of(bare) / "lab" / "__init__.py"
    text = file.read_text()
    try:
        file.write_text("# another distribution's\n")
        done = run(bare / "mm2gate", "scenarios", cwd=empty)
    finally:
        file.write_text(text)
    assert done.returncode == 40
    (sentence,) = done.stderr.strip().splitlines()
    assert f"another package was installed over {file.parent}" in sentence


def test_a_package_that_is_not_found_at_all_is_no_shadow(tmp_path: Path):
    assert shadowed(tmp_path, {"checks": None, "lab": tmp_path / "lab"}) is None
    assert shadowed(tmp_path, {"checks": Path("/elsewhere/checks")}) is not None
