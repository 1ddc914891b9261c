"""Writing to people who may have left. A run ends for none of that, nor does its exit code change."""

from __future__ import annotations

import sys
from typing import TextIO

from scenarios.errors import Mm2gateError
from scenarios.unread import lead_nowhere, reader_left


def write(stream: TextIO, text: str) -> None:
    """Writes it at once; what cannot be written is lost, and that is all."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        if reader_left(error):
            lead_nowhere(stream)
    except ValueError:  # it is closed
        return


def say(error: Mm2gateError) -> None:
    """A guard's sentences, on stderr, without a traceback."""
    for line in str(error).splitlines():
        write(sys.stderr, f"mm2gate: {line}\n")
