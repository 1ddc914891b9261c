"""Output that nobody reads: what is written to it is lost, and nothing else comes of it, the exit code included."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from locust_session.output import make_logs_visible, write

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import sys
from locust_session.output import write
stream = getattr(sys, sys.argv[1])
sys.stdin.readline()
for _ in range(3):
    write(stream, "words\\n")
sys.exit(20)
"""


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_reader_that_left_does_not_change_the_exit_code(name):
    pipes = {"stdin": subprocess.PIPE, name: subprocess.PIPE}
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with subprocess.Popen([sys.executable, "-c", WRITER, name], cwd=ROOT, env=buffered, **pipes) as writer:
        getattr(writer, name).close()
        writer.stdin.close()
        assert writer.wait(timeout=20) == 20


def test_a_disk_without_room_takes_the_next_words_that_it_has_room_for():
    class Full(io.StringIO):
        full = True

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    log = Full()
    write(log, "lost\n")
    log.full = False
    write(log, "kept\n")
    assert log.getvalue() == "kept\n"


def test_a_stream_that_was_closed_is_no_error():
    log = io.StringIO()
    log.close()
    write(log, "words\n")


def test_letters_that_a_terminal_lacks_do_not_cost_the_line():
    log = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    write(log, "fiche: /runs/\u00e9\n")
    assert log.buffer.getvalue() == b"fiche: /runs/\\xe9\n"


def test_what_others_say_cannot_paint_over_a_log(monkeypatch):
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger()
    monkeypatch.setattr(logger, "handlers", [handler])
    for _ in range(2):  # a process may install several sessions
        make_logs_visible()
    error = ValueError("\x1b[2J\u202e")
    logging.getLogger("mm2gate.kafka.source").warning("%s", "broker \x1b[1A\u2028x", exc_info=error)
    assert written.getvalue() == "WARNING broker \\x1b[1A\\u2028x\nValueError: \\x1b[2J\\u202e\n"
