"""The greenlet that steps a node's load. It is the node's own: Locust moves, adds and removes users while a run goes
on, and a load must neither stand still nor be stepped by two because of that."""

from __future__ import annotations

import gc
import time
from typing import NoReturn

import gevent

from locust_session.load import NodeLoad

#: Other greenlets get their turn, whatever is due: timers and heartbeats must not starve.
LEAST_PAUSE_S = 0.0005


def drive(load: NodeLoad) -> NoReturn:
    """Steps a load that is prepared, until this greenlet is killed. Raises what the load raises."""
    # What lives by now lives until the run ends; looking through it again and again would only stall the hub.
    gc.unfreeze()  # but the run before has ended, and may go
    gc.collect()
    gc.freeze()
    due_s = time.monotonic()
    while True:
        load.step()
        now_s = time.monotonic()
        due_s = max(due_s + load.step_every_s, now_s + LEAST_PAUSE_S)
        gevent.sleep(due_s - now_s)
