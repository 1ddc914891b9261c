"""Looks after what a node's account rests on while the run goes on: are the topics still those that were read and
written, does the source still have what MM2 has not read, does our own reader move.

What it sees it tells the streams' ledgers at once, since the order of things is lost at the end: what the source lost
before MM2 passed it, what was missing when a mirror was made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import gevent

from clients.kafka import off_hub
from clients.kafka_reread import Reread, Stretches, Take
from clients.kafka_topics import Place
from mm2_users.arrivals import Arrivals
from mm2_users.holdings import place_of
from mm2_users.streams import Stream
from mm2_users.watch import LOOK_WITHIN_S, Happened, Looks, Watch
from run_record.closing import Restart
from scenarios.environment import Cluster
from scenarios.plan import NS_PER_S, RunPlan

#: A reader that has records before it and does not move for so long is looked into.
STILL_NS = 8 * NS_PER_S
#: It is started again so often; then something else is wrong, and the end says what it did not read.
MOST_RESTARTS = 10
#: Partitions that an event names.
MOST_NAMED = 8

Note = dict[str, Any]
"""An event for the record: `event`, and what goes with it."""


class Reader(Protocol):
    """`clients.kafka.RecordConsumer`, as far as it is looked after."""

    def positions(self) -> dict[Place, int]: ...
    def renew(self) -> Any: ...


class Rereads(Protocol):
    """`clients.kafka_reread.Rereader`."""

    def __call__(self, stretches: Stretches, take: Take, *, timeout_s: float, first_only: bool = False) -> Reread: ...


class Lookout:
    """Of one node. Instants are nanoseconds of the engine's clock."""

    def __init__(
        self,
        plan: RunPlan,
        streams: Sequence[Stream],
        arrivals: Arrivals,
        *,
        source: Watch,
        target: Watch,
        reread: Rereads,
    ) -> None:
        """`reread`: the target once more."""
        topics = plan.topics
        self.source, self.target = source, target
        self.at_source: dict[Place, Stream] = {(topics[s.place.topic].source, s.place.partition): s for s in streams}
        self.at_target: dict[Place, Stream] = {(topics[s.place.topic].remote, s.place.partition): s for s in streams}
        self._arrivals = arrivals
        self._reread = reread
        self._restarts: list[tuple[int, tuple[Place, ...]]] = []
        self._stands: dict[Place, tuple[int, int]] = {}  # where the reader stands behind the end, and since when
        self._cleared: dict[Place, int] = {}  # ends before which no record lay, as was looked into
        self._notes: list[Note] = []

    def begin(self, at_ns: int) -> None:
        """The first look, before the run has written anything. Waits."""
        self.source.begin(at_ns)
        self.target.begin(at_ns)

    def look(
        self, reader: Reader, at_ns: int, *, longest_e2e_ns: int, within_s: float = LOOK_WITHIN_S
    ) -> dict[Place, int]:
        """Looks at both clusters, and waits for them; where the reader stood just before."""
        read = reader.positions()
        for one in self.target.look(at_ns, read=read, longest_e2e_ns=longest_e2e_ns, within_s=within_s):
            self._notes.append(self.target.note(one))
            if one.what in ("gone", "remade", "truncated"):
                for place in _places_of(one, self.at_target):
                    self._arrivals.lose_place(place)
        for place in self.at_target:
            if f"{place[0]}:{place[1]}" in self._arrivals.lost_places:
                self._notes += map(self.target.note, self.target.thrown_out(place, at_ns))
        for one in self.source.look(at_ns, read={}, longest_e2e_ns=longest_e2e_ns, within_s=within_s):
            self._notes.append(self.source.note(one))
        for place, stream in self.at_source.items():
            ends = self.source.ends(place)
            if ends is not None and self.source.is_same(place[0]):
                stream.ledger.source_begins(ends.low)
        return read

    def look_after(self, reader: Reader, read: Mapping[Place, int], at_ns: int) -> None:
        """Starts the reader again if it stands still though records lie before it. Waits."""
        suspects = {place: stretch for place in read if (stretch := self._ahead(place, read[place], at_ns)) is not None}
        if not suspects or len(self._restarts) >= MOST_RESTARTS:
            return
        found: set[Place] = set()

        def look_ahead() -> None:
            take = lambda some: found.update(map(place_of, some))  # noqa: E731
            self._reread(suspects, take, timeout_s=LOOK_WITHIN_S, first_only=True)

        off_hub(look_ahead)
        now = reader.positions()
        still = tuple(sorted(place for place in found if now.get(place) == read[place]))
        self._cleared |= {place: end for place, (_, end) in suspects.items() if place not in found}
        if still:
            close = reader.renew()
            gevent.spawn(off_hub, close)  # one that stands still may take its time
            self._stands.clear()
            self._restarts.append((at_ns, still))
            named = [f"{topic}:{partition}" for topic, partition in still[:MOST_NAMED]]
            self._notes.append(
                {
                    "event": "reader_restarted",
                    "restart": len(self._restarts),
                    "places": named,
                    "count": len(still),
                }
            )

    def restarts(self, zero_ns: int) -> tuple[Restart, ...]:
        """How often the reader was started again, and where it had stood still."""
        return tuple(
            Restart(
                seen_s=(at_ns - zero_ns) / NS_PER_S,
                places=tuple(f"{topic}:{partition}" for topic, partition in places),
            )
            for at_ns, places in self._restarts
        )

    def take_notes(self) -> list[Note]:
        """What happened since they were last taken."""
        notes, self._notes = self._notes, []
        return notes

    def close(self) -> None:
        """Blocks: call it `off_hub`."""
        self.source.close()
        self.target.close()

    # --- parts -------------------------------------------------------------------------------------------------------

    def _ahead(self, place: Place, position: int, at_ns: int) -> tuple[int, int] | None:
        """The stretch that lies before the reader, if it has stood still before it for long enough."""
        ends = self.target.ends(place)
        start = None if ends is None else max(position, ends.low)
        refused = place[0] in self._arrivals.read_refused
        if ends is None or start is None or start >= ends.high or refused or not self.target.is_same(place[0]):
            self._stands.pop(place, None)
            return None
        stood, since_ns = self._stands.get(place, (None, at_ns))
        if stood != position:
            self._stands[place] = position, at_ns
            return None
        return (start, ends.high) if at_ns - since_ns >= STILL_NS and self._cleared.get(place) != ends.high else None


def lookout_of(
    plan: RunPlan,
    streams: Sequence[Stream],
    arrivals: Arrivals,
    *,
    looks: Callable[[Cluster], Looks],
    reread: Callable[[Cluster], Rereads],
) -> Lookout:
    """The lookout of a node with these streams."""
    source, target = plan.environment.source, plan.environment.target
    at = {number: plan.topics[number] for number in sorted({stream.place.topic for stream in streams})}
    return Lookout(
        plan,
        streams,
        arrivals,
        source=Watch(
            "source",
            looks(source),
            {topic.source: topic.partitions for topic in at.values()},
            [(at[stream.place.topic].source, stream.place.partition) for stream in streams],
        ),
        target=Watch(
            "target",
            looks(target),
            {topic.remote: topic.partitions for topic in at.values()},
            [(at[stream.place.topic].remote, stream.place.partition) for stream in streams],
        ),
        reread=reread(target),
    )


def _places_of(one: Happened, places: Mapping[Place, Stream]) -> list[Place]:
    return [place for place in places if place[0] == one.topic and one.partition in (None, place[1])]
