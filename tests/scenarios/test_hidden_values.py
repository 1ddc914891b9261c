"""A secret that was read stands in no error, no log line and no answer that is kept, however it is spelled there."""

from __future__ import annotations

import base64
import json
import logging
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios import secrets
from scenarios.environment import Environment, HttpLogin, Security, load
from scenarios.errors import ConnectFailure, Mm2gateError, Refused, RunRecordError, SpecError
from scenarios.secret_shapes import HIDDEN, looks_secret, without_secrets
from scenarios.secrets import hidden, hidden_of_others, keep_hidden
from scenarios.yaml_file import parse
from tests.scenarios.examples import ENVIRONMENT, environment

SENTINEL = 's3ntinel "of" ünquotable\\words&more'
LOGIN = "sentinel-user"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(secrets, "_KNOWN", secrets._Known())


@pytest.fixture
def password(monkeypatch):
    """Read as each node reads it."""
    monkeypatch.setenv("SENTINEL", SENTINEL)
    login = Security(protocol="SASL_SSL", mechanism="PLAIN", username=LOGIN, password_env="SENTINEL")
    return environment().password(login, of="source.security")


SPELLINGS = (
    str,
    lambda value: json.dumps({"password": value}),
    lambda value: json.dumps({"password": value}, ensure_ascii=False),
    repr,
    lambda value: f"https://host/x?token={quote(value)}",
    lambda value: f"Authorization: Basic {base64.b64encode(f'{LOGIN}:{value}'.encode()).decode()}",
)


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_it_is_hidden_however_it_is_spelled(password, spelled):
    text = f"it was {spelled(password)}."
    for shown in (hidden(text), hidden_of_others(text)):
        assert HIDDEN in shown
        assert not any(part in shown for part in ("ntinel", "nquotable", "c2VudGluZWwtdXNlcj"))


@pytest.mark.parametrize("kind", [Mm2gateError, Refused, ConnectFailure, RunRecordError])
def test_it_is_in_no_error_of_ours(password, kind):
    assert str(kind(f"broken by {password}, at once")) == f"broken by {HIDDEN}, at once"


def test_it_is_in_no_line_of_any_log_nor_in_its_traceback(password, caplog):
    log = logging.getLogger("somebody.elses.library")
    log.warning("login %s with %s", "x", password)
    try:
        int(password)
    except ValueError:
        log.exception("a crash")
    said = "".join(caplog.handler.format(record) for record in caplog.records)
    assert "ValueError: invalid literal for int() with base 10: '(hidden)'" in said
    assert "login x with (hidden)" in said
    assert "ntinel" not in said


@pytest.mark.usefixtures("password")
def test_the_name_of_a_login_is_hidden_in_what_others_say():
    said = hidden_of_others(f"Authentication failed: no user {LOGIN} in the directory; {LOGIN}s are not {LOGIN}.")
    assert said.count(HIDDEN) >= 2
    assert f"user {LOGIN}" not in said


def test_a_short_one_is_hidden_as_a_word_and_words_that_hold_it_stay():
    keep_hidden("load", login="mm2")
    assert hidden("load of loaded, reload: load") == f"{HIDDEN} of loaded, reload: {HIDDEN}"
    assert hidden("mm2 reads; mm2gate judges") == "mm2 reads; mm2gate judges", "our sentences name no login"
    assert hidden_of_others("User mm2 unknown to mm2gate") == f"User {HIDDEN} unknown to mm2gate"


@given(value=st.text(min_size=8), before=st.text(max_size=20), after=st.text(max_size=20))
def test_whatever_it_is_and_wherever_it_stands_it_is_gone(value, before, after):
    known = secrets._Known()
    known.add(secrets._spellings(value, None), None)
    assert value not in known.in_ours.sub("", before + value + after) or value in before + after


# --- what was never read, by its shape -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "jdbc:postgresql://bob:hunter2@db/orders",
        "jdbc:oracle:thin:scott/hunter2@db:1521",
        'org.apache.kafka.common.security.plain.PlainLoginModule required username="a" password="hunter2";',
        "Authorization: Basic aHVudGVyMjpodW50ZXIy",
        "sent with Bearer hunter2-hunter2",
        '{"message":"bad \\"password\\":\\"hunter2\\" here"}',
        "https://h/?access_token=hunter2",
        "https://s3/x?X-Amz-Signature=hunter2",
        "ssl.key.password = hunter2",
        "user=hunter2;pass=hunter2",
        "AKIAHUNTER2HUNTER2HU",
        "key wJalrXUtnFEMIhunter2K7MDENGxbPxRfiCYEXAMPLEKEY",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY----- hunter2, and cut",
        "ghp_hunter2hunter2hunter2hunter2hunter2",
        "eyJhbGciOiJIUzI1hunter2.eyJzdWIiOiIxhunter2.hunter2",
    ],
)
def test_what_has_the_shape_of_a_secret_is_hidden_once_and_for_all(text):
    shown = without_secrets(text)
    assert looks_secret(text)
    assert "hunter2" not in shown.lower()
    assert without_secrets(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "test-prometheus[.].*, orders-[0-9]+, [A-Z]{3}_events_v2",
        "org.apache.kafka.connect.mirror.MirrorSourceConnector",
        "Broker: SASL Authentication failed: Invalid username or password",
        "Topic authorization failed.",
        "Unrecognized token 'foo': was expecting JSON",
        "basic authentication failed",
        "kafka-par-1.example.net:9094,kafka-par-2.example.net:9094",
        "/opt/Confluent7/share/java/KafkaConnectRuntime/libs/and/so/on/For40Characters",
        "RecordTooLargeException: The message is 1048588 bytes when serialized",
        "5L6g3nShT-eMCtK--X86sw",
    ],
)
def test_what_is_none_stays_as_it_is(text):
    assert without_secrets(text) == text


# --- the environment's file ------------------------------------------------------------------------------------------

URL = '"http://127.0.0.1:4"'


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://u:hunter2@h", "holds credentials; name them by username and password_file (or password_env) instead"),
        ("http://hunter2@h", "holds credentials"),
        ("htp://u:hunter2@h", "holds credentials"),
        ("u:hunter2@h:9090", "holds credentials"),
        ("http:\\\\u:hunter2@h", "holds credentials"),
        ("http://h/?token=hunter2", "what follows ? may be a token; leave it out, and name a login by username and"),
        ("http://h/?hunter2", "what follows ? may be a token"),
        ("http://h/#hunter2", "what follows # may be a token"),
        ("http://h/x?X-Amz-Signature=hunter2", "may be a token"),
        ("http://h/eyJhbGciOiJIUzI1.eyJzdWIiOiIxhunter2.hunter2", "holds what looks like a key or a token"),
    ],
)
@pytest.mark.parametrize("key", ["prometheus.url", "connect.urls[0]"])
def test_a_url_is_an_address_alone_and_what_else_it_holds_is_not_repeated(url, says, key):
    there = URL if key == "prometheus.url" else '"http://127.0.0.1:3"'
    with pytest.raises(SpecError) as refused:
        parse(ENVIRONMENT.replace(there, json.dumps(url)), Environment, file="e.yaml")
    (problem,) = refused.value.problems
    assert problem.key == key
    assert says in problem.message
    assert "hunter2" not in str(refused.value)
    assert refused.value.exit_code == 64


@pytest.mark.parametrize(
    "security",
    [
        "hunter2",
        "[hunter2]",
        "{me:hunter2}",
        "{hunter2: x}",
        "{username: [hunter2]}",
        "{password: hunter2}",
        '{password_env: "hunter 2"}',
        '{protocol: SASL_SSL, mechanism: PLAIN, username: u, password_env: "hunter2!"}',
        "{protocol: hunter2}",
        "{protocol: SASL_SSL, mechanism: hunter2}",
    ],
)
def test_what_was_typed_where_secrets_are_is_in_no_sentence(security):
    text = ENVIRONMENT.replace("cluster_id: AAAA", f"cluster_id: AAAA, security: {security}")
    with pytest.raises(SpecError) as refused:
        parse(text, Environment, file="e.yaml")
    said = str(refused.value)
    assert "source.security" in said
    assert "hunter" not in said


def test_servers_with_a_login_are_refused_without_it():
    with pytest.raises(SpecError) as refused:
        parse(ENVIRONMENT.replace("127.0.0.1:1", "u:hunter2@127.0.0.1:1"), Environment, file="e.yaml")
    assert "source.bootstrap_servers: holds credentials" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_variable_that_is_not_called_as_variables_are_is_not_repeated():
    login = HttpLogin(username="u", password_env="hunter2")
    with pytest.raises(Refused) as refused:
        environment().password(login, of="connect.login")
    assert str(refused.value) == (
        "password of connect.login: environment variable that desk.yaml names there is not set; export it"
    )


def test_a_password_that_was_left_in_a_comment_is_in_no_record(tmp_path):
    file = tmp_path / "desk.yaml"
    file.write_text(ENVIRONMENT + "# password: hunter2, until we have the vault\n")
    loaded = load(str(file))
    assert "hunter2" not in loaded.text
    assert parse(loaded.text, Environment, file="desk.yaml") == loaded.environment
    plain = tmp_path / "plain.yaml"
    plain.write_text(ENVIRONMENT + "# passwords are in the vault\n")
    assert load(str(plain)).text == plain.read_text()


@pytest.mark.parametrize(
    "text",
    [
        'jdbc:oracle:thin:scott/"S3CR3T"@//db:1521/x', "jdbc:oracle:thin:sys as sysdba/S3CR3T@db",
        "amqp://u:S3C/R3T@h", "token: S3CR3T", "secret: S3CR3T", "pwd: S3CR3T", "aws_secret_access_key: S3CR3T",
        "ssl.key.password -> S3CR3T", "Invalid value S3CR3T for configuration ssl.truststore.password",
        "run with --password S3CR3T", "<password>S3CR3T</password>", "passphrase is 'S3CR3T'",
    ],
)  # fmt: skip
def test_a_secret_in_a_trace_is_hidden_however_it_is_said(text):
    assert "R3T" not in without_secrets(text)
    assert without_secrets(without_secrets(text)) == without_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "the secret of success", "Token bucket is full", "http://h:80/a@b", "group.id -> a", "User: not authorized",
        "Invalid value 12 for configuration tasks.max: x", "token: expected a number at line 3",
    ],
)  # fmt: skip
def test_a_sentence_about_secrets_is_none(text):
    assert without_secrets(text) == text


@pytest.mark.parametrize("part", ["jdbc:a:", "://a:", "-", "<", "Invalid value ", "password ", " for configuration x"])
def test_no_text_of_others_takes_for_ever(part):
    text = part * (70_000 // len(part))
    began_s = time.process_time()
    assert without_secrets(text) is not None
    assert time.process_time() - began_s < 15, "seconds, where a pattern that goes back and back takes minutes"
