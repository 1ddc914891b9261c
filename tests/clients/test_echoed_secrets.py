"""What is sent to log in comes back in many an error; none of it is in a sentence of ours, or in a log."""

from __future__ import annotations

import pytest
import requests
from confluent_kafka import KafkaError, KafkaException

from clients import kafka as kafka_module
from clients.connect import Connect
from clients.http_session import new_session
from clients.kafka import ErrorLog, identify
from clients.kafka_admin import Admin
from clients.kafka_shared import RequestFailed
from clients.prometheus import Prometheus
from scenarios import secrets
from scenarios.environment import LoadedEnvironment
from scenarios.errors import ConnectFailure, MetricsUnavailable, Refused
from scenarios.secrets import keep_hidden
from tests.scenarios.examples import ENVIRONMENT, environment
from tests.support.servers import Reply, Request, serving

SECRET = "sentinel-password-1"
LOGIN = "sentinel-user"
HEADER = "c2VudGluZWwtdXNlcjpzZW50aW5lbC1wYXNzd29yZC0x"  # user:password, as in the header
PARTS = ("sentinel", HEADER[:12])


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(secrets, "_KNOWN", secrets._Known())
    monkeypatch.setenv("SENTINEL", SECRET)


def where(*, connect: str = "http://127.0.0.1:3", prometheus: str = "http://127.0.0.1:4") -> LoadedEnvironment:
    login = f"login: {{username: {LOGIN}, password_env: SENTINEL}}"
    text = ENVIRONMENT.replace('["http://127.0.0.1:3"]', f'["{connect}"], {login}')
    return environment(text.replace('"http://127.0.0.1:4"', f'"{prometheus}", {login}'))


def echoes(status: int, form: str):
    """A server that says in its error what it was sent."""

    def answer(request: Request) -> Reply:
        header = request.headers["Authorization"]
        assert HEADER in header
        said = form.replace("HEADER", header).replace("PASSWORD", SECRET).replace("USER", LOGIN)
        return Reply(status=status, body=said, kind="text/html")

    return answer


@pytest.mark.parametrize(
    "form",
    [
        '{"error_code": 500, "message": "rejected Authorization: HEADER"}',
        '{"error_code": 403, "message": "USER / PASSWORD may not"}',
        "<html>proxy: HEADER of USER with PASSWORD was refused",
        '{"message": "' + "x" * 190 + 'PASSWORD"}',
    ],
)
def test_connects_error_that_repeats_the_login_is_said_without_it(form):
    with serving(echoes(403, form)) as rest, pytest.raises(ConnectFailure) as refused:
        Connect.of(where(connect=rest.url)).connectors()
    said = str(refused.value)
    assert "HTTP 403" in said
    assert not [part for part in (*PARTS, "sent") if part in said]


@pytest.mark.parametrize(
    ("status", "form"),
    [
        (400, '{"status": "error", "errorType": "bad_data", "error": "HEADER of USER is not PASSWORD"}'),
        (200, "<html>logged in as USER with PASSWORD</html>"),
        (500, "Authorization HEADER"),
        (200, '{"status": "success", "data": "PASSWORD"}'),
    ],
)
def test_prometheus_error_that_repeats_the_login_is_said_without_it(status, form):
    with serving(echoes(status, form)) as metrics, pytest.raises(MetricsUnavailable) as refused:
        Prometheus.of(where(prometheus=metrics.url), budget_s=0.5).query("up", at_s=1.0)
    assert f"HTTP {status}" in str(refused.value)
    assert not [part for part in PARTS if part in str(refused.value)]


def test_a_login_of_the_users_own_netrc_is_sent_to_nobody(tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine h.example login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    session = new_session("http://h.example", None)
    assert "Authorization" not in session.prepare_request(requests.Request("GET", "http://h.example/x")).headers


TOLD = f"sasl_ssl://h:9092/1: SASL authentication error: no {LOGIN} in LDAP (bound with {SECRET})"


def test_what_librdkafka_repeats_of_a_login_is_in_no_sentence_and_no_log(caplog):
    keep_hidden(SECRET, login=LOGIN)
    error = KafkaError(KafkaError._AUTHENTICATION, TOLD)
    ErrorLog("source")(error)
    assert "SASL authentication error" in caplog.text
    for said in (caplog.text, str(RequestFailed.by(error)), str(RequestFailed.by(error, last=error))):
        assert "sentinel" not in said


class Broken:
    """A producer that answers nothing but an error."""

    def __init__(self, settings):
        self._tell = settings["error_cb"]

    def list_topics(self, *_, **__):
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, TOLD))

    def poll(self, _):
        self._tell(KafkaError(KafkaError._AUTHENTICATION, TOLD))


def test_a_login_that_fails_is_named_by_its_key(monkeypatch):
    """(Mocked: librdkafka's own mock cluster lets everybody in.)"""
    security = f"security: {{protocol: SASL_SSL, mechanism: PLAIN, username: {LOGIN}, password_env: SENTINEL}}"
    there = environment(ENVIRONMENT.replace("cluster_id: AAAA", f"cluster_id: AAAA, {security}"))
    monkeypatch.setattr(kafka_module, "Producer", Broken)
    with pytest.raises(Refused) as refused:
        identify(there.environment.source, there)
    said = str(refused.value)
    assert "login by source.security failed" in said
    assert "check source.security in desk.yaml" in said
    assert "sentinel" not in said


def test_a_password_that_is_missing_is_named_by_its_key(monkeypatch):
    monkeypatch.delenv("SENTINEL")
    security = f"security: {{protocol: SASL_SSL, mechanism: PLAIN, username: {LOGIN}, password_env: SENTINEL}}"
    there = environment(ENVIRONMENT.replace("cluster_id: BBBB", f"cluster_id: BBBB, {security}"))
    with pytest.raises(Refused, match=r"password of target\.security: environment variable SENTINEL is not set"):
        Admin(there.environment.target, there)
