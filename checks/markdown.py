"""Markdown that hostile text cannot break out of. Pure.

Labels, broker messages and stack traces are written by others. Whatever a template prints is escaped unless it is
`Md`, so that forgetting a filter shows a backslash, never a table in pieces or a link that someone else chose.
"""

from __future__ import annotations

import re

from scenarios.visible import HIDDEN

_SPECIAL = re.compile(r"([\\`*\[\]|~])")
#: What opens a tag, a comment or an autolink. A lone < is only a sign, and stays readable in "< 100 ms".
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_ENTITY = re.compile(r"&(?=#|[A-Za-z])")
_CONTROL = re.compile(f"[{HIDDEN}\u200c\u200d]+")
LONGEST = 400


class Md(str):
    """Text that is Markdown already."""

    __slots__ = ()


def one_line(text: str, *, longest: int = LONGEST) -> str:
    """Without line breaks, control and direction characters; cut where nobody reads on."""
    line = re.sub(r" {2,}", " ", _CONTROL.sub(" ", text)).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def escape(text: str) -> Md:
    """Plain text for a paragraph or a table cell."""
    line = _SPECIAL.sub(r"\\\1", one_line(text))
    line = _ENTITY.sub("&amp;", line)
    return Md(line.replace("<", "&lt;").replace(">", "&gt;") if _TAG.search(line) else line)


def code(text: str, *, longest: int = 4 * LONGEST) -> Md:
    """A code span, whatever backticks it holds. In a table cell a bare | would end the cell even there."""
    line = one_line(text, longest=longest).replace("|", r"\|")
    fence = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return Md(f"{fence}{pad}{line}{pad}{fence}")


def block(text: str, language: str = "") -> Md:
    """A fenced block of one line per line, whatever backticks it holds."""
    lines = [one_line(line, longest=4 * LONGEST) for line in text.split("\n")]
    longest_run = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(longest_run + 1, 3)
    return Md("\n".join([f"{fence}{language}", *lines, fence]))


def spaces_around(*, before: str, after: str) -> re.Pattern[str]:
    """Matches a space before one of some signs, the first group, or after one of others, the second."""
    # A language that wants none on one side has no signs there: `(?!)` matches nothing.
    left, right = (f"[{re.escape(signs)}]" if signs else "(?!)" for signs in (before, after))
    return re.compile(f" ({left})|({right}) ")


def spaced(text: str, *, before: str, after: str) -> str:
    """Puts no-break spaces where a language wants them: instead of a space before or after the given characters.

    Code, spans and blocks alike, is left as it is, and so are lines that draw a table's rule.
    """
    if not before and not after:
        return text
    wide = spaces_around(before=before, after=after)

    def fix(match: re.Match[str]) -> str:
        return f"\u00a0{match[1]}" if match[1] else f"{match[2]}\u00a0"

    out: list[str] = []
    fence = ""
    for line in text.split("\n"):
        opening = re.match(r"(`{3,})", line)
        if fence:
            fence = "" if line == fence else fence
            out.append(line)
        elif opening:
            fence = opening[1]
            out.append(line)
        else:
            parts = re.split(r"(?<!\\)((`+)(?!`).*?(?<!`)\2(?!`))", line)
            # split() with two groups: text, code span, its fence, text, …
            out.append(
                "".join(part if i % 3 == 1 else wide.sub(fix, part) for i, part in enumerate(parts) if i % 3 != 2)
            )
    return "\n".join(out)
