"""The Locust User that hosts the engine: one per node, and the engine does the rest."""

from __future__ import annotations

import gc
import time

import gevent
from locust import User, task
from locust.exception import StopUser

from locust_session.load import NodeLoad
from locust_session.node import NodeSession
from mm2_users.engine import STEP_EVERY_S, Engine
from mm2_users.foreign import ForeignLoad
from scenarios.errors import Mm2gateError

#: Other greenlets get their turn, whatever is due: timers and heartbeats must not starve.
LEAST_PAUSE_S = 0.0005


class ReplicationUser(User):
    """Drives the node's engine until Locust stops it. Abstract: a locustfile names the concrete class."""

    abstract = True

    @task
    def drive(self) -> None:
        """Steps the engine, for as long as the user lives. A load that failed is over: the task is not called again."""
        node: NodeSession = self.environment.mm2gate_node
        try:
            engine = node.host()
        except Exception as error:
            if not isinstance(error, Mm2gateError):  # of which it has told the master
                node.failed(error)
            raise StopUser from error
        try:
            self._step(engine, node)
        except Exception as error:
            node.failed(error)
            raise StopUser from error  # anything else Locust would log, and try again at once

    def _step(self, engine: NodeLoad, node: NodeSession) -> None:
        if not isinstance(engine, (Engine, ForeignLoad)):
            raise TypeError(f"ReplicationUser drives an Engine or a ForeignLoad, not {type(engine).__name__}")
        step_every_s = engine.step_every_s if isinstance(engine, ForeignLoad) else STEP_EVERY_S
        node.wait_until_prepared()
        # What lives by now lives until the run ends; looking through it again and again would only stall the hub.
        gc.unfreeze()  # but the run before has ended, and may go
        gc.collect()
        gc.freeze()
        due_s = time.monotonic()
        while True:
            engine.step()
            now_s = time.monotonic()
            due_s = max(due_s + step_every_s, now_s + LEAST_PAUSE_S)
            gevent.sleep(due_s - now_s)
