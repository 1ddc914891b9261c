"""What the HTTP doors (Connect, Prometheus) share: sessions with a login by reference, and errors as half-sentences."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import requests
from requests.auth import HTTPBasicAuth

from clients.bounded_http import BadAnswer, BoundedSession
from scenarios.environment import HttpLogin, LoadedEnvironment
from scenarios.secrets import hidden_of_others

SHOWN_CHARACTERS = 200
MOST_LOOKED_AT = 10_000


def new_session(url: str, login: tuple[str, str] | None) -> BoundedSession:
    """A session for `url`. Proxies and CA bundles of the process's environment count, except on this machine."""
    session = BoundedSession()
    session.trust_env = not _on_this_machine(url)
    session.headers["Accept"] = "application/json"
    # Without a login of the environment none is sent: requests would otherwise look for one in the user's ~/.netrc.
    session.auth = lambda request: request
    if login is not None:
        # Encoded here: requests would otherwise guess latin-1, and lose a password in any other alphabet.
        session.auth = HTTPBasicAuth(login[0].encode(), login[1].encode())
    return session


def _on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def resolve_login(environment: LoadedEnvironment, login: HttpLogin | None, *, of: str) -> tuple[str, str] | None:
    """User and password, read now; Refused when the password cannot be had."""
    return None if login is None else (login.username, environment.password(login, of=of))


def reason(error: requests.RequestException, *, timeout_s: float) -> str:
    """Why there was no answer that is taken, in a few words without Python in them."""
    text, faults = str(error), requests.exceptions
    said = (
        (isinstance(error, BadAnswer), text),
        (isinstance(error, faults.SSLError), "TLS failed (certificate, or not an https port)"),
        (isinstance(error, requests.Timeout), f"no answer within {timeout_s:.3g} s"),
        ("Connection refused" in text, "connection refused"),
        ("Name or service not known" in text or "Failed to resolve" in text, "unknown host name"),
        (isinstance(error, requests.ConnectionError), "connection lost"),
        (isinstance(error, faults.InvalidURL | faults.InvalidSchema), "no address that can be asked"),
    )
    return next((words for holds, words in said if holds), "answers with what is no HTTP")


def excerpt(body: str) -> str:
    """The start of an unexpected answer, on one line. It may repeat what was sent to it, the login included: no secret
    is in it, whole or cut."""
    line = " ".join(hidden_of_others(body[:MOST_LOOKED_AT]).split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"
