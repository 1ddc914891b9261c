"""How much a counter grew over its window, series by series, and whether all of that is known."""

from __future__ import annotations

from dataclasses import dataclass

from checks.measurement import Measurement
from checks.measures.parts import shows_before
from checks.measures.registry import Run
from checks.measures.scraped import Scraped
from checks.measures.tolerances import PATIENCE_SCRAPES
from checks.metric_profiles import Role
from checks.reasons import Code, Reason
from checks.series import Growth, Series, growth_of
from scenarios.measures import MeasureSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The growth of a counter over all its series."""

    found: Scraped
    growths: tuple[tuple[Series, Growth], ...]

    @property
    def growth(self) -> float:
        return sum(growth.growth for _, growth in self.growths)

    @property
    def points(self) -> int:
        return sum(growth.points for _, growth in self.growths)

    @property
    def reset(self) -> Reason | None:
        """Why the growth is a lower bound, if it is."""
        resets = sum(growth.resets for _, growth in self.growths)
        ended = sum(growth.ended for _, growth in self.growths)
        return Reason.of(Code.COUNTER_RESET, resets=resets, ended=ended) if resets or ended else None

    @property
    def details(self) -> tuple[tuple[str, float], ...]:
        return (
            ("base", sum(growth.base for _, growth in self.growths)),
            ("end", sum(growth.end for _, growth in self.growths)),
        )


def counted(run: Run, spec: MeasureSpec, found: Scraped) -> Counted | Measurement:
    """Growth of each series over the counters' window."""
    windows = found.windows
    patience_s = PATIENCE_SCRAPES * windows.scrape_s
    base_s = windows.base_s if found.window.start_s == windows.start_s else found.window.start_s
    growths = []
    for one in found.series:
        growth = growth_of(one, base_s, found.window.end_s, patience_s=patience_s)
        if growth is None:
            continue
        if growth.born and not known_absent(run, found.role, one, base_s):
            return Measurement.missing(
                Code.NO_BASE, unit=spec.unit, source=found.metric.query, window=found.window, series=name_of(one)
            )
        growths.append((one, growth))
    if not growths:
        return Measurement.missing(
            Code.ONLY_NAN, unit=spec.unit, source=found.metric.query, window=found.window, series=len(found.series)
        )
    return Counted(found=found, growths=tuple(growths))


def grown(counter: Counted, spec: MeasureSpec) -> Measurement:
    """A counter's growth as a measurement; a lower bound if it was reset, or ended."""
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


def known_absent(run: Run, role: Role, series: Series, at_s: float) -> bool:
    """Whether it is known that a series was not there at an instant, so that it began at 0 later: its exporter was
    scraped, and showed nothing else of its owner either."""
    answered = any(
        one.label("instance") == series.label("instance") and bool(((one.times_s <= at_s) & (one.values == 1.0)).any())
        for one in run.evidence.metric(Role.UP).series
    )
    return answered and not shows_before(run, role, series, at_s)


def name_of(series: Series) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(series.labels.items()) if key not in ("job", "__name__"))
