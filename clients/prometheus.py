"""Prometheus's HTTP API, strictly: prometheus-api-client carries the request, everything else is decided here.

The library returns `data.result` alone and loses what says whether it can be trusted (resultType, warnings, infos,
the body of a refusal), so the whole answer is taken from its session as it passes. Always GET: it does not retry
POSTs, and sends their query in the URL all the same. Always a timeout: without one it waits for ever.

Values are left as Prometheus writes them ("NaN" stays "NaN"); whoever judges them parses them.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Self

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from clients.bounded_http import Answer as HttpAnswer
from clients.bounded_http import BadAnswer
from clients.http_session import excerpt, new_session, reason, resolve_login
from scenarios.environment import LoadedEnvironment
from scenarios.errors import MetricsUnavailable
from scenarios.strict_json import NotStrictJson

TIMEOUT_S = 10.0
BUDGET_S = 30.0
FIRST_PAUSE_S = 0.5
#: Answers that may be different in a moment: rate limit, bad gateway, not ready, gateway timeout.
PASSING_STATUSES = frozenset({429, 502, 503, 504})
RESULT_TYPES = frozenset({"matrix", "vector", "scalar", "string"})
#: Series that an answer may have; newer Prometheus cuts there and warns, older ones do not know the parameter.
SERIES_MOST = 50_000
#: Warnings and infos that are kept of an answer.
TEXTS_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One query and what came back. `body` is the answer as received; `at_s` the Unix time it was asked for, if any."""

    query: str
    at_s: float | None
    status: int
    body: str
    result_type: str
    result: list[Any]
    warnings: tuple[str, ...]
    infos: tuple[str, ...]


class Prometheus:
    """A client of one Prometheus (or Thanos, Mimir, … that speaks its API). Not for several threads at once."""

    def __init__(
        self,
        url: str,
        *,
        login: tuple[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
        budget_s: float = BUDGET_S,
    ) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._budget_s = budget_s
        self._session = new_session(self.url, login)
        self._seen: list[HttpAnswer] = []
        self._session.hooks["response"].append(lambda answer, *_args, **_kwargs: self._seen.append(answer))
        # The library mounts an adapter that tries again, without limits; the session keeps to its own.
        self._api = PrometheusConnect(url=self.url, session=self._session)
        # The library passes auth=None on, which would leave the session's own login in place: good.

    @classmethod
    def of(cls, environment: LoadedEnvironment, *, timeout_s: float = TIMEOUT_S, budget_s: float = BUDGET_S) -> Self:
        """The Prometheus of an environment; Refused when its password cannot be read."""
        prometheus = environment.environment.prometheus
        login = resolve_login(environment, prometheus.login, of="Prometheus")
        return cls(prometheus.url, login=login, timeout_s=timeout_s, budget_s=budget_s)

    def now_s(self) -> float | None:
        """What Prometheus's clock shows, Unix seconds; None when it says something else. Raises MetricsUnavailable.

        Prometheus answers a scalar, VictoriaMetrics a vector of one.
        """
        answer = self.query("time()", at_s=None)
        try:
            said = answer.result[0]["value"] if answer.result_type == "vector" else answer.result
            now_s = float(said[1])
        except (LookupError, TypeError, ValueError):
            return None
        return now_s if math.isfinite(now_s) else None

    def query(self, query: str, *, at_s: float | None) -> Answer:
        """The answer to an instant query; a range selector `metric[60s]` brings raw points with their scrape times.

        `at_s` None is now, by Prometheus's clock. Raises MetricsUnavailable when there was no trustworthy answer within
        the budget.
        """
        deadline = time.monotonic() + self._budget_s
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return self._ask(query, at_s, timeout_s=max(min(self._timeout_s, deadline - time.monotonic()), 0.1))
            except MetricsUnavailable as error:
                passing = error.status is None or error.status in PASSING_STATUSES
                if not passing or time.monotonic() + pause_s >= deadline:
                    raise
            time.sleep(pause_s)
            pause_s *= 2

    def _ask(self, query: str, at_s: float | None, *, timeout_s: float) -> Answer:
        self._seen.clear()
        # Thanos answers with what it has and a warning unless told not to; Prometheus ignores the parameter.
        params = {"partial_response": "false", "timeout": f"{timeout_s:.3f}", "limit": str(SERIES_MOST)}
        if at_s is not None:
            params["time"] = f"{at_s:.3f}"
        try:
            self._api.custom_query(query, params=params, timeout=timeout_s)
        except (PrometheusApiClientException, requests.JSONDecodeError, LookupError, TypeError, AttributeError):
            pass  # What the library makes of an answer does not matter: it is read below.
        except requests.RequestException as error:
            status = error.status if isinstance(error, BadAnswer) else None
            what = reason(error, timeout_s=timeout_s)
            raise MetricsUnavailable(f"Prometheus at {self.url}: {what}", status=status) from None
        if not self._seen:
            raise MetricsUnavailable(f"Prometheus at {self.url}: no answer")
        return self._read(self._seen[-1], query, at_s)

    def _read(self, response: HttpAnswer, query: str, at_s: float | None) -> Answer:
        status, body = response.status_code, response.text
        if status in (requests.codes.unauthorized, requests.codes.forbidden):
            raise self._bad(status, "login refused; see prometheus.login in the environment file")
        try:
            content = response.strict_json()
        except NotStrictJson as error:
            raise self._bad(status, f"{error}: {excerpt(body)!r}; is it the URL of Prometheus?") from None
        if not isinstance(content, dict):
            raise self._bad(status, f"not JSON of Prometheus: {excerpt(body)!r}; is it the URL of Prometheus?")
        if content.get("status") != "success" or status != requests.codes.ok:
            said = content.get("error") or excerpt(body)
            raise self._bad(status, f"{content.get('errorType', 'error')}: {excerpt(str(said))}")
        data = content.get("data")
        if not isinstance(data, dict) or data.get("resultType") not in RESULT_TYPES:
            raise self._bad(status, f"no data that can be read in {excerpt(body)!r}")
        result = data.get("result")
        if not isinstance(result, list):
            raise self._bad(status, f"no list of results in {excerpt(body)!r}")
        return Answer(
            query=query,
            at_s=at_s,
            status=status,
            body=body,
            result_type=data["resultType"],
            result=result,
            warnings=_texts(content.get("warnings")),
            infos=_texts(content.get("infos")),
        )

    def _bad(self, status: int, what: str) -> MetricsUnavailable:
        return MetricsUnavailable(f"Prometheus at {self.url}: HTTP {status}, {what}", status=status)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(excerpt(str(item)) for item in value[:TEXTS_MOST]) if isinstance(value, list) else ()
