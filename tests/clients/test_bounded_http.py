"""Servers that misbehave on the wire: one sentence within the deadline, in bounded memory, whatever they send."""

from __future__ import annotations

import gzip
import json
import logging
import re
import time
import zlib
from contextlib import suppress

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.bounded_http import BadAnswer, BoundedSession
from clients.connect import Connect
from clients.http_session import new_session
from clients.prometheus import Prometheus
from scenarios.errors import ConnectFailure, MetricsUnavailable
from scenarios.visible import visible
from tests.support.hostile_http import ENDLESS, FLOODS, SHAPES, WRONG, body, bomb, json_body
from tests.support.servers import Reply, closed_port, now, serving

SHORT_S = 1.0
#: On a busy machine, of a deadline of a second.
PATIENCE_S = 8.0
MIB = 1024**2


def questions(connect: Connect) -> dict:
    """Everything that is asked of Connect."""
    return {
        "root": connect.root,
        "connectors": connect.connectors,
        "status": lambda: connect.status("mm2-source-connector"),
        "config": lambda: connect.config("mm2-source-connector"),
        "offsets": lambda: connect.offsets("mm2-source-connector"),
        "topics": lambda: connect.topics("mm2-source-connector"),
        "pause": lambda: connect.pause("c"),
    }


def outcome(ask) -> object:
    """The answer; None in place of one sentence."""
    try:
        return ask()
    except (ConnectFailure, MetricsUnavailable) as error:
        refusal = error
    assert is_a_sentence(refusal)
    return None


def is_a_sentence(error: Exception) -> bool:
    text = str(error)
    return len(text) < 2000 and "\n" not in text and "Traceback" not in text and "object at 0x" not in text


@pytest.mark.parametrize("raw", [*ENDLESS.values()], ids=[*ENDLESS])
def test_what_drips_ends_with_the_deadline(raw):
    with serving(lambda _: Reply(raw=raw)) as server:
        began_s = now()
        with pytest.raises(MetricsUnavailable, match="no answer within") as refusal:
            Prometheus(server.url, timeout_s=SHORT_S, budget_s=SHORT_S).query("up", at_s=None)
        with pytest.raises(ConnectFailure, match="no answer within"):
            Connect([server.url], timeout_s=SHORT_S).connectors()
        assert now() - began_s < 2 * SHORT_S + PATIENCE_S
    assert is_a_sentence(refusal.value)


@pytest.mark.parametrize("raw", [*FLOODS.values()], ids=[*FLOODS])
def test_what_has_no_end_ends_with_the_most_that_is_read(raw):
    session = BoundedSession(most_bytes=4 * MIB)
    with serving(lambda _: Reply(raw=raw)) as server, pytest.raises(BadAnswer, match="more than 4 MiB"):
        session.get(server.url, timeout=30.0)


@pytest.mark.parametrize("raw", [*FLOODS.values()], ids=[*FLOODS])
def test_a_flood_is_one_sentence_of_each_door(raw, monkeypatch):
    monkeypatch.setattr("scenarios.strict_json.MOST_BYTES", 4 * MIB)
    monkeypatch.setattr(BoundedSession.__init__, "__kwdefaults__", {"most_bytes": 4 * MIB})
    with serving(lambda _: Reply(raw=raw)) as server:
        with pytest.raises(MetricsUnavailable, match="answers with more than 4 MiB, the most that is read"):
            Prometheus(server.url, timeout_s=30.0).query("up", at_s=None)
        with pytest.raises(ConnectFailure, match="answers with more than 4 MiB, the most that is read"):
            Connect([server.url], timeout_s=30.0).offsets("c")


@pytest.mark.parametrize("raw", [*WRONG.values()], ids=[*WRONG])
def test_what_is_wrong_on_the_wire_is_one_sentence(raw, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with serving(lambda _: Reply(raw=raw)) as server:
        prometheus = Prometheus(server.url, timeout_s=20.0, budget_s=0.5)
        with pytest.raises(MetricsUnavailable) as refusal:
            prometheus.query("up", at_s=None)
        assert is_a_sentence(refusal.value)
        connect = Connect([server.url], timeout_s=20.0, rebalance_budget_s=0.1)
        for ask in questions(connect).values():
            assert outcome(ask) in ({}, [], None), "nothing can be made of it"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert capfd.readouterr().err == ""


def test_the_same_session_goes_on_after_each_of_them():
    wrong = [*WRONG.values()]
    turn = iter(range(2 * len(wrong)))

    def answer(_):
        number = next(turn)
        return Reply(raw=wrong[number // 2]) if number % 2 == 0 else Reply.of({"well": number})

    session = BoundedSession()
    with serving(answer) as server:
        for number in range(len(wrong)):
            with suppress(requests.RequestException):
                session.get(server.url, timeout=20.0).json()
            assert session.get(server.url, timeout=20.0).json() == {"well": 2 * number + 1}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: json.dumps(shape)[:60])
def test_json_of_any_shape_is_an_answer_as_promised_or_one_sentence(shape):
    with serving(lambda _: Reply(raw=json_body(shape))) as server:
        prometheus = Prometheus(server.url, timeout_s=20.0, budget_s=0.5)
        connect = Connect([server.url], timeout_s=20.0)
        answer = outcome(lambda: prometheus.query("up", at_s=None))
        if answer is not None:
            assert isinstance(answer.result, list)
            assert all(isinstance(text, str) and len(text) <= 201 for text in answer.warnings)
            assert len(answer.warnings) <= 100
        for name, ask in questions(connect).items():
            kept_as_promised(name, outcome(ask))


def kept_as_promised(name: str, answer: object) -> None:
    """What callers rely on."""
    if answer is None:
        return
    if name == "connectors":
        assert all(isinstance(key, str) and isinstance(value, dict) for key, value in answer.items())
    elif name == "config":
        assert all(isinstance(key, str) and isinstance(value, str) for key, value in answer.items())
    elif name == "topics":
        assert all(isinstance(topic, str) for topic in answer)
    elif name == "offsets":
        for entry in answer["offsets"]:
            if entry["partition"].get("topic") is not None:
                assert type(entry["partition"]["partition"]) is int
                assert not entry.get("offset") or type(entry["offset"]["offset"]) is int


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "data", "result", "offsets", "name", "tasks", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def test_any_json_is_an_answer_or_one_sentence():
    said = [b""]
    with serving(lambda _: Reply(raw=body(said[0]))) as server:
        prometheus = Prometheus(server.url, timeout_s=20.0, budget_s=0.0)
        connect = Connect([server.url], timeout_s=20.0)

        @settings(max_examples=60, deadline=None, derandomize=True)
        @given(JSON)
        def ask(content):
            said[0] = json.dumps(content).encode()
            for question in (lambda: prometheus.query("up", at_s=None), *questions(connect).values()):
                outcome(question)

        ask()


# --- redirects, cookies, packing, proxies ----------------------------------------------------------------------------


def test_a_redirect_is_not_followed_and_its_target_is_named_without_what_may_be_secret():
    with serving(lambda _: Reply(raw=WRONG["a redirect"])) as server:
        for ask in (Prometheus(server.url).query, lambda *_, **__: Connect([server.url]).root()):
            with pytest.raises((MetricsUnavailable, ConnectFailure)) as refusal:
                ask("up", at_s=None)
            assert "redirects to 'http://elsewhere.example/x', which is not asked" in str(refusal.value)
            assert "secret" not in str(refusal.value)
            assert refusal.value.status == 302
    assert len(server.requests) == 2, "asked once each: it would be the same again"


def test_cookies_are_not_kept():
    with serving(lambda _: Reply(raw=body(b"{}", "Set-Cookie: id=1; Path=/"))) as server:
        session = new_session(server.url, None)
        for _ in range(2):
            session.get(server.url, timeout=20.0)
    assert ["Cookie" in request.headers for request in server.requests] == [False, False]


@pytest.mark.parametrize(
    ("packing", "packed"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes), ("GZIP", gzip.compress)],
)
def test_an_answer_that_is_packed_as_it_may_be_is_unpacked(packing, packed):
    content = {"a": "x" * 200_000}
    with serving(lambda _: Reply(raw=bomb(packed(json.dumps(content).encode()), packing))) as server:
        assert new_session(server.url, None).get(server.url, timeout=20.0).json() == content
    assert server.requests[0].headers["Accept-Encoding"] == "gzip"


def test_an_answer_as_large_as_it_may_be_is_taken():
    session, content = BoundedSession(most_bytes=MIB), b'"' + b"x" * (MIB - 2) + b'"'
    for raw in (body(content), bomb(gzip.compress(content), "gzip")):
        with serving(lambda _, raw=raw: Reply(raw=raw)) as server:
            assert len(session.get(server.url, timeout=20.0).content) == MIB


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_asked_for_others_and_never_for_this_machine(variable, monkeypatch):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with (
        serving(lambda _: Reply.of({"who": "proxy"})) as proxy,
        serving(lambda _: Reply.of({"who": "server"})) as server,
    ):
        monkeypatch.setenv(variable, proxy.url)
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            assert new_session(url, None).get(url, timeout=20.0).json() == {"who": "server"}
        other = "http://mm2gate.example/x"
        assert new_session(other, None).get(other, timeout=20.0).json() == {"who": "proxy"}


def test_a_proxy_that_drips_ends_with_the_deadline_too(monkeypatch):
    with serving(lambda _: Reply(raw=ENDLESS["a body that drips"])) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for url in ("http://mm2gate.example", "https://mm2gate.example"):
            began_s = now()
            with pytest.raises(requests.RequestException):
                new_session(url, None).get(url, timeout=SHORT_S)
            assert now() - began_s < SHORT_S + PATIENCE_S


@pytest.mark.parametrize(
    "url", ["http://\u202e.example", "http://a..b", "http://" + "a" * 300, "http://[::1", "http://x:99999999"]
)
def test_an_address_that_cannot_be_asked_is_one_sentence(url):
    with pytest.raises((ConnectFailure, ValueError)) as refusal:
        Connect([url], timeout_s=SHORT_S).root()
    assert is_a_sentence(refusal.value)


# --- budgets ---------------------------------------------------------------------------------------------------------


def test_409_for_ever_ends_with_the_time_for_all_questions():
    with serving(lambda _: Reply.of({"error_code": 409, "message": "rebalance"}, status=409)) as server:
        connect = Connect([server.url], total_s=SHORT_S)
        began_s = now()
        for ask in questions(connect).values():
            with pytest.raises(ConnectFailure, match=r"409|not asked, the 1 s for all questions were over"):
                ask()
        assert now() - began_s < SHORT_S + PATIENCE_S


def test_a_worker_that_answers_nonsense_does_not_keep_the_next_from_being_asked():
    with serving(lambda _: Reply.of([])) as nonsense, serving(lambda _: Reply.of({"a": {}})) as right:
        assert Connect([nonsense.url, right.url]).connectors() == {"a": {}}
        with pytest.raises(ConnectFailure, match=r"not as Kafka Connect does .* connection refused"):
            Connect([nonsense.url, closed_port()]).connectors()


def test_a_large_answer_costs_seconds_not_minutes():
    series = [{"metric": {"partition": str(n)}, "values": [[1.5 + m, "1e3"] for m in range(240)]} for n in range(1000)]
    content = {"status": "success", "data": {"resultType": "matrix", "result": series}}
    with serving(lambda _: Reply(raw=json_body(content))) as server:
        began_s = time.process_time()
        answer = Prometheus(server.url, timeout_s=60.0, budget_s=60.0).query("up", at_s=None)
        assert time.process_time() - began_s < 10
    assert answer.result == series
    assert not re.search("[\x1b\u202e]", visible(answer.body[:1000]))
