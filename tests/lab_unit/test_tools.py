"""Which programs are used, and what is said when they are not there."""

from pathlib import Path

import pytest

from lab import tools
from lab.jars import DEFAULT_KAFKA_VERSION, lock_file, parse_lock
from scenarios.errors import LabError


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_402"', 8),
        ("bash: java: command not found", None),
    ],
)
def test_javas_version_is_understood(text: str, major: int | None):
    assert tools.java_major(text) == major


def _program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    path.chmod(0o755)
    return path


def test_an_old_java_is_passed_over_for_a_newer_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    _program(tmp_path / "home/bin/java", 'openjdk version "11.0.2"')
    new = _program(tmp_path / "path/java", 'openjdk version "21.0.1"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert tools.system_java() == tools.Java(path=new, major=21)
    new.unlink()
    assert tools.system_java() is None


def _toolbox(directory: Path) -> tools.Toolbox:
    store = tools.jar_store(directory)
    for jar in parse_lock(lock_file(DEFAULT_KAFKA_VERSION).read_text(encoding="utf-8")):
        store.path(jar).parent.mkdir(parents=True, exist_ok=True)
        store.path(jar).touch()
    paths = {name: directory / name for name in ("agent", "prometheus", "promtool", "node_exporter", "java")}
    for path in paths.values():
        path.touch()
    java = tools.Java(path=paths.pop("java"), major=17)
    return tools.Toolbox(java=java, libs=store.libs, **paths)


def test_what_setup_found_is_what_up_uses(tmp_path: Path):
    with pytest.raises(LabError, match="run `make setup`"):
        tools.load_toolbox(tmp_path)
    toolbox = _toolbox(tmp_path)
    tools.save_toolbox(toolbox, tmp_path)
    assert tools.load_toolbox(tmp_path) == toolbox


def test_what_went_away_since_setup_is_named(tmp_path: Path):
    toolbox = _toolbox(tmp_path)
    tools.save_toolbox(toolbox, tmp_path)
    next(toolbox.libs.iterdir()).unlink()
    with pytest.raises(LabError, match="1 of Kafka's jars are gone"):
        tools.load_toolbox(tmp_path)
    toolbox.prometheus.unlink()
    with pytest.raises(LabError, match=r"prometheus was there at the last setup and is gone: run `make setup`"):
        tools.load_toolbox(tmp_path)
    tools.toolbox_file(tmp_path).write_text("{}")
    with pytest.raises(LabError, match="cannot be read: run `make setup`"):
        tools.load_toolbox(tmp_path)
