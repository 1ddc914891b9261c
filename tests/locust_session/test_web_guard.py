"""Who may talk to the web UI, asked of real processes that listen: as a browser asks for a page of its own site, for
one of another, and by a name that another site has made lead here (DNS rebinding)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from lab.ports import free_ports
from locust_session.web_guard import Hosts
from scenarios.errors import SpecError
from tests.scenarios.examples import ENVIRONMENT, SCENARIO

ROOT = Path(__file__).resolve().parents[2]
OWN_USERS = """\
from locust import task
from mm2_users.kafka_user import KafkaUser
class Mine(KafkaUser):
    @task
    def nothing(self):
        pass
"""
EVIL = "http://evil.example"
CHANGES = (("POST", "/swarm"), ("POST", "/stop"), ("POST", "/stats/reset"), ("POST", "/user"))
READS = (
    "/", "/stats/requests", "/stats/report", "/exceptions", "/tasks", "/logs", "/worker-count",
    "/stats/requests/csv", "/mm2gate/", "/mm2gate/state", "/mm2gate/panel.js", "/nowhere",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ui:
    """A web UI that listens."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def ask(self, method: str, path: str, **headers: str) -> requests.Response:
        """`headers` are written with _ for a hyphen; Host too."""
        given_ = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(
            method, f"http://127.0.0.1:{self.port}{path}", headers=given_, timeout=30, allow_redirects=False
        )

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def opened(directory: Path, *options: str, locustfile: str = str(ROOT / "locustfiles" / "mm2.py")) -> Iterator[Ui]:
    (directory / "good.yaml").write_text(SCENARIO)
    (directory / "desk.yaml").write_text(ENVIRONMENT)
    port, log = free_ports(("web",))["web"], directory / "log"
    command = [sys.executable, "-m", "locust", "-f", locustfile, "--web-port", str(port), "--env", "desk.yaml"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *options],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
    ui = Ui(port=port, process=process, log=log)
    try:
        deadline_s = time.monotonic() + 60
        while True:
            try:
                ui.ask("GET", "/worker-count")
                break
            except requests.ConnectionError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline_s, log.read_text()
                time.sleep(0.1)
        yield ui
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    with opened(tmp_path_factory.mktemp("ui"), "--scenario", "good.yaml", "--web-hosts", "load.example.net") as one:
        yield one


@pytest.fixture(scope="module")
def own_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """The UI of a locustfile with users of one's own, and no session of ours."""
    directory = tmp_path_factory.mktemp("own")
    (directory / "mine.py").write_text(OWN_USERS)
    with opened(directory, locustfile=str(directory / "mine.py")) as one:
        yield one


@pytest.fixture(params=["ui", "own_users"])
def any_ui(request: pytest.FixtureRequest) -> Ui:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def test_its_own_page_and_a_script_of_this_machine_may_do_all(any_ui):
    host = f"localhost:{any_ui.port}"
    own = {"Host": host, "Origin": f"http://{host}", "Referer": f"http://{host}/", "Sec_Fetch_Site": "same-origin"}
    for headers in ({}, own, {"Sec_Fetch_Site": "none"}, {"Host": f"[::1]:{any_ui.port}"}, {"Host": "LOCALHOST."}):
        assert any_ui.ask("POST", "/stats/reset", **headers).text == "ok"
        assert any_ui.ask("GET", "/", **headers).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:PORT",
        "10.0.0.7",
        "localhost:PORT, evil.example",
        "localhost@evil.example",
        "",
        "[::ffff:127.0.0.1]",
    ],
)
def test_a_name_that_leads_here_and_is_not_ours_reaches_nothing(any_ui, host):
    host = host.replace("PORT", str(any_ui.port))
    for method, path in (*CHANGES, *(("GET", path) for path in READS)):
        answer = any_ui.ask(method, path, Host=host)
        assert answer.status_code in (400, 403), (method, path)
        assert "Locust" not in answer.text.replace("start Locust with --web-hosts", "")


def test_without_any_host_nothing_is_told(any_ui):
    with socket.create_connection(("127.0.0.1", any_ui.port), timeout=10) as plain:
        plain.sendall(b"GET /stats/requests HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: plain.recv(4096), b""))
    assert answer.split()[1] in (b"400", b"403")
    assert b"state" not in answer


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Referer": f"{EVIL}/page"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"},
        {"Sec_Fetch_Site": "something-new"},
    ],
)
@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_page_of_another_site_changes_nothing(any_ui, method, path, headers):
    answer = any_ui.ask(method, path, **headers)
    assert (answer.status_code, answer.text) == (403, "refused: this request comes from a page of another site\n")


def test_a_page_of_another_site_reads_and_shows_nothing_but_may_link_here(any_ui):
    for path in READS:
        for mode in ({"Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"},
                     {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
                     {"Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"}):  # fmt: skip
            assert any_ui.ask("GET", path, Sec_Fetch_Site="cross-site", **mode).status_code == 403, path
        assert any_ui.ask("GET", path, Origin=EVIL).status_code == 403
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert any_ui.ask("GET", "/", Referer=f"{EVIL}/", **link).status_code == 200


def test_a_browser_that_asks_whether_it_may_is_told_no(any_ui):
    asked = any_ui.ask("OPTIONS", "/swarm", Origin=EVIL, Access_Control_Request_Method="POST")
    assert asked.status_code == 403
    assert not [name for name in asked.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("path", [*READS, "/assets/nowhere.js"])
def test_no_answer_may_be_framed_guessed_at_or_kept(any_ui, path):
    for headers in ({}, {"Origin": EVIL}):
        answer = any_ui.ask("GET", path, **headers)
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        if not path.startswith("/assets"):
            assert answer.headers["Cache-Control"] == "no-store"


def test_locusts_own_scripts_still_load(any_ui):
    page = any_ui.ask("GET", "/").text
    script = (
        page.partition('src="./assets/')[2].partition('"')[0] or page.partition('src="/assets/')[2].partition('"')[0]
    )
    assert script, page[:500]
    answer = any_ui.ask("GET", f"/assets/{script}", Sec_Fetch_Site="same-origin")
    assert (answer.status_code, "javascript" in answer.headers["Content-Type"]) == (200, True)


def test_a_proxys_name_is_let_in_when_it_was_named(ui, own_users):
    headers = {"Host": "load.example.net", "Origin": "https://load.example.net", "Sec_Fetch_Site": "same-origin"}
    assert ui.ask("POST", "/stats/reset", **headers).text == "ok"
    assert own_users.ask("POST", "/stats/reset", **headers).status_code == 403


def test_nothing_was_started_by_any_of_it(ui):
    assert ui.ask("GET", "/stats/requests").json()["state"] == "ready"
    assert "Traceback" not in ui.log.read_text()


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bound", "host", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1:8089", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "10.0.0.7:8089", False),
        ("10.0.0.7", "10.0.0.7:8089", True),
        ("load-1.example.net", "LOAD-1.example.net:8089", True),
        ("2001:db8::7", "[2001:db8::7]:8089", True),
        ("", "10.0.0.7:8089", True),
        ("", "[2001:db8::7]", True),
        ("", f"{socket.gethostname()}:8089", True),
        ("", "evil.example", False),
        ("0.0.0.0", "evil.example:8089", False),
        ("::", "127.0.0.1.nip.io", False),
    ],
)  # fmt: skip
def test_a_ui_is_known_by_what_it_is_bound_to(bound, host, allowed):
    assert Hosts.of(bound).allow(host) is allowed


@given(host=st.text(alphabet="abcdefghijkl.:[]@/,- 01279", max_size=30))
def test_whatever_is_let_in_begins_with_a_name_that_is_ours(host):
    hosts = Hosts.of("127.0.0.1", "cafe.bad")
    if hosts.allow(host):
        assert any(host.startswith(name) for name in ("localhost", "127.0.0.1", "[::1]", "cafe.bad"))
        assert not set("@/, ") & set(host)


@pytest.mark.parametrize("also", ["http://h", "a b", "*", "h/x", "a,,b@c"])
def test_a_name_that_is_none_is_refused_at_the_start(also):
    with pytest.raises(SpecError, match=r"--web-hosts: .* is no name of a host"):
        Hosts.of("127.0.0.1", also)


def test_a_ui_with_a_bad_option_does_not_open(tmp_path):
    with (
        pytest.raises(AssertionError, match="--web-hosts: 'http://x' is no name of a host"),
        opened(tmp_path, "--scenario", "good.yaml", "--web-hosts", "http://x"),
    ):
        pass
