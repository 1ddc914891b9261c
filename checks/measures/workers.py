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
from checks.measures.counters import counted, grown
from checks.measures.registry import Run, measures
from checks.measures.scraped import Scraped, Shares, gauge, impossible_share, scraped, without_partner
from checks.measures.who import host_of, workers_of
from checks.metric_profiles import Role
from checks.reasons import Code, Reason
from checks.series import Floats, Series
from scenarios.measures import MeasureSpec

#: CPU is averaged over this long, and the largest such average counts; a shorter stretch is averaged whole.
CPU_WINDOW_S = 30.0
#: A scrape reads its counters a little later than its stamp says: so far a share of CPU may lie beside 0 and 1.
CPU_SLACK = 0.05


def _on_workers_nodes(
    run: Run, spec: MeasureSpec, role: Role, *, counter: bool = False, window: Window | None = None
) -> Scraped | Measurement:
    """A node_exporter metric on the workers' nodes. Every worker must have one that is scraped all the time, or a full
    node would go unseen."""
    metric, workers = run.evidence.metric(role), workers_of(run)
    window = window or (run.stretch if run.stretch or counter else run.load_window)
    seen = {_host(one) for one in metric.series}
    if workers.objection is None and metric.trouble is None and seen and (unseen := workers.hosts - seen):
        return Measurement(
            value=None,
            unit=spec.unit,
            source=metric.query,
            window=window,
            why_not=Reason.of(Code.UNKNOWN_NODE, host=min(unseen), nodes=", ".join(sorted(seen))),
        )
    return scraped(run, spec, role, counter=counter, window=window)


def _host(series: Series) -> str:
    return host_of(series.label("instance"))


@measures("workers.cpu")
def cpu(run: Run, spec: MeasureSpec) -> Measurement:
    """The largest 30 s average on any node, in % of all its cores."""
    found = cpu_shares(run, spec)
    if isinstance(found, Measurement):
        return found
    source, shares = found
    return gauge(source, spec, _largest_percent(share for _, share in shares))


def cpu_shares(run: Run, spec: MeasureSpec, *, window: Window | None = None) -> tuple[Scraped, Shares] | Measurement:
    """For each node or worker process, (instants, share of all cores over the CPU window that ends there)."""
    idle = _on_workers_nodes(run, spec, Role.NODE_CPU_IDLE, window=window)
    if isinstance(idle, Measurement):
        return idle
    nodes = _by_host(idle.series)
    if run.environment.cpu.workers == "node":
        grew = [(len(cores), average_growth(cores, idle.window)) for cores in nodes.values()]
        shares = [(ends_s, 1.0 - growth / cores) for cores, (ends_s, growth) in grew]
        return impossible_share(spec, idle, shares, slack=CPU_SLACK) or (idle, shares)
    window = window or run.load_window
    processes = scraped(run, spec, Role.PROCESS_CPU, counter=False, window=window)
    if isinstance(processes, Measurement):
        return processes
    own = [
        (len(nodes[host]), average_growth(one, processes.window)) for host, one in _by_host(processes.series).items()
    ]
    shares = [(ends_s, growth / cores) for cores, (ends_s, growth) in own]
    return impossible_share(spec, processes, shares, slack=CPU_SLACK) or (processes, shares)


def _by_host(series: Iterable[Series]) -> Mapping[str, list[Series]]:
    groups: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        groups[_host(one)].append(one)
    return groups


def _largest_percent(shares: Iterable[Floats]) -> float | None:
    """The largest of all, in %; None when one of them says nothing, since that may be the largest."""
    known = [share[~np.isnan(share)] for share in shares]
    return float(100.0 * max(share.max() for share in known)) if known and all(map(len, known)) else None


def average_growth(series: Sequence[Series], window: Window) -> tuple[Floats, Floats]:
    """Growth per second of counters together, averaged over the CPU window that ends at each scrape of the window:
    (instants, averages).

    Between two scrapes a counter is taken to grow evenly. After a restart it shows what it grew. Before the
    first scrape and after the last nothing is known of it, so the window ends there; without any, there is no average.
    """
    known = [one.known() for one in series]
    if not known or not all(len(one.times_s) for one in known):
        return np.array([]), np.array([])
    start_s = max([window.start_s, *(float(one.times_s[0]) for one in known)])
    end_s = min([window.end_s, *(float(one.times_s[-1]) for one in known)])
    width_s = min(CPU_WINDOW_S, end_s - start_s)
    if width_s <= 0:
        return np.array([]), np.array([])
    ends_s = np.unique(np.concatenate([one.times_s for one in known]))
    ends_s = ends_s[(ends_s >= start_s + width_s) & (ends_s <= end_s)]
    if len(ends_s) == 0:
        ends_s = np.array([end_s])
    total = np.zeros(len(ends_s))
    for one in known:
        steps = np.diff(one.values, prepend=one.values[0])
        grown = np.cumsum(np.where(steps < 0, one.values, steps))
        total += np.interp(ends_s, one.times_s, grown) - np.interp(ends_s - width_s, one.times_s, grown)
    return ends_s, np.asarray(total / width_s)


@measures("workers.memory")
def memory(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest share of a node's memory that no process could have any more, in %."""
    return _largest_share(spec, memory_in_use(run, spec))


def memory_in_use(run: Run, spec: MeasureSpec) -> tuple[Scraped, Shares] | Measurement:
    """For each node, (instants, share of its memory that no process could have any more)."""
    available = _on_workers_nodes(run, spec, Role.NODE_MEMORY_AVAILABLE)
    return _shares(spec, available, _on_workers_nodes(run, spec, Role.NODE_MEMORY_TOTAL), rest=True)


@measures("workers.heap")
def heap(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest share of a worker's heap in use, in %: garbage included, so 90 % just before a collection is no harm."""
    return _largest_share(spec, heap_in_use(run, spec))


def heap_in_use(run: Run, spec: MeasureSpec) -> tuple[Scraped, Shares] | Measurement:
    """For each worker, (instants, share of its heap in use)."""
    used = scraped(run, spec, Role.HEAP_USED, counter=False, window=run.load_window)
    allowed = scraped(run, spec, Role.HEAP_MAX, counter=False, window=run.load_window)
    return _shares(spec, used, allowed, rest=False)


def _largest_share(spec: MeasureSpec, found: tuple[Scraped, Shares] | Measurement) -> Measurement:
    if isinstance(found, Measurement):
        return found
    source, shares = found
    return gauge(source, spec, _largest_percent(share for _, share in shares))


def _shares(
    spec: MeasureSpec, part: Scraped | Measurement, whole: Scraped | Measurement, *, rest: bool
) -> tuple[Scraped, Shares] | Measurement:
    if isinstance(part, Measurement):
        return part
    if isinstance(whole, Measurement):
        return whole
    if unpaired := without_partner(spec, part, whole, by=("instance",)):
        return unpaired
    wholes = {one.label("instance"): largest_value([one]) for one in whole.within()}
    shares: Shares = []
    for one in part.within():
        of = wholes[one.label("instance")]
        share = one.values / (of if of is not None and of > 0 else np.nan)
        shares.append((one.times_s, 1.0 - share if rest else share))
    return impossible_share(spec, part, shares) or (part, shares)


@measures("workers.network_drops")
def network_drops(run: Run, spec: MeasureSpec) -> Measurement:
    """Growth over the run, all interfaces but loopback together: what a host says to itself crosses no network."""
    found = _on_workers_nodes(run, spec, Role.NODE_NETWORK_TROUBLE, counter=True)
    counter = found if isinstance(found, Measurement) else counted(run, spec, found)
    return counter if isinstance(counter, Measurement) else grown(counter, spec)
