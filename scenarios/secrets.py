"""The secrets that this process has read, hidden by value wherever a text of ours could show one.

Who reads a secret (`LoadedEnvironment.password`) says so here first. From then on it stands in no error of ours
(`scenarios.errors`), in no line of any log of the process, and in nothing that is kept of what others said, however it
is spelled there: as it is, in JSON, in a URL, in the header of a login. The login's name is hidden where others say it.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from scenarios.secret_shapes import HIDDEN, without_secrets

#: Shorter ones are in every text, and no secret.
SHORTEST = 3
#: Shorter ones are hidden as words of their own only: `load` must not be taken out of `loaded`.
SHORTEST_ANYWHERE = 8

_NOTHING = re.compile(r"(?!)")


@dataclass(slots=True)
class _Known:
    """What is hidden: spellings of secrets in all texts, and names of logins too in those of others."""

    spellings: set[str] = field(default_factory=set)
    logins: set[str] = field(default_factory=set)
    in_ours: re.Pattern[str] = _NOTHING
    in_others: re.Pattern[str] = _NOTHING

    def add(self, spellings: Iterable[str], login: str | None) -> None:
        self.spellings.update(one for one in spellings if len(one) >= SHORTEST)
        if login is not None and len(login) >= SHORTEST:
            self.logins.add(login)
        self.in_ours, self.in_others = _pattern(self.spellings), _pattern(self.spellings | self.logins)


_KNOWN = _Known()


def keep_hidden(value: str, *, login: str | None = None) -> None:
    """From now on `value` is hidden, and `login`, its user's name, in what others say."""
    _guard_logs()
    _KNOWN.add(_spellings(value, login), login)


def hidden(text: str) -> str:
    """A text of ours, without any secret that this process has read."""
    return _KNOWN.in_ours.sub(HIDDEN, text)


def hidden_of_others(text: str) -> str:
    """What a broker, a worker, Prometheus or a tool said: without secrets, logins, and whatever looks like one."""
    return without_secrets(_KNOWN.in_others.sub(HIDDEN, text))


def _spellings(value: str, login: str | None) -> Iterator[str]:
    yield value
    for ascii_only in (False, True):
        yield json.dumps(value, ensure_ascii=ascii_only)[1:-1]
    yield repr(value)[1:-1]
    yield quote(value, safe="")
    yield quote_plus(value)
    yield html.escape(value)
    if login is not None:
        pair = base64.b64encode(f"{login}:{value}".encode()).decode()
        yield pair
        yield pair.rstrip("=")


def _pattern(values: Iterable[str]) -> re.Pattern[str]:
    parts = [
        re.escape(value) if len(value) >= SHORTEST_ANYWHERE else rf"(?<!\w){re.escape(value)}(?!\w)"
        for value in sorted(values, key=len, reverse=True)
    ]
    return re.compile("|".join(parts)) if parts else _NOTHING


def _guard_logs() -> None:
    """Every line of every logger of the process, ours and those of libraries, with its traceback."""
    make = logging.getLogRecordFactory()
    if getattr(make, "hides_secrets", False):
        return

    def made(*arguments: Any, **more: Any) -> logging.LogRecord:
        record = make(*arguments, **more)
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - logging says by itself what does not fit together
            return record
        if (shown := hidden(message)) != message:
            record.msg, record.args = shown, ()
        if record.exc_info and record.exc_info[0] is not None:
            told = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            if (shown := hidden(told)) != told:
                record.exc_info, record.exc_text = None, shown
        return record

    vars(made)["hides_secrets"] = True
    logging.setLogRecordFactory(made)
