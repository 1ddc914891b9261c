"""When a criterion that is marked `stop` has been NOGO long enough to end the load: live/stop-request.json says so.

The judge asks, the session ends the load; what was sent is drained in full and judged as ever. A verdict other than
NOGO, be it only that Prometheus did not answer, begins the count anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from checks.evaluate import Result
from checks.live import LiveRecord
from checks.verdict import Verdict
from checks.verdict_file import number

FILE = "stop-request.json"
NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class StopWatch:
    """Since which instant of the record each marked criterion has been NOGO without a break."""

    _since_ns: dict[str, int] = field(default_factory=dict)

    def look(self, record: LiveRecord, results: Iterable[Result]) -> dict[str, Any] | None:
        """The request's content, if the load must end now; None at any other time, and outside of the load."""
        loads = record.manifest.of_kind("load")
        phase = record.phase
        if not loads or not record.rows or phase is None or phase.kind not in ("load", "rest"):
            self._since_ns.clear()
            return None
        at_ns = record.rows[-1].at_ns
        for result in results:
            criterion, stop = result.criterion, result.criterion.stop
            if stop is None or result.verdict is not Verdict.NOGO:
                self._since_ns.pop(criterion.id, None)
                continue
            since_ns = self._since_ns.setdefault(criterion.id, at_ns)
            lasted = at_ns - since_ns >= stop.after * NS_PER_S
            if lasted and at_ns - loads[0].start_ns >= stop.grace * NS_PER_S:
                return {
                    "criterion": criterion.id,
                    "value": number(result.measurement.value),
                    "unit": result.measurement.unit,
                    "go": criterion.go.text,
                    "nogo_since_ns": since_ns,
                    "seen_at_ns": at_ns,
                }
        return None
