"""The User that drives a load: a load that failed is left alone, and a process that lives on keeps nothing of a run."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace

import gevent
import pytest
from locust import constant
from locust.env import Environment

from mm2_users import replication_user
from mm2_users.replication_user import ReplicationUser
from scenarios.errors import Refused


class Broken:
    """A load in a reference cycle, as an engine is, that fails at its first step."""

    steps = 0

    def __init__(self) -> None:
        self.itself = self

    def step(self) -> None:
        type(self).steps += 1
        raise RuntimeError("boom")


@pytest.fixture
def drive(monkeypatch):
    """Lets Locust run a user of a node with this `host` for a while; what the node was told."""
    monkeypatch.setattr(Broken, "steps", 0)
    monkeypatch.setattr(replication_user, "Engine", Broken)
    mirror = type("Mirror", (ReplicationUser,), {"wait_time": constant(0)})

    def run(host) -> list[str]:
        failures: list[str] = []
        environment = Environment(user_classes=[mirror])
        environment.mm2gate_node = SimpleNamespace(
            host=host, wait_until_prepared=lambda: None, failed=lambda error: failures.append(str(error))
        )
        driver = gevent.spawn(mirror(environment).run)
        gevent.sleep(0.05)
        driver.kill()
        return failures

    yield run
    gc.unfreeze()


def test_a_load_that_failed_is_driven_once_and_told_once(drive):
    assert drive(Broken) == ["boom"]
    assert Broken.steps == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [(Refused("no such scenario here"), []), (OSError("no room"), ["no room"])],
    ids=["a refusal, which the node has told itself", "anything else"],
)
def test_a_node_that_cannot_make_its_load_tries_once(drive, error, told):
    tries = []

    def host():
        tries.append("host")
        raise error

    assert drive(host) == told
    assert tries == ["host"]


def test_what_is_no_load_is_told_once(drive):
    (failure,) = drive(object)
    assert failure == "ReplicationUser drives an Engine or a ForeignLoad, not object"


def test_a_run_frees_what_the_run_before_it_left_in_memory(drive):
    made = []

    def host():
        load = Broken()
        made.append(weakref.ref(load))
        return load

    drive(host)
    drive(host)
    first, _ = made
    assert first() is None
