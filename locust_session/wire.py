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

    #: index, senders, scenario_sha256; by the master's wall clock: heard_unix_ns (the node's READY), now_unix_ns
    PREPARE = "mm2gate.prepare"
    CANARIES = "mm2gate.canaries"
    START = "mm2gate.start"  # start_unix_ns: second 0 of the load
    PLAY = "mm2gate.play"  # phase, start_s: a load that the run has decided on, and when it starts on the load's clock
    STOP_SENDING = "mm2gate.stop_sending"  # perhaps hurried: someone waits for the run's end
    PULSE = "mm2gate.pulse"  # the master lives; a node that misses it for five seconds sends nothing more
    FINISH = "mm2gate.finish"  # committed


class ToMaster(StrEnum):
    """From a node."""

    READY = "mm2gate.ready"  # host, pid; of no run yet
    PREPARED = "mm2gate.prepared"  # owns: names of what only this node can account for
    SECOND = "mm2gate.second"  # Second.to_wire()
    ACCOUNT = "mm2gate.account"  # run_record.account
    TROUBLE = "mm2gate.trouble"  # message, exit_code; of no run when there was none yet


def pack(run_id: str, data: dict[str, Any]) -> dict[str, str]:
    """A message's content as Locust carries it. `run_id` is empty where the sender knows of no run."""
    return {"run_id": run_id, "json": json.dumps(data)}


def unpack(content: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The run id, and what was said."""
    return content["run_id"], json.loads(content["json"])
