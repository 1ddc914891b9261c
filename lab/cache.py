"""The cache: what setup fetched once for every checkout and every lab of this user, outside any of them.

Things appear in it by an atomic rename only, so what is there is whole: an interrupted setup leaves a scratch
directory behind, never half a jar under its final name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCRATCH = "scratch-"


def cache_dir() -> Path:
    """`$MM2GATE_CACHE`, or `mm2gate` in the user's cache directory."""
    if own := os.environ.get("MM2GATE_CACHE"):
        return Path(own).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(base).expanduser() / "mm2gate").resolve()


@contextmanager
def scratch(cache: Path) -> Iterator[Path]:
    """A directory on the cache's own file system (renames out of it are atomic), gone at the end."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=cache, ignore_cleanup_errors=True) as path:
        yield Path(path)


def sweep_scratch(cache: Path) -> None:
    """Remove what killed setups left. The caller holds the setup's lock."""
    for path in cache.glob(f"{_SCRATCH}*"):
        shutil.rmtree(path, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace a file in one step: a reader sees the old text or the new, and a crash leaves one of them."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
