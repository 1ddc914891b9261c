"""What the session asks of a load: `MasterLoad` once per run on the master, `NodeLoad` on each node.

Calls may wait (on futures, native threads), never block the hub. Instants are nanoseconds of the node's monotonic
clock.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self

from run_record.manifest import ClusterSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Which share of a run's load is this node's: sender `index` of `senders`."""

    run_id: str
    index: int
    senders: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """A node's state at the end of a second. Counts run on from the run's start, canaries apart; histograms are those
    of the second alone (`LatencyHistogram.to_json`)."""

    sent: int = 0
    acked: int = 0
    failed: int = 0
    unknown: int = 0
    arrived: int = 0
    duplicated: int = 0
    due: int = 0
    """What the plan wanted of this node by now."""
    pending: int = 0
    """Sent, and neither acknowledged nor refused yet."""
    missing: int = 0
    """Acknowledged, not arrived."""
    all_sent: bool = False
    """Every record of the node's share has been handed to the producer."""
    last_sent_ns: int = 0
    """When the last record was sent, since the load's start."""
    quiet: bool = True
    """Nothing more will be sent: all of it was, or it was told to stop."""
    sends_canaries: bool = True
    """Whether there is a canary to wait for: not where others send."""
    canaries_sent: int = 0
    canaries_arrived: int = 0
    e2e: dict[str, Any] = field(default_factory=dict)
    send_delay: dict[str, Any] = field(default_factory=dict)
    wall_step_ns: int = 0
    """The largest step of the node's wall clock so far; the session's to know, and not the load's."""
    notes: tuple[dict[str, Any], ...] = ()
    """What happened since the last one, for the record's events: `event`, and what goes with it."""

    def to_wire(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_wire(cls, content: dict[str, Any]) -> Self:
        return cls(**content)


class NodeLoad(Protocol):
    """The load of one node: one run at a time, prepared, started, stopped, closed."""

    step_every_s: float
    """From one step to the next."""

    def versions(self) -> dict[str, str]:
        """Of what sends; the same names as `MasterLoad.versions`. `envelope` is that of the records' own form."""

    def identify(self) -> tuple[ClusterSeen, ClusterSeen]:
        """Source and target, by what they answer this node's own client. Raises Refused or Unreachable."""

    def prepare(self, assignment: Assignment) -> list[str]:
        """Connects and takes up its reading positions; names of what only this node will be able to account for.

        Raises Mm2gateError.
        """

    def step(self) -> None:
        """Does what is due: called again and again once it is prepared, by one greenlet only, until the run is over."""

    def send_canaries(self) -> None:
        """Sends one record down every path of its own."""

    def start(self, start_ns: int) -> None:
        """Second 0 of the load is at `start_ns`."""

    def play(self, phase: int, start_s: float) -> None:
        """Plays one more load of the plan, from this instant of the load's clock on: a staircase's next step."""

    def hold_sending(self) -> None:
        """Nothing is sent until `resume_sending`; what was sent is still followed."""

    def resume_sending(self) -> None:
        """What fell due meanwhile is sent at once, unless sending was stopped for good. Raises Mm2gateError when the
        load cannot go on."""

    def stop_sending(self) -> None:
        """Nothing more is sent; what was sent is still followed."""

    def second(self) -> Second:
        """Its state now; histograms of the time since the last call."""

    def look(self) -> None:
        """Looks, every few seconds once it is prepared, whether what its account will rest on is still what it was. May
        wait, and never fails."""

    def finish(self, committed: dict[str, int], *, hurried: bool = False) -> dict[str, Any]:
        """Closes its connections and gives the final account (see `account.py`). `committed`: "topic:partition" → the
        last source offset that the system under test has committed, where known. `hurried`: someone waits for it."""


class MasterLoad(Protocol):
    """What only the master does."""

    def identify(self) -> tuple[ClusterSeen, ClusterSeen]:
        """Checks what the run needs, before anything is written anywhere. Raises Refused or Unreachable."""

    def create(self) -> list[str]:
        """Creates what is missing at the source; names of what it created. Raises Refused."""

    def committed(self) -> dict[str, int]:
        """The form "topic:partition" → last committed source offset; empty when the system does not tell.

        Killed when that takes too long.
        """

    def versions(self) -> dict[str, str]:
        """Versions worth keeping in the record."""
