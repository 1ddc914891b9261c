"""The muster: before anything is created, prepared or sent, every node shows that it plays what the master plays.

Option texts are the same everywhere, since Locust hands the master's on; the files that they name are each node's own,
and so are its mm2gate, its clock, and the way to its clusters. Whatever differs is said, of all nodes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from locust_session.crew import Crew, Node
from locust_session.identity import clock_difference, differences
from locust_session.moments import MasterClock
from locust_session.wire import ToNodes
from run_record.manifest import WorkerIdentity
from scenarios.errors import Refused

#: A cluster that does not answer is given up after ten seconds; there are two.
IDENTIFIED_WITHIN_S = 45.0
TO_DO = "install the same mm2gate and the same files there, or leave it out"


def muster(
    crew: Crew,
    master: WorkerIdentity,
    *,
    clock: MasterClock,
    until: Callable[[Callable[[], bool], float], bool],
    ended: Callable[[], bool],
) -> None:
    """Asks all nodes who they are. Raises Refused, with a line for each that would do otherwise than the master, or
    does not say; unless the run was to end meanwhile, which `until` does not outwait."""
    clock.begin_to_tell()
    version = master.versions.get("mm2gate", "")
    # Another version may not know the question, or not as it is asked here.
    asked = [node for node in crew.by_id.values() if node.mm2gate == version]
    for node in asked:
        clocks = {"heard_unix_ns": clock.told_ns(node.heard_ns), "now_unix_ns": clock.told_ns()}
        crew.tell(node, ToNodes.IDENTIFY, {"master": master.model_dump(), "senders": len(crew.by_id), **clocks})
    until(lambda: all(node.identified for node in asked), IDENTIFIED_WITHIN_S)
    objections = [line for node in crew.by_id.values() for line in _objections(node, master)]
    if objections and not ended():
        raise Refused("\n".join(objections))


def _objections(node: Node, master: WorkerIdentity) -> Iterator[str]:
    version = master.versions.get("mm2gate", "")
    if node.mm2gate != version:
        told = node.mm2gate or "a version that does not say which it is"
        yield f"{node}: mm2gate {told}, the master's is {version}; {TO_DO}"
    elif not node.identified:
        yield f"{node} did not say what it would play within {IDENTIFIED_WITHIN_S:g} s; {TO_DO}"
    elif node.trouble:
        yield f"{node}: {'; '.join(node.trouble.splitlines())}"
    elif node.identity is not None:
        found = [*differences(master, node.identity), *clock_difference(node.ahead_ns)]
        if found:
            yield f"{node} does not play what the master plays: {'; '.join(found)}; {TO_DO}"
