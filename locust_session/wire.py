"""The messages between master and nodes. In a single process Locust hands them over directly: one path serves both.

Every message says which run it belongs to: what a node of the run before still had to say must not be taken for this
one's. The content travels as JSON text, since Locust's msgpack breaks on integers beyond 64 bits (sums of latencies).
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any


class ToNodes(StrEnum):
    """From the master."""

    #: master (its WorkerIdentity), senders; as instants are told (MasterClock.told_ns): heard_unix_ns (the node's
    #: READY), now_unix_ns. The first word of a run: nothing else is asked of a node that has not answered it.
    IDENTIFY = "mm2gate.identify"
    PREPARE = "mm2gate.prepare"  # index, senders
    CANARIES = "mm2gate.canaries"
    START = "mm2gate.start"  # start_unix_ns: second 0 of the load; now_unix_ns
    PLAY = "mm2gate.play"  # phase, start_s: a load that the run has decided on, and when it starts on the load's clock
    STOP_SENDING = "mm2gate.stop_sending"  # perhaps hurried: someone waits for the run's end
    PULSE = "mm2gate.pulse"  # the master lives; a node that misses it for five seconds sends nothing until it hears it
    FINISH = "mm2gate.finish"  # committed


class ToMaster(StrEnum):
    """From a node."""

    READY = "mm2gate.ready"  # host, pid, mm2gate (its version); of no run yet
    #: identity (None where it cannot be told), ahead_ns (NodeClock), trouble (why its clusters are not what they should
    #: be; empty when they are)
    IDENTITY = "mm2gate.identity"
    PREPARED = "mm2gate.prepared"  # owns: names of what only this node can account for
    SECOND = "mm2gate.second"  # Second.to_wire()
    #: event (stood_still, load_held), from_unix_ns (by the master's clock, as instants are told), lasted_s
    INTERRUPTED = "mm2gate.interrupted"
    ACCOUNT = "mm2gate.account"  # run_record.account
    TROUBLE = "mm2gate.trouble"  # message, exit_code; of no run when there was none yet


def pack(run_id: str, data: dict[str, Any]) -> dict[str, str]:
    """A message's content as Locust carries it. `run_id` is empty where the sender knows of no run."""
    return {"run_id": run_id, "json": json.dumps(data)}


def unpack(content: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The run id, and what was said."""
    return content["run_id"], json.loads(content["json"])
