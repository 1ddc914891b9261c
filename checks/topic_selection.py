"""Which topics a MirrorSourceConnector's configuration selects, and what it calls their mirrors. Pure."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping

MIRROR_SOURCE = "MirrorSourceConnector"


def selects(config: Mapping[str, str], topic: str) -> bool | None:
    """Whether MM2's `topics` and `topics.exclude` (lists of Java regular expressions) let a topic through; None where
    only Java could tell."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Python warns where it reads a pattern otherwise than Java may
            return _lets_through(config, topic)
    except (re.error, FutureWarning, DeprecationWarning):
        return None  # better no hint than a wrong one


def same_mirrors(config: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two connectors of one Connect cluster, so of one target, give a topic's mirror the same name."""
    return _naming(config) == _naming(other)


def _naming(config: Mapping[str, str]) -> tuple[str, ...]:
    policy = config.get("replication.policy.class", "DefaultReplicationPolicy").rpartition(".")[2]
    if policy == "IdentityReplicationPolicy":
        return (policy,)
    return policy, config.get("source.cluster.alias", "source"), config.get("replication.policy.separator", ".")


def _lets_through(config: Mapping[str, str], topic: str) -> bool:
    chosen = any(re.fullmatch(pattern, topic) for pattern in _patterns(config.get("topics", ".*")))
    return chosen and not any(re.fullmatch(pattern, topic) for pattern in _patterns(config.get("topics.exclude", "")))


def _patterns(text: str) -> list[str]:
    return [pattern.strip() for pattern in text.split(",") if pattern.strip()]
