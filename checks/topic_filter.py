"""Which topics a connector's configuration means: MM2's `topics` and `topics.exclude`, lists of Java regular
expressions. Pure."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping

from scenarios.secret_shapes import HIDDEN


def selected(config: Mapping[str, str], topic: str) -> bool | None:
    """Whether `topics` and `topics.exclude` (lists of Java regular expressions) let a topic through; None where that
    cannot be told, since no hint is better than a wrong one."""
    chosen, excluded = config.get("topics", ".*"), config.get("topics.exclude", config.get("topics.blacklist", ""))
    one, other = matches(chosen, topic), matches(excluded, topic)
    return None if one is None or other is None else one and not other


def matches(patterns: str, topic: str) -> bool | None:
    """Whether any of these patterns, comma between, is the topic's whole name; None where that cannot be told."""
    if HIDDEN in patterns:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Python warns where it reads a pattern otherwise than Java may
            return any(re.fullmatch(pattern, topic) for pattern in listed(patterns))
    except (re.error, FutureWarning, DeprecationWarning):
        return None


def listed(text: str) -> list[str]:
    """The parts of a list as Kafka's configurations write one."""
    return [part.strip() for part in text.split(",") if part.strip()]
