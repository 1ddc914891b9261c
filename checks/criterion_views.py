"""A criterion's result as text: what was measured, what was wanted, why the verdict is what it is, and from where.

Every document that shows a criterion shows this, so all say the same in the same words.
"""

from __future__ import annotations

from dataclasses import dataclass

from checks.evaluate import Result
from checks.markdown import Md, block, code, escape
from checks.measurement import Measurement
from checks.measures import Run
from checks.reasons import Reason
from checks.since import since
from checks.since_text import since_text
from checks.verdict import Verdict
from checks.words import Words, span_text
from scenarios.criterion import Criterion


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionView:
    """A criterion as text."""

    id: str
    title: str
    measure: str
    group: str
    advisory: bool
    measured: Md
    growth: Md
    wanted: str
    refused: str
    verdict: str
    reason: Md
    beside_title: str
    beside: Md
    source: Md
    window: str
    samples: Md
    series: str
    coverage: str
    warnings: tuple[str, ...]
    since: Md
    """Since when it was NOGO; empty where it was not, or no figure over time shows it."""


class CriterionViews:
    """Turns results of one run into text."""

    def __init__(self, run: Run, words: Words) -> None:
        self._run = run
        self._words = words

    def of(self, result: Result) -> CriterionView:
        """One of them."""
        criterion, measurement, words = result.criterion, result.measurement, self._words
        planned, limits = self._planned(criterion), self._run.limits_of(criterion)
        window = measurement.window
        beside = criterion.beside
        return CriterionView(
            id=criterion.id,
            title=self._title(criterion),
            measure=criterion.measure,
            group=words.of("groups", result.group.value),
            advisory=criterion.advisory,
            measured=self._value(measurement, limits=limits),
            growth=self._growth(measurement, limits=limits),
            wanted=words.condition(criterion.go, planned=planned),
            refused=words.condition(criterion.nogo, planned=planned) if criterion.nogo else "",
            verdict=words.verdict(result.verdict),
            reason=self._reason(result),
            beside_title="" if beside is None else words.of("measures", beside),
            beside=Md("") if result.beside is None else self._value(result.beside),
            source=self._source(measurement.source),
            window="" if window is None else f"{words.instant(window.start_s)} → {words.instant(window.end_s)}",
            samples=self._samples(measurement),
            series="" if measurement.series is None else words.number(measurement.series),
            coverage="" if measurement.coverage is None else words.quantity(100 * measurement.coverage, "%"),
            warnings=measurement.warnings,
            since=self._since(result),
        )

    def _planned(self, criterion: Criterion) -> int:
        """The records that `plan` stands for in its conditions."""
        run = self._run if criterion.phase is None else self._run.of_phase(criterion.phase)
        return run.planned_records

    def _since(self, result: Result) -> Md:
        windows = self._run.windows
        if windows is None or result.verdict is not Verdict.NOGO:
            return Md("")
        found = since(self._run, result.criterion, result.measurement)
        return since_text(found, zero_s=windows.start_s, words=self._words)

    def _title(self, criterion: Criterion) -> str:
        title = self._words.of("measures", criterion.measure)
        if criterion.phase is not None:
            return self._words.phrase("in_phase", title=Md(title), phase=criterion.phase)
        if criterion.between is None:
            return title
        start, end = (Md(span_text(edge_s)) for edge_s in criterion.between)
        return self._words.phrase("stretch", title=Md(title), start=start, end=end)

    def _value(self, measurement: Measurement, *, limits: tuple[float, ...] = ()) -> Md:
        if measurement.value is None:
            return self._words.phrase("not_measured")
        if measurement.value == float("inf"):
            return self._words.phrase("never")
        text = escape(self._words.measured(measurement.value, measurement.unit, limits=limits))
        if measurement.interval is not None:
            low, high = (Md(self._words.number(edge, limits=limits)) for edge in measurement.interval)
            return self._words.phrase("interval", value=text, low=low, high=high)
        return self._words.phrase("at_least", value=text) if measurement.at_least else text

    def _samples(self, measurement: Measurement) -> Md:
        """How many, and how far a percentile of so many is to be trusted."""
        low, high = measurement.detail("likely_low"), measurement.detail("likely_high")
        if low is None or high is None:
            return Md(self._words.number(measurement.samples))
        return self._words.phrase("likely", samples=measurement.samples, low=low, high=high)

    def _source(self, text: str) -> Md:
        """A query stands alone, to be copied; the name of a file does not need the room."""
        return block(text) if "{" in text else self._words.phrase("source", source=code(text))

    def _growth(self, measurement: Measurement, *, limits: tuple[float, ...]) -> Md:
        """A counter's growth with its two readings, or else the value."""
        base, end = measurement.detail("base"), measurement.detail("end")
        if measurement.value is None or base is None or end is None or measurement.at_least:
            return self._value(measurement, limits=limits)
        growth = Md(self._words.number(measurement.value, limits=limits))
        phrase = "grew" if measurement.detail("canaries") is None else "grew_canaries"
        return self._words.phrase(phrase, growth=growth, base=base, end=end)

    def _reason(self, result: Result) -> Md:
        criterion, planned = result.criterion, self._planned(result.criterion)
        conditions = {"go": self._words.condition(criterion.go, planned=planned)}
        if criterion.nogo is not None:
            conditions["nogo"] = self._words.condition(criterion.nogo, planned=planned)
        params = {name: conditions.get(name, value) for name, value in result.reason.params.items()}
        if result.measurement.interval is not None:
            limits = self._run.limits_of(criterion)
            edges = ((name, params[name]) for name in ("low", "high") if name in params)
            params |= {name: Md(self._words.number(float(edge), limits=limits)) for name, edge in edges}
        return self._words.reason(Reason(code=result.reason.code, params=params))
