"""The door through which a record's files are read: of bounded size, and what is wrong with one is said, never guessed.

A file may be cut, filled with NULs (what a power cut leaves), replaced by a directory or a device, endless, nested a
million deep, or hold numbers that are none. Each of these is an `Unreadable` with a sentence, whoever wrote it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from scenarios import plain_file, strict_json

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


def read_whole(path: Path, *, most_bytes: int = MOST_WHOLE_BYTES) -> bytes:
    """The file's bytes. Raises Unreadable, FileNotFoundError when it is not there."""
    try:
        return plain_file.read_bytes(path, most_bytes=most_bytes)
    except plain_file.Unreadable as error:
        raise Unreadable(str(error)) from None


def read_text(path: Path, *, most_bytes: int = MOST_WHOLE_BYTES) -> str:
    """The file's text. Raises Unreadable, FileNotFoundError when it is not there."""
    try:
        return read_whole(path, most_bytes=most_bytes).decode()
    except UnicodeDecodeError:
        raise Unreadable("is not UTF-8 text") from None


def read_json(path: Path, *, most_bytes: int = MOST_WHOLE_BYTES) -> Any:
    """The JSON document that a file holds (see `parsed`). Raises Unreadable, FileNotFoundError."""
    return parsed(read_whole(path, most_bytes=most_bytes))


def read_answer(path: Path) -> Any:
    """Like `read_json`, of what others wrote by the million: quicker, and of a key that is given twice the last one
    counts. Raises Unreadable, FileNotFoundError."""
    try:
        return from_json(read_whole(path), allow_inf_nan=False)
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable(f"is not JSON ({error})") from None


def parsed(text: bytes) -> Any:
    """A JSON document: every number of it is finite, no key is given twice, and it has an end. Raises Unreadable."""
    if not text.strip(b" \t\r\n\0"):
        raise Unreadable("holds nothing but NUL bytes" if b"\0" in text else "is empty")
    try:
        return strict_json.loads(text, most_bytes=MOST_WHOLE_BYTES)
    except strict_json.NotStrictJson as error:
        raise Unreadable(str(error)) from None


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
    if not plain_file.is_plain_file(path):
        if path.exists() or path.is_symlink():
            raise Unreadable("is no plain file")
        return
    try:
        with path.open("rb") as stream:
            if (size := os.fstat(stream.fileno()).st_size) > MOST_BYTES:
                raise Unreadable(f"has {size:,} bytes, above {MOST_BYTES:,}")
            number = 0
            while line := stream.readline(MOST_LINE_BYTES):
                number += 1
                if len(line) == MOST_LINE_BYTES:
                    raise Unreadable("is too long", where=f"line {number}")
                if line != b"\n":
                    yield number, line, line.endswith(b"\n")
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror})") from None


def digest(path: Path) -> str:
    """The file's SHA-256; of one that cannot be read, or is too large to be ours, a text that is none."""
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size > MOST_BYTES:
                return "(too large)"
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"({error.strerror})"
