"""mm2.py as users run it, and a 5 ms timer greenlet beside it that notes how late the hub lets it run."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import gevent
from locust import events

PROJECT_ROOT = str(Path(__file__).resolve().parents[2])
if PROJECT_ROOT not in sys.path[:1]:
    sys.path.insert(0, PROJECT_ROOT)

from locustfiles.mm2 import MirrorUser, PhaseShape  # noqa: E402 - after the path

__all__ = ["MirrorUser", "PhaseShape"]

PERIOD_S = 0.005
_late: list[tuple[float, float]] = []  # Unix time, lateness in s


def _watch_the_hub() -> None:
    due_s = time.monotonic() + PERIOD_S
    while True:
        gevent.sleep(max(due_s - time.monotonic(), 0))
        now_s = time.monotonic()
        _late.append((time.time(), now_s - due_s))
        due_s = max(due_s + PERIOD_S, now_s)


@events.init.add_listener
def _install(**_: Any) -> None:
    gevent.spawn(_watch_the_hub)


@events.quitting.add_listener
def _write(**_: Any) -> None:
    file = os.environ.get("MM2GATE_BENCH_HUB_FILE")  # set for the worker
    if file:
        Path(file).write_text(json.dumps(_late), encoding="utf-8")
