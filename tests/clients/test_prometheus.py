"""The door to Prometheus: what is not an answer is one sentence, and nothing of an answer is lost."""

from __future__ import annotations

import base64
from itertools import count
from types import SimpleNamespace

import pytest

from clients.prometheus import Prometheus
from scenarios.errors import MetricsUnavailable
from tests.support.servers import Reply, closed_port, now, serving

ERROR = {"status": "error", "errorType": "bad_data", "error": "boom"}
VECTOR = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "NaN"]}]}}


def ask(url, **settings):
    return Prometheus(url, **{"timeout_s": 10.0, "budget_s": 30.0, **settings}).query("up", at_s=1234.5678)


@pytest.fixture
def clock_s(monkeypatch):
    """The client's clock, which moves while it pauses between two requests, and at no other time."""
    at_s = [0.0]

    def sleep(seconds):
        at_s[0] += seconds

    monkeypatch.setattr("clients.prometheus.time", SimpleNamespace(monotonic=lambda: at_s[0], sleep=sleep))
    return at_s


def test_answer_keeps_what_the_library_drops():
    said = {**VECTOR, "warnings": ["partial"], "infos": ["not a counter"]}
    with serving(lambda _: Reply.of(said)) as server:
        answer = ask(server.url)
    assert (answer.result_type, answer.warnings, answer.infos) == ("vector", ("partial",), ("not a counter",))
    assert answer.result[0]["value"][1] == "NaN"
    assert '"infos"' in answer.body
    assert server.requests[0].method == "GET"
    asked = server.requests[0].query
    assert (asked["query"], asked["time"], asked["partial_response"]) == ("up", "1234.568", "false")
    assert (asked["timeout"], asked["limit"]) == ("10.000", "50000"), "bounded in time and series at the other end too"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        pytest.param(Reply(body="<html>login</html>", kind="text/html"), "not JSON", id="HTML with 200"),
        pytest.param(Reply.of(ERROR), "boom", id="200 + error"),
        pytest.param(Reply.of({"status": "success"}), "no data", id="success without data"),
        pytest.param(Reply.of({"status": "success", "data": {"resultType": "x", "result": []}}), "no data", id="type"),
        pytest.param(
            Reply.of({"status": "success", "data": {"resultType": "matrix", "result": 3}}), "no list", id="no list"
        ),
        pytest.param(Reply.of([1]), "not JSON", id="a JSON list"),
        pytest.param(Reply.of(ERROR, status=400), "bad_data: boom", id="400"),
        pytest.param(Reply(status=422, body="{}"), "HTTP 422", id="422"),
        pytest.param(Reply(status=401, body="no"), "login refused", id="401"),
    ],
)
def test_answer_that_cannot_be_trusted_is_one_sentence(reply, words):
    with serving(lambda _: reply) as server, pytest.raises(MetricsUnavailable, match=words) as caught:
        ask(server.url)
    assert "\n" not in str(caught.value)
    assert caught.value.status == reply.status
    assert len(server.requests) == 1


def test_silent_server_costs_the_budget_and_no_more():
    with serving(lambda _: Reply(after_s=30)) as server:
        started = now()
        with pytest.raises(MetricsUnavailable, match="no answer within"):
            ask(server.url, timeout_s=1.0, budget_s=1.0)
        assert now() - started < 15
    assert len(server.requests) <= 1  # a server that has no CPU may not even have seen it


def test_closed_port_is_said_plainly(clock_s):
    with pytest.raises(MetricsUnavailable, match="connection refused"):
        ask(closed_port())


def test_503_is_asked_again_within_the_budget(clock_s):
    turn = count()
    replies = [Reply(status=503, body="starting"), Reply.of(VECTOR)]
    with serving(lambda _: replies[min(next(turn), 1)]) as server:
        assert ask(server.url).result_type == "vector"
    assert len(server.requests) == 2


def test_503_for_ever_ends_with_the_budget(clock_s):
    with (
        serving(lambda _: Reply(status=503, body="down")) as server,
        pytest.raises(MetricsUnavailable, match="HTTP 503") as caught,
    ):
        ask(server.url)
    assert caught.value.status == 503
    assert len(server.requests) == 6, "after 0.5, 1, 2, 4 and 8 s; the next one would be too late"
    assert clock_s[0] < 30


def test_login_is_sent_and_never_shown():
    with serving(lambda _: Reply(status=500, body="x")) as server, pytest.raises(MetricsUnavailable) as caught:
        ask(server.url, login=("user", "pässword"))
    token = server.requests[0].headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(token).decode() == "user:pässword"
    assert "pässword" not in str(caught.value)
