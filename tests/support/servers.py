"""HTTP servers that misbehave on purpose, on 127.0.0.1."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to answer, after a while."""

    status: int = 200
    body: str = ""
    kind: str = "application/json"
    after_s: float = 0.0
    raw: Callable[[BinaryIO, threading.Event], None] | None = None
    """Writes all of it, status line included, in the place of the rest; the event says that nobody waits any more."""

    @classmethod
    def of(cls, content: Any, *, status: int = 200) -> Reply:
        return cls(status=status, body=json.dumps(content))


@dataclass(slots=True, kw_only=True)
class Server:
    """A running server: its URL, and every request so far."""

    url: str
    requests: list[Request] = field(default_factory=list)


@contextmanager
def serving(answer: Callable[[Request], Reply]) -> Iterator[Server]:
    """Serves until the block ends."""
    server = Server(url="")
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            parts = urlsplit(self.path)
            request = Request(
                method=self.command,
                path=parts.path,
                query={key: values[0] for key, values in parse_qs(parts.query).items()},
                headers=dict(self.headers),
                body=self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(),
            )
            server.requests.append(request)
            reply = answer(request)
            released.wait(reply.after_s)
            content = reply.body.encode()
            try:
                if reply.raw is not None:
                    self.close_connection = True
                    reply.raw(self.wfile, released)
                    return
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                pass  # the client had enough

        do_GET = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        try:
            yield server
        finally:
            released.set()
            http.shutdown()
            thread.join()


def closed_port() -> str:
    """A URL where nothing listens, and nothing else can: the port stays taken as long as the tests run."""
    import socket

    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    _closed_ports.append(probe)
    return f"http://127.0.0.1:{probe.getsockname()[1]}"


_closed_ports: list[Any] = []


def now() -> float:
    return time.monotonic()
