"""A run as a child: signals reach it, each once, it is waited for, and its exit code is ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import signal, sys, time
heard = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda n, _: heard.append(n))
signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))  # as the session does
print("ready", flush=True)
deadline = time.monotonic() + 20
while not heard and time.monotonic() < deadline:
    time.sleep(0.02)
time.sleep(0.5)
print("heard", *heard, flush=True)
sys.exit({code})
"""
PARENT = "import sys; from runbook.child import run_child; sys.exit(run_child([sys.executable, '-c', sys.argv[1]]))"


def start(child: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, child],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("to_group", [False, True], ids=["to it", "as a terminal does"])
def test_signal_reaches_the_child_once_and_it_is_waited_for(number, to_group):
    parent = start(CHILD.format(code=50))
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    if to_group:
        os.killpg(parent.pid, number)
    else:
        parent.send_signal(number)
    output, _ = parent.communicate(timeout=60)
    assert output == f"heard {int(number)}\n"
    assert parent.returncode == 50


@pytest.mark.parametrize(
    ("child", "code"),
    [("import sys; sys.exit(20)", 20), ("raise KeyError", 70), ("import os; os.kill(os.getpid(), 9)", 50)],
)
def test_exit_code_is_the_childs_if_it_is_one_of_ours(child, code):
    parent = start(child)
    parent.communicate(timeout=60)
    assert parent.returncode == code
