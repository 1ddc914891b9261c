"""Reads a file that somebody else wrote: a plain file, whole, and no larger than what its reader can bear."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Unreadable(ValueError):
    """Why a file cannot be read, as the end of a sentence that begins with its name."""


def read_bytes(path: Path, *, most_bytes: int) -> bytes:
    """The file's content. Unreadable when there is none, or it is no plain file, or larger than `most_bytes`.

    Never waits: a pipe that nobody writes to is refused, not opened. FileNotFoundError when nothing has that name.
    """
    if "\0" in str(path):
        raise Unreadable("cannot be read (no file has such a name)")
    try:
        # Not blocking: to open a pipe would otherwise wait for its writer.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            kind = stat.S_IFMT(os.fstat(number).st_mode)
            if kind != stat.S_IFREG:
                raise Unreadable(f"is {_KINDS.get(kind, 'something else')}; give a plain file")
            with os.fdopen(number, "rb", closefd=False) as file:
                content = file.read(most_bytes + 1)
        finally:
            os.close(number)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror})") from None
    if len(content) > most_bytes:
        raise Unreadable(f"is larger than {most_bytes / 1024**2:g} MiB, the most that is read")
    return content


def read_text(path: Path, *, most_bytes: int) -> str:
    """The same as text, line ends as `\\n`. Unreadable where it is not UTF-8."""
    content = read_bytes(path, most_bytes=most_bytes)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(
            f"cannot be read: not UTF-8 text (byte 0x{content[error.start]:02x} in line {line}); save it as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_plain_file(path: Path) -> bool:
    """Whether it is one, or leads to one; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, NUL in it, in a directory that may not be looked into
        return False
