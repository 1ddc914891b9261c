"""Who may talk to Locust's web UI: whoever reaches it by a name that is its own, and no page of another site.

    Host             one of the names under which this UI is known. A site that has its own name resolve to this machine
                     (DNS rebinding) reaches the port, but cannot help sending its own name
    Origin, Referer  of a request that may change something, or that a script reads: this UI's own
    Sec-Fetch-Site   the browser's word for the same; from elsewhere only a link to a page may be followed
    answers          no frame, no guessing of types, nothing kept by a browser or proxy but Locust's own scripts

It stands before every route of the application, Locust's and ours. What has no such header is no browser: a script on
this machine, which could do as much without us.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from flask import Flask, Response, request
from locust.web import WebUI

from scenarios.errors import Problem, SpecError

OPTION = "--web-hosts"
GUARDED = "mm2gate_guarded"
#: Binding to these is binding to every interface.
_EVERYWHERE = frozenset({"", "*", "0.0.0.0", "::"})  # noqa: S104 - looked for, not bound to
_HERE = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(?::\d{1,5})?", re.IGNORECASE)
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_NEVER_FRAMED = "frame-ancestors 'none'"
_SAME_SITE = frozenset({"same-origin", "none"})
_HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The names under which a UI may be reached, small letters, without ports; `any_address`: under any IP address too,
    which no other site can have for its name."""

    names: frozenset[str]
    any_address: bool

    @classmethod
    def of(cls, bound: str, also: str = "") -> Self:
        """Of a UI that listens on `bound`, and is also called so: names with commas between. Raises SpecError."""
        given = [name.strip() for name in also.split(",") if name.strip()]
        named = [_name_of(name) for name in given]
        if bad := [name for name, found in zip(given, named, strict=True) if found is None]:
            message = f"{bad[0]!r} is no name of a host; write it as in load.example.net,10.0.0.7"
            raise SpecError([Problem(file=OPTION, key="", message=message)])
        everywhere = bound in _EVERYWHERE
        own = [socket.gethostname().lower()] if everywhere else [_bracketed(bound).lower()]
        return cls(names=frozenset([*_HERE, *own, *filter(None, named)]), any_address=everywhere)

    def allow(self, header: str) -> bool:
        """Whether a request with this `Host` is for this UI."""
        name = _name_of(header)
        return name is not None and (name in self.names or (self.any_address and _is_address(name)))


def guard(web_ui: WebUI, also: str = "") -> None:
    """Puts the guard before, and behind, every route of a UI; once. `also`: what --web-hosts says. Raises SpecError."""
    app: Flask | None = web_ui.app
    if app is None or GUARDED in app.extensions:
        return
    hosts = app.extensions[GUARDED] = Hosts.of(web_ui.host, also)

    def refuse() -> tuple[str, int] | None:
        why = _objection(hosts)
        return None if why is None else (f"refused: {why}\n", 403)

    app.before_request_funcs.setdefault(None, []).insert(0, refuse)
    # The first in the list runs last, after Flask-CORS has let every site of the web read our answers.
    app.after_request_funcs.setdefault(None, []).insert(0, _sealed)


def _objection(hosts: Hosts) -> str | None:
    host = request.headers.get("Host", "")
    if not hosts.allow(host):
        return (
            "the request is for a host of another name; if this is the name of a proxy, or of this machine, start "
            f"Locust with {OPTION}"
        )
    changes, headers = request.method not in _READING, request.headers
    sources = [headers.get("Origin"), headers.get("Referer") if changes else None]
    if any(source is not None and urlsplit(source).netloc.lower() != host.lower() for source in sources):
        return "this request comes from a page of another site"
    site = headers.get("Sec-Fetch-Site")
    if site is None or site in _SAME_SITE or (not changes and _follows_a_link()):
        return None
    return "this request comes from a page of another site"


def _follows_a_link() -> bool:
    """Whether a person goes to a page of ours, rather than a page loading something of ours."""
    headers = request.headers
    return headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"


def _sealed(response: Response) -> Response:
    for name in [name for name, _ in response.headers if name.startswith("Access-Control-")]:
        del response.headers[name]
    for name, value in _HEADERS.items():
        response.headers[name] = value
    policy = response.headers.get("Content-Security-Policy")
    if policy is None or "frame-ancestors" not in policy:
        response.headers["Content-Security-Policy"] = "; ".join(filter(None, (policy, _NEVER_FRAMED)))
    if request.endpoint != "locust.send_assets":
        response.headers["Cache-Control"] = "no-store"
    return response


def _name_of(header: str) -> str | None:
    match = _HOST.fullmatch(header)
    return None if match is None else match["name"].lower()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
