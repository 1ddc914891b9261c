"""HTML that hostile text cannot break out of, and that asks nobody for anything.

Labels, topic names, broker messages and stack traces are written by others. Jinja escapes whatever a template prints;
text of ours is Markdown (`Md`, as in the fiche) and rendered with HTML, links and images off. Control and direction
characters become spaces, so that no label can reorder the line that it stands in. The page's own policy forbids every
request and every script, and allows one style sheet by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from typing import Any

from jinja2 import Environment as Jinja
from jinja2 import FunctionLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from checks.markdown import Md, spaces_around
from checks.words import TEMPLATES, Words

FOLDER = TEMPLATES / "html"
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable(["link", "image", "autolink", "html_inline", "reference"])
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
#: A comparison and its number stay on one line.
_SIGN = re.compile(r"(&[lg]t;|[≤≥=]) (?=\d)")
#: Where spaces stay as they are: code, styles, and the drawings' attributes.
_VERBATIM = ("code", "pre", "style", "title")


@cache
def style() -> str:
    """The style sheet."""
    return (FOLDER / "report.css").read_text(encoding="utf-8")


def policy() -> str:
    """The content security policy: nothing is loaded, nothing runs, nothing is sent."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def visible(text: str) -> str:
    """Text without control and direction characters; line breaks and tabs stay."""
    return _CONTROL.sub(" ", text)


def render(template: str, words: Words, context: dict[str, Any]) -> str:
    """A page in the language of `words`."""
    text = _jinja().get_template(template).render(
        language=words.language, style=Markup(style()),  # noqa: S704 - a file of ours
        policy=policy(), **context
    )  # fmt: skip
    numbers = words.catalogue.numbers
    return spaced(text.strip() + "\n", before=numbers.space_before, after=numbers.space_after)


@cache
def _jinja() -> Jinja:
    def source(name: str) -> str:
        return (FOLDER / name).read_text(encoding="utf-8")

    return Jinja(
        loader=FunctionLoader(source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printed,
    )


def _printed(value: Any) -> Any:
    if value is None:
        raise ValueError("a template printed nothing; say what is missing instead")
    if isinstance(value, Markup):
        return value
    if isinstance(value, Md):
        return html_of(value)
    return visible(str(value))


def html_of(text: Md) -> Markup:
    """Markdown of ours as HTML: paragraphs and blocks where it has several lines, else as it runs."""
    text = Md(visible(text))
    several = "\n" in text
    return Markup(_MARKDOWN.render(text) if several else _MARKDOWN.renderInline(text))  # noqa: S704 - HTML is off


def spaced(html: str, *, before: str, after: str) -> str:
    """No-break spaces where a language wants them (see checks.markdown), in the text between tags, not in code.

    Templates write " :" between a name and its value; a language that wants no space there gets none.
    """
    wide = spaces_around(before=before, after=after)
    close = ":" not in before
    out, within = [], ""
    for part in re.split(r"(<[^>]*>)", html):
        if part.startswith("<"):
            name = part.strip("</>").split(maxsplit=1)[0] if part.strip("</>") else ""
            if name in _VERBATIM and (not within or name == within):
                within = "" if part.startswith("</") else name
            out.append(part)
        else:
            fixed = _SIGN.sub("\\1\u00a0", part.replace(" :", ":") if close else part)
            fixed = wide.sub(lambda found: f"\u00a0{found[1]}" if found[1] else f"{found[2]}\u00a0", fixed)
            out.append(part if within else fixed)
    return "".join(out)
