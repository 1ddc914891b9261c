"""Writing to people who may have left, and to logs that hold what others wrote. A run ends for none of that, nor does
its exit code change."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from scenarios.errors import Mm2gateError
from scenarios.unread import lead_nowhere, reader_left
from scenarios.visible import one_line, visible, writable


def write(stream: TextIO, text: str) -> None:
    """Writes it at once, as it is; what cannot be written is lost, and that is all."""
    try:
        stream.write(writable(text, stream))
        stream.flush()
    except OSError as error:
        if reader_left(error):
            lead_nowhere(stream)
    except ValueError:  # it is closed
        return


def make_logs_visible() -> None:
    """From here on, what Locust's handlers write is harmless for a terminal, tracebacks and tables included."""
    for logger in (logging.getLogger(), logging.getLogger("locust.stats_logger")):
        for handler in logger.handlers:
            if not isinstance(handler.formatter, _Visible):
                handler.setFormatter(_Visible(handler.formatter or logging.Formatter()))


class _Visible(logging.Formatter):
    """Another formatter's text, hidden characters written out."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines, of a record."""
        return visible(self._inner.format(record))


def say(error: Mm2gateError) -> None:
    """A guard's sentences, on stderr, without a traceback."""
    for line in str(error).split("\n"):
        write(sys.stderr, f"mm2gate: {one_line(line)}\n")
