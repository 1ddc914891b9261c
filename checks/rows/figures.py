"""Figures that rows of the diagnosis need beside the criteria's: silent (None) where they were not measured."""

from __future__ import annotations

from checks.evaluate import measured
from checks.measurement import Measurement
from checks.measures import Run, measure
from checks.measures.e2e import all_latencies
from checks.measures.scraped import gauge
from checks.measures.totals import task_counter
from checks.metric_profiles import Role
from scenarios.measures import MEASURES


def value_of(run: Run, name: str) -> float | None:
    """A measure's value; None where there is none, or only a lower bound."""
    found = measured(run, name, measure)
    return None if found.at_least else found.value


def growth_of_tasks(run: Run, role: Role) -> float | None:
    """Growth of a counter of the source connector's tasks over the run, resets included as far as they show."""

    def grown(name: str, run: Run) -> Measurement:
        spec = MEASURES[name]
        growth = task_counter(run, spec, role)
        return growth if isinstance(growth, Measurement) else gauge(growth.found, spec, growth.growth)

    return measured(run, "connect.task_errors", grown).value


def p99_ms(run: Run, kind: str) -> float | None:
    """A kind's 99th percentile, of what has one."""
    found = all_latencies(run, kind)
    return found.percentile_ms(99) if found.count else None
