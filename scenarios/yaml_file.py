"""YAML → a strict pydantic model, with every problem of the file reported at once.

YAML 1.2 (ruamel.yaml), so that `12:30` and `no` stay the words that were typed, and a key given twice is an error.
"""

from __future__ import annotations

import difflib
import json
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from scenarios import plain_file
from scenarios.errors import Problem, SpecError
from scenarios.yaml_content import Event, NotPlain, composed

M = TypeVar("M", bound="StrictModel")

MOST_BYTES = 1024**2
#: The parser that is written in Python takes a second for twice as much.
MOST_CHARACTERS_TWICE = 32 * 1024
#: Beyond these, who reads the problems has enough of them.
MOST_PROBLEMS = 1000
LONGEST_SENTENCE = 4000
LONGEST_KEY = 100
#: What YAML keeps out of a text; written as an escape in double quotes, a text may hold it.
_NO_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class StrictModel(BaseModel):
    """Frozen, and deaf to nothing: an unknown key is an error, a number is never taken for a string."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)
    unshown: ClassVar[frozenset[str]] = frozenset()
    """Keys under which a secret may have been typed by mistake: what stands there is in no sentence."""

    @classmethod
    def further_problems(cls, content: Mapping[str, Any]) -> Iterable[str]:
        """What pydantic leaves unsaid of a file with a wrong field: it asks how fields fit only when all are right."""
        del content
        return ()


def read_text(path: Path) -> str:
    """The file's text; SpecError when it cannot be read."""
    try:
        return plain_file.read_text(path, most_bytes=MOST_BYTES)
    except FileNotFoundError:
        raise SpecError([Problem(file=str(path), key="", message="no such file")]) from None
    except plain_file.Unreadable as error:
        raise SpecError([Problem(file=str(path), key="", message=str(error))]) from None


def parse(text: str, model: type[M], *, file: str, context: dict[str, Any] | None = None) -> M:
    """`text` as `model`; SpecError lists all that is wrong, each with its dotted key."""
    content, as_json, found = _loaded(text, file)
    try:
        made = model.model_validate_json(as_json, context=context)
    except ValidationError as error:
        problems = [*found, *_problems(error, model, file, content)]
    else:
        problems = list(found)
    if not problems:
        return made
    raise SpecError(problems)


def _problems(error: ValidationError, model: type[StrictModel], file: str, content: dict[str, Any]) -> list[Problem]:
    """What the validation found, and what it leaves unsaid."""
    items = error.errors(include_url=False)
    above = {item["loc"][:length] for item in items for length in range(len(item["loc"]))}
    problems = [
        Problem(file=file, key=_dotted(_shown(item["loc"], model), content), message=_cut(sentence, LONGEST_SENTENCE))
        for item in items[:MOST_PROBLEMS]
        # A list is said to be too short when pydantic has left out its faulty members.
        if not (item["type"] == "too_short" and item["loc"] in above)
        for sentence in _sentences(item, model)
    ]
    if len(items) > MOST_PROBLEMS:
        return [
            *problems,
            Problem(file=file, key="", message=f"and {len(items) - MOST_PROBLEMS:,} more problems"),
        ]
    said = {problem.message for problem in problems}
    return problems + [
        Problem(file=file, key="", message=_cut(sentence, LONGEST_SENTENCE))
        for sentence in model.further_problems(content)
        if sentence not in said
    ]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


@lru_cache(maxsize=64)
def _loaded(text: str, file: str) -> tuple[dict[str, Any], str, tuple[Problem, ...]]:
    """A text's content, the same as JSON, and what was wrong so far. Kept: a judge reads the same few files again and
    again, and reading YAML is most of its work."""

    def problem(line: int | None, message: str) -> Problem:
        return Problem(file=file, key="" if line is None else f"line {line}", message=message)

    if len(text) > MOST_BYTES:
        raise SpecError([problem(None, f"is larger than {MOST_BYTES / 1024**2:g} MiB, the most that is read")])
    if forbidden := list(islice(_NO_YAML.finditer(text), MOST_PROBLEMS)):
        lines = {text.count("\n", 0, found.start()) + 1: found[0] for found in reversed(forbidden)}
        raise SpecError(
            problem(line, f"not valid YAML: holds the character U+{ord(character):04X}, which must not stand in a file")
            for line, character in sorted(lines.items())
        )
    try:
        content, faults = _composed(text)
    except NotPlain as error:
        raise SpecError([problem(error.line, str(error))]) from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise SpecError([problem(line, f"not valid YAML: {error.problem}")]) from None
    except YAMLError as error:
        raise SpecError([problem(None, f"not valid YAML: {' '.join(str(error).split())}")]) from None
    if not isinstance(content, dict):
        raise SpecError([problem(None, "must be a mapping of keys to values")])
    # As JSON, where strict still lets a list be a tuple.
    return content, json.dumps(content), tuple(problem(*one) for one in faults)


def _composed(text: str) -> tuple[Any, list[tuple[int, str]]]:
    """The content, and what is wrong with it that reading went on after. Raises NotPlain and YAMLError."""
    try:
        return composed(_events(text, pure=False))
    except MarkedYAMLError:
        if len(text) > MOST_CHARACTERS_TWICE:
            raise
        # The fast parser, libyaml's, refuses some of what YAML 1.2 has, such as {en: Why?}, and says less of what is
        # wrong: not which character cannot start a token.
        return composed(_events(text, pure=True))


def _events(text: str, *, pure: bool) -> Iterator[Event]:
    """What a parser sees in a text: its first document, and that there is a second. Raises YAMLError."""
    documents = 0
    for event in YAML(typ="safe", pure=pure).parse(text):
        line = event.start_mark.line + 1
        if isinstance(event, ScalarEvent):
            plain = bool(event.implicit[0])
            yield Event(kind="scalar", line=line, value=event.value, anchor=event.anchor, tag=_tag(event), plain=plain)
        elif isinstance(event, AliasEvent):
            yield Event(kind="alias", line=line, value=event.anchor)
        elif isinstance(event, MappingStartEvent):
            yield Event(kind="mapping", line=line, anchor=event.anchor, tag=_tag(event))
        elif isinstance(event, SequenceStartEvent):
            yield Event(kind="list", line=line, anchor=event.anchor, tag=_tag(event))
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            yield Event(kind="end", line=line)
        elif isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                yield Event(kind="document", line=line)


def _tag(event: Any) -> str | None:
    return None if event.tag is None else str(event.tag)


def _shown(location: tuple[int | str, ...], model: type[StrictModel]) -> tuple[int | str, ...]:
    """The location, without a key that is none where secrets may be: `login: {me:password}` makes one of both."""
    if not model.unshown.intersection(map(str, location)):
        return location
    return tuple(part if isinstance(part, int) or _KEY.fullmatch(part) else "(a key)" for part in location)


_KEY = re.compile(r"[A-Za-z_]+")


def _dotted(location: tuple[int | str, ...], content: Any) -> str:
    """The key as the author sees it: pydantic also names the member of a union, which is in no file."""
    key = ""
    for part in location:
        if isinstance(part, int):
            if isinstance(content, dict):
                continue  # one where several may stand in a list
            key += f"[{part}]"
            content = content[part] if isinstance(content, list) and part < len(content) else None
        elif isinstance(content, dict) and part not in content and part in content.values():
            continue
        else:
            shown = _cut(part, LONGEST_KEY)
            key += f".{shown}" if key else shown
            content = content.get(part) if isinstance(content, dict) else None
    return key


class Problems(ValueError):
    """Raised by a validator that found several things wrong; each becomes a problem of its own."""

    def __init__(self, sentences: Iterable[str]) -> None:
        self.sentences = tuple(sentences)
        super().__init__("; ".join(self.sentences))


def _sentences(item: Any, model: type[StrictModel]) -> tuple[str, ...]:
    error = item.get("ctx", {}).get("error")
    return error.sentences if isinstance(error, Problems) else (_sentence(item, model),)


def _sentence(item: Any, model: type[StrictModel]) -> str:
    kind = item["type"]
    if kind == "extra_forbidden":
        return "unknown key" + _meant(str(item["loc"][-1]), model)
    if kind == "missing":
        return "missing"
    message = str(item["msg"])
    if message.startswith("Value error, "):
        return message.removeprefix("Value error, ")
    said = f"{message[0].lower()}{message[1:]}"
    unshown = model.unshown.intersection(map(str, item["loc"]))
    return said if unshown else f"{said} (got {_SHORT.repr(item['input'])})"


@lru_cache(maxsize=1024)
def _meant(key: str, model: type[BaseModel]) -> str:
    """The known key that an unknown one may be a slip of, as a question; empty when none is near."""
    if len(key) > LONGEST_KEY:
        return ""
    near = difflib.get_close_matches(key, _all_keys(model), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


@lru_cache(maxsize=16)
def _all_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """Every key anywhere below `model`, for 'did you mean'."""
    keys: dict[str, None] = {}
    schema = model.model_json_schema(mode="validation")
    for part in (schema, *schema.get("$defs", {}).values()):
        keys.update(dict.fromkeys(part.get("properties", {})))
    return tuple(keys)


def _short_values() -> reprlib.Repr:
    """Values as Python writes them, the middle of long ones left out."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 80
    return short


_SHORT = _short_values()
