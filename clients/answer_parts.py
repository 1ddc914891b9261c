"""Parts of a JSON answer, taken out as what they must be: another shape is refused, never stumbled on."""

from __future__ import annotations

from typing import Any, TypeVar

P = TypeVar("P")


class Misshapen(ValueError):
    """What about an answer's shape is wrong, in a few words."""


def part(content: Any, key: str, kind: type[P], *, missing: P | None = None) -> P:
    """`content[key]`, which must be of a kind; `missing`, if given, where there is none, or null. Raises Misshapen."""
    if not isinstance(content, dict):
        raise Misshapen(f"no object where one with {key!r} was due")
    found = content.get(key)
    if found is None and missing is not None:
        return missing
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise Misshapen(f"{key!r} is {'missing' if found is None else 'of another kind'}")
    return found


def every(items: Any, kind: type[P], *, of: str) -> list[P]:
    """The items, all of which must be of a kind. Raises Misshapen."""
    if not all(isinstance(item, kind) for item in items):
        raise Misshapen(f"{of} of another kind")
    return list(items)
