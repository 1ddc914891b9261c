"""JSON that somebody else wrote, whatever it holds: plain values that the rest of the program can bear, or a refusal.

Python's reader takes what is no JSON (NaN, Infinity), makes infinity of 1e400, takes the last of two equal keys, and
what it takes can be nested deeper than whoever walks through it can follow, or hold half a character that nobody can
write down again. All of that is refused here, in bounded time and memory.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scenarios.plain_file import read_bytes

MOST_BYTES = 64 * 1024**2
#: Whoever walks through the content recursively must not reach Python's limit.
MOST_DEPTH = 64
#: Values in all. A list of empty lists takes twenty times as much memory as its text.
MOST_VALUES = 8_000_000
#: No number of ours, Kafka's or Prometheus's needs more digits; counters of 64 bits have 20.
MOST_DIGITS = 20


class NotStrictJson(ValueError):
    """Why it is no JSON that is taken, in a few words."""


def loads(
    text: str | bytes, *, most_bytes: int = MOST_BYTES, most_depth: int = MOST_DEPTH, most_values: int = MOST_VALUES
) -> Any:
    """The content of a JSON text: dict, list, str, int, finite float, bool and None, at most `most_depth` deep.

    Bytes must be UTF-8. Raises NotStrictJson for anything else.
    """
    if len(text) > most_bytes:
        raise NotStrictJson(f"larger than {most_bytes / 1024**2:g} MiB")
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError:
            raise NotStrictJson("not UTF-8 text") from None
    if text.count(",") + text.count("[") + text.count("{") > most_values:
        raise NotStrictJson(f"more than {most_values} values")
    try:
        content = _DECODER.decode(text)
    except NotStrictJson:
        raise
    except RecursionError:
        raise NotStrictJson(f"nested more than {most_depth} deep") from None
    except json.JSONDecodeError as error:
        raise NotStrictJson(f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    if _deeper_than(most_depth, content):
        raise NotStrictJson(f"nested more than {most_depth} deep")
    if _holds_half_a_character(text, content):
        raise NotStrictJson("holds half a character (a lone surrogate)")
    return content


def read(path: Path, *, most_bytes: int = MOST_BYTES, most_depth: int = MOST_DEPTH) -> Any:
    """The content of a JSON file. Raises NotStrictJson, Unreadable (no plain file, too large) or FileNotFoundError."""
    return loads(read_bytes(path, most_bytes=most_bytes), most_bytes=most_bytes, most_depth=most_depth)


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS + 1:
        raise NotStrictJson(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:  # faster than math.isfinite, and there are millions
        raise NotStrictJson(f"a number beyond all bounds ({text[:20]})")
    return number


def _no_number(name: str) -> Any:
    raise NotStrictJson(f"{name} where a number is wanted")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise NotStrictJson(f"the key {twice[:60]!r} twice")
    return found


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_finite, parse_constant=_no_number, object_pairs_hook=_unique)


def _deeper_than(most: int, content: Any) -> bool:
    level = [content] if isinstance(content, (dict, list)) else []
    for _ in range(most):
        if not level:
            return False
        level = [
            value
            for parent in level
            for value in (parent.values() if type(parent) is dict else parent)
            if type(value) is dict or type(value) is list
        ]
    return bool(level)


def _holds_half_a_character(text: str, content: Any) -> bool:
    escaped = "\\ud" in text or "\\uD" in text
    try:
        # Half a character comes in by an escape, or with a text that was decoded without care.
        (json.dumps(content, ensure_ascii=False) if escaped else text).encode()
    except UnicodeEncodeError:
        return True
    return False
