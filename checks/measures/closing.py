"""Who is to blame, by the record's closing facts: what they leave to MM2, and what is ours, the source's, or not told.

Records that did not arrive on a mirror that was deleted, made again or never there prove nothing of MM2; nor do those
that our own reader did not read. Records that arrived on a mirror that is not what it was are on the target only if
they were found there again.
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.measures.registry import Run
from checks.reasons import Code, Reason
from run_record.closing import Closing, ClosingUnreadable, Disturbance, SideFacts, disturbances
from scenarios.plan import NS_PER_S

#: Records of this schema have closing facts.
SCHEMA_WITH_CLOSING = 2
_CODES = {
    "gone": Code.MIRROR_GONE,
    "remade": Code.MIRROR_REMADE,
    "fewer_partitions": Code.MIRROR_SMALLER,
    "truncated": Code.MIRROR_TRUNCATED,
    "trimmed": Code.MIRROR_TRIMMED,
}


def closing_of(run: Run) -> Closing | None:
    """The closing facts; None where the record has none that can be read."""
    try:
        return run.record.closing
    except ClosingUnreadable:
        return None


def disturbed(run: Run) -> tuple[Disturbance, ...]:
    """Partitions of mirrors that do not hold what they held, though their own retention would have kept it."""
    closing = closing_of(run)
    return () if closing is None else tuple(disturbances(closing, record_bytes=run.record.manifest.record_bytes))


def mirror_reason(run: Run) -> Reason | None:
    """What happened to a mirror, the first that was seen; None when nothing did."""
    found = disturbed(run)
    if not found:
        return None
    first = min(found, key=lambda one: (one.seen_s is None, one.seen_s or 0.0))
    code = _CODES[first.what] if first.sure else Code.MIRROR_TRIM_UNTOLD
    others = {one.topic for one in found}
    return Reason.of(code, topic=first.topic, topics=len(others), at_ns=_instant_ns(run, first.seen_s))


def held_told(run: Run) -> bool:
    """Whether it is known of every record that arrived on a disturbed mirror whether it is still there."""
    closing, found = closing_of(run), disturbed(run)
    if closing is None or not found:
        return True
    whole = {(one.topic, one.partition) for one in closing.target.partitions if one.held_whole}
    return all(one.sure and (one.topic, one.partition) in whole for one in found)


def never_go(run: Run) -> Reason | None:
    """Why a run is not GO whatever its criteria say, if so: what the sheet calls "on the target" may not be there."""
    record = run.record
    if record.ledger is None or not record.sealed:
        return None  # of a run that goes on, or that has no ledger, which says enough
    try:
        closing = record.closing
    except ClosingUnreadable as error:
        return Reason.of(Code.CLOSING_UNREADABLE, error=str(error))
    if closing is None:
        missing = record.manifest.schema_version >= SCHEMA_WITH_CLOSING
        return Reason.of(Code.CLOSING_MISSING) if missing else None
    return mirror_reason(run) or _untold(run, closing)


def _untold(run: Run, closing: Closing) -> Reason | None:
    """A mirror of which it is not told what it held when the run ended. (Where a load worker vanished, that is what is
    said.)"""
    if run.worker_lost:
        return None
    topics = {one.topic: one for one in closing.target.topics}
    ends = {(one.topic, one.partition): one for one in closing.target.partitions}
    for planned in run.record.manifest.topics:
        seen = topics.get(planned.remote)
        if seen is None or seen.partitions_end is None:
            why = "–" if seen is None else seen.untold.get("end", "–")
            return Reason.of(Code.CLOSING_UNTOLD, topic=planned.remote, why=why)
        for partition in range(planned.partitions):
            one = ends.get((planned.remote, partition))
            if one is None or (one.high_end is None and partition < seen.partitions_end):
                return Reason.of(Code.CLOSING_UNTOLD, topic=f"{planned.remote}:{partition}", why="–")
    return None


def unknown_arrivals(run: Run) -> Reason | None:
    """Why it is not known what became of records that did not arrive, if so; asked of a run that misses some."""
    closing, counts = closing_of(run), run.counts
    if closing is None or counts is None or not counts.backlog:
        return None
    if reason := mirror_reason(run):
        return reason
    if (absent := _absent(closing.target)) and _carried(run, closing, absent):
        return absent_reason(run)
    for changed in disturbances(closing, "source"):
        if changed.what in ("gone", "remade"):
            at_ns = _instant_ns(run, changed.seen_s)
            return Reason.of(Code.SOURCE_CHANGED, topic=changed.topic, at_ns=at_ns)
    return Reason.of(Code.NOT_READ, count=counts.unread) if counts.unread else None


def behind_reader(run: Run) -> Reason | None:
    """How many mirrors go on behind our reader's place with what may be a second copy, if any."""
    closing = closing_of(run)
    places = [
        one.place
        for one in (closing.target.partitions if closing is not None else ())
        if one.read_to_end is not True
        and one.position is not None
        and one.high_end is not None
        and one.position < one.high_end
    ]
    return Reason.of(Code.BEHIND_READER, count=len(places), place=places[0]) if places else None


def absent_reason(run: Run) -> Reason | None:
    """That a mirror was never there, if so."""
    closing = closing_of(run)
    absent = _absent(closing.target) if closing is not None else ()
    return Reason.of(Code.MIRROR_ABSENT, topic=absent[0], topics=len(absent)) if absent else None


def purged_reason(run: Run) -> Reason | None:
    """How many records the source lost before MM2 read them, if any."""
    counts, closing = run.counts, closing_of(run)
    if counts is None or not counts.purged:
        return None
    trims = [one for one in closing.source.partitions if one.trim is not None] if closing is not None else []
    first = min(trims, key=lambda one: one.trim.seen_s if one.trim else 0.0, default=None)
    place = first.place if first is not None else "–"
    low = first.low_end if first is not None and first.low_end is not None else 0
    return Reason.of(Code.PURGED, count=counts.purged, lost=counts.lost, place=place, low=low)


def stood_still(run: Run) -> Reason | None:
    """That our own reader stood still and was started again, if so: what it read then it read late by its own fault."""
    restarted = [event for event in run.record.events if event["event"] == "reader_restarted"]
    closing = closing_of(run)
    restarts = closing.restarts if closing is not None else ()
    if not restarted and not restarts:
        return None
    at_ns = restarted[0]["at_ns"] if restarted else _instant_ns(run, restarts[0].seen_s)
    place = next(iter(restarted[0]["places"] if restarted else restarts[0].places), "–")
    return Reason.of(Code.READER_STOOD_STILL, count=max(len(restarted), len(restarts)), at_ns=at_ns, place=place)


def untold_facts(run: Run) -> Iterator[Reason]:
    """What a reader should know of a record whose closing facts are not all there, whatever the verdict."""
    ledger = run.record.ledger
    if ledger is not None and run.record.sealed and "closing" not in ledger:
        yield Reason.of(Code.CLOSING_MISSING)


# --- parts -----------------------------------------------------------------------------------------------------------


def _absent(target: SideFacts) -> tuple[str, ...]:
    return tuple(one.topic for one in target.topics if one.absent)


def _carried(run: Run, closing: Closing, absent: tuple[str, ...]) -> bool:
    """Whether MM2 may have carried records to where we did not look: it has committed past some, or does not tell. A
    mirror that does not exist is MM2's fault only where it says itself that it has not got that far."""
    told = bool(run.environment.connect.urls) and not any(
        event["event"] == "committed_offsets_unknown" for event in run.record.events
    )
    sources = {topic.source for topic in run.record.manifest.topics if topic.remote in absent}
    return not told or any(
        one.committed is not None and (one.high_start is None or one.committed >= one.high_start)
        for one in closing.source.partitions
        if one.topic in sources
    )


def _instant_ns(run: Run, seen_s: float | None) -> int:
    """An instant of the load's clock in Unix time; the run's end where it was seen only then."""
    manifest = run.record.manifest
    loads = manifest.of_kind("load")
    if seen_s is None or not loads:
        return manifest.ending.at_ns if manifest.ending is not None else manifest.started_at_ns
    return loads[0].start_ns + round(seen_s * NS_PER_S)
