"""What happened to the topics themselves, at the source and on the target, as far as the record and Connect tell. Pure.

This is the one place that knows where such a fact stands; the rows of the diagnosis take them as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from checks.connect_seen import ConnectView
from checks.measures import Run
from checks.measures.closing import closing_of, purged_reason
from run_record.closing import Closing, Disturbance, Side, What, disturbances

NS_PER_S = 1e9
Kind = Literal[
    "mirror_absent",
    "mirror_renamed",
    "mirror_gone",
    "mirror_recreated",
    "mirror_truncated",
    "mirror_fewer_partitions",
    "mirror_lost_place",
    "mirror_unread",
    "reader_stood_still",
    "source_recreated",
    "source_purged",
    "duplicated_at_source",
]
_OF_MIRRORS: Mapping[What, Kind] = {
    "gone": "mirror_gone",
    "remade": "mirror_recreated",
    "fewer_partitions": "mirror_fewer_partitions",
    "truncated": "mirror_truncated",
    "trimmed": "mirror_truncated",
}


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
    closing = closing_of(run)
    changed = [] if closing is None else list(_changed(run, closing))
    yield from changed
    if run.lost_places and not changed:
        yield TopicTrouble(kind="mirror_lost_place", topic=run.lost_places[0], count=len(run.lost_places))
    yield from _counted(run)
    if closing is not None and closing.restarts:
        first, count = closing.restarts[0], len(closing.restarts)
        place = next(iter(first.places), "–")
        at_ns = _instant_ns(run, first.seen_s)
        yield TopicTrouble(kind="reader_stood_still", topic=place, at_ns=at_ns, count=count)
    if renamed := list(_renamed(run, view)):
        topic, found = renamed[0]
        yield TopicTrouble(kind="mirror_renamed", topic=topic, found=found, topics=len(renamed))


def _changed(run: Run, closing: Closing) -> Iterator[TopicTrouble]:
    """Topics that are not what they were, or never were."""
    absent = [topic.topic for topic in closing.target.topics if topic.absent]
    if absent:
        yield TopicTrouble(kind="mirror_absent", topic=absent[0], topics=len(absent))
    for side in ("source", "target"):
        yield from _disturbed(run, closing, side)


def _disturbed(run: Run, closing: Closing, side: Side) -> Iterator[TopicTrouble]:
    found: dict[Kind, list[Disturbance]] = {}
    for one in disturbances(closing, side, record_bytes=run.record.manifest.record_bytes):
        if side == "target" or one.what != "trimmed":  # what was trimmed at the source is counted, where it was lost
            kind = "source_recreated" if side == "source" else _OF_MIRRORS[one.what]
            found.setdefault(kind, []).append(one)
    for kind, some in found.items():
        first = min(some, key=lambda one: (one.seen_s is None, one.seen_s or 0.0))
        facts = closing.side(side).topic(first.topic)
        parts = [one for one in closing.side(side).partitions if one.topic == first.topic and one.held is not None]
        fewer = kind == "mirror_fewer_partitions" and facts is not None
        yield TopicTrouble(
            kind=kind,
            topic=first.topic,
            at_ns=_instant_ns(run, first.seen_s),
            count=facts.partitions_end if fewer and facts else sum(one.held or 0 for one in parts) if parts else None,
            of=_planned_partitions(run, first.topic) if fewer else None,
            topics=len({one.topic for one in some}),
        )


def _counted(run: Run) -> Iterator[TopicTrouble]:
    """What the ledger attributes to somebody else than MM2."""
    counts, topics = run.counts, run.record.manifest.topics
    if counts is None or not topics:
        return
    if (purged := purged_reason(run)) is not None:
        place = str(purged.params["place"])
        yield TopicTrouble(kind="source_purged", topic=place, count=counts.purged, of=counts.lost)
    if counts.unread:
        yield TopicTrouble(kind="mirror_unread", topic=topics[0].remote, count=counts.unread, of=counts.late)
    if counts.duplicated_at_source:
        doubled = counts.duplicated_at_source
        yield TopicTrouble(kind="duplicated_at_source", topic=topics[0].source, count=doubled, of=counts.duplicated)


def _planned_partitions(run: Run, mirror: str) -> int | None:
    return next((topic.partitions for topic in run.record.manifest.topics if topic.remote == mirror), None)


def _instant_ns(run: Run, seen_s: float | None) -> int | None:
    """An instant of the load's clock in Unix time."""
    if seen_s is None or run.windows is None:
        return None
    return round((run.windows.start_s + seen_s) * NS_PER_S)


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
