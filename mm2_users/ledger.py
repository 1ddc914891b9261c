"""The ledger of one stream: what became of each record, exactly.

A *stream* is what one sender writes to one partition: sequence numbers 0, 1, 2 … Arrivals are matched by sequence
number, never by offset. When the drain has ended, an acknowledged record that has not arrived is *lost* if a later
record of its stream arrived (Kafka and MM2 keep the order within a partition), or if the mirror was read to its end
and, before that, MM2 had committed a source offset past it, or the source no longer had it; otherwise it is *late*.
Where the reader itself lost its place, none of these proves anything of what was missing then. A record that comes
again is a duplicate, never a reorder: at-least-once replication replays old records after a fault.

What the two clusters hold at the end says who is to blame for some of it (`seen_again`, `seen_unread`,
`seen_at_source`); until it is told, nobody is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm2_users.ranges import RangeSet
from run_record.counts import Counts, total

MOST_EXAMPLES = 20
MOST_ANCHORS = 4096
#: What is kept of single records that came again or altered: beyond, they are only counted.
MOST_TRACKED = 10_000


class StreamLedger:
    """One stream's account. Not safe across threads: all calls come from the engine's greenlet."""

    def __init__(self) -> None:
        self.next_seq = 0
        self.arrived = RangeSet()
        self.missing_count = 0  # how many are in `missing()`, which takes its time when there are many gaps
        self._acked = RangeSet()
        self._failed = RangeSet()
        self._unread = RangeSet()  # what may lie in a stretch of the mirror that was never read
        self._purged = RangeSet()  # what the source no longer had before anything behind it had arrived
        self._purged_below = self._arrived_by_look = 0  # first seq that the source still has; end of arrivals then
        self._waiting = RangeSet()  # on the mirror at the end, where our own reader did not read it
        self._passed_over = RangeSet()  # of those: it had had the time to
        self._gone = RangeSet()  # arrived, and no longer on the mirror at the end
        self._phase_starts: list[int] = []  # first seq of each phase that sent anything
        self._phase_indices: list[int] = []
        self._offset_anchors: list[tuple[int, int, int]] = []  # (first seq, end, source offset − seq)
        self._duplicated_by_phase: Counter[int] = Counter()
        self._reordered_by_phase: Counter[int] = Counter()
        self._corrupted_by_phase: Counter[int] = Counter()
        self._again: list[RangeSet] = []  # what has arrived a second time, a third …
        self._corrupted = Counter[int]()  # seq → how often; the first so many
        self._at_source: dict[str, Counter[int]] = {"duplicated": Counter(), "corrupted": Counter()}  # by phase
        self._untold_duplicates = Counter[int]()  # by phase
        self._untracked = 0  # duplicates that are in `_duplicated_by_phase` only
        self._examples: dict[str, list[int]] = {"duplicated": [], "reordered": [], "corrupted": [], "rekeyed": []}

    # --- the source's side -------------------------------------------------------------------------------------

    def take(self, count: int, phase: int) -> int:
        """Reserves the next `count` sequence numbers for records of a phase; the first of them."""
        if not self._phase_indices or self._phase_indices[-1] != phase:
            self._phase_starts.append(self.next_seq)
            self._phase_indices.append(phase)
        first, self.next_seq = self.next_seq, self.next_seq + count
        return first

    def ack(self, first: int, end: int) -> None:
        """The source has acknowledged [first, end), for the first time."""
        self._acked.add(first, end)
        self.missing_count += end - first
        if first < self.arrived.end:
            self.missing_count -= self.arrived.count(first, end)

    def refuse(self, seq: int) -> None:
        """The source has provably refused this record."""
        self._failed.add(seq, seq + 1)

    def anchor(self, first: int, end: int, offset: int) -> None:
        """The records [first, end) have consecutive offsets in the source partition, from `offset` on."""
        anchors, shift = self._offset_anchors, offset - first
        if anchors and offset < anchors[-1][1] + anchors[-1][2]:
            anchors.clear()  # offsets began anew: the topic was deleted and made again
        if anchors and anchors[-1][1:] == (first, shift):
            anchors[-1] = (anchors[-1][0], end, shift)
            return
        anchors.append((first, end, shift))
        if len(anchors) > MOST_ANCHORS:
            del anchors[1:-1:2]  # others write between ours; fewer anchors prove less, never too much

    @property
    def source_offsets(self) -> RangeSet:
        """Offsets of the source partition that are known to be those of records of this stream."""
        return RangeSet(*((first + shift, end + shift) for first, end, shift in self._offset_anchors))

    def source_offset_of(self, seq: int) -> int | None:
        """Where the source has a record, if that is known."""
        place = bisect_right(self._offset_anchors, seq, key=lambda anchor: anchor[0]) - 1
        if place < 0 or seq >= self._offset_anchors[place][1]:
            return None
        return seq + self._offset_anchors[place][2]

    # --- the target's side -------------------------------------------------------------------------------------

    def arrive(
        self, seqs: NDArray[np.int64], phases: NDArray[np.uint8], intact: NDArray[np.bool_]
    ) -> NDArray[np.bool_] | None:
        """Counts a batch of arrivals in the order read; a mask of first arrivals, or None when all are.

        The usual batch continues the stream where it stood, and costs a few comparisons.
        """
        count = len(seqs)
        first = int(seqs[0])
        if not intact.all():
            for seq, phase in zip(seqs[~intact].tolist(), phases[~intact].tolist(), strict=True):
                self._corrupt(seq, phase)
        if (
            first == self.arrived.end
            and int(seqs[-1]) == first + count - 1
            and (count < 3 or bool((np.diff(seqs) == 1).all()))
        ):
            self._arrived_first(first, first + count)
            return None
        fresh = np.ones(count, dtype=np.bool_)
        for place, (seq, phase) in enumerate(zip(seqs.tolist(), phases.tolist(), strict=True)):
            if seq in self.arrived:
                fresh[place] = False
                self._duplicated_by_phase[phase] += 1
                self._example("duplicated", seq)
                self._come_again(seq)
                continue
            if seq < self.arrived.end:
                self._reordered_by_phase[phase] += 1
                self._example("reordered", seq)
            self._arrived_first(seq, seq + 1)
        return fresh

    def arrive_next(self, count: int) -> None:
        """The records behind the last that arrived have arrived: so many of them, whole and in order."""
        self._arrived_first(self.arrived.end, self.arrived.end + count)

    def arrive_damaged(self, seq: int) -> None:
        """A record has arrived that says no more which one it is, and was known for this one all the same."""
        self._arrived_first(seq, seq + 1)
        self._corrupt(seq, self._phase_of(seq))

    def rekeyed(self, seqs: Iterable[int]) -> None:
        """These arrived (and were counted as corrupted) with another key than the one sent."""
        for seq in seqs:
            self._example("rekeyed", seq)

    def lose_place(self) -> None:
        """The reader was thrown out of its place in the mirror: what has not arrived yet may be where it never read."""
        for start, end in RangeSet((0, self.next_seq)).minus(self.arrived):
            self._unread.add(start, end)

    def source_begins(self, offset: int) -> None:
        """The source partition has nothing before this offset any more, as was seen just now.

        What had not arrived by then, nor anything behind it by the look before, was gone before MM2 read it. (If
        something behind it had arrived while it was there, MM2 had passed it: that is no purge.)
        """
        first = self._first_seq_after(offset - 1)
        if first > self._purged_below:
            there = max(self._purged_below, self._arrived_by_look)
            self._purged = self._purged.plus(self.missing().below(first).from_on(there))
            self._purged_below = first
        self._arrived_by_look = self.arrived.end

    # --- what the clusters hold at the end ---------------------------------------------------------------------

    def seen_unread(self, found: RangeSet, *, in_time: RangeSet) -> None:
        """`found` lie on the mirror, where our own reader did not read: those that are missing are not lost. `in_time`
        of them lay there for so long that it should have: they were not read by us, and are not MM2's."""
        self._waiting = self._waiting.plus(found)
        self._passed_over = self._passed_over.plus(in_time)

    def seen_again(self, found: RangeSet) -> None:
        """All that lies on the mirror now: what arrived and is not among it is gone."""
        self._gone = self.arrived.minus(found)

    @property
    def come_again(self) -> RangeSet:
        """What has arrived more than once, of what was kept of it."""
        return self._again[0] if self._again else RangeSet()

    @property
    def corrupted(self) -> Mapping[int, int]:
        """What has arrived altered → how often, of the first so many."""
        return self._corrupted

    def seen_at_source(self, surplus: Mapping[int, int], altered: Mapping[int, int], *, untold: int) -> None:
        """How often the source holds records beyond once, and how often altered. So many more copies, `untold`, may lie
        where it was not read: as many duplicates are nobody's, as far as is known."""
        for seq, times in altered.items():
            self._at_source["corrupted"][self._phase_of(seq)] += min(times, self._corrupted[seq])
        for seq, times in surplus.items():
            again = sum(seq in seen for seen in self._again)
            self._at_source["duplicated"][self._phase_of(seq)] += min(times, again)
        left = untold + (self._untracked if surplus or untold else 0)
        for phase, count in sorted((self._duplicated_by_phase - self._at_source["duplicated"]).items()):
            self._untold_duplicates[phase] = min(count, left)
            left -= self._untold_duplicates[phase]

    def duplicates_untold(self) -> None:
        """Whatever came again may have been read twice by our own reader."""
        self._untold_duplicates = self._duplicated_by_phase - self._at_source["duplicated"]

    # --- the account -------------------------------------------------------------------------------------------

    @property
    def acked(self) -> RangeSet:
        return self._acked

    def missing(self) -> RangeSet:
        """Acknowledged records that have not arrived."""
        return self._acked.minus(self.arrived)

    def lost(self, committed_offset: int | None = None, *, read_to_end: bool = False) -> RangeSet:
        """Missing records that are proven lost.

        `committed_offset`: the last source offset that MM2 has committed, to be given only if the mirror has been read
        to its end since: what MM2 has passed may else lie there, unread. `read_to_end`: it has been, so what the source
        no longer has cannot come either.
        """
        proven = self.arrived.end
        if committed_offset is not None:
            proven = max(proven, self._first_seq_after(committed_offset))
        missing = self.missing()
        lost = missing.below(proven)
        if read_to_end:
            lost = lost.plus(missing.common(self._purged))
        return lost.minus(self._unread).minus(self._waiting)

    def counts(self, committed_offset: int | None = None, *, read_to_end: bool = False) -> dict[int, Counts]:
        """Phase index → counts; a stream that sent nothing has none."""
        missing, lost = self.missing(), self.lost(committed_offset, read_to_end=read_to_end)
        purged, unread = lost.common(self._purged), missing.common(self._passed_over)
        arrived_acked = self._acked.minus(missing)
        gone = arrived_acked.common(self._gone)
        phantom = self.arrived.common(self._failed)
        arrived_unknown = self.arrived.minus(self._acked).minus(self._failed)
        ends = [*self._phase_starts, self.next_seq][1:]
        parts: dict[int, list[Counts]] = {}
        for phase, start, end in zip(self._phase_indices, self._phase_starts, ends, strict=True):
            sent, acked, failed = end - start, self._acked.count(start, end), self._failed.count(start, end)
            lost_count = lost.count(start, end)
            parts.setdefault(phase, []).append(
                Counts(
                    sent=sent,
                    acked=acked,
                    failed=failed,
                    unknown=sent - acked - failed,
                    arrived=arrived_acked.count(start, end),
                    lost=lost_count,
                    late=missing.count(start, end) - lost_count,
                    phantom=phantom.count(start, end),
                    unknown_arrived=arrived_unknown.count(start, end),
                    purged=purged.count(start, end),
                    unread=unread.count(start, end),
                    gone=gone.count(start, end),
                )
            )
        seen_on_arrival = {
            "duplicated": self._duplicated_by_phase,
            "reordered": self._reordered_by_phase,
            "corrupted": self._corrupted_by_phase,
            "duplicated_at_source": self._at_source["duplicated"],
            "duplicated_untold": self._untold_duplicates,
            "corrupted_at_source": self._at_source["corrupted"],
        }
        for phase in set().union(*seen_on_arrival.values()):
            parts.setdefault(phase, []).append(
                Counts(**{name: counter[phase] for name, counter in seen_on_arrival.items()})
            )
        return {phase: total(some) for phase, some in parts.items()}

    def examples(self, committed_offset: int | None = None, *, read_to_end: bool = False) -> dict[str, list[Any]]:
        """At most 20 sequence numbers (or ranges [first, end)) of each anomaly; empty when there is none."""
        missing, lost = self.missing(), self.lost(committed_offset, read_to_end=read_to_end)
        ranges: dict[str, Iterable[tuple[int, int]]] = {
            "lost": lost,
            "late": missing.minus(lost),
            "failed": self._failed,
            "purged": lost.common(self._purged),
            "unread": missing.common(self._passed_over),
            "gone": self._gone,
        }
        found: dict[str, list[Any]] = {
            name: [list(one) for one in some][:MOST_EXAMPLES] for name, some in ranges.items()
        }
        return {name: some for name, some in (found | self._examples).items() if some}

    def _arrived_first(self, first: int, end: int) -> None:
        """None of [first, end) had arrived before."""
        self.arrived.add(first, end)
        self.missing_count -= self._acked.count(first, end)

    def _phase_of(self, seq: int) -> int:
        return self._phase_indices[bisect_right(self._phase_starts, seq) - 1]

    def _first_seq_after(self, offset: int) -> int:
        """The first sequence number whose source offset is past `offset`, by the anchors."""
        place = bisect_right(self._offset_anchors, offset, key=lambda anchor: anchor[0] + anchor[2]) - 1
        if place < 0:
            return 0
        # Behind the anchored records others may have written: nothing is known of the offsets there.
        _, end, shift = self._offset_anchors[place]
        return min(offset - shift + 1, end)

    def _corrupt(self, seq: int, phase: int) -> None:
        self._corrupted_by_phase[phase] += 1
        self._example("corrupted", seq)
        if len(self._corrupted) < MOST_TRACKED:
            self._corrupted[seq] += 1

    def _come_again(self, seq: int) -> None:
        """It has arrived once more than it was known to have."""
        for seen in self._again:
            if seq not in seen:
                seen.add(seq, seq + 1)
                return
        if sum(map(len, self._again)) < MOST_TRACKED:
            self._again.append(RangeSet((seq, seq + 1)))
        else:
            self._untracked += 1

    def _example(self, kind: str, seq: int) -> None:
        some = self._examples[kind]
        if len(some) < MOST_EXAMPLES:
            some.append(seq)
