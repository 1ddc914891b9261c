"""The User that stands for a node: it offers the node once, stays, and does not try again what failed."""

from __future__ import annotations

from types import SimpleNamespace

import gevent
import pytest
from locust import constant
from locust.env import Environment

from mm2_users.replication_user import ReplicationUser
from scenarios.errors import Refused


@pytest.fixture
def offer():
    """Lets Locust run a user of a node with this `host` for a while; what the node was told."""
    mirror = type("Mirror", (ReplicationUser,), {"wait_time": constant(0)})

    def run(host) -> list[str]:
        failures: list[str] = []
        environment = Environment(user_classes=[mirror])
        environment.mm2gate_node = SimpleNamespace(host=host, failed=lambda error: failures.append(str(error)))
        user = gevent.spawn(mirror(environment).run)
        gevent.sleep(0.05)
        user.kill()
        return failures

    return run


def test_a_node_is_offered_once(offer):
    offers = []
    assert offer(lambda: offers.append("host")) == []
    assert offers == ["host"]


@pytest.mark.parametrize(
    ("error", "told"),
    [(Refused("no such scenario here"), []), (OSError("no room"), ["no room"])],
    ids=["a refusal, which the node has told itself", "anything else"],
)
def test_a_node_that_cannot_make_its_load_tries_once(offer, error, told):
    tries = []

    def host():
        tries.append("host")
        raise error

    assert offer(host) == told
    assert tries == ["host"]
