"""What Kafka takes for the name of a topic (org.apache.kafka.common.internals.Topic)."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 249
_CHARACTERS = re.compile(r"[A-Za-z0-9._-]*")
ALLOWED = "letters A to Z, digits, '.', '_' and '-'"


def only_allowed(part: str) -> bool:
    """Whether a part of a name holds nothing but what a name may hold."""
    return _CHARACTERS.fullmatch(part) is not None


def why_refused(name: str) -> str | None:
    """Why Kafka refuses the name, as the end of a sentence; None when it does not."""
    if not name:
        return "it is empty"
    if name in (".", ".."):
        return "it is a directory's name"
    if len(name) > LONGEST:
        return f"it has {len(name)} characters, and at most {LONGEST} are allowed"
    if not only_allowed(name):
        return f"it may hold only {ALLOWED}"
    return None


def clashing(name: str, others: Iterable[str]) -> str | None:
    """One of the others beside which Kafka does not make a topic of this name: they would share the names of metrics,
    where '.' and '_' are one. None when there is none."""
    like = name.replace(".", "_")
    return next((other for other in others if other != name and other.replace(".", "_") == like), None)
