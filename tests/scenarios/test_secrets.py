"""Secrets by reference: resolved when needed, refused (exit 40) in one sentence that holds no secret."""

import pytest

from scenarios.environment import Security
from scenarios.errors import ExitCode, Refused
from tests.scenarios.examples import environment


def security(**reference):
    return Security(protocol="SASL_PLAINTEXT", mechanism="PLAIN", username="load", **reference)


def test_a_variable_gives_the_password(monkeypatch):
    monkeypatch.setenv("KAFKA_PASSWORD", "s3cret")
    assert environment().password(security(password_env="KAFKA_PASSWORD"), of="load") == "s3cret"


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_refused_by_name(monkeypatch, value):
    monkeypatch.delenv("KAFKA_PASSWORD", raising=False)
    if value is not None:
        monkeypatch.setenv("KAFKA_PASSWORD", value)
    with pytest.raises(Refused, match="environment variable KAFKA_PASSWORD is not set; export it") as refusal:
        environment().password(security(password_env="KAFKA_PASSWORD"), of="load on source")
    assert refusal.value.exit_code == ExitCode.REFUSED == 40
    assert "load on source" in str(refusal.value)


def test_a_file_gives_the_password_without_its_line_end_and_relative_to_the_environment(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "load").write_text("s3cret\n")
    where = environment(file=tmp_path / "desk.yaml")
    assert where.password(security(password_file="secrets/load"), of="load") == "s3cret"


def test_a_file_that_is_missing_is_refused_by_its_whole_path(tmp_path):
    where = environment(file=tmp_path / "desk.yaml")
    with pytest.raises(Refused, match="No such file") as refusal:
        where.password(security(password_file="secrets/load"), of="load")
    assert str(tmp_path / "secrets" / "load") in str(refusal.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "load").mkdir()  # root may read any file, but nobody reads a directory
    with pytest.raises(Refused, match="cannot be read"):
        environment(file=tmp_path / "desk.yaml").password(security(password_file="load"), of="load")


@pytest.mark.parametrize(("content", "says"), [(b" \n", "is empty"), (b"\xff\xfe", "is not UTF-8 text")])
def test_a_file_without_a_password_is_refused(tmp_path, content, says):
    (tmp_path / "load").write_bytes(content)
    with pytest.raises(Refused, match=says):
        environment(file=tmp_path / "desk.yaml").password(security(password_file="load"), of="load")


def test_a_login_without_a_reference_is_refused():
    with pytest.raises(Refused, match="names neither password_file nor password_env"):
        environment().password(Security(protocol="PLAINTEXT"), of="load")
