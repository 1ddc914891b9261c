"""The one LoadTestShape: it asks the session how many users there should be, and no more.

The profile governs records per second inside the engines; users only host them, one per node. Import this from a
locustfile only, since importing Locust patches the process.
"""

from __future__ import annotations

from typing import Any

from locust import LoadTestShape


class PhaseShape(LoadTestShape):
    """Ends when the session's run is over."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        """(users, users per second), or None at the end."""
        session: Any = vars(self.runner.environment)["mm2gate_session"] if self.runner else None
        return None if session is None else session.tick()
