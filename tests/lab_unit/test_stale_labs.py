"""What `up` and `down` make of a directory that a reboot, a kill or somebody else left: with dummy processes."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import lifecycle, process, rendering, state
from lab.handles import Lab
from lab.jars import DEFAULT_KAFKA_VERSION
from lab.layout import Layout, claim, component_names, layout_of, locked, make_directories, worker_names
from lab.process import LAB_VARIABLE, Life, ProcessId
from lab.state import LabState, Stage
from scenarios.errors import LabError

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


class Listener:
    """Remembers what was said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def ready(self, what: str, took_s: float, remark: str) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warming(self, elapsed_s: float, total_s: float) -> None:
        pass


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = layout_of(tmp_path / "lab")
    found.root.mkdir()
    claim(found)
    make_directories(found)
    (found.data / "something").touch()
    return found


@pytest.fixture
def sleeper(layout: Layout):
    environment = {LAB_VARIABLE: "this-lab"}
    started = process.start(SLEEP, log=layout.log("source"), environment=environment, directory=layout.root)
    # It is started a moment before the kernel shows its environment.
    while b"this-lab" not in Path(f"/proc/{started.pid}/environ").read_bytes():
        time.sleep(0.01)
    yield started
    process.end([started], grace_s=1.0)


def _save(layout: Layout, processes: dict[str, ProcessId], stage: Stage = Stage.UP) -> LabState:
    ports = dict.fromkeys(rendering.port_names(worker_names(2)), 1)
    saved = LabState(
        lab_id="this-lab",
        stage=stage,
        kafka_version=DEFAULT_KAFKA_VERSION,
        ports=ports,
        cluster_ids={},
        commands=dict.fromkeys(component_names(worker_names(2)), SLEEP),
        processes=processes,
    )
    state.save(saved, layout.state_file)
    return saved


def _down(layout: Layout, *, keep_logs: bool = False) -> list[str]:
    listener = Listener()
    lifecycle.down(layout.root, keep_logs=keep_logs, announcer=listener)
    return listener.notes


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Layout]:
    """Where `up` would have made a lab."""
    calls: list[Layout] = []
    monkeypatch.setattr(lifecycle, "load_toolbox", lambda *_: None)
    monkeypatch.setattr(lifecycle, "_make", lambda layout, *_rest: calls.append(layout))
    return calls


@pytest.mark.parametrize("wish", [{"workers": 3}, {"kafka_version": "3.9.1"}])
def test_up_on_a_lab_of_another_make_says_what_it_has(layout: Layout, sleeper: ProcessId, wish: dict[str, Any]):
    _save(layout, {"source": sleeper})
    with pytest.raises(LabError, match=r"has 2 Connect workers and Kafka 4\.3\.1, which is not what is asked for"):
        lifecycle.up(layout.root, warm_s=0, announcer=Listener(), **wish)
    assert process.life(sleeper) is Life.RUNNING


def test_down_ends_its_process_and_leaves_nothing(layout: Layout, sleeper: ProcessId):
    _save(layout, {"source": sleeper})
    assert "1 processes ended" in _down(layout)[0]
    assert process.life(sleeper) is Life.GONE
    assert not layout.root.exists()


def test_down_after_a_reboot_leaves_the_stranger_that_has_the_pid_now(layout: Layout, sleeper: ProcessId):
    _save(layout, {"source": replace(sleeper, started_s=sleeper.started_s - 3600)})
    # Its mark too is of another lab.
    state.save(replace(state.load(layout.state_file), lab_id="before-the-reboot"), layout.state_file)
    assert "0 processes ended" in _down(layout)[0]
    assert process.life(sleeper) is Life.RUNNING
    assert not layout.root.exists()


def test_down_finds_the_process_that_a_killed_up_did_not_note(layout: Layout, sleeper: ProcessId):
    _save(layout, {}, Stage.STARTING)
    assert "1 processes ended" in _down(layout)[0]
    assert process.life(sleeper) is Life.GONE


def test_down_ends_a_frozen_process(layout: Layout, sleeper: ProcessId):
    _save(layout, {"source": sleeper})
    Lab.open(layout.root).component("source").freeze()
    _down(layout)
    assert process.life(sleeper) is Life.GONE


def test_down_keeps_the_logs_if_asked_and_a_second_one_clears_them(layout: Layout):
    layout.log("source").write_text("a line\n")
    _save(layout, {})
    assert "left in" in _down(layout, keep_logs=True)[1]
    assert [path.name for path in layout.root.iterdir() if path != layout.marker] == ["logs"]
    _down(layout)
    assert not layout.root.exists()


def test_down_leaves_what_others_put_there(layout: Layout):
    (layout.root / "mine.txt").touch()
    _save(layout, {})
    assert "mine.txt" in _down(layout)[1]
    assert [path.name for path in layout.root.iterdir() if path != layout.marker] == ["mine.txt"]


def test_down_does_not_touch_a_directory_that_is_not_a_labs(tmp_path: Path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(LabError, match="is not a lab's directory; nothing in it was touched"):
        lifecycle.down(tmp_path, keep_logs=False, announcer=Listener())
    assert (tmp_path / "thesis.tex").exists()


def test_down_where_there_is_nothing_is_harmless(tmp_path: Path):
    assert "nothing to take down" in _down(layout_of(tmp_path / "none"))[0]
    assert not (tmp_path / "none").exists()


def test_up_clears_a_lab_whose_processes_are_gone_and_makes_another(layout: Layout, made: list[Layout]):
    _save(layout, {"source": ProcessId(pid=os.getpid(), started_s=1.0)})
    listener = Listener()
    lifecycle.up(layout.root, warm_s=0, announcer=listener)
    assert "a lab whose processes are all gone" in listener.notes[0]
    assert made == [layout]
    assert list(layout.root.iterdir()) == [layout.marker]


def test_up_ends_the_remains_of_an_up_that_was_killed(layout: Layout, sleeper: ProcessId, made: list[Layout]):
    _save(layout, {"source": sleeper}, Stage.STARTING)
    listener = Listener()
    lifecycle.up(layout.root, warm_s=0, announcer=listener)
    assert "an `up` that did not finish" in listener.notes[0]
    assert process.life(sleeper) is Life.GONE
    assert made == [layout]


def test_up_refuses_a_directory_with_files_of_others(tmp_path: Path, made: list[Layout]):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(LabError, match=r"not a lab's directory \(it holds thesis.tex\)"):
        lifecycle.up(tmp_path, warm_s=0, announcer=Listener())
    assert not made
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", ["a,b", "a:b", 'a"b', "a{b}", "a#b"])
def test_a_path_that_configuration_cannot_carry_is_refused(tmp_path: Path, name: str):
    with pytest.raises(LabError, match="choose another"):
        layout_of(tmp_path / name)


def test_two_commands_do_not_work_on_one_lab_at_once(layout: Layout, made: list[Layout]):
    with locked(layout):
        for attempt in (lambda: lifecycle.up(layout.root, warm_s=0, announcer=Listener()), lambda: _down(layout)):
            with pytest.raises(LabError, match="another `lab up` or `lab down` is at work"):
                attempt()
    assert not made
    _down(layout)


def test_a_lock_on_a_directory_that_was_removed_meanwhile_is_taken_on_the_new_one(layout: Layout):
    with locked(layout):
        _down_files_only(layout)
    with locked(layout):
        assert layout.root.is_dir()


def _down_files_only(layout: Layout) -> None:
    from lab.layout import erase

    erase(layout, keep_logs=False)
    layout.root.mkdir()


def test_the_command_line_says_it_in_one_line(tmp_path: Path):
    for word in ("status", "logs"):
        done = subprocess.run(
            [sys.executable, "-m", "lab", word, "--state-dir", str(tmp_path / "none")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 70
        assert done.stderr.startswith("lab: no lab in ")
        assert done.stderr.count("\n") == 1


def test_cluster_ids_are_ones_that_kafkas_tools_take_as_a_value():
    ids = {lifecycle.new_cluster_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(len(found) == 22 and not found.startswith("-") for found in ids)
