"""A staircase as it is climbed: what was played so far, what the judge that looks on says of it, and what comes next.

The judge is another program: its verdicts on the steps that are over are read from live/verdict.json. Locust never
decides, so a step without a verdict counts as one that could not be judged, and the ramp ends there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from scenarios.phases import Step
from scenarios.plan import PlannedLoad, RunPlan
from scenarios.staircase import next_step

#: How long the verdict on a step is waited for after its rest.
VERDICT_WITHIN_S = 60.0
UNJUDGED = "INCONCLUSIVE"


@dataclass(slots=True, kw_only=True)
class Staircase:
    """One climb. `played` are the loads with the instants at which they really began."""

    plan: RunPlan
    directory: Path
    played: list[PlannedLoad] = field(default_factory=list)
    verdicts: dict[str, str] = field(default_factory=dict)

    def next_step(self) -> Step | None:
        """The step that the verdicts so far lead to."""
        return next_step(self.plan.ladder, self.verdicts)

    def begin(self, step: Step, start_s: float) -> tuple[int, PlannedLoad]:
        """Plays a step from this instant of the load's clock on: its number in the plan, and its load."""
        number = self.plan.ladder.index(step)
        self.played.append(replace(self.plan.loads[number], start_s=start_s))
        return number, self.played[-1]

    def verdict_on(self, step: Step) -> str | None:
        """What the judge says of a step, once it does."""
        try:
            content = json.loads((self.directory / "live" / "verdict.json").read_text(encoding="utf-8"))
            return dict(content["steps"]).get(step.name)
        except (OSError, ValueError, KeyError, TypeError):
            return None
