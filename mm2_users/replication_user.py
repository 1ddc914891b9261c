"""The Locust User that hosts the engine: one per node, and the engine does the rest."""

from __future__ import annotations

import gevent
from locust import User, task

from locust_session.node import NodeSession
from mm2_users.engine import Engine

#: A fixed, short pause between steps: never 0, which would starve timers and heartbeats.
STEP_EVERY_S = 0.001


class ReplicationUser(User):
    """Drives the node's engine until Locust stops it. Abstract: a locustfile names the concrete class."""

    abstract = True

    @task
    def drive(self) -> None:
        """Steps the engine, for as long as the user lives."""
        node: NodeSession = self.environment.mm2gate_node
        engine = node.host()
        if not isinstance(engine, Engine):
            raise TypeError(f"ReplicationUser drives an Engine, not {type(engine).__name__}")
        node.wait_until_prepared()
        try:
            while True:
                engine.step()
                gevent.sleep(STEP_EVERY_S)
        except Exception as error:
            node.failed(error)  # Locust would only log it, and go on
            raise
