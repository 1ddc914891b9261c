"""Text of others, made harmless for whoever shows it: what a terminal or a CI job would obey is written out.

Names, error texts and files come from clusters, from Connect, from Prometheus and from whoever edited a file. A name
with an escape sequence in it could paint over a verdict, one with a line break could forge a line, and one that turns
the direction of writing shows another name than it is. Every door to a terminal, a log or a CI job passes its text
through here.
"""

from __future__ import annotations

import json
import re
from typing import TextIO

#: C0, DEL and C1; what is invisible or turns the direction of writing; line separators; tags; halves of a character.
#: The joiners U+200C and U+200D are left: words and emoji are written with them.
HIDDEN = "\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
HIDDEN += "\ud800-\udfff\U000e0000-\U000e007f"
_HIDDEN = re.compile(f"[{HIDDEN}]")
#: What runners of CI jobs obey: `##[`, `##vso[` and `##teamcity[` wherever they stand; `::command::` where a line
#: begins, blanks before it or not.
_COMMAND = re.compile(r"##(?=\w*\[)")
_AT_LINE_START = re.compile(r"(?m)^([ \t]*):(?=:[A-Za-z])")


def visible(text: str) -> str:
    """The text with hidden characters written as `\\x1b` or `\\u202e`; its lines and tabs stay."""
    return _escaped(text, keep="\n\t")


def one_line(text: str) -> str:
    """The same on one line: line breaks and tabs are written out too."""
    return _escaped(text, keep="")


def writable(text: str, stream: TextIO) -> str:
    """The text as the stream can take it: letters that its encoding lacks are written out."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _escaped(text: str, *, keep: str) -> str:
    shown = _HIDDEN.sub(lambda found: found[0] if found[0] in keep else _code(found[0]), text)
    return _AT_LINE_START.sub(r"\1\\:", _COMMAND.sub(r"##\\", shown))


def in_json(text: str) -> str:
    """A JSON document that says the same, with hidden characters written as JSON writes them."""
    return _HIDDEN.sub(lambda found: found[0] if found[0] == "\n" else _in_json(found[0]), text)


def _in_json(character: str) -> str:
    return json.dumps(character)[1:-1]


def _code(character: str) -> str:
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character) or _numbered(ord(character))


def _numbered(number: int) -> str:
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
