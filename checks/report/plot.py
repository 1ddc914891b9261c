"""The geometry of a figure: scales, ticks, curves as SVG paths, and where each label stands. Pure.

Horizontally everything is in per cent of the width, so that one drawing fits any screen without its text shrinking;
vertically in pixels. Templates place what is worked out here, and work out nothing themselves. The same points give
the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from checks.chart import round_above
from checks.series import Floats

#: Pixels: the curves' height, and the room above them for the phases' numbers and below for the time.
HEIGHT, ABOVE, BELOW = 190, 18, 20
#: The inner coordinates of curves, stretched over the width: fine enough that rounding is not seen.
INNER_WIDTH = 10_000
#: A curve keeps the least and the greatest value of each of so many stretches, whatever its length.
BUCKETS = 400
#: Labels nearer to each other than this cannot both be read: per cent of a narrow screen's width, and pixels.
LABEL_APART_PERCENT, LABEL_APART_PX = 3.2, 13.0
TICKS_MOST = 5
_TICK_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400)
#: Values that are this far apart are drawn on a logarithmic scale, where one is allowed.
LOG_FROM = 50.0
#: Of so many powers of ten; what is smaller yet lies on the lower edge.
DECADES_MOST = 6
#: A limit that is so many times above all that is shown is named at the top edge, instead of flattening the curves: GO
#: limits above the values, NOGO limits above these and the GO limits.
GO_REACH, NOGO_REACH = 8.0, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A curve to draw. `style` (1, 2, 3…) is its colour and dashes."""

    name: str
    style: int
    times_s: Floats
    values: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A phase: its number in the list of phases, and whether load is sent in it."""

    number: int
    start_s: float
    end_s: float
    load: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A threshold over a stretch of time: `kind` is go or nogo, `label` how it reads."""

    kind: str
    label: str
    value: float
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An event at an instant; its letter stands in the list of events."""

    letter: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A label: per cent of the width, pixels from the top, and how it is anchored."""

    text: str
    x: str
    y: str = ""
    anchor: str = "middle"
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """A line between two points: per cent of the width, pixels from the top."""

    kind: str
    x1: str
    x2: str
    y1: str
    y2: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A phase's ground: per cent of the width."""

    kind: str
    x: str
    width: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A figure, ready to be placed. `off_scale`: limits that lie above it."""

    areas: tuple[Area, ...]
    paths: tuple[tuple[int, str], ...]
    strokes: tuple[Stroke, ...]
    texts: tuple[Text, ...]
    axis: tuple[Text, ...]
    logarithmic: bool
    off_scale: tuple[Limit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Values to pixels from the top; `ticks` are the values of its grid."""

    low: float
    high: float
    logarithmic: bool
    ticks: tuple[float, ...]

    def y(self, value: float) -> float:
        """Kept inside the drawing: what lies below or above is drawn on the edge."""
        if self.logarithmic:
            value = max(value, self.low)
            share = math.log10(value / self.low) / math.log10(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return ABOVE + HEIGHT * (1.0 - min(max(share, 0.0), 1.0))


def draw(
    curves: Sequence[Curve],
    *,
    frame: tuple[float, float],
    bands: Sequence[Band] = (),
    limits: Sequence[Limit] = (),
    marks: Sequence[Mark] = (),
    may_be_logarithmic: bool,
    least_top: float,
    number: Callable[[float], str],
    elapsed: Callable[[float], str],
) -> Drawn:
    """Draws curves from `frame`'s first instant to its last, seconds from the load's start. `number` and `elapsed`
    write the labels.

    The scale ends at `least_top` or higher: noise must not look like a mountain because nothing else is there.
    """
    start_s, end_s = frame
    time = _Time(start_s=start_s, end_s=end_s)
    limits = tuple(limit for limit in limits if limit.end_s > start_s and limit.start_s < end_s)
    scale, off_scale = scale_of(curves, limits, may_be_logarithmic=may_be_logarithmic, least_top=least_top)
    shown = list(_drawn_once([limit for limit in limits if limit not in off_scale]))
    bottom = ABOVE + HEIGHT
    strokes = [Stroke(kind="grid", x1="0%", x2="100%", y1=_px(y), y2=_px(y)) for y in map(scale.y, scale.ticks)]
    strokes += [
        Stroke(kind="edge", x1=time.x(band.start_s), x2=time.x(band.start_s), y1=_px(0), y2=_px(bottom))
        for band in bands
        if start_s < band.start_s < end_s
    ]
    strokes += [
        Stroke(kind="mark", x1=time.x(mark.at_s), x2=time.x(mark.at_s), y1=_px(ABOVE), y2=_px(bottom)) for mark in marks
    ]
    strokes += [
        Stroke(
            kind=f"limit {limit.kind}",
            x1=time.x(limit.start_s),
            x2=time.x(limit.end_s),
            y1=_px(scale.y(limit.value)),
            y2=_px(scale.y(limit.value)),
        )
        for limit in shown
    ]
    return Drawn(
        areas=tuple(
            Area(kind="load" if band.load else "rest", x=time.x(band.start_s), width=time.width(band)) for band in bands
        ),
        paths=tuple((curve.style, path_of(curve, time, scale)) for curve in curves),
        strokes=tuple(strokes),
        texts=(
            *_band_numbers(bands, time),
            *_ticks(time, elapsed=elapsed),
            *_mark_letters(marks, time),
            *_limit_labels(shown, off_scale, scale, time),
        ),
        axis=tuple(
            Text(text=number(value), x="100%", y=_px(scale.y(value) + 4), anchor="end") for value in scale.ticks
        ),
        logarithmic=scale.logarithmic,
        off_scale=off_scale,
    )


def _drawn_once(limits: Sequence[Limit]) -> Iterator[Limit]:
    """Without those that lie on another one: dashes upon dashes look solid."""
    for number, limit in enumerate(limits):
        others = [
            one
            for other, one in enumerate(limits)
            if (one.kind, one.value) == (limit.kind, limit.value) and (one != limit or other < number)
        ]
        if not any(one.start_s <= limit.start_s and limit.end_s <= one.end_s for one in others):
            yield limit


def scale_of(
    curves: Sequence[Curve], limits: Sequence[Limit], *, may_be_logarithmic: bool, least_top: float
) -> tuple[Scale, tuple[Limit, ...]]:
    """A scale that shows every value and, unless they are far above, every limit; and the limits that it leaves out."""
    values = np.concatenate([curve.values for curve in curves]) if curves else np.array([])
    values = values[np.isfinite(values)]
    largest = float(values.max()) if len(values) else 0.0
    wanted, off = max(largest, least_top), []
    for kind, reach in (("go", GO_REACH), ("nogo", NOGO_REACH)):
        of_kind = [limit for limit in limits if limit.kind == kind]
        off += [limit for limit in of_kind if limit.value > reach * wanted]
        wanted = max([wanted, *(limit.value for limit in of_kind if limit not in off)])
    positive = values[values > 0]
    if may_be_logarithmic and len(positive) and wanted / float(positive.min()) > LOG_FROM:
        high = 10.0 ** math.ceil(math.log10(wanted))
        low = max(10.0 ** math.floor(math.log10(float(positive.min()))), high * 10.0**-DECADES_MOST)
        decades = round(math.log10(high / low))
        return Scale(
            low=low, high=high, logarithmic=True, ticks=tuple(low * 10.0**n for n in range(decades + 1))
        ), tuple(off)
    top = round_above(wanted)
    parts = {1: 5, 2: 4, 3: 3, 5: 5}[round(top / 10.0 ** math.floor(math.log10(top)))]
    ticks = tuple(top * n / parts for n in range(parts + 1))
    return Scale(low=0.0, high=top, logarithmic=False, ticks=ticks), tuple(off)


def decimated(times_s: Floats, values: Floats, *, buckets: int = BUCKETS) -> tuple[Floats, Floats]:
    """At most two points of each of `buckets` equal stretches of time: the least and the greatest, in their order.

    A stretch without a number is a hole. Short series are left as they are.
    """
    if len(times_s) <= 2 * buckets:
        return times_s, values
    edges = np.linspace(times_s[0], times_s[-1], buckets + 1)
    starts = np.searchsorted(times_s, edges[:-1], side="left")
    ends = np.append(starts[1:], len(times_s))
    kept: list[int] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        known = start + np.flatnonzero(~np.isnan(values[start:end]))
        if len(known):
            kept += sorted({int(known[values[known].argmin()]), int(known[values[known].argmax()])})
        elif end > start:
            kept.append(start)
    return times_s[kept], values[kept]


def path_of(curve: Curve, time: _Time, scale: Scale) -> str:
    """The curve as an SVG path; a lone point between two holes is a dot."""
    inside = (curve.times_s >= time.start_s) & (curve.times_s <= time.end_s)
    times_s, values = decimated(curve.times_s[inside], curve.values[inside])
    parts: list[str] = []
    run: list[str] = []
    for at_s, value in zip(times_s.tolist(), values.tolist(), strict=True):
        if math.isnan(value):
            parts += _run(run)
            run = []
        else:
            run.append(f"{time.share(at_s) * INNER_WIDTH:.0f} {scale.y(value) - ABOVE:.1f}")
    return "".join([*parts, *_run(run)])


def _run(points: list[str]) -> list[str]:
    if not points:
        return []
    first, *rest = points
    return [f"M{first}", *(f"L{point}" for point in rest)] if rest else [f"M{first}h1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Time:
    start_s: float
    end_s: float

    def share(self, at_s: float) -> float:
        return min(max((at_s - self.start_s) / (self.end_s - self.start_s), 0.0), 1.0)

    def x(self, at_s: float) -> str:
        return f"{100 * self.share(at_s):.2f}%"

    def width(self, band: Band) -> str:
        return f"{100 * (self.share(band.end_s) - self.share(band.start_s)):.2f}%"


def _px(value: float) -> str:
    return f"{value:.1f}"


def _apart(shares: Sequence[float]) -> list[bool]:
    """Which of ascending places have room for a label behind the one before."""
    shown, last = [], -math.inf
    for share in shares:
        room = 100 * (share - last) >= LABEL_APART_PERCENT
        shown.append(room)
        last = share if room else last
    return shown


def _band_numbers(bands: Sequence[Band], time: _Time) -> list[Text]:
    middles = [(time.share(band.start_s) + time.share(band.end_s)) / 2 for band in bands]
    return [
        Text(text=str(band.number), x=f"{100 * middle:.2f}%", y=_px(12), kind="number")
        for band, middle, room in zip(bands, middles, _apart(middles), strict=True)
        if room
    ]


def _mark_letters(marks: Sequence[Mark], time: _Time) -> list[Text]:
    ordered = sorted(marks, key=lambda mark: (mark.at_s, mark.letter))
    shown = _apart([time.share(mark.at_s) for mark in ordered])
    return [
        Text(text=f"▼{mark.letter}", x=time.x(mark.at_s), y=_px(ABOVE + 10), kind="mark")
        for mark, room in zip(ordered, shown, strict=True)
        if room
    ]


def _ticks(time: _Time, *, elapsed: Callable[[float], str]) -> list[Text]:
    span_s = time.end_s - time.start_s
    step_s = next((step for step in _TICK_STEPS_S if span_s / step <= TICKS_MOST), math.ceil(span_s / TICKS_MOST))
    first = math.ceil(time.start_s / step_s)
    last = math.floor(time.end_s / step_s)
    texts = []
    for number in range(first, last + 1):
        share = time.share(number * step_s)
        anchor = "start" if share < 0.06 else "end" if share > 0.94 else "middle"
        y = _px(ABOVE + HEIGHT + BELOW - 5)
        texts.append(Text(text=elapsed(number * step_s), x=f"{100 * share:.2f}%", y=y, anchor=anchor, kind="tick"))
    return texts


def _limit_labels(limits: Sequence[Limit], off_scale: Sequence[Limit], scale: Scale, time: _Time) -> list[Text]:
    """Above the line's right end; pushed down where another label stands, left out where there is no room. Limits off
    the scale stand at the top, the nearest of each kind."""
    texts: list[Text] = []
    taken: list[float] = []
    for limit in sorted(off_scale, key=lambda limit: (limit.value, limit.kind, limit.label)):
        if not any(limit.kind in text.kind for text in texts):
            y = ABOVE + 11 + LABEL_APART_PX * len(texts)
            taken.append(y)
            texts.append(
                Text(text=f"↑ {limit.label}", x="100%", y=_px(y), anchor="end", kind=f"limit {limit.kind} off")
            )
    for limit in sorted(limits, key=lambda limit: (-limit.value, limit.kind, limit.label)):
        if any(text.text == limit.label for text in texts):
            continue
        y = max(scale.y(limit.value) - 3, ABOVE + 9)
        if any(abs(y - other) < LABEL_APART_PX for other in taken):
            y = scale.y(limit.value) + 11
        if y > ABOVE + HEIGHT or any(abs(y - other) < LABEL_APART_PX for other in taken):
            continue
        taken.append(y)
        kind = f"limit {limit.kind}"
        texts.append(Text(text=limit.label, x=time.x(limit.end_s), y=_px(y), anchor="end", kind=kind))
    return texts
