"""Children of ours on a real terminal: in its background, deaf to its keys, and ended with it."""

from __future__ import annotations

import os
import pty
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
CHILD = "from runbook.child import run_child; sys.exit(run_child([sys.executable, '-c', program]))"
CHILDREN = "from runbook.children import Children; sys.exit(Children().run('-c', program))"
#: What Locust does to read keys, where its input is a terminal.
READS_KEYS = "import sys, tty; sys.stdin.isatty() and tty.setcbreak(0); print('read', flush=True); sys.exit(20)"


class Terminal:
    """A program that was started in a terminal of its own."""

    def __init__(self, program: str, child: str) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execv(sys.executable, [sys.executable, "-c", f"import sys; program = sys.argv[1]; {program}", child])

    def until(self, words: bytes, *, within_s: float = 60) -> None:
        said, deadline_s = b"", time.monotonic() + within_s
        os.set_blocking(self._master, False)
        while words not in said:
            assert time.monotonic() < deadline_s, said
            try:
                said += os.read(self._master, 4096)
            except BlockingIOError:
                time.sleep(0.02)

    def hang_up(self) -> None:
        os.close(self._master)

    def code(self, *, within_s: float = 60) -> int:
        """What it left with; it is killed when it does not."""
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        for child in psutil.Process(self.pid).children(recursive=True):
            child.kill()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        pytest.fail("it did not end")


@pytest.mark.parametrize("program", [CHILD, CHILDREN], ids=["run_child", "Children"])
def test_a_child_that_wants_the_terminals_keys_is_not_stopped_for_it(program: str) -> None:
    terminal = Terminal(program, READS_KEYS)
    terminal.until(b"read")
    assert terminal.code() == 20


def test_a_terminal_that_is_closed_ends_the_child_and_what_comes_after_is_still_done(tmp_path: Path) -> None:
    """As the demo: a run, and then the lab is taken down, though nobody reads what that says."""
    done = tmp_path / "done"
    waits = "import time; print('ready', flush=True); time.sleep(60)"
    after = f"import sys; print('words', flush=True); sys.stderr.write('more'); open({str(done)!r}, 'w').close()"
    both = (
        f"from runbook.children import Children; c = Children(); c.run('-c', program); sys.exit(c.run('-c', {after!r}))"
    )
    terminal = Terminal(both, waits)
    terminal.until(b"ready")
    terminal.hang_up()
    assert terminal.code() == 0
    assert done.exists()
