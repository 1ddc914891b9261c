"""The words that only report.html has: one YAML file per language, beside its templates."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from checks.markdown import Md
from checks.reasons import Param
from checks.report.html import FOLDER
from checks.words import Words
from scenarios.yaml_file import StrictModel, parse


class FigureTexts(StrictModel):
    """A figure's heading, and what a reader must know to read it."""

    title: str
    about: str


class Texts(StrictModel):
    """The whole file. Sentences are Markdown; braces take figures, as in words.yaml."""

    say: dict[str, str]
    figures: dict[str, FigureTexts]
    tracks: dict[str, str]
    events: dict[str, str]
    conditions: dict[str, str]


@cache
def texts_of(language: str) -> Texts:
    """The words of a language; `Words.load` has refused those that are none."""
    name = f"{language}.yaml"
    return parse((FOLDER / name).read_text(encoding="utf-8"), Texts, file=f"report_templates/html/{name}")


def sayer(texts: Texts, words: Words) -> Callable[..., Md]:
    """`say("key", figure=…)` for templates and views."""

    def say(key: str, **params: Param) -> Md:
        return words.fill(texts.say[key], params)

    return say
