"""A node's account in the form that run_record.account describes, for tests to fill in."""

from __future__ import annotations

from typing import Any

from run_record.counts import Counts


def account(**filled: Any) -> dict[str, Any]:
    """An account of nothing but what is given."""
    empty = {
        "phases": {},
        "unattributed": Counts().to_json(),
        "streams": [],
        "canary": {"sent": 1, "acked": 1, "arrived": 1, "missing": []},
        "latency": {},
        "last_error": None,
        "read_refused": [],
        "lost_places": [],
    }
    return empty | filled
