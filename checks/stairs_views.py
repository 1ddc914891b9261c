"""A staircase as the fiche of phase 4 shows it, as text ready to print: its steps, the capacity, what stopped it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from checks.capacity import RECOMMENDED_SHARE, ladder_of, proven
from checks.evaluate import Evaluation, Result, measured
from checks.markdown import Md
from checks.measures import Run, measure
from checks.optimisation import bottlenecks
from checks.verdict import RANK, Verdict
from checks.words import Words
from scenarios.phases import Step
from scenarios.scenario import Scenario

UNIT = "records/s"
#: A source that takes this share of a mean latency of at least this long is to be looked at before MM2.
SLOW_SHARE = 0.5
SLOW_MS = 100.0
#: The columns of the table of steps, by measure.
COLUMNS = (
    "e2e.p99",
    "mm2.latency_avg",
    "mm2.latency_max",
    "ledger.backlog_max",
    "backlog.recovery",
    "connect.buffer_utilization",
    "workers.cpu",
    "workers.memory",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StairsViews:
    """One judgement of a staircase. `criteria`: every criterion as text, by id."""

    run: Run
    scenario: Scenario
    evaluation: Evaluation
    words: Words
    criteria: Mapping[str, Any]

    def context(self) -> dict[str, Any]:
        """What the template shows of it."""
        staircase = self.scenario.staircase
        rest_s = staircase.rest if staircase is not None else 0.0
        return {
            "stairs": [self._step(step) for step in self._in_order()],
            "capacity": self._capacity(),
            "rest": self.words.quantity(rest_s, "s"),
        }

    def stopped_by(self) -> str | None:
        """The step that bounds the capacity, or else the last that was played: where to look for the bottleneck."""
        found = proven(self.scenario, self.evaluation.steps)
        if found.refused is not None:
            return found.refused.name
        played = [phase.name for phase in self.run.record.manifest.of_kind("load")]
        return played[-1] if played else None

    def _in_order(self) -> list[Step]:
        """The steps as they were played, then those of the ramp that were not."""
        by_name = {step.name: step for step in ladder_of(self.scenario)}
        played = [phase.name for phase in self.run.record.manifest.of_kind("load")]
        others = [step.name for step in by_name.values() if step.kind == "ramp" and step.name not in played]
        shown = [by_name[name] for name in (*played, *others) if name in by_name]
        return [step for step in shown if step.kind != "warm"]

    def _results(self, step: Step) -> list[Result]:
        return [result for result in self.evaluation.results if result.criterion.phase == step.name]

    def _step(self, step: Step) -> dict[str, Any]:
        played = step.name in self.evaluation.steps
        views = {result.criterion.measure: self.criteria[result.criterion.id] for result in self._results(step)}
        dash = Md("–")
        verdict = self.evaluation.steps.get(step.name, Verdict.NOT_RUN)
        return {
            "title": self._title(step),
            "verdict": self.words.verdict(verdict) if played else self.words.phrase("not_played"),
            "cells": [views[name].measured if played and name in views else dash for name in COLUMNS],
            "criteria": [
                {
                    "title": self.words.of("measures", name),
                    "wanted": view.wanted,
                    "refused": view.refused,
                    "measured": view.measured,
                    "verdict": view.verdict,
                    "beside_title": view.beside_title,
                    "beside": view.beside,
                }
                for name, view in views.items()
                if played
            ],
        }

    def _title(self, step: Step) -> Md:
        return self.words.phrase(f"step_{step.kind}", rate=step.rate_per_s)

    def _capacity(self) -> dict[str, Any]:
        words, found = self.words, proven(self.scenario, self.evaluation.steps)
        known = bool(set(self.evaluation.steps.values()) - {Verdict.INCONCLUSIVE})
        confirmed, recommended = (
            words.quantity(rate_per_s, UNIT) for rate_per_s in (found.rate_per_s, RECOMMENDED_SHARE * found.rate_per_s)
        )
        if found.unasked:
            confirmed, recommended = (words.phrase("at_least", value=Md(one)) for one in (confirmed, recommended))
        return {
            "known": known,
            "confirmed": confirmed,
            "recommended": recommended,
            "refused": words.phrase("no_step_refused") if found.refused is None else self._title(found.refused),
            "why": self._why(found.refused),
            "bounds": self._bounds(known=known),
        }

    def _bounds(self, *, known: bool) -> Md:
        found = proven(self.scenario, self.evaluation.steps)
        if not known:
            return self.words.phrase("no_step_known")
        parts = [
            self.words.phrase("capacity_unbounded")
            if found.refused is None
            else self.words.phrase("capacity_bounded", rate=found.refused.rate_per_s)
        ]
        parts += [self.words.phrase("capacity_unconfirmed", rate=step.rate_per_s) for step in found.unconfirmed]
        parts += [self.words.phrase("capacity_unasked", rate=step.rate_per_s) for step in found.unasked[:1]]
        return Md(" ".join(parts))

    def _why(self, refused: Step | None) -> Md:
        """The criteria that the refused step missed, and on which side the bottleneck was while it went on."""
        if refused is None:
            return self.words.phrase("none")
        missed = [result for result in self._results(refused) if result.verdict is not Verdict.GO]
        missed.sort(key=lambda result: -RANK[result.verdict])  # stable: the worst first, else as the scenario has them
        parts = [
            self.words.named(self.words.of("measures", one.criterion.measure), self.criteria[one.criterion.id].measured)
            for one in missed
        ]
        signs = self.words.catalogue.optimisation_signs
        for row in bottlenecks(self.run.of_phase(refused.name)):
            if row.fits:
                side = self.words.catalogue.optimisation[row.row].side
                told = self.words.several(self.words.fill(signs[sign], row.figures) for sign in row.signs)
                parts.append(self.words.phrase("bottleneck_at", side=Md(side), signs=Md(told)))
        parts += self._slow_source(refused)
        return Md(self.words.several(parts)) if parts else self.words.phrase("unknown")

    def _slow_source(self, refused: Step) -> list[Md]:
        """Said where most of the time passed before MM2 could have the record: then MM2 is not what failed."""
        run = self.run.of_phase(refused.name)
        ack, e2e = (measured(run, name, measure).value for name in ("source.ack_mean", "e2e.mean"))
        if ack is None or e2e is None or e2e < SLOW_MS or ack < SLOW_SHARE * e2e:
            return []
        return [self.words.phrase("source_slow", ack=ack, e2e=e2e)]
