"""The diagnosis as text: its rows, the one that leads with what to do next, and canaries that did not cross.

Every document that says what is wrong says this: fiche, report, job summary and terminal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from checks.canaries import Canaries, canaries_of
from checks.connect_seen import connect_view
from checks.connectors import ConnectorSeen
from checks.evaluate import Evaluation
from checks.finding import Finding
from checks.lead import Lead, explained, explains_all, lead_of
from checks.markdown import Md, code
from checks.measures import Run
from checks.verdict import Verdict
from checks.words import Words

#: Partitions whose canary did not cross that a sentence names; all are in the ledger.
NAMED_PLACES = 6
#: What Connect shows when nothing crosses: rows that a canary's reader wants to see at once.
OF_CANARIES = frozenset(
    {
        "connector_absent",
        "connector_failed",
        "no_tasks",
        "task_not_authorized",
        "record_too_large",
        "task_failed",
        "worker_silent",
        "connect_silent",
        "topic_not_selected",
        "not_readable",
        "mirror_absent",
        "mirror_renamed",
        "transforms",
        "headers_dropped",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """A row of the diagnosis as text. `explains`: a sentence on the deciding criteria that it may explain; empty where
    it has nothing to do with what decided."""

    row: str
    fits: bool
    answer: str
    symptom: Md
    cause: Md
    figures: Md
    action: Md
    explains: Md


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadView:
    """What is most likely wrong, under the heading that fits the verdict, and what to do. `text` is empty where nothing
    that was found explains what decided; there is always a `step`."""

    heading: str
    text: Md
    step: Md
    explains: Md = Md("")  # noqa: RUF009 - a string, which never changes
    of_page: bool = False
    """Whether it is a row of the page, which the page's own table shows too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryView:
    """Canaries that did not cross, or only late; and what Connect shows, a line each."""

    text: Md
    shown: tuple[Md, ...]


class FindingViews:
    """Turns one judgement's findings into text."""

    def __init__(self, run: Run, evaluation: Evaluation, findings: tuple[Finding, ...], words: Words) -> None:
        self._run = run
        self._evaluation = evaluation
        self._findings = findings
        self._words = words
        self._lead = lead_of(evaluation, findings)

    def diagnosis(self) -> dict[str, list[FindingView]]:
        """The page's rows and ours; of both those that fit; and of ours those that explain what decided, or not."""
        page = [self._of(finding) for finding in self._findings if finding.from_page]
        ours = [self._of(finding) for finding in self._findings if not finding.from_page]
        return {
            "page": page,
            "ours": ours,
            "fitting": [view for view in page if view.fits] + ours,
            "explaining": [view for view in ours if view.explains],
            "beside": [view for view in ours if not view.explains],
        }

    def answer(self, value: bool | None) -> Md:
        """Yes, no, or that it could not be told."""
        return self._words.phrase("unknown" if value is None else "yes" if value else "no")

    def _of(self, finding: Finding) -> FindingView:
        row, fill = self._words.catalogue.diagnosis[finding.row], self._words.fill
        known = finding.params or finding.fits is not None
        figures = fill(row.figures, finding.params) if known else self._words.phrase("not_measured")
        return FindingView(
            row=finding.row,
            fits=finding.fits is True,
            answer=self.answer(finding.fits),
            symptom=fill(row.symptom, finding.params),
            cause=fill(row.cause, finding.params),
            figures=figures,
            action=fill(row.action, finding.params),
            explains=self._explains(finding) if finding.fits else Md(""),
        )

    def _explains(self, finding: Finding) -> Md:
        """Which of the criteria that decided; empty for none."""
        ids = explained(finding, self._evaluation)
        if explains_all(finding, self._evaluation) and len(ids) != 1:
            return self._words.phrase("explains_all")
        criteria = Md(", ".join(code(one) for one in ids))
        return self._words.phrase("explains_some", criteria=criteria) if ids else Md("")

    # The lead.

    def lead(self, *, of_page: bool = False) -> LeadView | None:
        """None for a GO. `of_page`: the page has a section on bottlenecks, and the lead is looked at before it."""
        lead, verdict = self._lead, self._evaluation.verdict
        if lead is None:
            return None
        name = f"lead_{verdict.value}"
        heading = self._words.phrase(f"{name}_bottleneck" if of_page and verdict is Verdict.NOGO else name)
        if lead.finding is None:
            return LeadView(heading=heading, text=Md(""), step=self._step(lead))
        view = self._of(lead.finding)
        return LeadView(
            heading=heading,
            text=self._words.phrase("lead_row", symptom=view.symptom, figures=view.figures, cause=view.cause),
            explains=view.explains,
            step=view.action,
            of_page=lead.finding.from_page,
        )

    def _step(self, lead: Lead) -> Md:
        steps = self._words.catalogue.steps
        name = next(name for name in lead.steps if name in steps)
        run = f"runs/{self._run.record.manifest.run_id}"
        calls = {
            "refresh": f"mm2gate judge {run} --refresh --env ENVIRONMENT",
            "compare": f"mm2gate report {run} --compare RUN",
            "baseline": f"mm2gate judge {run} --baseline RUN",
        }
        return self._words.fill(steps[name], calls)

    # Canaries.

    def canaries(self) -> CanaryView | None:
        """None where all of them crossed before the load, or none was sent."""
        found = canaries_of(self._run.record)
        if found is None or (found.crossed and not found.late):
            return None
        text = self._uncrossed(found) if not found.crossed else self._words.phrase("canaries_late", late=found.late)
        return CanaryView(text=text, shown=() if found.crossed else tuple(self._shown()))

    def _uncrossed(self, found: Canaries) -> Md:
        places = ", ".join(found.missing[:NAMED_PLACES]) + (", …" if len(found.missing) > NAMED_PLACES else "")
        missing = found.sent - found.arrived
        name = "canaries_missing" if found.arrived else "canaries_none"
        return self._words.phrase(name, missing=missing, sent=found.sent, places=places or "–")

    def _shown(self) -> Iterator[Md]:
        view = connect_view(self._run)
        if view is not None:
            for connector in view.connectors:
                yield self._state(connector)
        for finding in self._findings:
            if finding.fits and finding.row in OF_CANARIES:
                one = self._of(finding)
                yield self._words.phrase("canaries_because", symptom=one.symptom, cause=one.cause)

    def _state(self, connector: ConnectorSeen) -> Md:
        """A connector and its tasks in one line, whatever they do."""
        counted = Counter(task.state for task in connector.tasks)
        tasks = [self._words.phrase("tasks_in_state", count=count, state=state) for state, count in counted.items()]
        return self._words.phrase(
            "connector_in_state",
            connector=connector.name,
            state=connector.state,
            tasks=Md(", ".join(tasks) or self._words.phrase("tasks_in_state_none")),
        )


def context_of(view: Any) -> Any:
    """A view for a template, where nothing may be None."""
    return {} if view is None else view
