"""The door through which a record's files are read: of bounded size, and what is wrong with one is said, never guessed.

A file may be cut, filled with NULs (what a power cut leaves), replaced by a directory or a device, endless, nested a
million deep, or hold numbers that are none. Each of these is an `Unreadable` with a sentence, whoever wrote it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader, FileIO
from math import isfinite
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

MIB = 1024**2
#: Far above what any run writes (a day's timeline has 100 MB): what is larger is not one of ours.
MOST_BYTES = 1024 * MIB
#: A line of a JSONL file, or a file that is read whole.
MOST_LINE_BYTES = 16 * MIB
MOST_WHOLE_BYTES = 256 * MIB
#: Problems of one file that are named; more of them say no more.
MOST_NAMED = 20


class Unreadable(ValueError):
    """Why a file, or a part of it, cannot be read. `where` is its key or its line; empty for the file itself."""

    def __init__(self, why: str, *, where: str = "") -> None:
        self.where = where
        self.why = why
        super().__init__(f"{where}: {why}" if where else why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing of a record that cannot be read: `file` by its name, `where` in it (key or line), and why not."""

    file: str
    where: str
    why: str

    @classmethod
    def of(cls, file: str, error: Unreadable) -> Fault:
        return cls(file=file, where=error.where, why=error.why)


def opened(path: Path, *, most_bytes: int = MOST_BYTES) -> FileIO:
    """The file, open for reading; it is a regular one of a bounded size. Raises Unreadable, FileNotFoundError when it
    is not there."""
    try:
        # Not blocking: a pipe in the file's place would be waited for for ever.
        stream = FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "r")
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise Unreadable(f"cannot be opened ({_said(error)})") from None
    found = os.fstat(stream.fileno())
    why = ""
    if not stat.S_ISREG(found.st_mode):
        why = "is no regular file"
    elif found.st_size > most_bytes:
        why = f"has {found.st_size:,} bytes, above {most_bytes:,}"
    if why:
        stream.close()
        raise Unreadable(why)
    return stream


def read_whole(path: Path, *, most_bytes: int = MOST_WHOLE_BYTES) -> bytes:
    """The file's bytes. Raises Unreadable, FileNotFoundError when it is not there."""
    with opened(path, most_bytes=most_bytes) as stream:
        try:
            return stream.read(most_bytes)
        except OSError as error:
            raise Unreadable(f"cannot be read ({_said(error)})") from None


def read_text(path: Path, *, most_bytes: int = MOST_WHOLE_BYTES) -> str:
    """The file's text. Raises Unreadable, FileNotFoundError when it is not there."""
    try:
        return read_whole(path, most_bytes=most_bytes).decode()
    except UnicodeDecodeError:
        raise Unreadable("is not UTF-8 text") from None


def read_json(path: Path, *, most_bytes: int = MOST_WHOLE_BYTES) -> Any:
    """The JSON document that a file holds, every number of it finite. Raises Unreadable, FileNotFoundError."""
    return parsed(read_whole(path, most_bytes=most_bytes))


def parsed(text: bytes) -> Any:
    """A JSON document; every number of it is finite, and it is not nested without end. Raises Unreadable."""
    if not text.strip(b" \t\r\n\0"):
        raise Unreadable("holds nothing but NUL bytes" if b"\0" in text else "is empty")
    try:
        content = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise Unreadable(f"is not JSON ({error})") from None
    # 1e400 is a number by its spelling, and infinite by its value.
    if (b"e" in text or b"E" in text) and not _finite(content):
        raise Unreadable("holds a number that is not finite")
    return content


def _finite(content: Any) -> bool:
    if isinstance(content, float):
        return isfinite(content)
    if isinstance(content, dict):
        return all(map(_finite, content.values()))
    return all(map(_finite, content)) if isinstance(content, list) else True


def problems_of(error: ValidationError) -> Iterator[Unreadable]:
    """What a model finds wrong with a document, each by its key."""
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:MOST_NAMED]:
        yield Unreadable(str(item["msg"]), where=".".join(map(str, item["loc"])))


def missing(keys: Iterable[str]) -> Iterator[Unreadable]:
    """A problem for each key that must be there, and is not."""
    for key in keys:
        yield Unreadable("missing", where=key)


def lines_of(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """(number from 1 on, line, whether it is whole) of a JSONL file, empty ones left out; the last one may be torn. A
    file that is not there has no lines. Raises Unreadable."""
    try:
        raw = opened(path)
    except FileNotFoundError:
        return
    with BufferedReader(raw) as stream:
        number = 0
        try:
            while line := stream.readline(MOST_LINE_BYTES):
                number += 1
                if len(line) == MOST_LINE_BYTES:
                    raise Unreadable("is too long", where=f"line {number}")
                if line != b"\n":
                    yield number, line, line.endswith(b"\n")
        except OSError as error:
            raise Unreadable(f"cannot be read ({_said(error)})", where=f"line {number + 1}") from None


def _said(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
