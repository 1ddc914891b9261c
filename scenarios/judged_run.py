"""Where a judged run says what it came to, and whether that may be believed.

A judgement withdraws the documents of the one before when it begins, and leaves a mark until it has reached its end.
So where the mark is, nothing beside it is a verdict.
"""

from __future__ import annotations

from pathlib import Path

VERDICT = "verdict.json"
#: Is there from a judgement's beginning to its end, and says why when it did not get there.
MARK = "judgement-failed.txt"


def verdict_file(directory: Path) -> Path | None:
    """The verdict of a run directory; None while it is not judged, or when its last judgement did not reach its end."""
    file = directory / VERDICT
    return file if file.is_file() and not (directory / MARK).exists() else None
