"""The reckoning at a run's end: both clusters are looked at once more, and asked who is to blame for what.

    a mirror that is not what was read     is read again: which of our records does it still hold?
    something unread before our reader     is read by another: what lies there is neither lost nor late
    records that came twice, or altered    the source is read again: does it hold them so?

All of it is bounded in time. What could not be told in that time is left to nobody: a lower bound, or "not told".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Protocol

from confluent_kafka import Message

from clients.kafka import off_hub
from clients.kafka_topics import Place
from mm2_users.arrivals import Arrivals
from mm2_users.holdings import Held, Holdings, place_of
from mm2_users.lookout import Lookout, Reader, Rereads
from mm2_users.ranges import RangeSet
from mm2_users.streams import Stream
from run_record.closing import Closing, Disturbance, PartitionFacts, disturbances
from scenarios.plan import NS_PER_S

#: The last look; it is shorter when someone waits for the run's end.
LOOK_WITHIN_S = 5.0
HURRIED_LOOK_WITHIN_S = 1.5
#: What is not told by the last look of all stays untold, so it is repeated.
LOOKS_AGAIN = 2
READ_TO_END_WITHIN_S = 5.0
#: One partition after the other is read again, so that the whole may take longer than any time there is.
REREAD_WITHIN_S = 9.0
#: What lay on a mirror so long before the end should have been read. Later ones may have come while the last look was
#: taken: MM2 goes on writing what is late. The instant of a look is that of its beginning, and it may take 5 s.
SHOULD_BE_READ_NS = 6 * NS_PER_S
#: Looks come every few seconds. Where there was none for so long, all that is found may have lain there.
LOOKED_WITHIN_NS = 15 * NS_PER_S
#: The source is read in so many stretches of a partition; what lies between them and is known is left out.
MOST_STRETCHES = 6
#: So many altered records are looked up at the source.
MOST_LOOKED_UP = 100
#: More copies than there can be: nobody knows how many.
NO_BOUND = 1 << 62

Stretch = tuple[int, int]


class EndReader(Reader, Protocol):
    """`clients.kafka.RecordConsumer`, as far as it is needed at the end."""

    def read_to_end(self, *, timeout_s: float) -> frozenset[Place]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """What it came to. Names are "topic:partition" of the source. `committed`: the offsets that prove something.
    `ended`: whose mirror was read to its end. `garbage`: of a source partition, how many arrivals on its mirror began
    like a record of ours and do not say which, and how many of those the source holds just so."""

    closing: Closing
    committed: Mapping[str, int]
    ended: frozenset[str]
    garbage: Mapping[Place, tuple[int, int]]


@dataclass(slots=True)
class _Reread:
    """What reading mirrors again came to: how many of our arrived records each disturbed one still holds, and which
    places were read to their end by it, or are known not to be there."""

    held: dict[Place, int]
    whole: frozenset[Place]
    nothing: frozenset[Place]
    """Places that were read from our reader's place to their end, and hold none of our records there."""


class Reckoner:
    """Of one node. `run` and `sender` are what its records carry."""

    def __init__(
        self,
        lookout: Lookout,
        arrivals: Arrivals,
        *,
        run: int,
        sender: int,
        record_bytes: int,
        source: Rereads,
        target: Rereads,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`source`, `target`: read stretches of that cluster again."""
        self._lookout = lookout
        self._arrivals = arrivals
        self._run, self._sender, self._record_bytes = run, sender, record_bytes
        self._reread_source, self._reread_target = source, target
        self._now_s = now_s
        self._remote = dict(zip(lookout.at_source, lookout.at_target, strict=True))
        self._ends_s = 0.0

    def reckon(
        self,
        reader: EndReader,
        committed: Mapping[str, int],
        *,
        at_ns: int,
        zero_ns: int,
        longest_e2e_ns: int,
        within_s: float,
        hurried: bool,
    ) -> Reckoning:
        """Asks, and tells the ledgers. Waits, off the hub. `committed`: "topic:partition" → the last source offset that
        MM2 has committed, where Connect told."""
        self._ends_s = self._now_s() + within_s
        look = self._lookout
        within = HURRIED_LOOK_WITHIN_S if hurried else LOOK_WITHIN_S
        read = look.look(reader, at_ns, longest_e2e_ns=longest_e2e_ns, within_s=within)
        for _ in range(0 if hurried else LOOKS_AGAIN):
            if look.source.all_told and look.target.all_told:
                break
            look.look(reader, at_ns, longest_e2e_ns=longest_e2e_ns, within_s=self._at_most_s(within))
        closing = Closing(
            source=look.source.facts(zero_ns),
            target=look.target.facts(zero_ns),
            changes=(*look.source.changes(zero_ns), *look.target.changes(zero_ns)),
            restarts=look.restarts(zero_ns),
        )
        missing = {place for place, stream in look.at_target.items() if stream.ledger.missing_count}
        # Something lies behind our reader where nothing is missing: a second copy, or a marker of a transaction.
        behind = {place for place in look.at_target if self._is_behind(place, read)}
        ended = self._read_to_end(reader) if missing or behind else None
        disturbed = {(one.topic, one.partition): one for one in disturbances(closing, record_bytes=self._record_bytes)}
        again = self._read_mirrors(disturbed, (missing | behind) - (ended or frozenset()), read, at_ns)
        ended_now = (ended or frozenset()) | again.whole
        garbage = self._read_source()
        for place, stream in look.at_target.items():
            if f"{place[0]}:{place[1]}" in self._arrivals.lost_places:
                stream.ledger.duplicates_untold()
        # What is on its way inside MM2 may still come when nobody has waited for it.
        gone_for_good = frozenset() if hurried else ended_now
        return Reckoning(
            closing=self._completed(closing, read, ended, committed, again),
            committed=self._proving(committed, ended_now),
            ended=frozenset(_name(place) for place, remote in self._remote.items() if remote in gone_for_good),
            garbage=garbage,
        )

    # --- the mirrors -------------------------------------------------------------------------------------------------

    def _is_behind(self, place: Place, read: Mapping[Place, int]) -> bool:
        """Whether a mirror goes on behind our reader's place, by the last look."""
        ends = self._lookout.target.ends(place)
        return ends is not None and 0 <= read.get(place, -1) < ends.high

    def _read_to_end(self, reader: EndReader) -> frozenset[Place]:
        return off_hub(partial(reader.read_to_end, timeout_s=self._at_most_s(READ_TO_END_WITHIN_S)))

    def _read_mirrors(
        self, disturbed: Mapping[Place, Disturbance], unread: Iterable[Place], read: Mapping[Place, int], at_ns: int
    ) -> _Reread:
        """Reads disturbed mirrors again, and the others from where our reader stands, and tells the ledgers."""
        target, streams = self._lookout.target, self._lookout.at_target
        stretches: dict[Place, Stretch] = {}
        for place in {*disturbed, *unread}:
            ends = target.ends(place) if target.is_there(place) else None
            if ends is not None:
                start = ends.low if place in disturbed else max(read.get(place, 0), ends.low)
                stretches[place] = start, ends.high
        some = {place: streams[place] for place in stretches}
        holdings = Holdings(some, run=self._run, sender=self._sender)
        in_time = Holdings(some, run=self._run, sender=self._sender)
        ended = {place: self._ended_before(place, at_ns) for place in stretches}

        def take(messages: list[Message]) -> None:
            holdings.take(messages)
            in_time.take([one for one in messages if (one.offset() or 0) < ended[place_of(one)]])

        whole: frozenset[Place] = frozenset()
        if stretches:
            limit_s = self._at_most_s(REREAD_WITHIN_S)
            whole = off_hub(partial(self._reread_target, stretches, take, timeout_s=limit_s)).whole
        for place, held in holdings.held.items():
            streams[place].ledger.seen_unread(held.seqs, in_time=in_time.held[place].seqs)
        gone = frozenset(place for place in disturbed if target.is_there(place) is False)
        counts = {}
        for place, one in disturbed.items():
            ledger, found = streams[place].ledger, holdings.held.get(place, Held()).seqs
            if place in holdings.held or place in gone:
                counts[place] = ledger.arrived.common(ledger.acked).common(found).count()
            if one.sure and place in whole | gone:
                ledger.seen_again(found)
        nothing = frozenset(place for place in whole - set(disturbed) if not holdings.held[place].seqs)
        return _Reread(held=counts, whole=whole | gone, nothing=nothing)

    def _ended_before(self, place: Place, at_ns: int) -> int:
        """The offset before which our reader should have read a mirror; no bound where that is not known."""
        end = self._lookout.target.ended_at(place, at_ns - SHOULD_BE_READ_NS, within_ns=LOOKED_WITHIN_NS)
        return NO_BOUND if end is None else end

    def _proving(self, committed: Mapping[str, int], ended: frozenset[Place]) -> dict[str, int]:
        """Of MM2's committed offsets those that prove something: their mirrors exist, and have been read to the end
        since; their source topic is the one that was written, and goes that far.

        Elsewhere what MM2 has passed may lie on the mirror unread, or on another one than we believe.
        """
        source, target = self._lookout.source, self._lookout.target
        proving = {}
        for place, remote in self._remote.items():
            offset, ends = committed.get(_name(place)), source.ends(place)
            if offset is None or remote not in ended or not target.is_there(remote):
                continue
            if source.is_same(place[0]) and (ends is None or offset < ends.high):
                proving[_name(place)] = offset
        return proving

    # --- the source --------------------------------------------------------------------------------------------------

    def _read_source(self) -> dict[Place, tuple[int, int]]:
        """Reads the source again where something arrived that the source may have been given so, and tells the ledgers;
        the garbage of each partition, and how much of it the source holds."""
        asked = {place: stream for place, stream in self._lookout.at_source.items() if self._must_ask(place, stream)}
        surplus = {place: self._surplus(place, stream) for place, stream in asked.items()}
        holdings = Holdings(
            asked,
            run=self._run,
            sender=self._sender,
            counted=lambda stream, seq: seq in stream.ledger.come_again or seq in stream.ledger.corrupted,
        )
        stretches = {
            place: self._stretches(place, stream)
            for place, stream in asked.items()
            if surplus[place] != 0 or stream.ledger.corrupted
        }
        unread = self._read_stretches(stretches, holdings)
        for place, stream in asked.items():
            some, whole = stretches.get(place, ()), place not in unread
            _tell(stream, holdings.held[place], some, 0 if whole and surplus[place] is not None else surplus[place])
        garbage = {}
        for place, remote in self._remote.items():
            if arrived := self._arrivals.unreadable.get(remote):
                garbage[place] = arrived.total(), (arrived & holdings.unreadable[place]).total()
        return garbage

    def _must_ask(self, place: Place, stream: Stream) -> bool:
        ledger = stream.ledger
        garbage = self._remote[place] in self._arrivals.unreadable and ledger.missing_count > 0
        return bool(ledger.come_again or ledger.corrupted or garbage)

    def _surplus(self, place: Place, stream: Stream) -> int | None:
        """How many records the source partition got during the run that were not acknowledged to us: copies, those
        without an answer, strangers'. None where the source does not tell, or is another topic now."""
        source = self._lookout.source
        ends, start = source.ends(place), source.of_run(place)
        if ends is None or start is None or not source.is_same(place[0]):
            return None
        return max(ends.high - start - stream.ledger.acked.count() - stream.canary_acked, 0)

    def _stretches(self, place: Place, stream: Stream) -> tuple[Stretch, ...]:
        """Where the source holds what is not known to be ours, and once; and the records that arrived altered."""
        source, ledger = self._lookout.source, stream.ledger
        ends, start = source.ends(place), source.of_run(place)
        if ends is None:
            return ()
        wanted = RangeSet((max(start or 0, ends.low), ends.high)).minus(ledger.source_offsets)
        for seq in list(ledger.corrupted)[:MOST_LOOKED_UP]:
            offset = ledger.source_offset_of(seq)
            if offset is not None and offset >= ends.low:
                wanted.add(offset, offset + 1)
        return _joined(list(wanted), MOST_STRETCHES)

    def _read_stretches(self, stretches: Mapping[Place, Sequence[Stretch]], holdings: Holdings) -> set[Place]:
        """Reads them, the first of each partition together, then the second; the partitions not read whole."""
        unread = {place for place, some in stretches.items() if not some}
        for number in range(max(map(len, stretches.values()), default=0)):
            some = {place: parts[number] for place, parts in stretches.items() if number < len(parts)}
            limit_s = self._at_most_s(REREAD_WITHIN_S)
            done = off_hub(partial(self._reread_source, some, holdings.take, timeout_s=limit_s))
            if done.refused:
                return set(stretches)
            unread |= set(some) - done.whole
        return unread

    # --- parts -------------------------------------------------------------------------------------------------------

    @staticmethod
    def _completed(
        closing: Closing,
        read: Mapping[Place, int],
        ended: frozenset[Place] | None,
        committed: Mapping[str, int],
        again: _Reread,
    ) -> Closing:
        """With what only our own reading, and Connect, tell."""

        def of_target(one: PartitionFacts) -> PartitionFacts:
            place = one.topic, one.partition
            position = read.get(place, -1)
            return one.model_copy(
                update={
                    "position": position if position >= 0 else None,
                    "read_to_end": None if ended is None else place in ended or place in again.nothing,
                    "held": again.held.get(place),
                    "held_whole": place in again.held and place in again.whole,
                }
            )

        def of_source(one: PartitionFacts) -> PartitionFacts:
            return one.model_copy(update={"committed": committed.get(one.place)})

        source, target = closing.source, closing.target
        return closing.model_copy(
            update={
                "source": source.model_copy(update={"partitions": tuple(map(of_source, source.partitions))}),
                "target": target.model_copy(update={"partitions": tuple(map(of_target, target.partitions))}),
            }
        )

    def _at_most_s(self, limit_s: float) -> float:
        """What is left of the time, but no more than this."""
        return max(min(limit_s, self._ends_s - self._now_s()), 0.1)


def _name(place: Place) -> str:
    return f"{place[0]}:{place[1]}"


def _tell(stream: Stream, held: Held, stretches: Iterable[Stretch], surplus: int | None) -> None:
    """Tells a ledger what the source holds of its records beyond once each, and what of them altered. `surplus`: how
    many more copies may lie where the source was not read; None: nobody knows."""
    ledger, read = stream.ledger, RangeSet(*stretches)
    beyond = {}
    for seq, copies in held.copies.items():
        offset = ledger.source_offset_of(seq)
        first = offset is None or offset in read  # the one that was acknowledged is among those that were read
        if copies > first:
            beyond[seq] = copies - first
    altered = {seq: times for seq, times in held.altered.items() if times}
    untold = NO_BOUND if surplus is None else max(surplus - sum(beyond.values()), 0)
    ledger.seen_at_source(beyond, altered, untold=untold)


def _joined(parts: list[Stretch], most: int) -> tuple[Stretch, ...]:
    """No more than `most` stretches that hold these, with as little as can be between them."""
    while len(parts) > most:
        between = [after[0] - before[1] for before, after in pairwise(parts)]
        at = between.index(min(between))
        parts[at : at + 2] = [(parts[at][0], parts[at + 1][1])]
    return tuple(parts)
