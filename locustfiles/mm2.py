"""MirrorMaker 2 under load. Use: locust -f locustfiles/mm2.py --headless --scenario phase1_smoke --env ENVIRONMENT."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from locust import events

# Locust puts the working directory first on sys.path: a package of one of our names there must not be taken for ours.
PROJECT_ROOT = Path(__file__).resolve().parents[1]
runpy.run_path(str(PROJECT_ROOT / "runbook" / "installation.py"))["require_own"](PROJECT_ROOT)

from locust_session import options, session  # noqa: E402 - after the check
from locust_session.screen import add_batch  # noqa: E402
from mm2_users.engine import Engine  # noqa: E402
from mm2_users.foreign import ForeignLoad  # noqa: E402
from mm2_users.foreign_master import ForeignMaster  # noqa: E402
from mm2_users.master import KafkaMaster  # noqa: E402
from mm2_users.replication_user import ReplicationUser  # noqa: E402
from scenarios.plan import RunPlan  # noqa: E402
from scenarios.shape import PhaseShape  # noqa: E402

__all__ = ["MirrorUser", "PhaseShape"]


class MirrorUser(ReplicationUser):
    """The user of every node."""


def make_load(plan: RunPlan, environment: Any) -> Engine | ForeignLoad:
    """The engine of this process, whose latencies also go to Locust's screen; or what follows another's load."""
    kind = environment.parsed_options.load
    if kind != "own":
        return ForeignLoad(plan, kind)
    return Engine(plan, screen=lambda kind, durations_ns, size: add_batch(environment, kind, durations_ns, size))


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    """Our options beside Locust's."""
    options.add(parser)


@events.init.add_listener
def install(environment: Any, **_: Any) -> None:
    """The session of this process."""

    def make_master(plan: RunPlan) -> KafkaMaster:
        kind = environment.parsed_options.load
        return KafkaMaster(plan) if kind == "own" else ForeignMaster(plan, kind)

    session.install(environment, make_master=make_master, make_load=make_load)
