"""Asks Prometheus and Connect, once, what they know of a run, and keeps the answers as received.

The only part of the judge that opens a socket. Metrics are asked for as raw range vectors (`metric{…}[90000ms]` at an
instant), so that the true scrape times are kept and nothing is interpolated; long windows in pieces. A Prometheus or
Connect that does not answer is evidence too: the error is kept in its place, and judging goes on without it.
Prometheus tells of the run's time whenever it is asked, Connect of now only: what it said first is kept for good.
Whom to ask, and as whom, is for the person who judges to say (`checks.record_inputs.to_ask`), never for the record.

    evidence/001/   index.json                  every question as sent, and what became of it
                    metric-<role>-<n>.json      Prometheus's answer, byte for byte
                    connect-<name>.json         Connect's, of MM2's connectors (checks.redaction); what it said first
                    connect-others.json         which other connectors touch the run's topics (checks.neighbours)
                    SHA256SUMS                  the seal: an evidence directory is collected once
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from checks.evidence import Evidence
from checks.metric_presence import names_in, presence_queries
from checks.metric_profiles import CONFLUENT_MIRROR, PROFILES, Detected, MetricProfile, Role, detect, job_matcher
from checks.neighbours import neighbours_content
from checks.record_inputs import scenario_of, to_ask
from checks.redaction import kept_connectors
from checks.windows import Windows
from clients.connect import Connect
from clients.prometheus import PASSING_STATUSES, Answer, Prometheus
from run_record.manifest import TopicPlayed
from run_record.store import SEAL, RunRecord, private_directory, sums, write_json, write_text
from scenarios.environment import Environment, LoadedEnvironment
from scenarios.errors import ConnectFailure, MetricsUnavailable, Refused, RunRecordError
from scenarios.measures import MEASURES
from scenarios.secrets import hidden, hidden_of_others

#: That of the record: the evidence has the same.
SCHEMA = 2
PIECE_S = 3600.0
#: Scrapes that are waited for after the run's last window, at most.
PATIENCE_SCRAPES = 3
CONNECT_TIMEOUT_S = 5.0
#: How long Connect may take to answer all questions, a rebalance that is waited out included.
CONNECT_BUDGET_S = 60.0
#: How long Prometheus may take to answer one question, retries included; when it says nothing, no other is asked.
PROMETHEUS_BUDGET_S = 10.0
#: How long it may take to answer all of them: a day is some 800 questions.
COLLECTION_BUDGET_S = 600.0
#: What is kept of all answers together.
COLLECTION_MOST_BYTES = 4 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The wall clock, in Unix seconds, and how to wait; an argument, so that tests need not."""

    now_s: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass(slots=True, kw_only=True)
class _Writer:
    """The pen of one evidence directory."""

    directory: Path
    entries: list[dict[str, Any]] = field(default_factory=list)
    kept_bytes: int = 0

    @classmethod
    def create(cls, run_directory: Path) -> _Writer:
        for number in range(1, 1000):
            directory = run_directory / "evidence" / f"{number:03d}"
            try:
                private_directory(directory)
            except FileExistsError:
                continue
            except OSError as error:
                raise RunRecordError(f"{directory}: evidence cannot be written ({error.strerror})") from None
            return cls(directory=directory)
        raise RunRecordError(f"{run_directory}: has 999 evidence directories")

    def keep_text(self, name: str, text: str) -> str:
        self.kept_bytes += len(text)
        write_text(self.directory / name, hidden(text))
        return name

    def keep_json(self, name: str, content: Any) -> str:
        write_json(self.directory / name, content)
        return name

    def seal(self, **head: Any) -> None:
        write_json(self.directory / "index.json", {"schema": SCHEMA, **head, "answers": self.entries})
        write_text(self.directory / SEAL, sums(self.directory))


def collect(record: RunRecord, given: LoadedEnvironment, *, clock: Clock | None = None) -> Path:
    """Collects a new evidence directory for a run and seals it; returns its path. `given`: where, and as whom, to ask.

    Waits, three scrapes at most, for the scrape that closes the windows of a completed run, if anything depends on it.
    Raises Refused when the environment is another than the run's.
    """
    clock = clock or Clock()
    environment = to_ask(record.manifest, given)
    earlier = _earlier(record)
    writer = _Writer.create(record.directory)
    if earlier is None:
        connect_asked_ns: int | None = int(clock.now_s() * 1e9)
        _ask_connect(environment, record.manifest.topics, writer)
    else:
        connect_asked_ns = earlier.connect_asked_ns
        _take_over_connect(earlier, environment, record.manifest.topics, writer)
    windows = Windows.of(record, environment.environment)
    head = _ask_prometheus(environment, windows, writer, clock, wait=_worth_waiting(record))
    writer.seal(
        collected_at_ns=int(clock.now_s() * 1e9),
        connect_asked_at_ns=connect_asked_ns,
        **head,
        prometheus_url=environment.environment.prometheus.url,
        connect_urls=list(environment.environment.connect.urls),
        windows=None if windows is None else asdict(windows),
    )
    return writer.directory


def _worth_waiting(record: RunRecord) -> bool:
    """Whether the last scrapes may decide anything: a criterion, or the diagnosis of records that are missing."""
    ending, counts = record.manifest.ending, record.counts()
    if not record.sealed or ending is None or ending.aborted:
        return False
    criteria = scenario_of(record.manifest).scenario.criteria
    measures = {name for one in criteria for name in (one.measure, one.beside) if name is not None}
    return counts is None or counts.arrived < counts.sent or any(MEASURES[name].asked for name in measures)


def _earlier(record: RunRecord) -> Evidence | None:
    """Evidence that holds what Connect said before, if it did answer: the nearer to the run's end, the truer."""
    directory = record.evidence()
    if directory is None:
        return None
    try:
        earlier = Evidence.open(directory)
    except RunRecordError:
        return None
    return earlier if earlier.connect("connectors").content is not None else None


def look(
    record: RunRecord,
    given: LoadedEnvironment,
    windows: Windows | None,
    directory: Path,
    *,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Asks the same of a run that still goes on; the index. Not evidence: nothing is sealed, or waited for.

    Answers go to `directory`, over those of the look before. Raises Refused as `collect`.
    """
    clock = clock or Clock()
    environment = to_ask(record.manifest, given)
    writer = _Writer(directory=directory)
    _ask_connect(environment, record.manifest.topics, writer)
    head = _ask_prometheus(environment, windows, writer, clock, wait=False)
    return {**head, "answers": writer.entries}


# Prometheus.


def _ask_prometheus(
    environment: LoadedEnvironment, windows: Windows | None, writer: _Writer, clock: Clock, *, wait: bool
) -> dict[str, Any]:
    """Asks for every metric and says, for the index, under which names, and how far Prometheus's clock is from ours."""
    wanted = environment.environment.prometheus.metric_profile
    detected = Detected(profile=CONFLUENT_MIRROR if wanted is None else PROFILES[wanted])
    clock_offset: dict[str, float] | None = None
    if windows is None:
        return _head(detected, wanted, clock_offset)
    deadline_s = time.monotonic() + COLLECTION_BUDGET_S
    try:
        prometheus = Prometheus.of(environment, budget_s=PROMETHEUS_BUDGET_S)
        clock_offset = _clock_offset(prometheus, clock)
        if wait:
            _wait_for_scrape(prometheus, environment.environment, windows, clock)
        detected = detect(_names_present(prometheus, environment.environment, windows), wanted=wanted)
    except Refused as error:
        for role in (Role.UP, *detected.profile.metrics):
            writer.entries.append(_metric_entry(detected.profile, role, environment.environment, error=str(error)))
        return _head(detected, wanted, clock_offset)
    silent: str | None = None
    for role in (Role.UP, *detected.profile.metrics):
        if silent is not None:
            # It said nothing for a whole budget: asking on would take as long again for each metric.
            writer.entries.append(_metric_entry(detected.profile, role, environment.environment, error=silent))
            continue
        try:
            _ask_metric(prometheus, detected.profile, role, environment.environment, windows, writer, clock, deadline_s)
        except MetricsUnavailable as error:
            writer.entries.append(_metric_entry(detected.profile, role, environment.environment, error=str(error)))
            silent = str(error) if error.status is None or error.status in PASSING_STATUSES else None
    return _head(detected, wanted, clock_offset)


def _head(detected: Detected, wanted: str | None, clock_offset: dict[str, float] | None) -> dict[str, Any]:
    return {
        "profile": detected.profile.name,
        "profile_named": wanted is not None,
        "profile_others": list(detected.others),
        "profile_missing": [role.value for role in detected.missing],
        "profile_strangers": list(detected.strangers),
        "prometheus_clock": clock_offset,
    }


def _clock_offset(prometheus: Prometheus, clock: Clock) -> dict[str, float] | None:
    """How far Prometheus's clock is ahead of ours, give or take the time that asking took; None if it does not say."""
    asked_s = clock.now_s()
    said_s = prometheus.now_s()
    answered_s = clock.now_s()
    if said_s is None:
        return None
    return {
        "offset_s": round(said_s - (asked_s + answered_s) / 2, 3),
        "uncertainty_s": round((answered_s - asked_s) / 2, 3),
    }


def _wait_for_scrape(prometheus: Prometheus, environment: Environment, windows: Windows, clock: Clock) -> None:
    """For the last scrape that a window needs: as long as the run's own end leaves it to come, and a few scrapes; a
    clock that stands before the run's end is wrong, and not waited for."""
    patience_s = PATIENCE_SCRAPES * windows.scrape_s + 1.0
    left_s = max(windows.needed_until_s - windows.watched_s, 0.0) + patience_s
    query = f"min(timestamp(up{{{job_matcher(environment)}}}))"
    while clock.now_s() < windows.needed_until_s + patience_s:
        answer = prometheus.query(query, at_s=clock.now_s())
        if _only_value(answer) >= windows.needed_until_s:
            return
        until_due_s = windows.needed_until_s - clock.now_s()
        pause_s = max(until_due_s, min(windows.scrape_s / 4, 2.0))
        left_s -= pause_s
        if left_s < 0:
            return
        clock.sleep(pause_s)


def _only_value(answer: Answer) -> float:
    try:
        value = float(answer.result[0]["value"][1])
    except (LookupError, TypeError, ValueError):
        return -math.inf
    return value if math.isfinite(value) else -math.inf


def _names_present(prometheus: Prometheus, environment: Environment, windows: Windows) -> Iterator[tuple[str, str]]:
    """(metric name, instance) of what was there as the load began or as the watch ended."""
    for query, at_s in product(presence_queries(environment), (windows.start_s, windows.watched_s)):
        yield from names_in(prometheus.query(query, at_s=at_s).result)


def _ask_metric(
    prometheus: Prometheus,
    profile: MetricProfile,
    role: Role,
    environment: Environment,
    windows: Windows,
    writer: _Writer,
    clock: Clock,
    deadline_s: float,
) -> None:
    """Asks for a role's points, piece by piece. MetricsUnavailable too when the time for all questions is over."""
    selector = profile.selector(role, environment)
    for number, (at_s, span_s) in enumerate(_pieces(windows, now_s=clock.now_s()), start=1):
        if time.monotonic() > deadline_s:
            raise MetricsUnavailable(
                f"Prometheus at {prometheus.url}: not all was answered within {COLLECTION_BUDGET_S:g} s"
            )
        if writer.kept_bytes > COLLECTION_MOST_BYTES:
            most_gib = COLLECTION_MOST_BYTES / 1024**3
            raise MetricsUnavailable(f"Prometheus at {prometheus.url}: answers with more than {most_gib:g} GiB in all")
        answer = prometheus.query(f"{selector}[{round(span_s * 1000)}ms]", at_s=at_s)
        entry = _metric_entry(profile, role, environment, error=None)
        entry |= {
            "file": writer.keep_text(f"metric-{role}-{number:03d}.json", _kept_body(answer)),
            "query": answer.query,
            "at_s": at_s,
            "span_s": span_s,
            "status": answer.status,
            "result_type": answer.result_type,
            "series": len(answer.result),
            "warnings": list(answer.warnings),
            "infos": list(answer.infos),
        }
        writer.entries.append(entry)


def _kept_body(answer: Answer) -> str:
    """The answer as it came, but for what its warnings may give away: a proxy or a store behind it wrote those."""
    if not (answer.warnings or answer.infos):
        return answer.body
    content = json.loads(answer.body)
    for name, texts in (("warnings", answer.warnings), ("infos", answer.infos)):
        if content.get(name):
            content[name] = [hidden_of_others(text) for text in texts]
    return json.dumps(content, ensure_ascii=False)


def _pieces(windows: Windows, *, now_s: float) -> Iterator[tuple[float, float]]:
    """(instant, span) of range selectors that cover what is fetched; they touch, and are merged by scrape time."""
    fetched = windows.fetched
    end_s = max(min(fetched.end_s, now_s), fetched.start_s + 1.0)
    count = max(math.ceil((end_s - fetched.start_s) / PIECE_S), 1)
    span_s = (end_s - fetched.start_s) / count
    for number in range(1, count + 1):
        yield round(fetched.start_s + number * span_s, 3), span_s + 0.001


def _metric_entry(profile: MetricProfile, role: Role, environment: Environment, *, error: str | None) -> dict[str, Any]:
    return {"kind": "metric", "role": role.value, "query": profile.selector(role, environment), "error": error}


# Connect.


def _ask_connect(environment: LoadedEnvironment, topics: tuple[TopicPlayed, ...], writer: _Writer) -> None:
    source = environment.environment.connect.connectors.source
    try:
        connect = Connect.of(environment, timeout_s=CONNECT_TIMEOUT_S, total_s=CONNECT_BUDGET_S)
    except Refused as error:
        writer.entries.append(_connect_entry("connectors", error=error))
        return
    workers = connect.workers()
    content = [
        {"url": url, "error": str(answer)} if isinstance(answer, ConnectFailure) else asdict(answer)
        for url, answer in workers.items()
    ]
    writer.entries.append(_connect_entry("workers", file=writer.keep_json("connect-workers.json", content)))
    questions: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("connectors", connect.connectors),
        ("offsets", lambda: connect.offsets(source)),
        ("topics", lambda: connect.topics(source)),
    )
    nobody = next((a for a in workers.values() if isinstance(a, ConnectFailure)), None)
    if any(not isinstance(answer, ConnectFailure) for answer in workers.values()):
        nobody = None
    for name, ask in questions:
        try:
            if nobody is not None:
                raise nobody
            answer = ask()
            if name == "connectors":
                _keep_connectors(answer, environment, topics, writer)
                continue
            entry = _connect_entry(name, file=writer.keep_json(f"connect-{name}.json", answer))
        except ConnectFailure as error:
            entry = _connect_entry(name, error=error)
        writer.entries.append(entry)


def _keep_connectors(
    answer: Any, environment: LoadedEnvironment, topics: tuple[TopicPlayed, ...], writer: _Writer
) -> None:
    """Of MM2's connectors what may be kept; of all others, only whether they touch the run's topics. Raises
    ConnectFailure when it is no answer."""
    ours = environment.environment.connect.connectors
    names = [name for name in (ours.source, ours.checkpoint, ours.heartbeat) if name is not None]
    try:
        contents = {"connectors": kept_connectors(answer, names), "others": neighbours_content(answer, ours, topics)}
    except TypeError as error:
        raise ConnectFailure(f"Connect: answers, but not as Kafka Connect does ({error})") from None
    for name, content in contents.items():
        file = writer.keep_json(f"connect-{name}.json", content)
        writer.entries.append(_connect_entry(name, file=file))


def _take_over_connect(
    earlier: Evidence, environment: LoadedEnvironment, topics: tuple[TopicPlayed, ...], writer: _Writer
) -> None:
    """What Connect said before. An older version may have kept more of it than this one does."""
    entries = [entry for entry in earlier.index["answers"] if entry["kind"] == "connect"]
    whole = all(entry["name"] != "others" for entry in entries)
    for entry in entries:
        text = (earlier.directory / entry["file"]).read_text(encoding="utf-8") if "file" in entry else None
        if entry["name"] == "connectors" and whole and text is not None:
            _keep_connectors(json.loads(text), environment, topics, writer)
            continue
        writer.entries.append(entry)
        if text is not None:
            writer.keep_text(entry["file"], text)


def _connect_entry(name: str, *, file: str | None = None, error: Refused | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": "connect", "name": name, "error": None if error is None else str(error)}
    if file is not None:
        entry["file"] = file
    if isinstance(error, ConnectFailure):
        entry["status"] = error.status
    return entry
