"""The lock and the cache: what is used has the locked hash, whatever happened to earlier downloads."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cache import cache_dir, scratch, sweep_scratch
from lab.jars import DEFAULT_KAFKA_VERSION, Jar, JarStore, known_versions, lock_file, parse_lock, render_lock
from lab.jars_lock import parse_dependency_list
from scenarios.errors import LabError


def _jar(artifact: str, content: bytes = b"content") -> Jar:
    return Jar(group="g", artifact=artifact, version="1.0", sha256=hashlib.sha256(content).hexdigest())


AGENT = _jar("jmx_prometheus_javaagent")
JARS = (_jar("a"), _jar("b"), AGENT)


def _deliver(content: bytes = b"content"):
    def fetch(jar: Jar, directory: Path) -> Path:
        file = directory / "deep" / jar.filename
        file.parent.mkdir()
        file.write_bytes(content)
        return file

    return fetch


@pytest.fixture
def store(tmp_path: Path) -> JarStore:
    return JarStore(directory=tmp_path / "kafka")


def _fill(store: JarStore, tmp_path: Path, fetch=None) -> list[str]:
    arrived: list[str] = []
    store.fill(JARS, cache=tmp_path, fetch=fetch or _deliver(), arrived=lambda jar: arrived.append(jar.artifact))
    return sorted(arrived)


def test_a_lock_reads_back_as_it_was_written():
    jars = (*JARS, Jar(group="g.h", artifact="c-d_2.13", version="1.0+x", sha256="0" * 64, extension="zip"))
    assert set(parse_lock(render_lock(jars))) == set(jars)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("g:a:1.0", "line 1: expected"),
        ("g:a:1.0 " + "0" * 63, "line 1: expected"),
        ("\n# note\ng:a " + "0" * 64, "line 3: expected"),
        ("g:../a:1 " + "0" * 64, "line 1: expected"),
        ("g:a:1 " + "0" * 64 + "\nh:a:1 " + "1" * 64, "a-1.jar is there twice"),
        ("", "does not hold jmx_prometheus_javaagent"),
    ],
)
def test_a_lock_that_cannot_be_trusted_is_refused(text: str, says: str):
    with pytest.raises(LabError, match=says):
        parse_lock(text)


@pytest.mark.parametrize("version", known_versions())
def test_a_committed_lock_holds_what_the_lab_needs(version: str):
    artifacts = {jar.artifact: jar.version for jar in parse_lock(lock_file(version).read_text(encoding="utf-8"))}
    wanted = {"kafka_2.13", "kafka-tools", "connect-runtime", "connect-mirror", "connect-transforms", "log4j-core"}
    assert wanted <= artifacts.keys()
    assert {artifacts[name] for name in wanted - {"log4j-core"}} == {version}
    # Two bindings of slf4j on one class path, and either may get the log.
    assert [name for name in artifacts if name.startswith(("slf4j-", "log4j-slf4j")) and name != "slf4j-api"] == [
        "log4j-slf4j-impl"
    ]


def test_there_is_a_kafka_4_by_default_and_a_kafka_3():
    assert DEFAULT_KAFKA_VERSION.startswith("4.")
    assert {version.split(".")[0] for version in known_versions()} == {"3", "4"}


def test_the_agent_stays_out_of_the_class_path(store: JarStore, tmp_path: Path):
    assert _fill(store, tmp_path) == ["a", "b", AGENT.artifact]
    assert sorted(path.name for path in store.libs.iterdir()) == ["a-1.0.jar", "b-1.0.jar"]
    assert store.path(AGENT).parent == store.agents


def test_only_what_is_missing_or_damaged_is_fetched_again(store: JarStore, tmp_path: Path):
    _fill(store, tmp_path)
    assert store.missing(JARS) == []
    store.path(JARS[0]).write_bytes(b"cont")
    assert _fill(store, tmp_path) == ["a"]
    assert store.missing(JARS) == []


def test_a_jar_of_another_content_never_gets_its_name(store: JarStore, tmp_path: Path):
    with pytest.raises(LabError, match=r"g:.*:1\.0 was downloaded with sha256"):
        _fill(store, tmp_path, _deliver(b"something else"))
    assert store.missing(JARS) == list(JARS)
    assert list(tmp_path.glob("scratch-*")) == []


def test_strangers_leave_the_class_path(store: JarStore, tmp_path: Path):
    _fill(store, tmp_path)
    (store.libs / "old-0.9.jar").touch()
    store.remove_strangers(JARS)
    assert not (store.libs / "old-0.9.jar").exists()
    assert store.missing(JARS) == []


def test_what_a_killed_setup_left_is_swept(tmp_path: Path):
    code = (
        "import os, sys; from pathlib import Path; from lab.cache import scratch\n"
        "with scratch(Path(sys.argv[1])) as area: (area / 'half.jar').touch(); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 9
    assert len(list(tmp_path.glob("*/half.jar"))) == 1
    sweep_scratch(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with scratch(tmp_path) as area:
        assert area.is_dir()


def test_mavens_list_becomes_jars_with_their_hashes(tmp_path: Path):
    file = tmp_path / "a-1.jar"
    file.write_bytes(b"content")
    listing = f"\nThe following files have been resolved:\n   g:a:jar:1:runtime:{file}\x1b[36m -- module a\x1b[0m\n\n"
    (jar,) = parse_dependency_list(listing)
    assert (jar.coordinate, jar.sha256) == ("g:a:1", _jar("a").sha256)


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MM2GATE_CACHE", raising=False)
    assert cache_dir() == tmp_path / "mm2gate"
    monkeypatch.setenv("MM2GATE_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"
