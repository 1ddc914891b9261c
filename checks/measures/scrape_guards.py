"""What must hold of Prometheus as a whole, whatever the metric, before any of its figures is believed.

Its clock and that of the run agree; every Connect worker is scraped; all of them name their metrics alike. Each of
these goes wrong in silence: a sum over half the workers is a number like any other.
"""

from __future__ import annotations

from checks.connectors import workers_seen
from checks.measures.registry import Run
from checks.metric_roles import Job, Role
from checks.reasons import Code, Reason
from checks.series import UnreadableAnswer
from checks.windows import Windows

#: A clock that was set, not one that NTP slews.
CLOCK_STEP_S = 1.0
FROM_CREATE_TIME = frozenset({Role.LATENCY_AVG, Role.LATENCY_MAX, Role.RECORD_AGE_AVG, Role.RECORD_AGE_MAX})


def whole_objection(run: Run, windows: Windows, role: Role) -> Reason | None:
    """Why no figure of this role's job can be believed, if none can."""
    if objection := _clock_objection(run, windows) or _timestamps_objection(run, role):
        return objection
    metric = run.evidence.profile.metrics.get(role)
    if metric is not None and metric.job is not Job.CONNECT:
        return None
    return _mixed_objection(run) or _exporter_objection(run)


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


def _exporter_objection(run: Run) -> Reason | None:
    """Connect names more workers than Prometheus scrapes. A target that is down is still a target: coverage tells."""
    exporters = run.evidence.metric(Role.UP).series
    if not exporters:
        return None
    try:
        workers = workers_seen(run.evidence.connect("connectors").content)
    except UnreadableAnswer:
        return None
    if len(exporters) >= len(workers):
        return None
    seen = ", ".join(sorted(one.label("instance") for one in exporters))
    return Reason.of(
        Code.EXPORTER_MISSING, exporters=len(exporters), seen=seen, workers=len(workers), named=", ".join(workers)
    )
