"""Records that do not come through, or not as they were, though everything says RUNNING: the connector's configuration,
and what came out at the target instead."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping

from checks.canaries import canaries_of
from checks.connectors import ABSENT, ConnectorSeen
from checks.finding import Finding, fitting
from checks.measures import Run
from checks.mirror_naming import selects
from checks.reasons import Param
from checks.record_inputs import scenario_of

#: Places that a sentence names.
NAMED_PLACES = 4


def flow_rows(run: Run, source: ConnectorSeen | None, values: Mapping[str, float]) -> Iterator[Finding]:
    """Rows about records that are missing or altered. `values`: measure → value."""
    yield from _foreign(run)
    counts = run.counts
    if counts is not None and counts.balanced and source is not None and (counts.corrupted or counts.reordered):
        yield from _altering(source, corrupted=counts.corrupted, reordered=counts.reordered)
    missing = values.get("ledger.acked", 0) - values.get("ledger.arrived", math.inf)
    canaries = canaries_of(run.record)
    if missing > 0:
        yield from _silent_partitions(run)
    if source is None or source.state == ABSENT:
        return
    if missing > 0:
        yield from _dropping(run, source, missing)
    if missing > 0 or (canaries is not None and not canaries.crossed):
        yield from _unselected(run, source, values)


def _foreign(run: Run) -> Iterator[Finding]:
    counts = run.counts
    if counts is not None and counts.foreign and run.record.manifest.has_envelopes:
        topics = run.record.manifest.topics
        yield fitting("foreign_records", foreign=counts.foreign, topic=topics[0].remote if topics else "–")


def _transforms(source: ConnectorSeen) -> str:
    """The transforms with their classes; empty where there are none."""
    names = [name.strip() for name in source.config.get("transforms", "").split(",") if name.strip()]
    return ", ".join(f"{name} ({source.config.get(f'transforms.{name}.type', '?')})" for name in names)


def _dropping(run: Run, source: ConnectorSeen, missing: float) -> Iterator[Finding]:
    transforms = _transforms(source)
    if not transforms:
        return
    counts = run.counts
    foreign = 0 if counts is None else counts.foreign
    in_headers = scenario_of(run.record.manifest).scenario.payload.own_files
    params: dict[str, Param] = {"transforms": transforms, "missing": missing}
    if foreign and (in_headers or "header" in transforms.lower()):
        # They came, without what says which they are.
        yield fitting("headers_dropped", foreign=foreign, **params)
        return
    predicates = source.config.get("predicates", "").strip()
    yield fitting("transforms", predicates=predicates or "–", **params)


def _altering(source: ConnectorSeen, *, corrupted: int, reordered: int) -> Iterator[Finding]:
    if transforms := _transforms(source):
        yield fitting("transforms_alter", transforms=transforms, corrupted=corrupted, reordered=reordered)


def _unselected(run: Run, source: ConnectorSeen, values: Mapping[str, float]) -> Iterator[Finding]:
    topics = [topic.source for topic in run.record.manifest.topics]
    unselected = [topic for topic in topics if selects(source.config, topic) is False]
    if unselected:
        yield fitting(
            "topic_not_selected",
            topic=unselected[0],
            topics=source.config.get("topics", ""),
            exclude=source.config.get("topics.exclude", "–"),
        )
    elif source.troubles == 0 and values.get("connect.poll_total") == 0:
        yield fitting("not_readable", topic=topics[0])


def _silent_partitions(run: Run) -> Iterator[Finding]:
    """Partitions of which nothing arrived, while others' records did: a task, or a mirror, that lacks them."""
    if run.read_refused or run.lost_places:
        return  # nothing is known of what arrived there
    acked: dict[tuple[str, int], int] = defaultdict(int)
    arrived: dict[tuple[str, int], int] = defaultdict(int)
    for stream in (run.record.ledger or {}).get("streams", ()):
        place = (str(stream["topic"]), int(stream["partition"]))
        acked[place] += stream["counts"]["acked"]
        arrived[place] += stream["counts"]["arrived"]
    silent = [place for place in sorted(acked) if acked[place] and not arrived[place]]
    if silent and any(arrived.values()):
        named = ", ".join(f"{topic}:{partition}" for topic, partition in silent[:NAMED_PLACES])
        places = named + (", …" if len(silent) > NAMED_PLACES else "")
        yield fitting("partitions_silent", places=places, count=len(silent), of=len(acked))
