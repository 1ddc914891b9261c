"""The one LoadTestShape: it asks the session how many users there should be, and no more.

The profile governs records per second inside the engines; users only host them, one per node. Import this from a
locustfile only, since importing Locust patches the process.
"""

from __future__ import annotations

from locust import LoadTestShape


class PhaseShape(LoadTestShape):
    """Ends when the session's run is over."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        """(users, users per second), or None at the end."""
        environment = self.runner.environment
        answer: tuple[int, float] | None = environment.mm2gate_session.tick()
        return answer
