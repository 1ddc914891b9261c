"""What the commands print, harmless for the terminal (`scenarios.visible`). A reader that leaves early
(`mm2gate judge RUN | head -1`), or a terminal that is closed, changes nothing of what they do, nor of the exit code
that they leave with."""

from __future__ import annotations

import sys

import click

from scenarios.unread import lead_nowhere, reader_left
from scenarios.visible import visible, writable


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Prints a line, to stderr with `err`; to nowhere once nobody reads it."""
    say_as_it_is(visible(text), err=err, nl=nl)


def say_as_it_is(text: str, *, err: bool = False, nl: bool = True) -> None:
    """The same, of a text with control sequences of our own: what others wrote must be `visible` in it already."""
    try:
        click.echo(writable(text, sys.stderr if err else sys.stdout), err=err, nl=nl)
    except OSError as error:
        if not reader_left(error):
            raise
        unread(err=err)


def unread(*, err: bool = False) -> None:
    """What is still printed, Python's own flush at the end included, goes nowhere from here on."""
    lead_nowhere(sys.stderr if err else sys.stdout)
