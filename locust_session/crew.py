"""The crew: the nodes of one run as the master knows them. What they have said, what they are told, what they owe.

A node that was lost, or gives no account, is not forgotten: what it owned is named in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from locust_session.load import Second
from locust_session.timeline import NodeStates
from locust_session.wire import ToNodes, pack

#: Hands a message to Locust: kind, packed content, node.
Send = Callable[[ToNodes, dict[str, Any], str | None], None]


@dataclass(slots=True)
class Node:
    """A node that takes part: its Locust id, and what it has said so far."""

    id: str
    host: str
    pid: int
    heard_unix_ns: int = 0
    """When it said that it was ready, by the master's wall clock."""
    prepared: bool = False
    in_trouble: bool = False
    lost: bool = False
    owns: list[str] = field(default_factory=list)
    account: dict[str, Any] | None = None

    @property
    def silent(self) -> bool:
        """Whether its account is still to be waited for."""
        return self.account is None and not (self.in_trouble or self.lost)


@dataclass(slots=True, kw_only=True)
class Crew:
    """`wanted` is how many must be ready. `run_id` goes with every message, once the run has one."""

    wanted: int
    send: Send
    run_id: str = ""
    by_id: dict[str, Node] = field(default_factory=dict)
    states: NodeStates = field(default_factory=NodeStates)

    # --- what they say -----------------------------------------------------------------------------------------------

    def ready(self, node_id: str, host: str, pid: int, heard_unix_ns: int) -> None:
        """A node offers to take part; one too many idles until the next run."""
        if len(self.by_id) < self.wanted:
            self.by_id[node_id] = Node(node_id, host, pid, heard_unix_ns)

    def prepared(self, node_id: str, owns: list[str]) -> None:
        """It has its share, and names what only it can account for."""
        if node_id in self.by_id:
            self.by_id[node_id].prepared = True
            self.by_id[node_id].owns = owns

    def second(self, node_id: str, second: Second) -> None:
        """Its state a moment ago."""
        if node_id in self.by_id:
            self.states.take(node_id, second)

    def account(self, node_id: str, account: dict[str, Any]) -> None:
        """Its last word."""
        if node_id in self.by_id:
            self.by_id[node_id].account = account

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
