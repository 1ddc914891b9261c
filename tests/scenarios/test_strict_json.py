"""JSON of others: plain values that the rest can bear, or one sentence; whatever it holds, in bounded time."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios import plain_file, strict_json
from scenarios.plain_file import Unreadable
from scenarios.strict_json import NotStrictJson

WORDS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN, st.booleans())
def test_plain_json_comes_back_as_it_was(content, ascii_only):
    text = json.dumps(content, ensure_ascii=ascii_only)
    assert strict_json.loads(text) == strict_json.loads(text.encode()) == content


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[1,]", "not JSON"),
        ("\ufeff{}", "not JSON"),
        ('{"a": NaN}', "NaN where a number is wanted"),
        ("[-Infinity]", "-Infinity where a number is wanted"),
        ("[1e400]", "beyond all bounds"),
        ("[-1e400]", "beyond all bounds"),
        (f"[{'9' * 400}]", "a number of 400 digits"),
        (f"[{'9' * 5000}]", "a number of 5000 digits"),
        (f"[{'9' * 400}.5]", "beyond all bounds"),
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' twice"),
        ('["\\ud800"]', "half a character"),
        ('{"\\uDC00": 1}', "half a character"),
        ('["\ud800"]', "half a character"),
        ("[" * 65 + "]" * 65, "nested more than 64 deep"),
        ('{"a":' * 65 + "1" + "}" * 65, "nested more than 64 deep"),
        ("[" * 900 + "]" * 900, "nested more than 64 deep"),
        ("[" * 100_000 + "]" * 100_000, "nested more than 64 deep"),
        ("[" * 100_000, "nested more than 64 deep"),
        (b'["\xff"]', "not UTF-8"),
        (b"\xff\xfe[\x00]\x00", "not UTF-8"),
        ("\x00", "not JSON"),
    ],
)
def test_what_is_no_plain_json_is_refused_in_a_few_words(text, says):
    with pytest.raises(NotStrictJson, match=says):
        strict_json.loads(text)


def test_just_as_deep_as_allowed_is_taken():
    assert strict_json.loads("[" * 64 + "]" * 64)
    assert strict_json.loads('["\\ud83d\\ude00", "\u00e9"]') == ["\U0001f600", "\u00e9"]


def test_text_that_is_too_large_or_holds_too_much_is_refused_before_it_is_read():
    started = time.process_time()
    with pytest.raises(NotStrictJson, match="larger than 64 MiB"):
        strict_json.loads(b" " * (64 * 1024**2 + 1))
    with pytest.raises(NotStrictJson, match="more than 8000000 values"):
        strict_json.loads("[" + "[]," * 8_000_000 + "[]]")
    assert time.process_time() - started < 5


def test_a_file_is_read_only_when_it_is_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_text("[" + " " * 100 + "]")
    (tmp_path / "right").write_text("[1]")
    assert strict_json.read(tmp_path / "right") == [1]
    for name, says in (("", "is a directory"), ("pipe", "is a pipe"), ("x" * 500, "cannot be read"), ("\0", "cannot")):
        with pytest.raises(Unreadable, match=says):
            strict_json.read(tmp_path / name)
        assert not plain_file.is_plain_file(tmp_path / name)
    with pytest.raises(Unreadable, match="is larger than"):
        strict_json.read(tmp_path / "large", most_bytes=100)
    with pytest.raises(FileNotFoundError):
        strict_json.read(tmp_path / "none")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_not_read(device):
    with pytest.raises(Unreadable, match="is a device"):
        plain_file.read_bytes(Path(device), most_bytes=10)


def test_a_text_has_the_line_ends_and_the_letters_that_it_was_meant_to_have(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert plain_file.read_text(file, most_bytes=100) == "a\nb\nc\n"
    file.write_bytes(b"a\nb\xff")
    with pytest.raises(Unreadable, match=r"not UTF-8 text \(byte 0xff in line 2\)"):
        plain_file.read_text(file, most_bytes=100)
