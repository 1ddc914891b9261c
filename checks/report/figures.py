"""Which figures a report has: what is drawn on each, and which criteria's limits. Drawn by `plot`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from checks.evaluate import Evaluation, Result
from checks.markdown import Md, code, escape
from checks.measures import Run
from checks.report.html import html_of
from checks.report.plot import Band, Curve, Drawn, Limit, Mark, draw
from checks.report.texts import Texts, sayer
from checks.since_text import elapsed
from checks.tracks import track
from checks.windows import last_known_ns
from checks.words import NS_PER_S, Words
from scenarios.conditions import Interval

#: Rows of the table behind a figure.
TABLE_ROWS = 20
#: Events that are no news: phases are drawn as such.
ROUTINE = frozenset({"run_started", "phase_started", "canary", "topics_created", "names_asked"})
MARKS_MOST = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureSpec:
    """`tracks`: what is drawn, in the order of their styles. `measures`: whose criteria's limits are drawn, those of
    the figure's unit. `compared`: the tracks that two runs are compared on."""

    name: str
    unit: str
    tracks: tuple[str, ...]
    measures: tuple[str, ...]
    compared: tuple[str, ...]
    least_top: float
    may_be_logarithmic: bool = False


FIGURES = (
    FigureSpec(
        name="rate",
        unit="records/s",
        tracks=("wanted", "sent", "arrived"),
        measures=("arrivals.rate", "mm2.record_rate", "connect.poll_rate", "connect.write_rate"),
        compared=("sent", "arrived"),
        least_top=10.0,
    ),
    FigureSpec(
        name="e2e",
        unit="ms",
        tracks=("e2e_p50", "e2e_p99", "e2e_max"),
        measures=("e2e.mean", "e2e.p50", "e2e.p99", "e2e.max"),
        compared=("e2e_p50", "e2e_p99"),
        least_top=100.0,
        may_be_logarithmic=True,
    ),
    FigureSpec(
        name="backlog",
        unit="records",
        tracks=("backlog", "in_flight"),
        measures=("ledger.backlog_max", "backlog.last"),
        compared=("backlog",),
        least_top=500.0,
    ),
    FigureSpec(
        name="mm2_latency",
        unit="ms",
        tracks=("mm2_latency_avg", "mm2_latency_max"),
        measures=("mm2.latency_avg", "mm2.latency_max"),
        compared=("mm2_latency_avg", "mm2_latency_max"),
        least_top=100.0,
        may_be_logarithmic=True,
    ),
    FigureSpec(
        name="workers",
        unit="%",
        tracks=("cpu", "heap"),
        measures=("workers.cpu",),
        compared=("cpu", "heap"),
        least_top=100.0,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One run of a figure: its judgement, and when its load began (Unix seconds), which is its instant 0."""

    run: Run
    evaluation: Evaluation
    zero_s: float
    start_s: float
    end_s: float

    @classmethod
    def of(cls, run: Run, evaluation: Evaluation) -> Side:
        started_s = run.record.manifest.started_at_ns / NS_PER_S
        ended_s = max(last_known_ns(run.record) / NS_PER_S, started_s + 1.0)
        zero_s = started_s if run.windows is None else run.windows.start_s
        return cls(run=run, evaluation=evaluation, zero_s=zero_s, start_s=started_s, end_s=ended_s)

    def bands(self) -> tuple[Band, ...]:
        """The phases, numbered as the list of phases numbers them, from 0 at the load's start."""
        return tuple(
            Band(
                number=number,
                start_s=phase.start_ns / NS_PER_S - self.zero_s,
                end_s=(self.end_s if phase.end_ns is None else phase.end_ns / NS_PER_S) - self.zero_s,
                load=phase.kind == "load",
            )
            for number, phase in enumerate(self.run.record.manifest.phases, start=1)
        )

    def curve(self, name: str, style: int) -> Curve:
        """A track of the run, from 0 at the load's start."""
        found = track(self.run, name).between(self.start_s, self.end_s)
        return Curve(name=name, style=style, times_s=found.times_s - self.zero_s, values=found.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendView:
    """A curve's name, how it is drawn, and what it comes to."""

    style: int
    name: Md
    summary: Md


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """An event of the run that is news: its letter on the figures, when, and what."""

    letter: str
    at: str
    instant: str
    text: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureView:
    """A figure as a template places it. `drawn` is None when there is nothing to draw."""

    name: str
    title: str
    about: str
    unit: str
    legend: tuple[LegendView, ...]
    limits: tuple[Md, ...]
    description: str
    drawn: Drawn | None
    missing: tuple[Md, ...]
    columns: tuple[Md, ...]
    rows: tuple[tuple[str, ...], ...]


def figures_of(side: Side, texts: Texts, words: Words) -> list[FigureView]:
    """The figures of one run."""
    marks = [Mark(letter=event.letter, at_s=event.at_s - side.zero_s) for event in events_of(side, texts, words)]
    frame = (side.start_s - side.zero_s, side.end_s - side.zero_s)
    views = []
    for spec in FIGURES:
        curves = [(side.curve(name, style), Md(texts.tracks[name])) for style, name in enumerate(spec.tracks, start=1)]
        views.append(
            _figure(
                spec,
                curves,
                texts,
                words,
                frame=frame,
                bands=side.bands(),
                marks=marks,
                limits=_limits(side, spec, words),
            )
        )
    return views


def compared_figures(first: Side, second: Side, texts: Texts, words: Words) -> list[FigureView]:
    """The figures of two runs, laid over each other at the start of their loads; phases are the first run's."""
    say = sayer(texts, words)
    frame = (
        min(first.start_s - first.zero_s, second.start_s - second.zero_s),
        max(first.end_s - first.zero_s, second.end_s - second.zero_s),
    )
    views = []
    for spec in FIGURES:
        curves = []
        for number, name in enumerate(spec.compared):
            for letter, side in (("A", first), ("B", second)):
                label = say("of_run", name=texts.tracks[name], run=letter)
                style = 2 * number + (1 if letter == "A" else 2)
                curves.append((side.curve(name, style), label))
        views.append(
            _figure(
                spec,
                curves,
                texts,
                words,
                frame=frame,
                bands=first.bands(),
                marks=[],
                limits=_limits(first, spec, words),
            )
        )
    return views


def events_of(side: Side, texts: Texts, words: Words) -> list[EventView]:
    """The run's events that are news, lettered in order of time; at most as many as there are letters."""
    events = [event for event in side.run.record.events if event["event"] not in ROUTINE]
    events = [event for event in events if event["event"] != "run_ended" or event.get("how") != "completed"]
    views = []
    for number, event in enumerate(events[:MARKS_MOST]):
        at_s = event["at_ns"] / NS_PER_S
        details = ", ".join(
            f"{key} {_short(value)}" for key, value in event.items() if key not in ("at_ns", "event") and value != ""
        )
        name = texts.events.get(event["event"], event["event"].replace("_", " "))
        views.append(
            EventView(
                letter=chr(ord("a") + number),
                at=elapsed(words, at_s - side.zero_s),
                instant=words.instant(at_s),
                text=f"{name} ({details})" if details else name,
                at_s=at_s,
            )
        )
    return views


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 200 else f"{text[:199]}…"


def _figure(
    spec: FigureSpec,
    curves: Sequence[tuple[Curve, Md]],
    texts: Texts,
    words: Words,
    *,
    frame: tuple[float, float],
    bands: Sequence[Band],
    marks: Sequence[Mark],
    limits: Sequence[tuple[Limit, Result]],
) -> FigureView:
    known = [(curve, label) for curve, label in curves if bool((~np.isnan(curve.values)).any())]
    values = [limit.value for limit, _ in limits]
    drawn = None
    if known:
        drawn = draw(
            [curve for curve, _ in known],
            frame=frame,
            bands=bands,
            limits=[limit for limit, _ in limits],
            marks=marks,
            may_be_logarithmic=spec.may_be_logarithmic,
            least_top=spec.least_top,
            number=words.number,
            elapsed=lambda seconds: elapsed(words, seconds),
        )
    legend = tuple(
        LegendView(style=curve.style, name=label, summary=_summary(curve, spec.unit, texts, words, limits=values))
        for curve, label in known
    )
    titles = texts.figures[spec.name]
    said = words.several(html_of(Md(words.named(one.name, one.summary))).striptags() for one in legend)
    return FigureView(
        name=spec.name,
        title=titles.title,
        about=titles.about,
        unit=words.catalogue.units[spec.unit][1],
        legend=legend,
        limits=tuple(_limit_lines(limits)),
        description=said,
        drawn=drawn,
        missing=tuple(label for curve, label in curves if (curve, label) not in known),
        columns=tuple(label for _, label in known),
        rows=tuple(_rows([curve for curve, _ in known], frame, words, limits=values)),
    )


def _limit_lines(limits: Sequence[tuple[Limit, Result]]) -> Iterator[Md]:
    """The limits of a figure, and of which criteria they are."""
    labels: dict[str, list[str]] = {}
    for limit, result in limits:
        known = labels.setdefault(result.criterion.id, [])
        if limit.label not in known:
            known.append(limit.label)
    by_label: dict[str, list[str]] = {}
    for criterion_id, known in labels.items():
        by_label.setdefault(", ".join(known), []).append(criterion_id)
    for label, ids in by_label.items():
        yield Md(f"{escape(label)} ({', '.join(code(one) for one in ids)})")


def _summary(curve: Curve, unit: str, texts: Texts, words: Words, *, limits: Sequence[float]) -> Md:
    """The largest value and when, and the last; each on its own side of the figure's limits."""
    known = np.flatnonzero(~np.isnan(curve.values))
    largest = known[curve.values[known].argmax()]
    return sayer(texts, words)(
        "summary",
        largest=words.measured(float(curve.values[largest]), unit, limits=limits),
        at=elapsed(words, float(curve.times_s[largest])),
        last=words.measured(float(curve.values[known[-1]]), unit, limits=limits),
    )


def _rows(
    curves: Sequence[Curve], frame: tuple[float, float], words: Words, *, limits: Sequence[float]
) -> Iterator[tuple[str, ...]]:
    """The same in figures: what each curve ranged over in equal stretches of time."""
    edges = np.linspace(frame[0], frame[1], TABLE_ROWS + 1)
    for start_s, end_s in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        cells = []
        for curve in curves:
            inside = curve.values[(curve.times_s >= start_s) & (curve.times_s < end_s)]
            inside = inside[~np.isnan(inside)]
            cells.append(_range(inside.tolist(), words, limits=limits))
        if any(cell != "–" for cell in cells):
            yield (f"{elapsed(words, start_s)} → {elapsed(words, end_s)}", *cells)


def _range(values: Sequence[float], words: Words, *, limits: Sequence[float]) -> str:
    if not values:
        return "–"
    low, high = (words.number(edge, limits=limits) for edge in (min(values), max(values)))
    return low if low == high else f"{low} … {high}"


# Limits.


def _limits(side: Side, spec: FigureSpec, words: Words) -> list[tuple[Limit, Result]]:
    """The limits of every criterion on a figure's measures, and whose they are."""
    limits = []
    for result in side.evaluation.results:
        criterion = result.criterion
        never = criterion.phase is not None and side.run.record.manifest.phase(criterion.phase) is None
        if criterion.measure in spec.measures and criterion.spec.unit == spec.unit and not never:
            limits += [(limit, result) for limit in _limits_of(side, result, words)]
    return limits


def _limits_of(side: Side, result: Result, words: Words) -> Iterator[Limit]:
    criterion = result.criterion
    run = side.run if criterion.phase is None else side.run.of_phase(criterion.phase)
    start_s, end_s = _stretch(side, result)
    conditions = [("go", criterion.go)] + ([("nogo", criterion.nogo)] if criterion.nogo is not None else [])
    for kind, condition in conditions:
        text = words.condition(condition, planned=run.planned_records)
        verdict = words.catalogue.verdicts[kind.upper()]
        for value in _edges(run.wanted(condition, criterion.measure)):
            yield Limit(kind=kind, label=f"{verdict} {text}", value=value, start_s=start_s, end_s=end_s)


def _edges(interval: Interval) -> list[float]:
    return [value for value in dict.fromkeys((interval.low, interval.high)) if np.isfinite(value)]


def _stretch(side: Side, result: Result) -> tuple[float, float]:
    """The stretch of time that a criterion looks at, from 0 at the load's start."""
    window = result.measurement.window
    phase = result.criterion.phase
    played = None if phase is None else side.run.record.manifest.phase(phase)
    if played is not None:
        end_s = side.end_s if played.end_ns is None else played.end_ns / NS_PER_S
        return played.start_ns / NS_PER_S - side.zero_s, end_s - side.zero_s
    if result.criterion.between is None or window is None:
        return side.start_s - side.zero_s, side.end_s - side.zero_s
    return window.start_s - side.zero_s, window.end_s - side.zero_s
