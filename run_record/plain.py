"""A run directory holds plain files and directories only: a record is handed around, and judging one must never lead
out of it. Links, pipes and devices are refused before anything is read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from scenarios.errors import RunRecordError

#: Names of the directories of a run's evidence.
_EVIDENCE = tuple(f"{number:03d}" for number in range(1000))


def require_plain(directory: Path, *, below: tuple[str, ...] = ()) -> None:
    """Everything in the directory, and in its directories of these names, is a plain file or directory.

    The directory itself may be reached by a link: whoever judges has named it. Raises RunRecordError.
    """
    try:
        found = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError as error:
        raise RunRecordError(f"{directory}: cannot be read ({error.strerror})") from None
    for entry in found:
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
        except FileNotFoundError:
            continue  # a file of a run that goes on, replaced just now
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            what = "a link" if stat.S_ISLNK(mode) else "no plain file"
            raise RunRecordError(f"{entry.path}: is {what}, which no record holds; nothing in it can be judged")
        if stat.S_ISDIR(mode) and entry.name in below:
            require_plain(Path(entry.path), below=_EVIDENCE if entry.name == "evidence" else ())
