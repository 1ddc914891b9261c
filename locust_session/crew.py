"""The crew: the nodes of one run as the master knows them. What they have said, what they are told, what they owe.

A node that was lost, or gives no account, is not forgotten: what it owned is named in the ledger. Nor is it half
counted: one that comes back when it was given up is sent home, and what it says counts no more.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from locust_session.load import Second
from locust_session.stalls import Stall
from locust_session.timeline import NodeStates
from locust_session.wire import ToNodes, pack
from run_record.manifest import Worker, WorkerClock, WorkerIdentity

#: Hands a message to Locust: kind, packed content, node.
Send = Callable[[ToNodes, dict[str, Any], str | None], None]


class Note(Protocol):
    """Takes down what befell a node: an event with its details, and a sentence for those who look on."""

    def __call__(self, event: str, sentence: str, **details: Any) -> None: ...


def _unheard(event: str, sentence: str, **details: Any) -> None:
    """Before there is a run to write it down."""


@dataclass(slots=True)
class Node:
    """A node that takes part: its Locust id, and what it has said so far."""

    id: str
    host: str
    pid: int
    mm2gate: str = ""
    """Its version, as it said when it was ready; a version that does not say it is too old to be asked more."""
    heard_ns: int = 0
    """When it said that it was ready, on the master's clock."""
    identity: WorkerIdentity | None = None
    ahead_ns: int = 0
    """How far its clock is proven to be ahead of the master's."""
    identified: bool = False
    """It has answered who it is, or why it cannot."""
    trouble: str = ""
    """Why it could not show that its clusters are the right ones."""
    prepared: bool = False
    in_trouble: bool = False
    lost: bool = False
    returned: bool = False
    """It came back when it had been given up."""
    owns: list[str] = field(default_factory=list)
    account: dict[str, Any] | None = None

    @property
    def silent(self) -> bool:
        """Whether its account is still to be waited for."""
        return self.account is None and not (self.in_trouble or self.lost)

    @property
    def is_this_process(self) -> bool:
        """Whether master and node are one."""
        return (self.host, self.pid) == (socket.gethostname(), os.getpid())

    def __str__(self) -> str:
        if self.is_this_process:
            return f"this process (pid {self.pid})"
        return f"worker {self.host} (pid {self.pid}, {self.id})"


@dataclass(slots=True, kw_only=True)
class Crew:
    """`wanted` is how many must be ready. `run_id` goes with every message, once the run has one."""

    wanted: int
    send: Send
    run_id: str = ""
    note: Note = _unheard
    by_id: dict[str, Node] = field(default_factory=dict)
    states: NodeStates = field(default_factory=NodeStates)

    # --- what they say -----------------------------------------------------------------------------------------------

    def ready(self, node: Node) -> None:
        """A node offers to take part; one too many idles until the next run."""
        if len(self.by_id) < self.wanted:
            self.by_id[node.id] = node

    def identified(self, node_id: str, data: dict[str, Any]) -> None:
        """It says who it is (ToMaster.IDENTITY)."""
        if (node := self.by_id.get(node_id)) is not None:
            node.identity = None if data["identity"] is None else WorkerIdentity.model_validate(data["identity"])
            node.ahead_ns, node.trouble, node.identified = data["ahead_ns"], data["trouble"], True

    def prepared(self, node_id: str, owns: list[str]) -> None:
        """It has its share, and names what only it can account for."""
        if node_id in self.by_id:
            self.by_id[node_id].prepared = True
            self.by_id[node_id].owns = owns

    def second(self, node_id: str, second: Second) -> None:
        """Its state a moment ago."""
        if self._counts(node_id):
            self.states.take(node_id, second)

    def interrupted(self, node_id: str, event: str, from_ns: int, lasted_s: float) -> None:
        """It stood still, or held its load back, and goes on (ToMaster.INTERRUPTED)."""
        if self._counts(node_id):
            did = {"stood_still": "stood still", "load_held": "did not hear its master, and sent nothing,"}[event]
            sentence = f"{self.by_id[node_id]} {did} for {lasted_s:.1f} s; what fell due meanwhile is sent now"
            details = {"from_ns": from_ns, "lasted_s": lasted_s}
            if event == "stood_still":
                details["master"] = self.by_id[node_id].is_this_process
            self.note(event, sentence, worker=node_id, **details)

    def master_stood_still(self, from_ns: int, stall: Stall) -> None:
        """The master's own process did. Where it is a node's too, the node tells."""
        if not any(node.is_this_process for node in self.by_id.values()):
            sentence = f"the master stood still for {stall.lasted_s:.1f} s"
            when = {"from_ns": from_ns, "lasted_s": round(stall.lasted_s, 3)}
            self.note("stood_still", sentence, worker=None, **when, master=True)

    def account(self, node_id: str, account: dict[str, Any]) -> None:
        """Its last word."""
        if self._counts(node_id):
            self.by_id[node_id].account = account

    def _counts(self, node_id: str) -> bool:
        """Whether what it says of its load counts. One that was given up is told to end, and named, when it is back."""
        node = self.by_id.get(node_id)
        if node is None or not node.lost:
            return node is not None
        if not node.returned:
            node.returned = True
            self.note(
                "worker_returned", f"{node} is back, too late to be counted; it sends nothing more", worker=node_id
            )
            self.tell(node, ToNodes.FINISH, {"committed": {}})
        return False

    def trouble(self, node_id: str) -> None:
        """It is not well, and is not waited for."""
        if node_id in self.by_id:
            self.by_id[node_id].in_trouble = True

    def lost(self, node_id: str) -> Node | None:
        """The node that is gone now; None when that is no news, or it had given its account."""
        node = self.by_id.get(node_id)
        if node is None or node.account is not None or node.lost:
            return None
        node.lost = True
        self.states.gone.add(node_id)
        return node

    # --- what they are told ------------------------------------------------------------------------------------------

    def tell(self, node: Node, kind: ToNodes, data: dict[str, Any]) -> None:
        """Says it to one."""
        self.send(kind, pack(self.run_id, data), node.id)

    def tell_all(self, kind: ToNodes, data: dict[str, Any] | None = None) -> None:
        """Says it to all that are there."""
        for node in self.by_id.values():
            if not node.lost:
                self.tell(node, kind, data or {})

    # --- how they are ------------------------------------------------------------------------------------------------

    @property
    def all_ready(self) -> bool:
        return len(self.by_id) >= self.wanted

    @property
    def all_prepared(self) -> bool:
        return all(node.prepared for node in self.by_id.values())

    @property
    def all_lost(self) -> bool:
        return all(node.lost for node in self.by_id.values())

    @property
    def canaries_crossed(self) -> bool:
        """Whether every node has sent its canaries, and all have come out at the target."""
        states = self.states
        return (
            len(states.latest) == len(self.by_id)
            and all(one.canaries_sent for one in states.latest.values() if one.sends_canaries)
            and states.total("canaries_arrived") >= states.total("canaries_sent")
        )

    @property
    def here(self) -> list[Node]:
        """Those with a share of the run that were not lost."""
        return [node for node in self.by_id.values() if node.prepared and not node.lost]

    def unaccounted(self) -> list[dict[str, Any]]:
        """What nodes owned that never gave their account, with the little that was last heard of it."""
        return [
            {"worker": node.id, "owned": node.owns, "sent": self.states.latest.get(node.id, Second()).sent}
            for node in self.by_id.values()
            if node.prepared and node.account is None
        ]

    def workers(self) -> tuple[Worker, ...]:
        """For the manifest: all that took part, by their senders' numbers."""
        return tuple(self._worker(index, node) for index, node in enumerate(self.by_id.values()))

    def _worker(self, index: int, node: Node) -> Worker:
        step_ns = self.states.latest.get(node.id, Second()).wall_step_ns
        clock = WorkerClock(ahead_of_master_ns=node.ahead_ns, largest_step_ns=step_ns) if node.identified else None
        return Worker(index=index, id=node.id, host=node.host, pid=node.pid, identity=node.identity, clock=clock)
