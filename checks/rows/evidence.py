"""Who should have told, and did not: Prometheus, an exporter; and tasks that were started anew, as counters show."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from checks.connectors import workers_seen
from checks.evaluate import measured
from checks.finding import Finding, fitting
from checks.measurement import Window
from checks.measures import Run, measure
from checks.measures.tolerances import COVERAGE_LEAST
from checks.measures.who import Workers, host_of, workers_of
from checks.metric_profiles import Role
from checks.reasons import Code
from checks.series import Series, UnreadableAnswer
from checks.spans import JITTER, Spans, vouched

NS_PER_S = 1e9


def evidence_rows(run: Run) -> Iterator[Finding]:
    """Rows of the evidence itself."""
    if (offline := run.evidence.offline) is not None:
        yield fitting("judged_offline", **offline.params)
        return
    up = run.evidence.metric(Role.UP)
    if up.trouble is not None:
        if up.trouble.code is Code.PROMETHEUS_FAILED:
            call = f"mm2gate judge runs/{run.record.manifest.run_id} --refresh --env ENVIRONMENT"
            yield fitting("prometheus_silent", error=up.trouble.params["error"], call=call)
        return
    if run.windows is None:
        return
    window, interval_s = run.windows.gauges, run.windows.scrape_s
    workers = workers_of(run)
    for one in up.series:
        if one.label("instance") in workers.instances:
            yield from _exporter(one, window, interval_s=interval_s)
    yield from _unscraped(run, workers)
    yield from _restarted(run)


def _unscraped(run: Run, workers: Workers) -> Iterator[Finding]:
    """Workers that Connect names, of whose host no exporter was ever scraped; on hosts of several, nobody can tell."""
    if workers.objection is None:
        return
    try:
        named = workers_seen(run.evidence.connect("connectors").content, run.evidence.connect("others").content)
    except UnreadableAnswer:
        return  # a row of Connect's own says so
    for name in named:
        if host_of(name) not in workers.hosts:
            yield fitting("exporter_down", instance=name, percent=0.0, since_ns=_start_ns(run), up="–")


def _start_ns(run: Run) -> int:
    return 0 if run.windows is None else round(run.windows.start_s * NS_PER_S)


def _exporter(one: Series, window: Window, *, interval_s: float) -> Iterator[Finding]:
    """A worker's exporter that was not scraped, or did not answer (up = 0), for part of the window."""
    answered_s = one.times_s[one.values == 1.0]
    share = vouched(answered_s, Spans.whole(window.start_s, window.end_s), interval_s=interval_s).share
    if share >= COVERAGE_LEAST:
        return
    inside = answered_s[(answered_s >= window.start_s) & (answered_s <= window.end_s)]
    edges_s = np.concatenate([[window.start_s], inside, [window.end_s]])
    holes = np.flatnonzero(np.diff(edges_s) > JITTER * interval_s)
    since_s = float(edges_s[holes[0]]) if len(holes) else window.start_s
    refused = bool((one.between(window.start_s, window.end_s).values == 0.0).any())
    yield fitting(
        "exporter_down",
        instance=one.label("instance"),
        percent=100.0 * share,
        since_ns=round(since_s * NS_PER_S),
        up="0" if refused else "–",
    )


def _restarted(run: Run) -> Iterator[Finding]:
    """Tasks that began anew while the run went on: what they had not committed is read, and written, again."""
    rebalances = measured(run, "connect.rebalances", measure).value
    note = measured(run, "connect.poll_total", measure).note
    resets = int(note.params["resets"]) + int(note.params["ended"]) if note and note.code is Code.COUNTER_RESET else 0
    if rebalances or resets:
        yield fitting("tasks_restarted", rebalances=rebalances, resets=resets)
