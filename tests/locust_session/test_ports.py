"""A port that is taken is one sentence and code 40, before anything starts; and nobody else's run gets our workers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from argparse import Namespace
from contextlib import contextmanager
from pathlib import Path

import pytest

from locust_session.ports import taken
from tests.scenarios.examples import ENVIRONMENT, SCENARIO

HERE = Path(__file__).parent
MASTER_PORT = ("--master-bind-host", "127.0.0.1", "--master-bind-port", "{port}")


@contextmanager
def listener(host: str = "127.0.0.1"):
    """Somebody who listens there, as Locust's servers do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, 0))
        one.listen()
        yield one.getsockname()[1]


def options(**more) -> Namespace:
    usual = {"master": False, "worker": False, "processes": None, "headless": True, "headful": False}
    usual |= {"master_bind_host": "127.0.0.1", "master_bind_port": 1, "web_host": "127.0.0.1", "web_port": 1}
    return Namespace(**(usual | more))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"master": True}, "master"),
        ({"processes": 2}, "master"),
        ({"master": True, "master_bind_host": "*"}, "master"),
        ({"headless": False}, "web"),
        ({"headless": True, "headful": True}, "web"),
        ({"headless": False, "web_host": "*"}, "web"),
        ({"headless": False, "web_host": ""}, "web"),
        ({"master": True, "headless": False}, "both"),
        ({}, "none"),
        ({"worker": True}, "none"),
        ({"worker": True, "processes": 2}, "none"),
        ({"worker": True, "headless": False}, "none"),
    ],
)
def test_the_ports_that_would_be_listened_on_are_looked_at_and_no_others(wanted, said):
    with listener() as port:
        found = [*taken(options(master_bind_port=port, web_port=port, **wanted))]
    words = {"master": ["the port of Locust's master"], "web": ["the port of the web UI"], "none": []}
    words["both"] = words["master"] + words["web"]
    assert [one.partition(",")[0] for one in found] == words[said]
    assert all(f":{port}, is in use" in one for one in found)


def test_a_free_port_is_no_trouble():
    with listener() as port:
        pass
    assert [*taken(options(master=True, master_bind_port=port, headless=False, web_port=port))] == []


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_who_listens_on_all_addresses_of_ipv6_is_seen_too():
    with listener("::") as port:
        assert [*taken(options(master=True, master_bind_host="*", master_bind_port=port))]


def test_an_address_that_is_not_of_this_machine_is_said(monkeypatch):
    (said,) = taken(options(master=True, master_bind_host="192.0.2.1", master_bind_port=5557))
    assert "cannot be had (" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--headless", "--master", *MASTER_PORT), "the port of Locust's master"),
        (("--headless", "--processes", "2", *MASTER_PORT), "the port of Locust's master"),
        (("--web-port", "{port}"), "the port of the web UI"),
    ],
    ids=["a second master", "a second master with its workers", "a second web UI"],
)
def test_a_second_one_on_a_port_is_one_sentence_and_our_code(tmp_path, arguments, said):
    (tmp_path / "s.yaml").write_text(SCENARIO)
    (tmp_path / "desk.yaml").write_text(ENVIRONMENT)
    with listener() as port:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "locust", "-f", str(HERE / "fake_load.py")),
                *("--scenario", str(tmp_path / "s.yaml"), "--env", str(tmp_path / "desk.yaml")),
                *("--runs-dir", str(tmp_path / "runs")),
                *(argument.format(port=port) for argument in arguments),
            ],
            cwd=HERE.parents[1],
            env=dict(os.environ),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 40, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("mm2gate: the port of ")
    assert said in line
    assert f"127.0.0.1:{port}, is in use" in line
    assert done.stdout == ""
    assert not (tmp_path / "runs").exists()
