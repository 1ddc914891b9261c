"""The evidence is that of this run, was collected after it, and says what its index says that it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

import numpy as np

from checks.consistency.equations import MANIFEST, NS_PER_S, Contradiction, Equation, Facts
from checks.metric_profiles import Filter, Role, job_matcher
from checks.windows import last_known_ns

#: Prometheus's clock, the judge's and the run's may be so far from each other.
CLOCKS_APART_S = 30.0
#: Instants of the index are rounded to a millisecond.
INSTANT_SLACK_S = 0.002
#: Scrapes that come this much oftener, or seldomer, than the environment says deny it.
OFTENER, SELDOMER = 0.45, 2.0
LEAST_POINTS = 5


def of_evidence(facts: Facts) -> Iterator[Contradiction]:
    """All equations of the evidence that is judged. What was not told is none: it is missing where it is needed."""
    index = facts.evidence.index
    yield from _windows(facts, index)
    yield from _time(facts, index)
    yield from _this_run(facts, index)
    yield from _scrape_interval(facts)


def _where(facts: Facts, key: str) -> str:
    return f"evidence/{facts.evidence.directory.name}/index.json: {key}"


def _windows(facts: Facts, index: Mapping[str, object]) -> Iterator[Contradiction]:
    """It was collected for the windows that this record has."""
    if "windows" not in index:
        return
    found, wanted = index["windows"], None if facts.windows is None else asdict(facts.windows)
    if not isinstance(found, dict) or wanted is None:
        if found is not None or wanted is not None:
            yield Contradiction(
                equation=Equation.EVIDENCE_WINDOWS,
                where=_where(facts, "windows"),
                found="null" if found is None else "…",
                other=f"{MANIFEST}: phases",
                wanted="null" if wanted is None else "…",
            )
        return
    for key, value in wanted.items():
        if key in found and not _near(found[key], value):
            yield Contradiction(
                equation=Equation.EVIDENCE_WINDOWS,
                where=_where(facts, f"windows.{key}"),
                found=_figure(found[key]),
                other=f"{MANIFEST}: phases",
                wanted=value,
            )


def _near(found: object, wanted: object) -> bool:
    numbers = isinstance(found, int | float) and isinstance(wanted, int | float)
    return abs(float(found) - float(wanted)) <= INSTANT_SLACK_S if numbers else found == wanted  # type: ignore[arg-type]


def _figure(value: object) -> float | str:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _time(facts: Facts, index: Mapping[str, object]) -> Iterator[Contradiction]:
    """It was asked for when the run was over, by the wall clock as it stood then; Connect tells of no other time."""
    clock = facts.manifest.clock
    moved_ns = 0 if clock is None else clock.wall_minus_monotonic_end_ns - clock.wall_minus_monotonic_start_ns
    over_ns = last_known_ns(facts.record) + moved_ns
    for key in ("connect_asked_at_ns", "collected_at_ns"):
        asked_ns = index.get(key)
        if isinstance(asked_ns, int) and asked_ns < over_ns - CLOCKS_APART_S * NS_PER_S:
            yield Contradiction(
                equation=Equation.EVIDENCE_TIME,
                where=_where(facts, key),
                found=round((asked_ns - over_ns) / NS_PER_S, 3),
                other=f"{MANIFEST}: ending.at_ns",
                wanted=0,
            )
    asked_ns, collected_ns = index.get("connect_asked_at_ns"), index.get("collected_at_ns")
    if isinstance(asked_ns, int) and isinstance(collected_ns, int) and asked_ns > collected_ns:
        yield Contradiction(
            equation=Equation.EVIDENCE_TIME,
            where=_where(facts, "connect_asked_at_ns"),
            found=round((asked_ns - collected_ns) / NS_PER_S, 3),
            other="collected_at_ns",
            wanted=0,
        )


def _this_run(facts: Facts, index: Mapping[str, object]) -> Iterator[Contradiction]:
    """What was asked is about this environment's metrics, and about this run's time."""
    named = facts.environment.prometheus.metric_profile
    if named is not None and index.get("profile") != named:
        yield Contradiction(
            equation=Equation.EVIDENCE_OF_ANOTHER,
            where=_where(facts, "profile"),
            found=str(index.get("profile")),
            other=f"{MANIFEST}: environment.text",
            wanted=named,
        )
    spans: dict[str, list[tuple[float, float]]] = {}
    for entry in facts.evidence.index["answers"]:
        if entry["kind"] != "metric" or entry["error"] is not None:
            continue
        spans.setdefault(entry["role"], []).append((entry["at_s"] - entry["span_s"], entry["at_s"]))
        asked = str(entry["query"]).replace("\\", "")
        for word in _named_by(facts, entry["role"]):
            if word not in asked:
                yield Contradiction(
                    equation=Equation.EVIDENCE_OF_ANOTHER,
                    where=_where(facts, f"answers ({entry['role']}), query"),
                    found=str(entry["query"]),
                    other=f"{MANIFEST}: environment.text",
                    wanted=word,
                )
    yield from _cut(facts, spans)


def _named_by(facts: Facts, role: str) -> tuple[str, ...]:
    """What of the environment a question about a role must name: job, connector, prefix."""
    environment = facts.environment
    metric = facts.evidence.profile.metrics.get(Role(role)) if role in set(Role) else None
    if metric is None:
        return (job_matcher(environment),) if role == Role.UP.value else ()
    named = {
        Filter.CONNECTOR: environment.connect.connectors.source,
        Filter.PRODUCER: environment.connect.connectors.source,
        Filter.PREFIX: environment.topics.prefix,
    }
    return tuple(word for word in (job_matcher(environment, metric.job), named.get(metric.filter)) if word)


def _cut(facts: Facts, spans: Mapping[str, list[tuple[float, float]]]) -> Iterator[Contradiction]:
    """Each metric was asked for from the load's start to the end of its windows, piece by piece without a hole."""
    windows, clock = facts.windows, facts.manifest.clock
    if windows is None or (clock is not None and abs(clock.largest_step_ns) / NS_PER_S > windows.scrape_s):
        return  # when the clock that chose the span was set, its span lies elsewhere
    for role, pieces in spans.items():
        reached_s = windows.base_s
        for start_s, end_s in sorted(pieces):
            if start_s > reached_s + windows.scrape_s:
                break
            reached_s = max(reached_s, end_s)
        if reached_s < windows.watched_s - windows.scrape_s:
            yield Contradiction(
                equation=Equation.EVIDENCE_CUT,
                where=_where(facts, f"answers ({role}), at_s"),
                found=round(reached_s - windows.start_s, 3),
                other=_where(facts, "windows"),
                wanted=round(windows.watched_s - windows.start_s, 3),
            )


def _scrape_interval(facts: Facts) -> Iterator[Contradiction]:
    """The workers' exporters were scraped as often as the environment says."""
    wanted_s = facts.environment.prometheus.scrape_interval
    series = [one.times_s for one in facts.evidence.metric(Role.UP).series if len(one.times_s) > LEAST_POINTS]
    if not series:
        return
    # Two that scrape the same give twice the points, at any distance; and a hole is no interval.
    oftener_s = min(float(np.mean(np.diff(times_s))) for times_s in series)
    seldomer_s = max(float(np.median(np.diff(times_s))) for times_s in series)
    if oftener_s < OFTENER * wanted_s or seldomer_s > SELDOMER * wanted_s:
        found_s = oftener_s if oftener_s < OFTENER * wanted_s else seldomer_s
        yield Contradiction(
            equation=Equation.SCRAPE_INTERVAL,
            where=f"evidence/{facts.evidence.directory.name} ({Role.UP.value})",
            found=round(found_s, 3),
            other=f"{MANIFEST}: environment.text, prometheus.scrape_interval",
            wanted=wanted_s,
        )
