"""The fiche: one Markdown page that answers, proves, and can be followed beside the runbook's page.

Templates only place what `checks.views` has worked out. What they print is escaped unless it is Markdown of ours, and
nothing may be None or undefined: a blank would look like an answer.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment as Jinja
from jinja2 import FunctionLoader, StrictUndefined

from checks.diagnosis import Finding
from checks.evaluate import Evaluation
from checks.markdown import Md, code, escape, spaced
from checks.measures import Run
from checks.pages import page_of
from checks.verdict import Verdict
from checks.views import Views
from checks.words import TEMPLATES, Words
from scenarios.scenario import Scenario


def fiche(run: Run, scenario: Scenario, evaluation: Evaluation, findings: tuple[Finding, ...], *, language: str) -> str:
    """The fiche's text, in one of the catalogue's languages: that of the scenario's page, or the general one where
    there is no page, or none in this language."""
    words = Words.load(language)
    page = page_of(scenario)
    if page is not None and not (TEMPLATES / language / page.template).is_file():
        page = None
    views = Views(run, scenario, evaluation, findings, words)
    template = page.template if page is not None else "fiche.md.j2"
    text = jinja_of(language).get_template(template).render(**views.context(page))
    text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    numbers = words.catalogue.numbers
    return spaced(text, before=numbers.space_before, after=numbers.space_after)


@cache
def jinja_of(language: str) -> Jinja:
    """The templates of a language, and how they print."""

    def source(name: str) -> str:
        return (TEMPLATES / language / name).read_text(encoding="utf-8")

    jinja = Jinja(  # noqa: S701 - Markdown, not HTML: `_printed` escapes
        loader=FunctionLoader(source),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printed,
    )
    jinja.filters["code"] = lambda text: code(str(text))
    jinja.filters["md"] = Md
    jinja.globals["boxes"] = _boxes
    return jinja


def _boxes(verdict: str, good: str, bad: str, word: str) -> Md:
    """Two boxes of the page's checklist; neither is ticked when the verdict is neither, and then the word says so."""
    go, nogo = ("☑" if verdict == wanted else "☐" for wanted in (Verdict.GO.value, Verdict.NOGO.value))
    neither = "" if verdict in (Verdict.GO.value, Verdict.NOGO.value) else f" ☑ {word}"
    return Md(f"{go} {escape(good)} {nogo} {escape(bad)}{neither}")


def _printed(value: Any) -> str:
    if value is None:
        raise ValueError("a template printed nothing; say what is missing instead")
    return value if isinstance(value, Md) else escape(str(value))
