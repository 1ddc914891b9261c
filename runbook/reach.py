"""What a prefix reaches beyond the topics of our runs: other teams' topics, and those in which Kafka, Connect and MM2
keep their own state. Pure, but for reading scenarios and runs.

A topic is known to be ours by its name only: as a packaged scenario makes it, or as a run in the runs' directory did.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from scenarios import scenario as scenarios
from scenarios.environment import Environment, Topics

#: A prefix that ends with one of these is closed: it is a namespace, and no name only happens to begin so.
CLOSES = ".-_:"
#: One that is shorter says too little, closed or not.
SHORTEST = 3
#: How the names begin in which Kafka, Connect, MM2 and what is usual beside them keep their state.
SYSTEM = (
    "__consumer_offsets", "__transaction_state", "_schemas", "_confluent", "mm2-offset-syncs", "mm2-configs",
    "mm2-offsets", "mm2-status", "connect-configs", "connect-offsets", "connect-status", "heartbeats", "mirrormaker2-",
)  # fmt: skip
NAMED_MOST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """Which topics runs of ours make at the source of an environment."""

    names: frozenset[str] = frozenset()
    patterns: tuple[re.Pattern[str], ...] = ()

    def knows(self, name: str) -> bool:
        """Whether a source topic of this name is one."""
        return name in self.names or any(pattern.fullmatch(name) for pattern in self.patterns)

    @classmethod
    def of(cls, where: Environment, runs_directory: Path) -> Self:
        """Of the packaged scenarios, and of the runs in a directory that were played on this source cluster."""
        plans = {scenarios.load(name).scenario.topics.name for name in scenarios.library_names()}
        return cls(
            names=frozenset(_recorded(where, runs_directory)),
            patterns=tuple(_pattern(plan, where.topics.prefix) for plan in sorted(plans)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What must be said before the topics inside a prefix are deleted; `foreign` as "side name"."""

    prefix: str
    system: tuple[str, ...]
    foreign: tuple[str, ...]

    @classmethod
    def of(cls, rules: Topics, source: Iterable[str], target: Iterable[str], spared: Iterable[str], ours: Ours) -> Self:
        """Of the topics that would go (`source`, `target`), and of those inside the prefix that are left alone."""
        mirrors = {name: rules.source_of(name) or "" for name in target}
        return cls(
            prefix=rules.prefix,
            system=tuple(spared) or tuple(name for name in SYSTEM if name.startswith(rules.prefix)),
            foreign=(
                *(f"source {name}" for name in source if not ours.knows(name)),
                *(f"target {mirror}" for mirror, of in mirrors.items() if not ours.knows(of)),
            ),
        )

    @property
    def open(self) -> bool:
        """Whether names may be inside the prefix that only happen to begin so."""
        return len(self.prefix) < SHORTEST or self.prefix[-1] not in CLOSES

    @property
    def beyond_ours(self) -> bool:
        """Whether "yes" is not enough, and the environment must be named."""
        return bool(self.system or self.foreign or self.open)

    def warnings(self) -> Iterator[str]:
        """Sentences, for the person who is about to agree."""
        if self.system:
            yield (
                f"careful: the prefix {self.prefix} is also that of topics in which Kafka, Connect or MirrorMaker 2 "
                f"keep their own state ({_listed(self.system)}); those are left alone"
            )
        if self.open:
            yield (
                f"careful: the prefix {self.prefix} is {'short' if len(self.prefix) < SHORTEST else 'not closed'}; "
                f"names that only begin like it are inside it too (a prefix like mm2gate{CLOSES[0]} is closed)"
            )
        if self.foreign:
            yield (
                f"careful: no packaged scenario and no run known here makes {_listed(self.foreign)}; "
                "somebody else may need what is in there (--runs-dir says where runs are)"
            )


def _pattern(plan: str, prefix: str) -> re.Pattern[str]:
    """The names that a scenario's `topics.name` may come to, for any {n}."""
    parts = re.split(r"(\{prefix\}|\{n(?::[^}]*)?\})", plan)
    return re.compile(
        "".join(
            re.escape(prefix) if part == "{prefix}" else r"\d+" if part.startswith("{n") else re.escape(part)
            for part in parts
        )
    )


def _recorded(where: Environment, runs_directory: Path) -> Iterator[str]:
    for file in runs_directory.glob("*/record/manifest.json"):
        try:
            manifest = json.loads(file.read_text(encoding="utf-8"))
            if manifest["environment"]["source"]["cluster_id"] == where.source.cluster_id:
                yield from [str(topic["source"]) for topic in manifest["topics"]]
        except (OSError, ValueError, LookupError, TypeError):
            continue  # what it made is not known, then, and the person is asked


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED_MOST} more" if len(names) > NAMED_MOST else ""
    return ", ".join(names[:NAMED_MOST]) + more
