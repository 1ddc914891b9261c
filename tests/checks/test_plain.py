"""Markdown of ours as lines of a terminal: nothing lost, nothing wider than asked, commands that can be copied."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.markdown import Md, code, escape
from checks.plain import lines, plain

WORDS = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs")), min_size=1, max_size=12))


def joined(text, **settings):
    return " ".join(line.strip() for line in lines(text, **settings))


@given(WORDS, st.integers(20, 100))
def test_no_line_is_wider_than_asked_unless_a_single_word_is(words, width):
    for line in lines(escape(" ".join(words)), width=width, first="  ", rest="    "):
        assert len(line) <= width or len(line.split()) == 1


@given(
    st.lists(
        st.sampled_from(["abc", "xyz", "12.5", "*", "`", "|", "~", "[x](y)", "&", "&lt;", "<", ">", "\\"]), min_size=1
    )
)
def test_what_was_escaped_is_read_as_it_was_written(words):
    text = " ".join(words)
    assert joined(escape(text)) == " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**Verdict** : `GO`", "Verdict : GO"),
        ("un code `` a`b `` et `a\\|b`", "un code a`b et a|b"),
        ("a &lt;b&gt; &amp;c", "a <b> &c"),
        ("x\x1b[31my\u202ez\x9b", "x [31my z"),
    ],
)
def test_markup_is_gone_and_nothing_moves_the_cursor(text, shown):
    assert joined(Md(text)) == shown


def test_a_french_sign_stays_with_its_word_and_a_sign_with_its_number():
    for width in range(20, 60):
        for line in lines(Md("Cause probable : la source ; attendu < 100 ms, le 2027-01-15 08:01:12 UTC"), width=width):
            assert not line.startswith((":", ";", "UTC", "100", "08:01"))


def test_a_command_that_fits_stands_on_one_line():
    call = "curl -X PUT 'http://w1:8083/connectors/mm2-source-connector/resume'"
    assert any(call in line for line in lines(Md(f"il faut la reprendre sans attendre, avec : {code(call)}")))


def test_a_command_that_is_too_long_is_broken_as_a_shell_reads_it():
    call = "curl -X PUT -H 'Content-Type: application/json' -d @config.json 'http://worker-1.example.net:8083/connectors/x'"
    told = "\n".join(lines(Md(f"à faire : {code(call)}"), width=60, rest="  "))
    command = told[told.index("curl") :]
    assert shlex.split(command.replace("\\\n", "")) == shlex.split(call)
    assert all(len(line) <= 60 or len(line.split()) == 1 for line in told.splitlines())


def test_a_long_span_that_is_no_command_is_broken_at_its_words():
    told = list(lines(Md(code(" ".join(["source.t.generated-data:0,"] * 12))), width=60))
    assert len(told) > 2
    assert not any(line.endswith("\\") for line in told)


@given(st.text(max_size=300))
def test_any_text_of_others_is_only_lines(text):
    for line in lines(escape(text)):
        assert plain(Md(line)) is not None
        assert "\x1b" not in line
