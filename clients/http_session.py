"""What the HTTP doors (Connect, Prometheus) share: sessions with a login by reference, and errors as half-sentences."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
from requests.auth import HTTPBasicAuth

from scenarios.environment import HttpLogin, LoadedEnvironment
from scenarios.secrets import hidden_of_others

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SHOWN_CHARACTERS = 200
MOST_LOOKED_AT = 10_000


def new_session(url: str, login: tuple[str, str] | None) -> requests.Session:
    """A session for `url`. Proxies and CA bundles of the process's environment count, except on this machine."""
    session = requests.Session()
    session.trust_env = urlsplit(url).hostname not in LOOPBACK
    session.headers["Accept"] = "application/json"
    # Without a login of the environment none is sent: requests would otherwise look for one in the user's ~/.netrc.
    session.auth = lambda request: request
    if login is not None:
        # Encoded here: requests would otherwise guess latin-1, and lose a password in any other alphabet.
        session.auth = HTTPBasicAuth(login[0].encode(), login[1].encode())
    return session


def resolve_login(environment: LoadedEnvironment, login: HttpLogin | None, *, of: str) -> tuple[str, str] | None:
    """User and password, read now; Refused when the password cannot be had."""
    return None if login is None else (login.username, environment.password(login, of=of))


def reason(error: requests.RequestException, *, timeout_s: float) -> str:
    """Why there was no answer, in a few words without Python in them."""
    if isinstance(error, requests.exceptions.SSLError):
        return "TLS failed (certificate, or not an https port)"
    if isinstance(error, requests.Timeout):
        return f"no answer within {timeout_s:g} s"
    text = str(error)
    if "Connection refused" in text:
        return "connection refused"
    if "Name or service not known" in text or "Failed to resolve" in text:
        return "unknown host name"
    if isinstance(error, requests.ConnectionError):
        return "connection lost"
    return type(error).__name__


def excerpt(body: str) -> str:
    """The start of an unexpected answer, on one line. It may repeat what was sent to it, the login included: no secret
    is in it, whole or cut."""
    line = " ".join(hidden_of_others(body[:MOST_LOOKED_AT]).split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"
