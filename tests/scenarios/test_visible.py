"""Text of others on its way to a terminal: nothing in it is obeyed, and nothing of it is lost."""

from __future__ import annotations

import io
import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.visible import HIDDEN, in_json, one_line, visible, writable

ANYTHING = st.text(st.characters(), max_size=60)


@given(ANYTHING)
def test_nothing_that_a_terminal_obeys_is_left(text):
    assert not re.search(f"[{HIDDEN}]", one_line(text))
    assert not re.search(f"[{HIDDEN}]", visible(text).replace("\n", "").replace("\t", ""))
    assert "##[" not in visible(text)
    assert len(one_line(text).splitlines()) <= 1
    one_line(text).encode()


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"])))
def test_what_people_write_stays_as_it_is(text):
    assert visible(text) == text.replace("##[", "##\\[")


def test_every_control_character_and_every_change_of_direction_is_hidden():
    letters = map(chr, [*range(0x3000), *range(0xFE00, 0x10000), 0xE0041])
    hidden = {letter for letter in letters if unicodedata.category(letter) in ("Cc", "Zl", "Zp")}
    hidden |= {letter for letter in map(chr, range(0x3000)) if unicodedata.bidirectional(letter) in BIDI_CONTROLS}
    assert hidden <= {letter for letter in hidden if re.match(f"[{HIDDEN}]", letter)}


BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eGO\u2066", "\\u202eGO\\u2066"),
        ("a\u2028b", "a\\u2028b"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("##[add-mask]GO", "##\\[add-mask]GO"),
        ("élan 👩‍💻", "élan 👩‍💻"),
    ],
)
def test_a_hidden_character_is_written_out(text, shown):
    assert one_line(text) == shown


def test_lines_stay_lines_where_they_may():
    assert visible("a\n\tb\r\n\x07") == "a\n\tb\\r\n\\x07"


def test_letters_that_a_stream_lacks_are_written_out():
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert writable("é\u202e", ascii_only) == "\\xe9\\u202e"
    assert writable("é", io.StringIO()) == "é"


@pytest.mark.parametrize(
    "text", ["##vso[task.complete]", "##teamcity[x]", "##[error]", "  ::add-mask::GO", "a\n\t::stop-commands::x"]
)
def test_no_job_obeys_what_others_say(text):
    shown = visible(text)
    assert not re.search(r"##\w*\[", shown)
    assert not re.search(r"(?m)^\s*::[a-z]", shown)


@given(ANYTHING)
def test_a_json_document_says_the_same_without_hidden_characters(text):
    shown = in_json(json.dumps({"a": text}, ensure_ascii=False, indent=1))
    assert json.loads(shown) == {"a": text}
    assert not re.search(f"[{HIDDEN}]", shown.replace("\n", ""))
