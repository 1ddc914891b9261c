"""A stream whose reader has left: `| head`, a log's pipe that was closed, a terminal that is gone."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TextIO

_LEFT = frozenset({errno.EPIPE, errno.EIO})


def reader_left(error: OSError) -> bool:
    """Whether a write failed with it for that reason, and not, say, for want of room."""
    return error.errno in _LEFT


def lead_nowhere(stream: TextIO) -> None:
    """Whatever else is written to it is lost. What it still holds would otherwise fail again when Python flushes it at
    its end, and then leaves with 120 in the place of the program's exit code."""
    with suppress(OSError, ValueError):  # it has no file, or is closed
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
