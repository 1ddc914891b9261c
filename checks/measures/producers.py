"""The producers with which Connect writes to the target: their buffers, and whether the target throttles them.

Under Connect's own client ids (`connector-producer-<connector>-<task>`) they are told apart from the worker's other
producers (configs, offsets, status) and the other connectors'. A `client.id` set in the connector's configuration
hides them: then there are no series, and no verdict.
"""

from __future__ import annotations

import numpy as np

from checks.measurement import Measurement
from checks.measures.connect import largest_value
from checks.measures.counters import counted, grown
from checks.measures.registry import Run, measures
from checks.measures.scraped import gauge, impossible_share, scraped, without_partner
from checks.metric_profiles import Role
from checks.series import Series
from scenarios.measures import MeasureSpec


@measures("connect.buffer_utilization")
def buffer_utilization(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest share of a producer's buffer in use at any scrape, in %. Connect's producers wait for room rather than
    drop records (max.block.ms is unlimited), so a full buffer stops the poll."""
    client = run.evidence.profile.client_label
    identity = (client, "instance")
    available = scraped(run, spec, Role.BUFFER_AVAILABLE, counter=False)
    total = scraped(run, spec, Role.BUFFER_TOTAL, counter=False)
    if isinstance(available, Measurement):
        return available
    if isinstance(total, Measurement):
        return total
    if unpaired := without_partner(spec, available, total, by=identity):
        return unpaired
    totals = {(one.label(client), one.label("instance")): one for one in total.within()}
    shares = [
        _in_use(one, totals[one.label(client), one.label("instance")]) for one in available.within() if len(one.times_s)
    ]
    if impossible := impossible_share(spec, available, [(share.times_s, share.values) for share in shares]):
        return impossible
    largest = [largest_value([share]) for share in shares]
    known = [value for value in largest if value is not None]
    # One that says nothing may be the fullest.
    return gauge(available, spec, 100.0 * max(known) if known and len(known) == len(largest) else None)


def _in_use(available: Series, total: Series) -> Series:
    times_s, here, there = np.intersect1d(available.times_s, total.times_s, return_indices=True)
    totals = total.values[there]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(totals > 0, 1.0 - available.values[here] / totals, np.nan)
    return Series(labels=available.labels, times_s=times_s, values=shares)


@measures("connect.buffer_exhausted")
def buffer_exhausted(run: Run, spec: MeasureSpec) -> Measurement:
    """Growth over all of them. Connect's producers wait for room for ever, so anything but 0 is a changed setting."""
    found = scraped(run, spec, Role.BUFFER_EXHAUSTED, counter=True)
    counter = found if isinstance(found, Measurement) else counted(run, spec, found)
    return counter if isinstance(counter, Measurement) else grown(counter, spec)


@measures("connect.throttle_max")
def throttle_max(run: Run, spec: MeasureSpec) -> Measurement:
    """Largest produce-throttle-time-max of any of them. An idle producer's is NaN; after a quota is lifted it still
    shows it for up to 60 s."""
    found = scraped(run, spec, Role.THROTTLE_MAX, counter=False)
    if isinstance(found, Measurement):
        return found
    return gauge(found, spec, largest_value(found.within()))
