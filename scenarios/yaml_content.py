"""The events of a YAML text → plain values (dict, list, str, int, float, bool, None), within limits. Pure.

A file of a few lines can stand for terabytes: aliases of aliases, merges of merges. So nothing is made of an alias
before it is known how much it stands for, and reading ends where a limit is passed. Values are those of YAML 1.2: what
YAML 1.1 would have made a date, a time or a `no` of stays the word that was typed, and so does a number that no key
can mean (1e400, .nan, four hundred digits). Keys are the words that were typed, always.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

MOST_DEPTH = 32
#: Values that a file may stand for, aliases counted as what they stand for; a long text counts as several.
MOST_VALUES = 10_000
TEXT_CHARACTERS = 64

Kind = Literal["scalar", "alias", "mapping", "list", "end", "document"]
_STR = "tag:yaml.org,2002:str"
#: Tags that say what is so anyway.
_NEEDLESS_TAGS = frozenset(
    {"!", *(f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "int", "float", "bool", "null"))}
)
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
#: No number of a file needs more digits.
MOST_DIGITS = 18
_WHOLE = re.compile(rf"[-+]?[0-9]{{1,{MOST_DIGITS}}}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,2})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}")
#: What no name, text or path can hold.
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
MERGE = "<<"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What the parser saw. `plain`: a scalar without quotes and tag. `line` counts from 1."""

    kind: Kind
    line: int
    value: str = ""
    anchor: str | None = None
    tag: str | None = None
    plain: bool = False


class NotPlain(ValueError):
    """The text cannot be read on from here: why, and in which line (None: it is the whole that is wrong)."""

    def __init__(self, line: int | None, message: str) -> None:
        self.line = line
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Part:
    """A value, how much it stands for, and how deep it is nested."""

    value: Any
    size: int
    height: int


def composed(events: Iterator[Event]) -> tuple[Any, list[tuple[int, str]]]:
    """The value of the one document, None of an empty text; and faults that reading went on after: (line, what).

    Raises NotPlain where it cannot go on, and whatever `events` raises.
    """
    composer = _Composer(events)
    first = next(events, None)
    content = None if first is None else composer.part(first, 1).value
    if (other := next(events, None)) is not None:
        raise NotPlain(other.line, "not valid YAML: but found another document; give one")
    return content, composer.faults


@dataclass(slots=True)
class _Composer:
    events: Iterator[Event]
    faults: list[tuple[int, str]] = field(default_factory=list)
    _anchors: dict[str, _Part | None] = field(default_factory=dict)
    _size: int = 0

    def part(self, event: Event, depth: int) -> _Part:
        """The value that begins with this event, `depth` deep in the document."""
        if event.kind == "alias":
            return self._alias(event, depth)
        self._check_depth(event, depth)
        self._check_tag(event)
        value: Any
        before = self._size
        self._grow(event, _weight(event.value))
        if event.anchor is not None:
            self._anchors[event.anchor] = None  # it is being made
        if event.kind == "mapping":
            value, height = self._mapping(event, depth)
        elif event.kind == "list":
            value, height = self._list(depth)
        else:
            value, height = self._scalar(event), 1
        made = _Part(value, self._size - before, height)
        if event.anchor is not None:
            self._anchors[event.anchor] = made
        return made

    def _check_depth(self, event: Event, depth: int) -> None:
        if depth > MOST_DEPTH:
            raise NotPlain(event.line, f"nested more than {MOST_DEPTH} deep")

    def _grow(self, event: Event, size: int) -> None:
        self._size += size
        if self._size > MOST_VALUES:
            raise NotPlain(
                event.line, f"stands for more than {MOST_VALUES:,} values (an alias counts as what it stands for)"
            )

    def _alias(self, event: Event, depth: int) -> _Part:
        name = event.value[:60]
        if event.value not in self._anchors:
            raise NotPlain(event.line, f"alias *{name} has no anchor &{name} before it")
        part = self._anchors[event.value]
        if part is None:
            what = f"alias *{name} in line {event.line} stands inside of what it stands for"
            raise NotPlain(None, f"not plain keys and values: {what}")
        self._check_depth(event, depth + part.height - 1)
        self._grow(event, part.size)
        return part

    def _list(self, depth: int) -> tuple[list[Any], int]:
        parts = []
        while (event := next(self.events)).kind != "end":
            parts.append(self.part(event, depth + 1))
        return [part.value for part in parts], 1 + max((part.height for part in parts), default=0)

    def _mapping(self, opening: Event, depth: int) -> tuple[dict[str, Any], int]:
        parts: dict[str, _Part] = {}
        merged: list[Any] = []
        while (event := next(self.events)).kind != "end":
            key, is_merge = self._key(event), event.plain and event.value == MERGE
            part = self.part(next(self.events), depth + 1)
            if key in parts:
                self.faults.append((event.line, f'found duplicate key "{key[:200]}"; keep one'))
                continue
            parts[key] = part
            if is_merge:
                merged = part.value if isinstance(part.value, list) else [part.value]
        height = 1 + max((part.height for part in parts.values()), default=0)
        found = {key: part.value for key, part in parts.items()}
        if merged:
            del found[MERGE]
        for one in merged:
            if not isinstance(one, dict):
                self.faults.append((opening.line, f"not valid YAML: {MERGE} takes a mapping, or a list of mappings"))
                continue
            for key, value in one.items():
                found.setdefault(key, value)
        return found, height

    def _key(self, event: Event) -> str:
        if event.kind == "alias":
            value = self._alias(event, 1).value
        else:
            value = event.value
            self._check_tag(event)
            self._grow(event, _weight(value))
            if event.anchor is not None:
                self._anchors[event.anchor] = _Part(value, _weight(value), 1)
        if event.kind in ("mapping", "list") or not isinstance(value, str):
            raise NotPlain(None, f"not plain keys and values: a key must be a word (line {event.line})")
        if event.plain and _DATE.fullmatch(value):
            what = f"the key {value} in line {event.line} is a date; put it in quotes"
            raise NotPlain(None, f"not plain keys and values: {what}")
        return self._usable(value, event)

    def _scalar(self, event: Event) -> Any:
        if event.plain or (event.tag in _NEEDLESS_TAGS and event.tag != "!"):
            return resolved(event.value)
        return self._usable(event.value, event)

    def _usable(self, text: str, event: Event) -> str:
        if found := _UNUSABLE.search(text):
            self.faults.append(
                (event.line, f"holds the character U+{ord(found[0]):04X}, which nothing can be named by")
            )
            return _UNUSABLE.sub("", text)
        return text

    def _check_tag(self, event: Event) -> None:
        if event.tag is not None and event.tag != _STR and event.tag not in _NEEDLESS_TAGS:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")[:60]
            raise NotPlain(event.line, f"not valid YAML: the tag {tag} is not taken; write plain values")


def _weight(text: str) -> int:
    return 1 + len(text) // TEXT_CHARACTERS


def resolved(word: str) -> Any:
    """What a word without quotes means: null, a truth value, a number, or the word itself."""
    if word in _WORDS:
        return _WORDS[word]
    if not (word[0].isdigit() or word[0] in "+-."):
        return word
    digits = word.replace("_", "")
    if _WHOLE.fullmatch(digits):
        return int(digits)
    if re.fullmatch(r"0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}|0b[01]{1,60}", digits):
        return int(digits, 0)
    if _FLOAT.fullmatch(digits) and len(digits) <= 2 * MOST_DIGITS:
        return float(digits)
    return word
