"""The messages between master and nodes. In a single process Locust hands them over directly: one path serves both."""

from __future__ import annotations

from enum import StrEnum


class ToNodes(StrEnum):
    """From the master."""

    PREPARE = "mm2gate.prepare"  # run_id, index, senders, scenario_sha256
    CANARIES = "mm2gate.canaries"
    START = "mm2gate.start"  # start_unix_ns: second 0 of the load
    STOP_SENDING = "mm2gate.stop_sending"
    FINISH = "mm2gate.finish"  # committed


class ToMaster(StrEnum):
    """From a node."""

    READY = "mm2gate.ready"  # host, pid
    PREPARED = "mm2gate.prepared"
    SECOND = "mm2gate.second"  # Second.to_wire()
    ACCOUNT = "mm2gate.account"  # run_record.account
    TROUBLE = "mm2gate.trouble"  # message, exit_code
