"""CPU, memory and network of the machines that run the Connect workers.

`environment.cpu.workers` says whose CPU is meant. `node`: that of their nodes (node_exporter), right where workers run
alone. `process`: that of their own processes, over the cores of the node, right where other things share the node.
A worker's node is the one whose exporter has the same host in its `instance` label, the port left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from checks.measurement import Measurement, Window
from checks.measures.connect import largest_value
from checks.measures.registry import Run, measures
from checks.measures.scraped import Scraped, counted, gauge, scraped
from checks.metric_profiles import Role
from checks.reasons import Code, Reason
from checks.series import Floats, Series
from scenarios.measures import MeasureSpec

#: CPU is averaged over this long, and the largest such average counts; a shorter stretch is averaged whole.
CPU_WINDOW_S = 30.0


def _host(series: Series) -> str:
    """The host of a scraped instance: "kafka1:9404" and "kafka1" are one, "[::1]:9404" is "[::1]"."""
    instance = series.label("instance")
    host, colon, port = instance.rpartition(":")
    return host if colon and port.isdigit() else instance


def _on_workers_nodes(
    run: Run, spec: MeasureSpec, role: Role, *, counter: bool = False, window: Window | None = None
) -> Scraped | Measurement:
    """A node_exporter metric on the workers' nodes. Every worker must have one, or a full node would go unseen."""
    up, metric = run.evidence.metric(Role.UP), run.evidence.metric(role)
    if up.trouble is None and not up.series:
        return Measurement.missing(Code.NO_SCRAPES, unit=spec.unit, source=metric.query, query=up.query)
    hosts = {_host(one) for one in up.series}
    window = window or (run.stretch if run.stretch or counter else run.load_window)
    found = scraped(run, spec, role, counter=counter, only=lambda one: _host(one) in hosts, window=window)
    seen = {_host(one) for one in metric.series}
    if metric.trouble is None and seen and (unseen := hosts - seen):
        return Measurement(
            value=None,
            unit=spec.unit,
            source=metric.query,
            window=window,
            why_not=Reason.of(Code.UNKNOWN_NODE, host=min(unseen), nodes=", ".join(sorted(seen))),
        )
    return found


@measures("workers.cpu")
def cpu(run: Run, spec: MeasureSpec) -> Measurement:
    """The largest 30 s average on any node, in % of all its cores."""
    found = cpu_shares(run, spec)
    if isinstance(found, Measurement):
        return found
    source, shares = found
    return gauge(source, spec, _largest_percent(share for _, share in shares))


Shares = list[tuple[Floats, Floats]]


def cpu_shares(run: Run, spec: MeasureSpec, *, window: Window | None = None) -> tuple[Scraped, Shares] | Measurement:
    """For each node or worker process, (instants, share of all cores over the CPU window that ends there)."""
    idle = _on_workers_nodes(run, spec, Role.NODE_CPU_IDLE, window=window)
    if isinstance(idle, Measurement):
        return idle
    nodes = _by_host(idle.series)
    if run.environment.cpu.workers == "node":
        grown = [(len(cores), average_growth(cores, idle.window)) for cores in nodes.values()]
        return idle, [(ends_s, 1.0 - growth / cores) for cores, (ends_s, growth) in grown]
    window = window or run.load_window
    processes = scraped(run, spec, Role.PROCESS_CPU, counter=False, identity=("instance",), window=window)
    if isinstance(processes, Measurement):
        return processes
    own = [
        (len(nodes[host]), average_growth(one, processes.window)) for host, one in _by_host(processes.series).items()
    ]
    return processes, [(ends_s, growth / cores) for cores, (ends_s, growth) in own]


def _by_host(series: Iterable[Series]) -> Mapping[str, list[Series]]:
    groups: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        groups[_host(one)].append(one)
    return groups


def _largest_percent(shares: Iterable[Floats]) -> float | None:
    values = np.concatenate([*shares, np.array([])])
    known = values[~np.isnan(values)]
    return float(100.0 * known.max()) if len(known) else None


def average_growth(series: Sequence[Series], window: Window) -> tuple[Floats, Floats]:
    """Growth per second of counters together, averaged over the CPU window that ends at each scrape of the window:
    (instants, averages).

    Between two scrapes a counter is taken to grow evenly. After a restart it shows what it grew.
    """
    width_s = min(CPU_WINDOW_S, window.duration_s)
    ends_s = np.unique(np.concatenate([one.times_s for one in series]))
    ends_s = ends_s[(ends_s >= window.start_s + width_s) & (ends_s <= window.end_s)]
    if len(ends_s) == 0:
        ends_s = np.array([window.end_s])
    total = np.zeros(len(ends_s))
    for one in series:
        known = ~np.isnan(one.values)
        times_s, values = one.times_s[known], one.values[known]
        if len(times_s) == 0:
            continue
        steps = np.diff(values, prepend=values[0])
        grown = np.cumsum(np.where(steps < 0, values, steps))
        total += np.interp(ends_s, times_s, grown) - np.interp(ends_s - width_s, times_s, grown)
    return ends_s, np.asarray(total / width_s)


@measures("workers.memory")
def memory(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest share of a node's memory that no process could have any more, in %."""
    return _largest_share(spec, memory_in_use(run, spec))


def memory_in_use(run: Run, spec: MeasureSpec) -> tuple[Scraped, Shares] | Measurement:
    """For each node, (instants, share of its memory that no process could have any more)."""
    available = _on_workers_nodes(run, spec, Role.NODE_MEMORY_AVAILABLE)
    return _shares(available, _on_workers_nodes(run, spec, Role.NODE_MEMORY_TOTAL), rest=True)


@measures("workers.heap")
def heap(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest share of a worker's heap in use, in %: garbage included, so 90 % just before a collection is no harm."""
    return _largest_share(spec, heap_in_use(run, spec))


def heap_in_use(run: Run, spec: MeasureSpec) -> tuple[Scraped, Shares] | Measurement:
    """For each worker, (instants, share of its heap in use)."""
    used = scraped(run, spec, Role.HEAP_USED, counter=False, identity=("instance",), window=run.load_window)
    allowed = scraped(run, spec, Role.HEAP_MAX, counter=False, identity=("instance",), window=run.load_window)
    return _shares(used, allowed, rest=False)


def _largest_share(spec: MeasureSpec, found: tuple[Scraped, Shares] | Measurement) -> Measurement:
    if isinstance(found, Measurement):
        return found
    source, shares = found
    return gauge(source, spec, _largest_percent(share for _, share in shares))


def _shares(
    part: Scraped | Measurement, whole: Scraped | Measurement, *, rest: bool
) -> tuple[Scraped, Shares] | Measurement:
    if isinstance(part, Measurement):
        return part
    if isinstance(whole, Measurement):
        return whole
    wholes = {one.label("instance"): largest_value([one]) for one in whole.within()}
    shares: Shares = []
    for one in part.within():
        of = wholes.get(one.label("instance"))
        if of is not None and of > 0:
            share = one.values / of
            shares.append((one.times_s, 1.0 - share if rest else share))
    return part, shares


@measures("workers.network_drops")
def network_drops(run: Run, spec: MeasureSpec) -> Measurement:
    """Growth over the run, all interfaces but loopback together: what a host says to itself crosses no network."""
    found = _on_workers_nodes(run, spec, Role.NODE_NETWORK_TROUBLE, counter=True)
    counter = found if isinstance(found, Measurement) else counted(run, spec, found)
    if isinstance(counter, Measurement):
        return counter
    return Measurement(
        value=counter.growth,
        unit=spec.unit,
        source=counter.found.metric.query,
        samples=counter.points,
        window=counter.found.window,
        series=len(counter.growths),
        coverage=counter.found.coverage,
        at_least=counter.reset is not None,
        note=counter.reset,
    )
