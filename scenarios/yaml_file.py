"""YAML → a strict pydantic model, with every problem of the file reported at once.

YAML 1.2 (ruamel.yaml), so that `12:30` and `no` stay the words that were typed, and a key given twice is an error.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from scenarios.errors import Problem, SpecError

M = TypeVar("M", bound="StrictModel")


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
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError([Problem(file=str(path), key="", message="no such file")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([Problem(file=str(path), key="", message=f"cannot be read: {error}")]) from None


def parse(text: str, model: type[M], *, file: str, context: dict[str, Any] | None = None) -> M:
    """`text` as `model`; SpecError lists all that is wrong, each with its dotted key."""
    content, as_json = _loaded(text, file)
    try:
        return model.model_validate_json(as_json, context=context)
    except ValidationError as error:
        items = error.errors()
        problems = [
            Problem(file=file, key=_dotted(_shown(item["loc"], model), content), message=sentence)
            for item in items
            if not _only_follows(item, items)
            for sentence in _sentences(item, model)
        ]
        said = {problem.message for problem in problems}
        problems += [
            Problem(file=file, key="", message=sentence)
            for sentence in model.further_problems(content)
            if sentence not in said
        ]
        raise SpecError(problems) from None


@lru_cache(maxsize=64)
def _loaded(text: str, file: str) -> tuple[dict[str, Any], str]:
    """A text's content, and the same as JSON. Kept: a judge reads the same few files again and again, and reading YAML
    is most of its work."""
    try:
        content = _content(text)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        first_line = str(error.problem).split(" with ")[0]
        raise SpecError([Problem(file=file, key=f"line {line}", message=f"{first_line}; keep one")]) from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise SpecError([Problem(file=file, key=f"line {line}", message=f"not valid YAML: {error.problem}")]) from None
    except YAMLError as error:
        raise SpecError([Problem(file=file, key="", message=f"not valid YAML: {error}")]) from None
    if not isinstance(content, dict):
        raise SpecError([Problem(file=file, key="", message="must be a mapping of keys to values")])
    try:
        # As JSON, where strict still lets a list be a tuple; YAML has no other type that we would accept.
        as_json = json.dumps(content, default=str)
    except (TypeError, ValueError) as error:  # a list or a date for a key; an alias of what it stands in
        raise SpecError([Problem(file=file, key="", message=f"not plain keys and values: {error}")]) from None
    return content, as_json


def _content(text: str) -> Any:
    try:
        return YAML(typ="safe").load(text)
    except YAMLError:
        # The fast parser, libyaml's, says less of what is wrong: not which character cannot start a token.
        return YAML(typ="safe", pure=True).load(text)


def _only_follows(item: Any, items: Iterable[Any]) -> bool:
    """Whether it says that a list is too short only because pydantic left out its faulty members."""
    location = item["loc"]
    return item["type"] == "too_short" and any(
        len(other["loc"]) > len(location) and other["loc"][: len(location)] == location for other in items
    )


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
            key += f".{part}" if key else part
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
        known = _all_keys(model)
        near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
        return "unknown key" + (f" (did you mean {near[0]}?)" if near else "")
    if kind == "missing":
        return "missing"
    message = str(item["msg"])
    if message.startswith("Value error, "):
        return message.removeprefix("Value error, ")
    said = f"{message[0].lower()}{message[1:]}"
    return said if model.unshown.intersection(map(str, item["loc"])) else f"{said} (got {item['input']!r})"


def _all_keys(model: type[BaseModel]) -> list[str]:
    """Every key anywhere below `model`, for 'did you mean'."""
    keys: dict[str, None] = {}
    schema = model.model_json_schema(mode="validation")
    for part in (schema, *schema.get("$defs", {}).values()):
        keys.update(dict.fromkeys(part.get("properties", {})))
    return list(keys)
