"""Processes by pid and start time, free ports, and the state file: on real processes that only sleep."""

import os
import platform
import signal
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from lab import process, state
from lab.ports import free_ports
from lab.process import LAB_VARIABLE, Life, ProcessId
from lab.state import LabState, Stage
from scenarios.errors import LabError

SLEEP = (sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(60)",
)

#: Its first thread ends, as happens first when the kernel ends a program with many threads; another one goes on.
WITHOUT_ITS_FIRST_THREAD = (
    sys.executable,
    "-c",
    """
import ctypes, threading
print('here', flush=True)
threading.Timer(60, print).start()
ctypes.CDLL(None).syscall(60, 0)
""",
)


@pytest.fixture
def start(tmp_path: Path):
    started = []

    def begin(argv=SLEEP, lab_id: str = "test", niceness: int = 0) -> ProcessId:
        log = tmp_path / f"{len(started)}.log"
        environment = {LAB_VARIABLE: lab_id}
        started.append(process.start(argv, log=log, environment=environment, directory=tmp_path, niceness=niceness))
        while not (log.read_text() or process.life(started[-1]) is Life.GONE):
            pass
        return started[-1]

    yield begin
    process.end(started, grace_s=0.1)


def test_a_process_lives_freezes_and_ends(start):
    sleeper = start()
    assert process.life(sleeper) is Life.RUNNING
    process.send(sleeper, signal.SIGSTOP)
    # A signal is taken when the process next leaves the kernel: soon, not at once.
    deadline_s = time.monotonic() + 5
    while process.life(sleeper) is Life.RUNNING and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert process.life(sleeper) is Life.FROZEN
    assert process.end([sleeper], grace_s=5.0) == []
    assert process.life(sleeper) is Life.GONE
    assert process.exit_code(sleeper) == -signal.SIGTERM


@pytest.mark.parametrize("niceness", [0, 5])
def test_a_process_yields_the_cpu_as_far_as_it_was_told_its_session_too(start, niceness):
    own = psutil.Process().nice()
    sleeper = start(niceness=niceness)
    assert psutil.Process(sleeper.pid).nice() == min(own + niceness, 19)
    assert [found.pid for found in process.marked("test")] == [sleeper.pid]
    autogroup = Path(f"/proc/{sleeper.pid}/autogroup")
    if autogroup.exists():
        assert autogroup.read_text().split()[-1] == str(niceness)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the number of a system call")
def test_a_process_is_not_gone_while_a_thread_of_it_lives(start):
    headless = start(WITHOUT_ITS_FIRST_THREAD)
    deadline_s = time.monotonic() + 5
    while psutil.Process(headless.pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert psutil.Process(headless.pid).status() == psutil.STATUS_ZOMBIE
    assert process.life(headless) is Life.RUNNING
    assert process.end([headless], grace_s=5.0) == []
    assert process.life(headless) is Life.GONE


def test_it_has_a_session_of_its_own_so_that_the_terminals_ctrl_c_passes_it_by(start):
    sleeper = start()
    assert os.getsid(sleeper.pid) == sleeper.pid != os.getsid(0)


def test_a_process_that_ignores_sigterm_is_killed(start):
    stubborn = start(STUBBORN)
    assert process.end([stubborn], grace_s=0.3) == [stubborn]
    assert process.life(stubborn) is Life.GONE


def test_a_stranger_with_the_same_pid_is_left_alone(start):
    sleeper = start()
    earlier = ProcessId(pid=sleeper.pid, started_s=sleeper.started_s - 3600)
    assert process.life(earlier) is Life.GONE
    assert not process.send(earlier, signal.SIGKILL)
    assert process.end([earlier], grace_s=0.1) == []
    assert process.life(sleeper) is Life.RUNNING


def test_a_program_that_ends_at_once_is_gone_and_says_how(start):
    short = start((sys.executable, "-c", "raise SystemExit(3)"))
    assert process.life(short) is Life.GONE
    assert process.exit_code(short) == 3


def test_processes_of_a_lab_are_found_by_their_mark(start):
    mine, other = start(lab_id="one"), start(lab_id="another")
    assert [found.pid for found in process.marked("one")] == [mine.pid]
    assert process.life(other) is Life.RUNNING


def test_ports_are_different_and_free():
    ports = free_ports(tuple("abcdefghijkl"))
    assert len(set(ports.values())) == 12
    with socket.socket() as held:
        held.bind(("127.0.0.1", ports["a"]))
        assert ports["a"] not in free_ports(tuple("abcdefghijkl")).values()


STATE = LabState(
    lab_id="id",
    stage=Stage.UP,
    kafka_version="4.3.1",
    ports={"source": 20001},
    cluster_ids={"source": "x"},
    commands={"source": ("java", "-version")},
    processes={"source": ProcessId(pid=7, started_s=1.5)},
)


def test_the_state_reads_back_as_it_was_saved_and_is_its_owners_only(tmp_path: Path):
    file = tmp_path / "lab.json"
    assert state.load(file) is None
    state.save(STATE, file)
    assert state.load(file) == STATE
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ("[]", "is damaged"),
        ("{}", "is damaged"),
        ('{"schema": 2}', "another version of mm2gate"),
        ('{"schema": 1, "lab_id": "a"}', "is damaged"),
    ],
)
def test_a_state_that_is_not_understood_is_said_to_be_so(tmp_path: Path, text: str, says: str):
    file = tmp_path / "lab.json"
    file.write_text(text)
    with pytest.raises(LabError, match=says):
        state.load(file)
