"""What the configuration of a MirrorSourceConnector says of names: which topics it takes, what it calls their mirrors.

Pure, and Kafka's own rules: MirrorConnectorConfig and MirrorSourceConfig (keys and defaults), DefaultReplicationPolicy
and IdentityReplicationPolicy (names), DefaultTopicFilter and MirrorSourceConnector.shouldReplicateTopic (choice).
What a configuration leaves to somebody's own class, or to a secret's reference, is not told: None, never a guess.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import regex

from scenarios.secret_shapes import HIDDEN

MIRROR_PACKAGE = "org.apache.kafka.connect.mirror"
POLICY, SEPARATOR = "replication.policy.class", "replication.policy.separator"
SOURCE_ALIAS, TARGET_ALIAS = "source.cluster.alias", "target.cluster.alias"
TOPICS, EXCLUDED, FILTER = "topics", "topics.exclude", "topic.filter.class"
#: Kafka's defaults.
DEFAULT_POLICY = f"{MIRROR_PACKAGE}.DefaultReplicationPolicy"
DEFAULT_FILTER = f"{MIRROR_PACKAGE}.DefaultTopicFilter"
DEFAULT_SEPARATOR = "."
DEFAULT_TARGET_ALIAS = "target"
DEFAULT_EXCLUDED = r"mm2.*\.internal, .*\.replica, __.*"
#: Up to Kafka 3.0, which also knew the key by another name.
OLD_EXCLUDED = r".*[\-\.]internal, .*\.replica, __.*"
OLD_EXCLUDED_KEY = "topics.blacklist"
#: Kafka's, and the one of Strimzi from the time before Kafka had it.
IDENTITIES = frozenset(
    {f"{MIRROR_PACKAGE}.IdentityReplicationPolicy", "io.strimzi.kafka.connect.mirror.IdentityReplicationPolicy"}
)
#: Transforms of Kafka's own that rename topics all end in this; the others leave a record where it was to go.
ROUTER = "Router"
TRANSFORMS_PACKAGE = "org.apache.kafka.connect.transforms."
#: For one pattern and one name.
MATCH_WITHIN_S = 0.5
#: Patterns that took longer: they are not asked again.
_TOO_SLOW: set[str] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorNaming:
    """How one connector names mirrors. `said`: the settings that decide it, for a sentence.

    `pattern` is the mirror's name with {topic} in it; None when the configuration does not tell, and `unknown` why.
    """

    pattern: str | None
    said: str
    unknown: str = ""

    def remote(self, topic: str) -> str | None:
        """The mirror's name on the target of a source topic, where it can be told."""
        return None if self.pattern is None else self.pattern.replace("{topic}", topic)


def value_of(config: Mapping[str, str], key: str, default: str = "") -> str | None:
    """A setting as Kafka reads it, blanks around it dropped; None where it is a reference that the worker resolves, or
    was not kept."""
    text = str(config.get(key, default)).strip()
    return None if "${" in text or HIDDEN in text else text


def naming_of(config: Mapping[str, str]) -> MirrorNaming:
    """What the connector calls mirrors, by its replication policy and its transforms."""
    policy, alias = value_of(config, POLICY, DEFAULT_POLICY), value_of(config, SOURCE_ALIAS)
    separator = value_of(config, SEPARATOR, DEFAULT_SEPARATOR)
    if router := _router(config):
        return MirrorNaming(pattern=None, said=router, unknown=f"{router} may rename what is written")
    if policy is not None and policy in IDENTITIES:
        return MirrorNaming(pattern="{topic}", said=f"{POLICY} = {policy}")
    if policy != DEFAULT_POLICY:
        shown = policy or "not said"
        return MirrorNaming(pattern=None, said=f"{POLICY} = {shown}", unknown=f"{POLICY} is {shown}")
    said = f"{SOURCE_ALIAS} = {alias}, {SEPARATOR} = {separator}"
    if not alias or separator is None:
        return MirrorNaming(pattern=None, said=said, unknown=f"{SOURCE_ALIAS} or {SEPARATOR} is not said")
    return MirrorNaming(pattern=f"{alias}{separator}{{topic}}", said=said)


def _router(config: Mapping[str, str]) -> str | None:
    """The first transform that may send a record elsewhere: one that routes, or one that is not Kafka's own."""
    for name in listed(config.get("transforms", "")):
        kind = str(config.get(f"transforms.{name}.type", "")).strip().removesuffix("$Key").removesuffix("$Value")
        if not kind.startswith(TRANSFORMS_PACKAGE) or kind.endswith(ROUTER):
            return f"transforms.{name}.type = {kind}"
    return None


def selects(config: Mapping[str, str], topic: str) -> bool | None:
    """Whether the connector takes a topic, by `topics` and `topics.exclude` (lists of Java regular expressions)."""
    chosen, excluded = value_of(config, TOPICS, ".*"), _excluded(config)
    if chosen is None or None in excluded or value_of(config, FILTER, DEFAULT_FILTER) != DEFAULT_FILTER:
        return None
    taken, left_out = matches(chosen, topic), {matches(patterns or "", topic) for patterns in excluded}
    if taken is None or None in left_out:
        return None
    if not taken:
        return False
    return not left_out.pop() if len(left_out) == 1 else None


def _excluded(config: Mapping[str, str]) -> tuple[str | None, ...]:
    """What is left out, by each of the versions that it may be."""
    for key in (EXCLUDED, OLD_EXCLUDED_KEY):
        if key in config:
            return (value_of(config, key),)
    return DEFAULT_EXCLUDED, OLD_EXCLUDED


def is_cycle(config: Mapping[str, str], topic: str) -> bool:
    """Whether the default policy takes a source topic for a mirror that came from the target, which is never mirrored
    back: one of the parts before its last is the target's alias."""
    naming, target = naming_of(config), value_of(config, TARGET_ALIAS, DEFAULT_TARGET_ALIAS)
    separator = value_of(config, SEPARATOR, DEFAULT_SEPARATOR)
    if naming.pattern in (None, "{topic}") or not separator or not target:
        return False
    return target in topic.split(separator)[:-1]


def matches(patterns: str, topic: str) -> bool | None:
    """Whether any of these patterns, comma between, is the topic's whole name; None where that cannot be told: better
    no hint than a wrong one. A pattern of somebody else's may take for ever on a name that it does not fit: it has
    `MATCH_WITHIN_S`."""
    if patterns in _TOO_SLOW:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Python warns where it reads a pattern otherwise than Java may
            for pattern in listed(patterns):
                re.compile(pattern)
            return any(regex.fullmatch(pattern, topic, timeout=MATCH_WITHIN_S) for pattern in listed(patterns))
    except TimeoutError:
        _TOO_SLOW.add(patterns)
        return None
    except (re.error, regex.error, Warning, RecursionError, OverflowError, ValueError):
        return None


def listed(text: str) -> list[str]:
    """The parts of a list as Kafka's configurations write one."""
    return [part.strip() for part in str(text).split(",") if part.strip()]
