"""What must hold of Prometheus as a whole, whatever the metric, before any of its figures is believed.

Its clock and that of the run agree; every Connect worker is scraped; all of them name their metrics alike. Each of
these goes wrong in silence: a sum over half the workers is a number like any other.
"""

from __future__ import annotations

import numpy as np

from checks.measures.registry import Run
from checks.measures.who import workers_of
from checks.metric_roles import Job, Role
from checks.reasons import Code, Reason
from checks.role_facts import Owner, facts_of
from checks.windows import Windows

#: Fewer steps from scrape to scrape than this say nothing of the interval.
TYPICAL_LEAST = 3
#: A clock that was set, not one that NTP slews.
CLOCK_STEP_S = 1.0
FROM_CREATE_TIME = frozenset({Role.LATENCY_AVG, Role.LATENCY_MAX, Role.RECORD_AGE_AVG, Role.RECORD_AGE_MAX})


def whole_objection(run: Run, windows: Windows, role: Role) -> Reason | None:
    """Why no figure of this role's job can be believed, if none can. What nodes show depends on who is a worker too."""
    if objection := _clock_objection(run, windows) or _timestamps_objection(run, role):
        return objection
    metric = run.evidence.profile.metrics.get(role)
    if metric is not None and metric.job is not Job.CONNECT and facts_of(role).owner is not Owner.NODE:
        return None
    if not run.evidence.metric(Role.UP).series:
        return _mixed_objection(run)
    return _mixed_objection(run) or workers_of(run).objection


def typical_interval_s(run: Run) -> float | None:
    """The median time from scrape to scrape of the workers' job, whatever the environment says; None when it cannot be
    told. A hole is one long step among many, and does not move it."""
    steps = [np.diff(one.times_s) for one in run.evidence.metric(Role.UP).series if len(one.times_s) > 1]
    together = np.concatenate(steps) if steps else np.array([])
    return float(np.median(together)) if len(together) >= TYPICAL_LEAST else None


def _clock_objection(run: Run, windows: Windows) -> Reason | None:
    """The wall clock jumped, or Prometheus's stands elsewhere by more than a scrape: windows then lie beside the load.

    The collector runs where the run ran; its clock speaks for the run's.
    """
    clock = run.record.manifest.clock
    step_s = 0.0 if clock is None else abs(clock.largest_step_ns) / 1e9
    if step_s > windows.scrape_s:
        return Reason.of(Code.CLOCK_STEPPED, step_s=step_s)
    if (found := run.evidence.clock_offset) is None:
        return None
    offset_s, uncertainty_s = found
    if abs(offset_s) - uncertainty_s <= windows.scrape_s:
        return None
    return Reason.of(Code.CLOCK_SKEWED, offset_s=offset_s, tolerance_s=windows.scrape_s)


def worker_clock_step(run: Run) -> tuple[str, float] | None:
    """The load worker whose wall clock was set while the run went on, and by how many seconds; of several, the one that
    was set by most. None where none was, or where the record does not tell."""
    steps = [(one.id, one.clock.largest_step_ns / 1e9) for one in run.record.manifest.workers if one.clock is not None]
    worker, step_s = max(steps, key=lambda step: abs(step[1]), default=("", 0.0))
    return (worker, step_s) if abs(step_s) >= CLOCK_STEP_S else None


def _timestamps_objection(run: Run, role: Role) -> Reason | None:
    """MM2 counts these from CreateTime, which a producer takes from its machine's wall clock."""
    if role not in FROM_CREATE_TIME or (stepped := worker_clock_step(run)) is None:
        return None
    return Reason.of(Code.WORKER_CLOCK_STEPPED, worker=stepped[0], step_s=stepped[1])


def _mixed_objection(run: Run) -> Reason | None:
    strangers = run.evidence.strangers
    if not strangers:
        return None
    return Reason.of(Code.MIXED_PROFILES, workers=", ".join(strangers), profile=run.evidence.profile.name)
