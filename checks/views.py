"""What a judgement comes to as text ready to print: what the fiche, the report, the job summary and a checkpoint place.

All that is worked out is worked out here, so that every document says the same in the same words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from checks.criterion_views import CriterionView, CriterionViews
from checks.evaluate import Evaluation, Result
from checks.finding import Finding
from checks.finding_views import FindingViews, LeadView, context_of
from checks.lead import about_performance
from checks.markdown import Md, code, escape
from checks.measures import Run
from checks.optimisation import Bottleneck, bottlenecks
from checks.page_views import PageViews
from checks.pages import Page
from checks.provenance import provenance
from checks.reasons import Code, Reason
from checks.reservations import reservations
from checks.stairs_views import StairsViews
from checks.verdict import Verdict
from checks.words import NS_PER_S, Words
from run_record.counts import Counts
from scenarios.measures import Group
from scenarios.scenario import Scenario

LEDGER_COLUMNS = (
    "sent", "acked", "failed", "unknown", "arrived", "lost", "late", "duplicated", "reordered", "corrupted", "phantom",
)  # fmt: skip
STREAM_COLUMNS = ("sent", "acked", "arrived", "lost", "late", "duplicated", "reordered", "corrupted")


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyView:
    """Deciding criteria that share a reason. `reason` is empty where the value and what was wanted say it all."""

    criteria: tuple[CriterionView, ...]
    reason: Md

    @property
    def ids(self) -> Md:
        """Their ids."""
        return Md(", ".join(code(view.id) for view in self.criteria))

    @property
    def titles(self) -> Md:
        """What is not known, by its words and ids."""
        return Md(", ".join(f"{escape(view.title)} {code(view.id)}" for view in self.criteria))


@dataclass(frozen=True, slots=True, kw_only=True)
class BottleneckView:
    """A row of the optimisation section as text; `actions` by priority."""

    row: str
    fits: bool
    answer: str
    side: str
    symptom: str
    figures: Md
    signs: Md
    actions: tuple[tuple[str, Md], ...]


class Views:
    """Turns one judgement into a template's context."""

    def __init__(
        self, run: Run, scenario: Scenario, evaluation: Evaluation, findings: tuple[Finding, ...], words: Words
    ) -> None:
        self._run = run
        self._manifest = run.record.manifest
        self._scenario = scenario
        self._evaluation = evaluation
        self._words = words
        self.criteria = CriterionViews(run, words)
        self.findings = FindingViews(run, evaluation, findings, words)

    def context(self, page: Page | None) -> dict[str, Any]:
        criteria = [self.criteria.of(result) for result in self._evaluation.results]
        by_id = {view.id: view for view in criteria}
        ids = {verdict: self._ids(verdict) for verdict in Verdict}
        of_page = page is not None and page.diagnosis == "bottleneck"
        return {
            "scenario": self._scenario.name,
            "question": self._scenario.question.in_language(self._words.language),
            "run_id": self._manifest.run_id,
            "environment": self._manifest.environment.name,
            "played_at": self._words.instant(self._manifest.started_at_ns / NS_PER_S),
            "rehearsal": self._manifest.rehearsal if self._manifest.is_rehearsal else "",
            "verdict": self._words.verdict(self._evaluation.verdict),
            "verdict_key": self._evaluation.verdict.value,
            "reason": self.overall_reason(),
            "aborted": self._evaluation.aborted,
            "crashed": self._evaluation.crashed,
            "contradictions": self.contradictions(),
            "why": self.why(),
            "why_heading": self.heading("why"),
            "inconclusive": [] if self._evaluation.verdict is Verdict.INCONCLUSIVE else ids[Verdict.INCONCLUSIVE],
            "failed": [] if self._evaluation.verdict is Verdict.NOGO else ids[Verdict.NOGO],
            "criteria": [by_id[result.criterion.id] for result in self._evaluation.results if _was_tried(result)],
            "c": by_id,
            "load": self._load(),
            "ledger": self._ledger(),
            "last_errors": list((self._run.record.ledger or {}).get("last_errors", ())),
            "reservations": [self._words.reason(reason) for reason in reservations(self._run)],
            "diagnosis": self.findings.diagnosis(),
            "rows_heading": self.heading("rows"),
            "beside_heading": self._words.phrase("rows_beside"),
            "canaries": context_of(self.findings.canaries()),
            "lead": context_of(self.lead(of_page=of_page)),
            "bottleneck": self.bottleneck() if of_page else [],
            "optimisation": self.optimisation() if of_page else {},
            "unaccounted": self._unaccounted(),
            "provenance": provenance(self._run, words=self._words),
            "phases": self._phases(),
            "page": self._page(page, by_id) if page is not None else {},
        }

    def why(self) -> list[WhyView]:
        """The deciding criteria, worst news first as the scenario has them; one line for all that share a reason."""
        groups: dict[Md, list[CriterionView]] = {}
        for result in self._evaluation.results:
            if result.criterion.id not in self._evaluation.deciding:
                continue
            view = self.criteria.of(result)
            plain = result.reason.code in (Code.GO_MISSED, Code.NOGO_MET)
            # A comparison speaks for itself, so each has a line of its own.
            groups.setdefault(Md(f"\0{view.id}") if plain else view.reason, []).append(view)
        return [
            WhyView(criteria=tuple(views), reason=Md("") if reason.startswith("\0") else reason)
            for reason, views in groups.items()
        ]

    def _ids(self, verdict: Verdict) -> list[str]:
        return [r.criterion.id for r in self._evaluation.results if r.required and r.verdict is verdict]

    def heading(self, kind: str) -> Md:
        """A heading in the verdict's own words; empty for a GO, where nothing stands against it."""
        verdict = self._evaluation.verdict
        return Md("") if verdict is Verdict.GO else self._words.phrase(f"{kind}_{verdict.value}")

    # The run as a whole.

    def overall_reason(self) -> Md:
        reason = self._evaluation.reason
        if reason.code is Code.ABORTED:
            how = self._words.of("endings", str(reason.params["how"]))
            reason = Reason(code=reason.code, params={**reason.params, "how": how})
        if reason.code is Code.CUT_SHORT and "value" in reason.params:
            ended_by = self._evaluation.result(str(reason.params["criterion"]))
            limits = () if ended_by is None else self._run.limits_of(ended_by.criterion)
            value = Md(self._words.number(float(reason.params["value"]), limits=limits))
            reason = Reason(code=reason.code, params={**reason.params, "value": value})
        return self._words.reason(reason)

    def contradictions(self) -> list[Md]:
        """What the record says against itself."""
        return [self._words.contradiction(one) for one in self._run.contradictions]

    def _load(self) -> dict[str, Any]:
        words, manifest = self._words, self._manifest
        counts = self._run.counts
        row = self._run.record.timeline[-1] if self._run.record.timeline else None
        sent = counts.sent if counts is not None else row.sent if row is not None else 0
        return {
            "verdict": words.verdict(self._evaluation.load),
            "verdict_key": self._evaluation.load.value,
            "planned": words.number(manifest.planned_records),
            "sent": words.number(sent),
            "missed": self._run.windows is None
            or any(r.group is Group.LOAD and r.reason.code is Code.GO_MISSED for r in self._evaluation.results),
            "bytes": words.number(manifest.record_bytes),
            "topics": words.quantity(len(manifest.topics), "topics"),
            "partitions": words.quantity(sum(topic.partitions for topic in manifest.topics), "partitions"),
            "criteria": [
                self.criteria.of(r) for r in self._evaluation.results if r.group is Group.LOAD and _was_tried(r)
            ],
        }

    def _ledger(self) -> dict[str, Any]:
        record = self._run.record
        if record.ledger is None:
            row = record.timeline[-1] if record.timeline else None
            last = {} if row is None else {name: self._words.number(getattr(row, name)) for name in _LAST_COLUMNS}
            return {"rows": [], "canary": [], "last": last}
        phases = [phase.name for phase in self._manifest.of_kind("load") if phase.name in record.ledger["phases"]]
        rows = [(name, self._counts(record.counts(name))) for name in phases] if len(phases) > 1 else []
        canary = record.ledger["canary"]
        return {
            "rows": [*rows, ("total", self._counts(record.counts()))],
            "canary": [self._words.number(canary[name]) for name in ("sent", "acked", "arrived")],
            "last": {},
        }

    def _counts(self, counts: Counts | None) -> list[str]:
        return [self._words.number(getattr(counts, column)) for column in LEDGER_COLUMNS]

    def _phases(self) -> list[dict[str, str]]:
        words = self._words
        return [
            {
                "name": phase.name,
                "kind": words.of("phase_kinds", phase.kind),
                "records": words.number(phase.records),
                "start": words.instant(phase.start_ns / NS_PER_S),
                "end": words.instant(phase.end_ns / NS_PER_S) if phase.end_ns else words.phrase("unfinished"),
                "lasted": words.quantity(phase.duration_s, "s") if phase.duration_s is not None else "–",
            }
            for phase in self._manifest.phases
        ]

    def lead(self, *, of_page: bool = False) -> LeadView | None:
        """What leads a verdict that is not GO: the row that explains what decided, or else where the bottleneck is; and
        what to do. `of_page`: the page has a section on bottlenecks, which says so by itself."""
        lead, bottleneck = self.findings.lead(of_page=of_page), self.bottleneck()
        if lead is None or lead.text or not bottleneck:
            return lead
        first = bottleneck[0]
        text = self._words.phrase("lead_bottleneck", side=first.side, signs=first.signs)
        return replace(lead, text=Md("") if of_page else text, step=first.actions[0][1])

    def bottleneck(self) -> list[BottleneckView]:
        """Where the bottleneck is, if what decided is about the flow of records at all."""
        if self._run.windows is None or not about_performance(self._evaluation):
            return []
        return self.optimisation()["fitting"]

    def optimisation(self) -> dict[str, list[BottleneckView]]:
        """The three rows of the optimisation section, and those of them that fit."""
        step = self._stairs({}).stopped_by() if self._scenario.staircase is not None else None
        run = self._run if step is None else self._run.of_phase(step)
        rows = [self._bottleneck(row) for row in bottlenecks(run)]
        return {"rows": rows, "fitting": [row for row in rows if row.fits]}

    def _bottleneck(self, found: Bottleneck) -> BottleneckView:
        words, row = self._words, self._words.catalogue.optimisation[found.row]
        signs = self._words.catalogue.optimisation_signs
        return BottleneckView(
            row=found.row,
            fits=found.fits is True,
            answer=self.findings.answer(found.fits),
            side=row.side,
            symptom=row.symptom,
            figures=words.fill(row.figures, found.figures) if found.figures else words.phrase("not_measured"),
            signs=Md(words.several(words.fill(signs[sign], found.figures) for sign in found.signs)),
            actions=tuple((priority, Md(text)) for priority, texts in sorted(row.actions.items()) for text in texts),
        )

    def _unaccounted(self) -> dict[str, list[dict[str, Any]]]:
        """Load workers that vanished; and, only then, the others' account stream by stream."""
        words, lost = self._words, self._run.unaccounted
        if not lost:
            return {"workers": [], "streams": []}
        workers = [
            {
                "worker": one.worker,
                "sent": words.number(one.sent),
                "count": words.number(len(one.owned)),
                "owned": ", ".join(one.owned) or "–",
            }
            for one in lost
        ]
        streams = [
            {
                "topic": stream["topic"],
                "partition": stream["partition"],
                "counts": [words.number(stream["counts"][name]) for name in STREAM_COLUMNS],
            }
            for stream in (self._run.record.ledger or {})["streams"]
        ]
        return {"workers": workers, "streams": streams}

    def _stairs(self, by_id: dict[str, CriterionView]) -> StairsViews:
        return StairsViews(
            run=self._run,
            scenario=self._scenario,
            evaluation=self._evaluation,
            words=self._words,
            criteria=by_id,
        )

    def _page(self, page: Page, by_id: dict[str, CriterionView]) -> dict[str, Any]:
        """What the runbook's page shows beyond the criteria."""
        views = PageViews(run=self._run, scenario=self._scenario, evaluation=self._evaluation, words=self._words)
        context = views.context(page)
        if self._scenario.staircase is not None:
            context |= self._stairs(by_id).context()
        for finding in self.findings.diagnosis()["page"]:
            context["cells"][f"diagnosis_{finding.row}"] = finding.answer
        for name in ("latency_avg", "latency_max", "in_flight"):
            if name in by_id:
                context["cells"][f"baseline_{name}"] = by_id[name].measured
        context["cells"]["promql_poll"] = by_id["poll_total"].growth if "poll_total" in by_id else ""
        context["cells"]["promql_write"] = by_id["write_total"].growth if "write_total" in by_id else ""
        context["cells"]["load_played"] = self._load()["sent"]
        return context


_LAST_COLUMNS = ("wanted", "sent", "acked", "arrived", "duplicated", "backlog")


def _was_tried(result: Result) -> bool:
    """Whether there is anything to show of it: of a staircase's step that was never played there is not."""
    return not (result.of_step and result.verdict is Verdict.NOT_RUN)
