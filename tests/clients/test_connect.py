"""The door to Kafka Connect: any worker answers for all, rebalances are waited out, refusals are one sentence."""

from __future__ import annotations

import json
from itertools import count

import pytest

from clients.connect import Connect
from scenarios.errors import ConnectFailure
from tests.support.servers import Reply, closed_port, now, serving

ROOT = {"version": "4.3.1", "commit": "x", "kafka_cluster_id": "target-id"}
STATUS = {
    "name": "c",
    "connector": {"state": "RUNNING", "worker_id": "w:1"},
    "tasks": [{"id": 0, "state": "FAILED", "worker_id": "w:1", "trace": "boom\n at x"}],
    "type": "source",
}


def door(*urls, **settings):
    return Connect(urls, **{"timeout_s": 10.0, "rebalance_budget_s": 0.2, **settings})


def test_second_worker_answers_when_the_first_is_dead_and_is_asked_first_from_then_on():
    with serving(lambda _: Reply.of(STATUS)) as server:
        connect = door(closed_port(), server.url)
        assert connect.status("c").tasks[0].state == "FAILED"
        connect.status("c")
    assert len(server.requests) == 2


def test_frozen_worker_costs_one_timeout():
    with serving(lambda _: Reply(after_s=30)) as frozen, serving(lambda _: Reply.of(ROOT)) as server:
        started = now()
        connect = door(frozen.url, server.url, timeout_s=2.0)
        assert connect.root().version == "4.3.1"
        connect.root()
        assert now() - started < 15
    assert len(frozen.requests) <= 1  # one that has no CPU may not even have seen it


def test_no_worker_at_all_names_each():
    first, second = closed_port(), closed_port()
    with pytest.raises(ConnectFailure, match="no Connect worker answers") as caught:
        door(first, second).root()
    assert first in str(caught.value)
    assert second in str(caught.value)


def test_each_worker_speaks_for_itself():
    dead = closed_port()
    with serving(lambda _: Reply.of(ROOT)) as server:
        answers = door(dead, server.url).workers()
    assert isinstance(answers[dead], ConnectFailure)
    assert answers[server.url].kafka_cluster_id == "target-id"


def test_something_else_on_the_port_is_said():
    with (
        serving(lambda _: Reply(body="<html>", kind="text/html")) as server,
        pytest.raises(ConnectFailure, match="is it the REST port"),
    ):
        door(server.url).root()
    with (
        serving(lambda _: Reply.of({"hello": 1})) as server,
        pytest.raises(ConnectFailure, match="not as Kafka Connect"),
    ):
        door(server.url).root()


def test_rebalance_is_waited_out():
    turn = count()
    replies = [Reply.of({"error_code": 409, "message": "rebalance"}, status=409), Reply.of(STATUS)]
    with serving(lambda _: replies[min(next(turn), 1)]) as server:
        assert door(server.url, rebalance_budget_s=5.0).status("c").name == "c"
    assert len(server.requests) == 2


def test_rebalance_without_end_is_a_failure():
    with (
        serving(lambda _: Reply.of({"error_code": 409, "message": "rebalance"}, status=409)) as server,
        pytest.raises(ConnectFailure, match="409") as caught,
    ):
        door(server.url).status("c")
    assert caught.value.status == 409


def test_refusal_carries_connects_own_words_on_one_line():
    reply = Reply.of({"error_code": 404, "message": "Connector c\nnot found"}, status=404)
    with serving(lambda _: reply) as server, pytest.raises(ConnectFailure, match="Connector c not found") as caught:
        door(server.url, server.url).status("c")
    assert caught.value.status == 404


def test_connector_names_are_quoted_and_restart_includes_tasks():
    with serving(lambda _: Reply(status=204)) as server:
        connect = door(server.url)
        connect.restart("a->b.Mirror")
        connect.put_config("a->b.Mirror", {"tasks.max": "4"})
        connect.pause("a->b.Mirror")
        connect.resume("a->b.Mirror")
    restart, put, pause, resume = server.requests
    assert (restart.method, restart.path) == ("POST", "/connectors/a-%3Eb.Mirror/restart")
    assert restart.query == {"includeTasks": "true", "onlyFailed": "true"}
    assert (put.method, json.loads(put.body)) == ("PUT", {"tasks.max": "4"})
    assert [pause.path.rsplit("/", 1)[1], resume.path.rsplit("/", 1)[1]] == ["pause", "resume"]


def test_waiting_tells_what_it_saw_last():
    with (
        serving(lambda _: Reply.of(STATUS)) as server,
        pytest.raises(ConnectFailure, match=r"not RUNNING within .* 0 FAILED"),
    ):
        door(server.url).wait_running("c", timeout_s=0.2)


def test_waiting_ends_when_all_run():
    running = {**STATUS, "tasks": [{"id": 0, "state": "RUNNING", "worker_id": "w:1"}]}
    turn = count()
    with serving(lambda _: Reply.of([STATUS, running][min(next(turn), 1)])) as server:
        assert door(server.url).wait_running("c", timeout_s=5.0).all_running
