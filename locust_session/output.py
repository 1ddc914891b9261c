"""Writing to people who may have left: `| head`, a log's pipe that was closed, a terminal that is gone. A run ends for
none of that, nor does its exit code change."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TextIO

_NOBODY_READS = (errno.EPIPE, errno.EIO)


def write(stream: TextIO, text: str) -> None:
    """Writes it at once; what cannot be written is lost, and that is all."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        if error.errno in _NOBODY_READS:
            _lead_nowhere(stream)
    except ValueError:  # it is closed
        return


def _lead_nowhere(stream: TextIO) -> None:
    """What the stream still holds would fail again at Python's end, which then leaves with 120 in the place of the
    run's exit code."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
