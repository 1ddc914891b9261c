"""docs/measuring.md claims nothing without a test that proves it, and names only tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "measuring.md").read_text(encoding="utf-8")


def _tests() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return {
        name
        for file in files
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }


def test_every_proof_that_the_page_names_is_a_test():
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 30
    assert named <= _tests(), named - _tests()


def test_every_story_of_the_load_and_the_clock_is_told():
    """A test of the instrument's exactness that the page forgets is a claim that nobody knows of."""
    told = re.findall(r"`(test_\w+)`", PAGE)
    for name in ("test_open_loop.py", "test_clock.py"):
        text = (ROOT / "tests" / "mm2_users" / name).read_text(encoding="utf-8")
        assert set(re.findall(r"^def (test_\w+)", text, re.MULTILINE)) <= set(told)
