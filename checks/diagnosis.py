"""Which rows of a diagnosis table fit what was measured, with the figures that decided it. Pure.

Four rows are the page's own ("Si NOGO : diagnostic") and are always answered: fits, does not, or could not be told.
The others are ours: what Connect's REST API and the connector's configuration show beyond the page. They appear only
when they fit, the most telling first. Words and actions are the language's catalogue's, by the row's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from checks.connectors import ABSENT, RUNNING, SILENT_WORKER, ConnectorSeen, TaskSeen, connectors_seen
from checks.evaluate import Evaluation
from checks.measures import Run
from checks.metric_profiles import Role
from checks.mirror_naming import selects
from checks.reasons import Code, Param
from checks.series import UnreadableAnswer
from checks.verdict import Verdict
from run_record.histogram import LatencyHistogram

SLOW_MS = 500.0
#: "Most of it": a source that takes more than half of the end-to-end time is what has to be looked at first.
MOST = 0.5
PAGE_ROWS = ("poll_zero", "write_zero", "slow", "nothing_on_target")
#: Rows of ours, in the order in which a tired reader should try them.
OUR_ROWS = (
    "connector_absent",
    "connector_paused",
    "connector_stopped",
    "connector_failed",
    "connector_unassigned",
    "no_tasks",
    "task_not_authorized",
    "record_too_large",
    "task_failed",
    "task_paused",
    "task_unassigned",
    "worker_silent",
    "transforms",
    "topic_not_selected",
    "not_readable",
    "source_refuses",
    "source_slow",
    "mirror_unreadable",
    "load_worker_lost",
    "connect_silent",
    "prometheus_silent",
    "judged_offline",
)
_CAUSES = (("AuthorizationException", "task_not_authorized"), ("RecordTooLargeException", "record_too_large"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A row: does it fit (None: it could not be told), and the figures of its sentences."""

    row: str
    fits: bool | None
    params: Mapping[str, Param] = field(default_factory=dict)

    @property
    def from_page(self) -> bool:
        return self.row in PAGE_ROWS


def diagnose(run: Run, evaluation: Evaluation) -> tuple[Finding, ...]:
    """The page's rows, all of them, then ours that fit; ours are looked for only when something is wrong."""
    values = values_of(evaluation)
    counts = run.counts
    if counts is not None and counts.balanced and not run.read_refused:
        # The ledger knows them whether or not the scenario has criteria on them.
        values = {"ledger.acked": counts.acked, "ledger.arrived": counts.arrived, **values}
    page = tuple(_page_rows(values))
    if evaluation.verdict is Verdict.GO:
        return page
    ours = sorted(_our_rows(run, values), key=lambda finding: OUR_ROWS.index(finding.row))
    return (*page, *ours)


def values_of(evaluation: Evaluation) -> dict[str, float]:
    """Measure → value, of what has one."""
    values: dict[str, float] = {}
    for result in evaluation.results:
        pairs = [(result.criterion.measure, result.measurement)]
        if result.criterion.beside is not None and result.beside is not None:
            pairs.append((result.criterion.beside, result.beside))
        for name, measurement in pairs:
            if measurement.value is not None:
                values[name] = measurement.value
    return values


def _page_rows(values: Mapping[str, float]) -> Iterator[Finding]:
    poll, write = values.get("connect.poll_total"), values.get("connect.write_total")
    yield _row("poll_zero", None if poll is None else poll == 0, poll=poll)
    yield _row("write_zero", None if poll is None or write is None else write == 0 and poll > 0, write=write, poll=poll)
    mm2, e2e = values.get("mm2.latency_avg"), values.get("e2e.mean")
    known = [value for value in (mm2, e2e) if value is not None]
    yield _row("slow", max(known) > SLOW_MS if known else None, mm2_ms=mm2, e2e_ms=e2e)
    acked, arrived = values.get("ledger.acked"), values.get("ledger.arrived")
    nothing = None if acked is None or arrived is None else arrived == 0 and acked > 0
    yield _row("nothing_on_target", nothing, arrived=arrived, acked=acked)


def _row(name: str, fits: bool | None, **figures: float | None) -> Finding:
    return Finding(row=name, fits=fits, params={key: value for key, value in figures.items() if value is not None})


def _our_rows(run: Run, values: Mapping[str, float]) -> Iterator[Finding]:
    yield from _load_rows(run, values)
    yield from _mm2_rows(run, values)


def _load_rows(run: Run, values: Mapping[str, float]) -> Iterator[Finding]:
    """Rows about the load's own end of things: none of them is MM2's fault."""
    ledger = run.record.ledger or {}
    acked, errors = values.get("ledger.acked", 0), values.get("ledger.send_errors", 0)
    if errors > 0:
        last_error = next(iter(ledger.get("last_errors", ())), "")
        yield Finding(row="source_refuses", fits=True, params={"errors": errors, "acked": acked, "error": last_error})
    ack_ms, e2e_ms = (_p99_ms(run, kind) for kind in ("ack", "e2e"))
    if ack_ms is not None and e2e_ms is not None and ack_ms > SLOW_MS and ack_ms > MOST * e2e_ms:
        yield Finding(row="source_slow", fits=True, params={"ack_ms": ack_ms, "e2e_ms": e2e_ms})
    if run.read_refused:
        refused: dict[str, Param] = {"topic": run.read_refused[0], "count": len(run.read_refused)}
        yield Finding(row="mirror_unreadable", fits=True, params=refused)
    if unaccounted := ledger.get("unaccounted"):
        workers = ", ".join(str(node["worker"]) for node in unaccounted)
        owned = sum(len(node["owned"]) for node in unaccounted)
        yield Finding(row="load_worker_lost", fits=True, params={"workers": workers, "owned": owned})


def _p99_ms(run: Run, kind: str) -> float | None:
    """A kind's 99th percentile over all load phases, or None where the record has none of it."""
    together = LatencyHistogram()
    for kinds in run.record.latency.values():
        if kind in kinds:
            together.merge(kinds[kind])
    return together.percentile_ms(99) if together.count else None


def _mm2_rows(run: Run, values: Mapping[str, float]) -> Iterator[Finding]:
    if (offline := run.evidence.offline) is not None:
        yield Finding(row="judged_offline", fits=True, params=offline.params)
        return
    trouble = run.evidence.metric(Role.UP).trouble
    if trouble is not None and trouble.code is Code.PROMETHEUS_FAILED:
        call = f"mm2gate judge runs/{run.record.manifest.run_id} --refresh --env ENVIRONMENT"
        yield Finding(row="prometheus_silent", fits=True, params={"error": trouble.params["error"], "call": call})
    if not run.environment.connect.urls:
        return
    connectors, workers = run.evidence.connect("connectors"), run.evidence.connect("workers")
    if connectors.content is None:
        yield Finding(row="connect_silent", fits=True, params={"error": connectors.error or ""})
        return
    url = _answering_url(run, workers.content)
    try:
        seen = connectors_seen(run.environment, connectors.content, workers.content)
    except UnreadableAnswer as error:
        yield Finding(row="connect_silent", fits=True, params={"error": str(error)})
        return
    for connector in seen:
        yield from _connector_rows(connector, url)
    yield from _flow_rows(run, seen[0], values)


def _answering_url(run: Run, workers: object) -> str:
    answering = [worker["url"] for worker in workers if "error" not in worker] if isinstance(workers, list) else []
    return str(answering[0] if answering else run.environment.connect.urls[0])


def _connector_rows(connector: ConnectorSeen, url: str) -> Iterator[Finding]:
    base = f"{url}/connectors/{quote(connector.name, safe='')}"
    common: dict[str, Param] = {"connector": connector.name, "state": connector.state, "worker": connector.worker}
    restart = f"curl -X POST '{base}/restart?includeTasks=true&onlyFailed=true'"
    rows: dict[str, tuple[str, str]] = {
        # Its name may be our typo: nothing is advised that would make a connector of it.
        ABSENT: ("connector_absent", f"curl '{url}/connectors'"),
        "PAUSED": ("connector_paused", f"curl -X PUT '{base}/resume'"),
        "STOPPED": ("connector_stopped", f"curl -X PUT '{base}/resume'"),
        "FAILED": ("connector_failed", restart),
    }
    if connector.state != RUNNING:
        row, call = rows.get(connector.state, ("connector_unassigned", f"curl '{base}/status'"))
        yield Finding(row=row, fits=True, params={**common, "trace": connector.trace, "call": call})
    elif connector.must_have_tasks and not connector.tasks:
        yield Finding(row="no_tasks", fits=True, params={**common, "call": f"curl '{base}/status'"})
    if connector.state in (RUNNING, SILENT_WORKER):
        # A paused connector's tasks are paused with it: saying so of each would drown the one line that matters.
        for task in connector.tasks:
            if task.state != RUNNING:
                yield _task_row(task, common, base, restart)


def _task_row(task: TaskSeen, common: Mapping[str, Param], base: str, restart: str) -> Finding:
    if task.state == SILENT_WORKER:
        row, call = "worker_silent", f"curl '{base}/status'"
    elif task.state == "FAILED":
        row = next((row for cause, row in _CAUSES if cause in task.trace), "task_failed")
        call = restart
    elif task.state == "PAUSED":
        row, call = "task_paused", f"curl -X PUT '{base}/resume'"
    else:
        row, call = "task_unassigned", f"curl '{base}/status'"
    params = {**common, "task": task.number, "state": task.state, "worker": task.worker, "trace": task.trace}
    return Finding(row=row, fits=True, params={**params, "call": call})


def _flow_rows(run: Run, source: ConnectorSeen, values: Mapping[str, float]) -> Iterator[Finding]:
    """Rows about records that do not come through although everything says RUNNING."""
    acked, arrived = values.get("ledger.acked"), values.get("ledger.arrived")
    if acked is None or arrived is None or arrived >= acked or source.state == ABSENT:
        return
    missing = acked - arrived
    if transforms := source.config.get("transforms", "").strip():
        kinds = ", ".join(
            f"{name.strip()} ({source.config.get(f'transforms.{name.strip()}.type', '?')})"
            for name in transforms.split(",")
        )
        predicates = source.config.get("predicates", "").strip()
        params: dict[str, Param] = {"transforms": kinds, "predicates": predicates or "–", "missing": missing}
        yield Finding(row="transforms", fits=True, params=params)
    topics = [topic.source for topic in run.record.manifest.topics]
    unselected = [topic for topic in topics if selects(source.config, topic) is False]
    if unselected:
        yield Finding(
            row="topic_not_selected",
            fits=True,
            params={
                "topic": unselected[0],
                "topics": source.config.get("topics", ""),
                "exclude": source.config.get("topics.exclude", "–"),
            },
        )
    elif source.troubles == 0 and values.get("connect.poll_total") == 0:
        yield Finding(row="not_readable", fits=True, params={"topic": topics[0]})
