"""mm2.py as users run it. Where a file is named, a 5 ms timer greenlet beside it notes how late the hub lets it run.

The timer has its cost too, so it ends before the stretch over which CPU is measured.
"""

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


def _watch_the_hub(environment: Any, file: Path, lasts_s: float) -> None:
    while not environment.stats.total.num_requests:  # the screen's first second of the load
        gevent.sleep(1)
    late_s: list[float] = []
    due_s = time.monotonic() + PERIOD_S
    end_s = due_s + lasts_s
    while due_s < end_s:
        gevent.sleep(max(due_s - time.monotonic(), 0))
        now_s = time.monotonic()
        late_s.append(now_s - due_s)
        due_s = max(due_s + PERIOD_S, now_s)
    file.write_text(json.dumps(late_s), encoding="utf-8")


@events.init.add_listener
def _install(environment: Any, **_: Any) -> None:
    file = os.environ.get("MM2GATE_BENCH_HUB_FILE")  # set for the worker
    if file:
        gevent.spawn(_watch_the_hub, environment, Path(file), float(os.environ["MM2GATE_BENCH_HUB_S"]))
