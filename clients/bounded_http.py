"""HTTP in bounded time and memory: one deadline and one size for a whole exchange, whatever the other end does.

A timeout of `requests` begins anew with each byte, so an answer that drips never ends, and what is compressed can be a
thousand times as large as it looks. Here time and bytes are counted where they come in, at the socket, headers
included, so that every way to go on for ever ends alike. An exchange is one question and one answer: redirects are not
followed (the answer of somebody else would pass for the answer of who was asked), cookies are not kept.
"""

from __future__ import annotations

import http.client
import io
import logging
import time
import zlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from scenarios import strict_json

CHUNK_BYTES = 64 * 1024
#: What headers, and the signs between chunks, may add to a body.
AROUND_BYTES = 256 * 1024
UNPACKED = frozenset({"gzip", "x-gzip", "deflate"})
#: Understands gzip and zlib, whichever it is (zlib.decompressobj).
_ANY_WRAPPER = 47


class BadAnswer(requests.RequestException):
    """There was an answer, and it is none that is taken. Its text is half a sentence: `redirects to …`.

    `status` is its HTTP status, None where not even that came in.
    """

    def __init__(self, what: str, *, status: int | None) -> None:
        self.status = status
        super().__init__(what)


class Answer(requests.Response):
    """A whole answer."""

    def __init__(self, response: requests.Response, body: bytes) -> None:
        super().__init__()
        self.status_code, self.reason = response.status_code, response.reason
        self.headers, self.url, self.request = response.headers, response.url, response.request
        self._body = body
        self._read: Any = None

    @property
    def content(self) -> bytes:
        return self._body

    @property
    def text(self) -> str:
        """The body as UTF-8, whatever its headers say; what is none is replaced."""
        return self._body.decode("utf-8", "replace")

    @property
    def ok(self) -> bool:
        return 200 <= self.status_code < 300

    def strict_json(self) -> Any:
        """The body's content, read once. Raises NotStrictJson."""
        if self._read is None:
            self._read = strict_json.loads(self._body)
        return self._read

    def json(self, **_: Any) -> Any:
        """The same for libraries: raises requests.JSONDecodeError."""
        try:
            return self.strict_json()
        except strict_json.NotStrictJson as error:
            raise requests.JSONDecodeError(str(error), "", 0) from None


@dataclass(slots=True)
class _Limit:
    """What is left of one exchange."""

    deadline_s: float
    bytes_left: int

    def remaining_s(self) -> float:
        """Seconds until the deadline. TimeoutError when there are none."""
        remaining_s = self.deadline_s - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError("the time of the whole exchange is over")
        return remaining_s


_LIMIT: ContextVar[_Limit | None] = ContextVar("_LIMIT", default=None)


class _Metered(io.RawIOBase):
    """What comes from a socket, as long as the limit allows."""

    def __init__(self, raw: io.RawIOBase, sock: Any, limit: _Limit) -> None:
        super().__init__()
        self._raw, self._sock, self._limit = raw, sock, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._limit.remaining_s())
        count: int | None = self._raw.readinto(buffer)
        self._limit.bytes_left -= count or 0
        if self._limit.bytes_left < 0:
            raise OSError("more than the most that is read")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _MeteredResponse(http.client.HTTPResponse):
    """Reads from the socket within the limit: status line, headers, chunks, trailers and body."""

    def __init__(self, sock: Any, *arguments: Any, **settings: Any) -> None:
        super().__init__(sock, *arguments, **settings)
        limit = _LIMIT.get()
        if limit is not None:
            self.fp = io.BufferedReader(_Metered(self.fp.detach(), sock, limit))


class _HttpConnection(HTTPConnection):
    response_class = _MeteredResponse


class _HttpsConnection(HTTPSConnection):
    response_class = _MeteredResponse


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


class _Adapter(HTTPAdapter):
    """Never tries again: whoever asks knows how long that makes sense."""

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        super().init_poolmanager(*arguments, **settings)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **settings: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **settings)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class BoundedSession(requests.Session):
    """Asks within `timeout` seconds, connecting and reading included, and takes `most_bytes` of body at most.

    Every request must name its timeout. Not for several threads at once.
    """

    def __init__(self, *, most_bytes: int = strict_json.MOST_BYTES) -> None:
        super().__init__()
        self._most_bytes = most_bytes
        self._adapter = _Adapter()
        self.headers["Accept-Encoding"] = "gzip"
        # What is wrong with an answer is said once, by who asked; urllib3 would log headers, with a traceback.
        logging.getLogger("urllib3.connection").setLevel(logging.CRITICAL)

    def get_adapter(self, url: str | bytes) -> Any:
        """Ours, whatever others mount."""
        del url
        return self._adapter

    def close(self) -> None:
        self._adapter.close()
        super().close()

    def request(self, method: str | bytes, url: str | bytes, *arguments: Any, **settings: Any) -> Any:
        """The whole answer. Raises requests.RequestException: Timeout, BadAnswer, ConnectionError and its others."""
        try:
            return super().request(method, url, *arguments, **settings)
        except requests.RequestException:
            raise
        except (HTTPError, ValueError) as error:  # an address that cannot be one gets through to urllib3, or to idna
            raise requests.exceptions.InvalidURL(str(error)) from None

    def send(self, request: requests.PreparedRequest, **settings: Any) -> Any:
        """One exchange. Hooks see the whole answer."""
        timeout_s, verify = float(settings["timeout"]), settings.get("verify")
        limit = _Limit(time.monotonic() + timeout_s, self._most_bytes + AROUND_BYTES)
        token = _LIMIT.set(limit)
        response: requests.Response | None = None
        try:
            response = self._adapter.send(
                request,
                stream=True,
                timeout=timeout_s,
                verify=True if verify is None else verify,
                cert=settings.get("cert"),
                proxies=settings.get("proxies"),
            )
            answer = Answer(response, b"".join(self._body(response)))
        except BadAnswer:
            raise
        except (requests.RequestException, HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            if limit.bytes_left < 0:
                raise self._too_large(response) from None
            if time.monotonic() >= limit.deadline_s:
                raise requests.Timeout(f"no whole answer within {timeout_s:g} s") from None
            if isinstance(error, requests.RequestException):
                raise
            raise requests.ConnectionError(str(error)) from None
        finally:
            _LIMIT.reset(token)
            if response is not None:
                response.close()
        for hook in request.hooks.get("response", ()):
            hook(answer, **settings)
        return answer

    def _body(self, response: requests.Response) -> Iterator[bytes]:
        """The body in pieces, unpacked, no larger in all than it may be."""
        if response.is_redirect:
            target = _shown_address(response.headers["location"])
            what = f"redirects to {target}, which is not asked; name that address if it is the one meant"
            raise BadAnswer(what, status=response.status_code)
        packing = response.headers.get("Content-Encoding", "").strip().lower()
        if packing not in ("", "identity", *UNPACKED):
            raise BadAnswer(
                f"answers packed as {packing[:40]!r}, which it was not asked for", status=response.status_code
            )
        unpacker = zlib.decompressobj(_ANY_WRAPPER) if packing in UNPACKED else None
        left_bytes = self._most_bytes
        for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
            try:
                piece = chunk if unpacker is None else unpacker.decompress(chunk, left_bytes + 1)
            except zlib.error:
                raise BadAnswer(f"answers with what is no {packing}", status=response.status_code) from None
            left_bytes -= len(piece)
            if left_bytes < 0:
                raise self._too_large(response)
            yield piece
        if unpacker is not None and not unpacker.eof and left_bytes < self._most_bytes:
            raise BadAnswer(f"answers with {packing} that was cut short", status=response.status_code)

    def _too_large(self, response: requests.Response | None) -> BadAnswer:
        what = f"answers with more than {self._most_bytes / 1024**2:g} MiB, the most that is read"
        return BadAnswer(what, status=None if response is None else response.status_code)


def _shown_address(location: str) -> str:
    """Where a redirect leads, without what may be secret in it."""
    try:
        parts = urlsplit(location)
        host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
        return repr(f"{host}{parts.path}"[:200])
    except ValueError:
        return "an address that is none"
