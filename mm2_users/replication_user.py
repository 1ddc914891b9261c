"""The Locust User that stands for a node: it offers the node for a run, whose session then drives its load."""

from __future__ import annotations

from gevent.event import Event
from locust import User, task
from locust.exception import StopUser

from locust_session.node import NodeSession
from scenarios.errors import Mm2gateError


class ReplicationUser(User):
    """Offers its node to the master, and stays. Abstract: a locustfile names the concrete class.

    It sends nothing itself: a load that ran in this greenlet would stand still whenever Locust moves its users, which
    it does each time that a worker joins or is lost.
    """

    abstract = True

    @task
    def offer(self) -> None:
        """Makes the node's load, and tells the master that the node is ready. Does not return while the user lives."""
        node: NodeSession = self.environment.mm2gate_node
        try:
            node.host()
        except Exception as error:
            if not isinstance(error, Mm2gateError):  # of which it has told the master
                node.failed(error)
            raise StopUser from error  # anything else Locust would log, and try again at once
        Event().wait()
