"""When to look: every window hangs on the phases' actual edges, never on "now − 5 min".

    … canary  silence │ load phases │ drain │ watch │
                      └ start       load_end drained  watched
    fetched:          all of this, canaries included, and a margin on either side
    counters:         from the last scrape before `base` to the first one after `counters_end`
    gauges:           from `start` to `watched`, since those that look back still show the load during the watch

`counters_end` is the drain's end plus Connect's offset flush interval. `base` is a scrape interval before the start, as
far as the silence there allows: a scrape is stamped when it begins, and an exporter that is slow to answer reads its
values later; it must not have seen the first records already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Self

from checks.measurement import Window
from run_record.manifest import PhasePlayed
from run_record.store import RunRecord
from scenarios.environment import Environment

NS_PER_S = 1e9
#: Scrapes before and after a window that are fetched with it: a counter needs one on each side, and one may be missed.
MARGIN_SCRAPES = 4
MARGIN_LEAST_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The run's instants in Unix seconds, and the interval at which Prometheus scrapes."""

    start_s: float
    load_end_s: float
    drained_s: float
    watched_s: float
    counters_end_s: float
    scrape_s: float
    silence_s: float
    """How long nothing was sent before the start."""
    first_sent_s: float
    """When the first record may have gone out: a canary's, where there are canaries."""

    @property
    def base_s(self) -> float:
        """A counter's last scrape at or before this instant saw all that was before the load, and nothing of it."""
        return self.start_s - min(max(self.silence_s - self.scrape_s, 0.0), self.scrape_s)

    @property
    def counters(self) -> Window:
        return Window(start_s=self.start_s, end_s=self.counters_end_s)

    @property
    def gauges(self) -> Window:
        return Window(start_s=self.start_s, end_s=self.watched_s)

    @property
    def needed_until_s(self) -> float:
        """A scrape of this instant or later closes every window."""
        return max(self.watched_s, self.counters_end_s)

    @property
    def fetched(self) -> Window:
        """What is asked of Prometheus: all windows, with a margin, from before the canaries on, since counters count
        them too."""
        margin_s = max(MARGIN_SCRAPES * self.scrape_s, MARGIN_LEAST_S)
        return Window(start_s=min(self.start_s, self.first_sent_s) - margin_s, end_s=self.needed_until_s + margin_s)

    @classmethod
    def of(cls, record: RunRecord, environment: Environment) -> Self | None:
        """The windows of a run; None when its load never started.

        A run that was cut short has the windows of what it got to; of one that was killed, until the last thing known.
        """
        manifest = record.manifest
        loads = manifest.of_kind("load")
        if not loads:
            return None
        last_ns = last_known_ns(record)
        load_end_ns = _end(loads[-1], last_ns)
        after = [phase for phase in manifest.phases if phase.kind in ("rest", "drain")]
        first = next(iter(manifest.of_kind("canary")), loads[0])
        drained_ns = max((_end(phase, last_ns) for phase in after), default=load_end_ns)
        watched_ns = max((_end(phase, last_ns) for phase in manifest.of_kind("watch")), default=drained_ns)
        return cls(
            start_s=loads[0].start_ns / NS_PER_S,
            load_end_s=load_end_ns / NS_PER_S,
            drained_s=drained_ns / NS_PER_S,
            watched_s=watched_ns / NS_PER_S,
            counters_end_s=drained_ns / NS_PER_S + environment.connect.offset_flush_interval,
            scrape_s=environment.prometheus.scrape_interval,
            silence_s=_silence_before(loads[0], manifest.phases),
            first_sent_s=first.start_ns / NS_PER_S,
        )

    @classmethod
    def of_phase(cls, record: RunRecord, environment: Environment, name: str) -> Self | None:
        """The windows of one load phase, as if it were a run: what follows it until the next load is its drain and its
        watch. None when the run did not get to it."""
        phases = record.manifest.phases
        place = next((k for k, phase in enumerate(phases) if phase.name == name and phase.kind == "load"), None)
        if place is None:
            return None
        last_ns = last_known_ns(record)
        after = list(takewhile(lambda phase: phase.kind != "load", phases[place + 1 :]))
        load_end_s = _end(phases[place], last_ns) / NS_PER_S
        drained_s = max((_end(p, last_ns) / NS_PER_S for p in after if p.kind in ("rest", "drain")), default=load_end_s)
        watched_s = max((_end(phase, last_ns) / NS_PER_S for phase in after), default=load_end_s)
        is_last = place + 1 + len(after) == len(phases)
        flush_s = environment.connect.offset_flush_interval if is_last else 0.0
        return cls(
            start_s=phases[place].start_ns / NS_PER_S,
            load_end_s=load_end_s,
            drained_s=drained_s,
            watched_s=watched_s,
            counters_end_s=drained_s + flush_s,
            scrape_s=environment.prometheus.scrape_interval,
            silence_s=_silence_before(phases[place], phases),
            first_sent_s=phases[place].start_ns / NS_PER_S,
        )


def _silence_before(load: PhasePlayed, phases: Sequence[PhasePlayed]) -> float:
    """Seconds of silence that end where the load begins; 0 when something else does."""
    place = phases.index(load)
    before = phases[place - 1] if place else None
    if before is None or before.kind != "silence":
        return 0.0
    return (load.start_ns - before.start_ns) / NS_PER_S


def last_known_ns(record: RunRecord) -> int:
    """The last instant of which the record tells anything."""
    manifest = record.manifest
    instants = [manifest.started_at_ns, *(int(event["at_ns"]) for event in record.events)]
    instants += [phase.end_ns for phase in manifest.phases if phase.end_ns is not None]
    if manifest.ending is not None:
        instants.append(manifest.ending.at_ns)
    if record.timeline:
        instants.append(record.timeline[-1].at_ns)
    return max(instants)


def _end(phase: PhasePlayed, last_ns: int) -> int:
    return max(last_ns, phase.start_ns) if phase.end_ns is None else phase.end_ns
