"""What happened to the topics themselves, at the source and on the target, as far as the record and Connect tell. Pure.

This is the one place that knows where such a fact stands; the rows of the diagnosis take them as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from checks.connect_seen import ConnectView
from checks.measures import Run

Kind = Literal[
    "mirror_absent",
    "mirror_renamed",
    "mirror_recreated",
    "mirror_truncated",
    "mirror_fewer_partitions",
    "mirror_lost_place",
    "mirror_unread",
    "source_recreated",
    "source_purged",
    "duplicated_at_source",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicTrouble:
    """One fact about one topic: `topic` is the mirror's name, or the source topic's where it happened there.

    `at_ns`: when it was seen. `count` of `of`: records (or partitions) that it is about, of how many. `found`: the name
    that is there instead. `topics`: how many topics share the fact.
    """

    kind: Kind
    topic: str
    at_ns: int | None = None
    count: int | None = None
    of: int | None = None
    found: str | None = None
    topics: int = 1


def topic_troubles(run: Run, view: ConnectView | None) -> Iterator[TopicTrouble]:
    """Every fact, each kind once, with its first topic."""
    if run.lost_places:
        yield TopicTrouble(kind="mirror_lost_place", topic=run.lost_places[0], count=len(run.lost_places))
    renamed = list(_renamed(run, view))
    if renamed:
        topic, found = renamed[0]
        yield TopicTrouble(kind="mirror_renamed", topic=topic, found=found, topics=len(renamed))


def _renamed(run: Run, view: ConnectView | None) -> Iterator[tuple[str, str]]:
    """Mirrors that MM2 has not written to, though it has to one that is called nearly so; nothing arrived where we
    looked."""
    written = () if view is None or view.written is None else view.written
    topics = run.record.manifest.topics
    remotes = {topic.remote for topic in topics}
    arrived = {
        stream["topic"] for stream in (run.record.ledger or {}).get("streams", ()) if stream["counts"]["arrived"]
    }
    for topic in topics:
        if topic.remote in written or topic.source in arrived:
            continue
        alike = (name for name in written if name not in remotes and _bare(name).endswith(_bare(topic.source)))
        if (found := next(alike, None)) is not None:
            yield topic.remote, found


def _bare(name: str) -> str:
    """A name without separators and case: what two policies' names have in common."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
