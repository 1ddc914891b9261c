"""Sentences of ours, which are Markdown, as plain lines of a terminal: of a width, and without a mark-up sign. Pure.

What stood in a code span is often a command to be copied: it is kept together, on a line of its own where it does not
fit into the sentence; one that is wider than the terminal is broken as a shell understands it.
"""

from __future__ import annotations

import html
import re
import shlex
import textwrap
from collections.abc import Iterator

from checks.markdown import Md
from scenarios.visible import HIDDEN

WIDTH = 100
#: Keeps together until the lines are made: the words of a code span, a French sign and the word before it, a comparison
#: and its number, a date and its time.
_GLUE = "\ue000"
_TOGETHER = re.compile(r" (?=[:;!?»%](?:\s|$))|(?<=«) |(?<=[<>≤≥=]) (?=\d)|(?<=\d-\d\d) (?=\d\d:)| (?=UTC\b)")
_CODE = re.compile(r"(?<!\\)(`+)(?!`)(.*?)(?<!`)\1(?!`)")
_ESCAPED = re.compile(r"\\([\\`*\[\]|~])")
_CONTROL = re.compile(f"[{HIDDEN}]+")
_NO_BREAK = re.compile("[\u00a0\u202f]")
_COMMANDS = ("curl ", "mm2gate ", "kafka-")


def plain(text: Md | str) -> str:
    """One line of plain text; words of a code span hang together by a sign that `lines` takes out."""
    out, end = [], 0
    for span in _CODE.finditer(text):
        out += [_text(text[end : span.start()]), _span(span[2])]
        end = span.end()
    return (
        _CONTROL.sub(" ", "".join([*out, _text(text[end:])])).replace("\u00a0", _GLUE).replace("\u202f", _GLUE).strip()
    )


def lines(text: Md | str, *, first: str = "", rest: str = "", width: int = WIDTH) -> Iterator[str]:
    """The text in lines of at most `width` columns, unless a single word is longer. `first` and `rest` stand before the
    first line and before the others."""
    wrapped = textwrap.wrap(
        plain(text),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in wrapped or [first.rstrip()]:
        yield from [line.replace(_GLUE, " ")] if len(line) <= width else _broken(line, width)


def _text(text: str) -> str:
    return _TOGETHER.sub(_GLUE, html.unescape(_ESCAPED.sub(r"\1", text.replace("**", ""))))


def _span(text: str) -> str:
    return text.removeprefix(" ").removesuffix(" ").replace(r"\|", "|").replace(" ", _GLUE)


def _broken(line: str, width: int) -> Iterator[str]:
    """A line with a code span that is too long for any: broken between its arguments, as a command is continued."""
    indent = " " * (len(line) - len(line.lstrip()))
    words = _arguments(line.strip().replace(_GLUE, " "))
    more = " \\" if line.strip().replace(_GLUE, " ").startswith(_COMMANDS) else ""
    row = indent + words[0]
    for word in words[1:]:
        if len(row) + 1 + len(word) + len(more) > width:
            yield row + more
            row = f"{indent}  {word}"
        else:
            row = f"{row} {word}"
    yield row


def _arguments(command: str) -> list[str]:
    """A command's arguments as they are written, quotes and all; plain words where the quotes do not match."""
    lexer = shlex.shlex(command, posix=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return list(lexer) or [command]
    except ValueError:
        return command.split() or [command]
