"""Ports of labs that start at once: nobody draws what another has drawn and not bound yet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab import ports
from lab.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
NAMES = tuple(f"one-{number}" for number in range(60))


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch) -> Path:
    """A book of drawn ports of these tests' own."""
    book = tmp_path / "drawn"
    monkeypatch.setattr(ports, "_DRAWN", book)
    return book


def test_processes_that_draw_at_once_draw_different_ports(own):
    script = f"import json; from lab import ports; from pathlib import Path; ports._DRAWN = Path({str(own)!r})\n"
    script += f"ports._range = lambda: range(20_000, 20_600)\nprint(json.dumps(ports.free_ports({NAMES!r})))"
    started = [
        subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(6)
    ]
    drawn = [port for process in started for port in json.loads(process.communicate(timeout=60)[0]).values()]
    assert len(drawn) == len(set(drawn)) == 6 * len(NAMES)


def test_what_was_drawn_long_ago_is_free_again_and_a_damaged_book_is_none(own, monkeypatch):
    monkeypatch.setattr(ports, "_range", lambda: range(21_000, 21_002))
    own.write_text("21000 1.0\nwhat\n\x00 21001\n", encoding="ascii")
    assert set(free_ports(("a", "b")).values()) == {21_000, 21_001}


def test_without_a_place_for_the_book_ports_are_drawn_all_the_same(own):
    own.symlink_to(own.with_name("elsewhere"))
    assert len(free_ports(NAMES)) == len(NAMES)
    assert not own.with_name("elsewhere").exists()
