"""The messages between master and nodes. In a single process Locust hands them over directly: one path serves both."""

from __future__ import annotations

from enum import StrEnum


class ToNodes(StrEnum):
    """From the master."""

    PREPARE = "mm2gate.prepare"  # run_id, index, senders, scenario_sha256
    CANARIES = "mm2gate.canaries"
    START = "mm2gate.start"  # start_unix_ns: second 0 of the load
    STOP_SENDING = "mm2gate.stop_sending"
    PULSE = "mm2gate.pulse"  # the master lives; a node that misses it for five seconds sends nothing more
    FINISH = "mm2gate.finish"  # committed


class ToMaster(StrEnum):
    """From a node."""

    READY = "mm2gate.ready"  # host, pid
    PREPARED = "mm2gate.prepared"  # owns: names of what only this node can account for
    SECOND = "mm2gate.second"  # Second.to_wire()
    ACCOUNT = "mm2gate.account"  # run_record.account
    TROUBLE = "mm2gate.trouble"  # message, exit_code
