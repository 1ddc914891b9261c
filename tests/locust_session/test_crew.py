"""The crew: what befell a node is taken down; one that was given up and comes back is sent home and counts no more."""

from __future__ import annotations

import os
import socket
from typing import Any, NamedTuple

import pytest

from locust_session.crew import Crew, Node
from locust_session.load import Second
from locust_session.stalls import Stall
from tests.run_record.accounts import account


class Heard(NamedTuple):
    crew: Crew
    told: list[tuple[str, str]]
    notes: list[tuple[str, str, dict[str, Any]]]


@pytest.fixture
def heard():
    """Two workers at work, what they are told, and what is noted of them."""
    told: list[tuple[str, str]] = []
    notes: list[tuple[str, str, dict[str, Any]]] = []
    crew = Crew(
        wanted=2,
        send=lambda kind, _, node: told.append((str(kind), str(node))),
        note=lambda event, sentence, **details: notes.append((event, sentence, details)),
    )
    for name in ("a", "b"):
        crew.ready(Node(name, "host", 1))
        crew.prepared(name, [f"t:{name}"])
        crew.second(name, Second(sent=5))
    return Heard(crew, told, notes)


def test_a_worker_that_stood_still_is_named_with_when_and_how_long(heard):
    heard.crew.interrupted("a", "stood_still", 7, 6.012)
    ((event, sentence, details),) = heard.notes
    assert (event, details) == ("stood_still", {"worker": "a", "from_ns": 7, "lasted_s": 6.012, "master": False})
    assert sentence == "worker host (pid 1, a) stood still for 6.0 s; what fell due meanwhile is sent now"


def test_a_worker_that_held_its_load_back_is_named(heard):
    heard.crew.interrupted("b", "load_held", 7, 4.0)
    assert [event for event, _, _ in heard.notes] == ["load_held"]
    assert "did not hear its master, and sent nothing, for 4.0 s" in heard.notes[0][1]


def test_a_master_that_stood_still_is_named_unless_the_only_process_told_it_already(heard):
    stall = Stall(from_ns=1, to_ns=6_000_000_001)
    heard.crew.master_stood_still(9, stall)
    assert heard.notes == [
        (
            "stood_still",
            "the master stood still for 6.0 s",
            {"worker": None, "from_ns": 9, "lasted_s": 6.0, "master": True},
        )
    ]
    heard.crew.by_id["a"].host, heard.crew.by_id["a"].pid = socket.gethostname(), os.getpid()
    heard.crew.master_stood_still(9, stall)
    assert len(heard.notes) == 1
    heard.crew.interrupted("a", "stood_still", 9, 6.0)
    assert heard.notes[-1][2]["master"] is True


def test_a_worker_that_comes_back_when_it_was_given_up_is_sent_home_named_and_not_half_counted(heard):
    heard.crew.lost("a")
    heard.crew.second("b", Second(sent=6))
    for _ in range(3):
        heard.crew.second("a", Second(sent=900))
        heard.crew.interrupted("a", "stood_still", 7, 20.0)
    heard.crew.account("a", account())
    assert heard.crew.states.total("sent") == 5 + 6, "what it last said before it was given up"
    assert heard.told == [("mm2gate.finish", "a")]
    ((event, sentence, details),) = heard.notes
    assert (event, details) == ("worker_returned", {"worker": "a"})
    assert "too late to be counted" in sentence
    assert heard.crew.unaccounted() == [
        {"worker": "a", "owned": ["t:a"], "sent": 5},
        {"worker": "b", "owned": ["t:b"], "sent": 6},
    ]


def test_a_workers_largest_clock_step_is_in_the_manifest_and_nothing_of_one_that_told_none(heard):
    heard.crew.by_id["a"].identified = True
    heard.crew.by_id["a"].ahead_ns = 3
    heard.crew.second("a", Second(wall_step_ns=-5))
    told, untold = heard.crew.workers()
    assert (told.clock.ahead_of_master_ns, told.clock.largest_step_ns) == (3, -5)
    assert (untold.identity, untold.clock) == (None, None)
