"""Which metric names the Connect workers show, so that their profile can be found: the questions, and their answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from checks.metric_profiles import PROFILES, job_matcher
from scenarios.environment import Environment

_LABELS = tuple(sorted({profile.client_label for profile in PROFILES.values()}))


def presence_queries(environment: Environment) -> tuple[str, ...]:
    """PromQL for the names, and for producers' names once more with the label of their client."""
    job = job_matcher(environment)
    buffers = "kafka_producer.*_buffer_available_bytes"
    return (
        f'count by (__name__, instance) ({{{job},__name__=~"kafka_.+"}})',
        f'count by (__name__, instance, {", ".join(_LABELS)}) ({{{job},__name__=~"{buffers}"}})',
    )


def names_in(result: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """(metric name, instance) of an answer to one of them, as `detect` takes them: with a client's label as
    `name{label}` too."""
    for item in result:
        found = item.get("metric") if isinstance(item, dict) else None
        if not isinstance(found, dict):
            continue
        name, instance = str(found.get("__name__", "")), str(found.get("instance", ""))
        yield name, instance
        yield from ((f"{name}{{{label}}}", instance) for label in _LABELS if found.get(label))
