"""The files that a pattern means, found by looking at a bounded number of names: a pattern may mean a whole disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

MOST_NAMES = 50_000
_MAGIC = frozenset("*?[")


class TooManyNames(ValueError):
    """The pattern looks through more names than are looked at."""


def is_pattern(name: str) -> bool:
    """Whether it is more than the name of one file."""
    return bool(_MAGIC & set(name))


def matching(directory: Path, pattern: str) -> list[Path]:
    """Files under `directory` that match, in order: `*`, `?`, `[…]` within a name, `**` for directories at any depth.

    What may not be looked into holds none. Raises TooManyNames.
    """
    parts = Path(pattern)
    base = Path(parts.anchor) if parts.is_absolute() else directory
    looked_at = iter(range(MOST_NAMES))
    found: list[Path] = [base]
    for part in parts.relative_to(parts.anchor).parts:
        found = [path for one in found for path in _step(one, part, looked_at)]
    return sorted(path for path in dict.fromkeys(found) if path.is_file())


def _step(path: Path, part: str, looked_at: Iterator[int]) -> Iterator[Path]:
    if part == "**":
        yield path
        for entry in _entries(path, looked_at):
            if entry.is_dir(follow_symlinks=False):
                yield from _step(Path(entry.path), part, looked_at)
    elif is_pattern(part):
        yield from (Path(entry.path) for entry in _entries(path, looked_at) if fnmatchcase(entry.name, part))
    elif (path / part).exists():
        yield path / part


def _entries(path: Path, looked_at: Iterator[int]) -> list[os.DirEntry[str]]:
    entries: list[os.DirEntry[str]] = []
    try:
        with os.scandir(path) as found:
            for entry in found:
                if next(looked_at, None) is None:
                    raise TooManyNames(f"looks through more than {MOST_NAMES:,} files; name the directory")
                entries.append(entry)
    except OSError:  # no directory, or none that we may look into
        return entries
    return entries
