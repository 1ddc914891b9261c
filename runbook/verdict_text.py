"""What `mm2gate judge` and the end of a run print, in the reports' language: the verdict, the criteria that decided it
by their words and values, what is most likely wrong, what to do next, and which files to open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from checks.case import Case
from checks.criterion_views import CriterionView
from checks.evaluate import Evaluation
from checks.judge import Judgement
from checks.markdown import Md
from checks.plain import lines
from checks.verdict import Verdict
from checks.views import Views, WhyView
from checks.words import Words
from run_record.manifest import Manifest

#: Criteria that are named; the fiche has them all.
MOST_NAMED = 12
#: Of those that share a reason.
MOST_TITLES = 3
INDENT = "  "


def verdict_text(judgement: Judgement, *, language: str = "fr") -> str:
    """The text, of at most 100 columns where no single word is longer; readable without colour."""
    words = Words.load(language)
    case = judgement.case
    views = Views(case.run, case.scenario, case.evaluation, case.findings, words)
    return "\n".join(line.rstrip() for line in _lines(case, views, words, judgement.fiche_file))


def _lines(case: Case, views: Views, words: Words, fiche_file: Path) -> Iterator[str]:
    manifest, evaluation = case.run.record.manifest, case.evaluation
    head = f"{words.verdict(evaluation.verdict)}  {manifest.scenario.name}"
    yield from lines(Md(words.named(head, views.overall_reason())), rest=INDENT)
    yield from lines(Md(", ".join(_about(evaluation, manifest, words))), first=INDENT, rest=INDENT)
    yield from _canaries(views, words)
    criteria = list(_criteria(evaluation, views, words))
    if criteria:
        yield from ("", *criteria)
    if (lead := views.lead()) is not None:
        yield ""
        if lead.text:
            yield from lines(Md(words.named(lead.heading, lead.text)), rest=INDENT)
        yield from lines(Md(words.named(words.phrase("to_do"), lead.step)), rest=INDENT)
    yield from ("", words.named(words.phrase("to_open"), "").rstrip())
    yield from (f"{INDENT}{file}" for file in (fiche_file, fiche_file.with_name("report.html")))


def _about(evaluation: Evaluation, manifest: Manifest, words: Words) -> Iterator[str]:
    """Which run it was, and what a script is told of it."""
    yield words.phrase("run_named", run=manifest.run_id)
    if manifest.is_rehearsal:
        yield words.phrase("run_rehearsed", factor=manifest.rehearsal)
    if evaluation.aborted:
        yield words.phrase("run_aborted")
    yield words.phrase("run_left_with", code=int(evaluation.exit_code))


def _canaries(views: Views, words: Words) -> Iterator[str]:
    if canaries := views.findings.canaries():
        yield from lines(Md(words.named(words.phrase("canaries"), canaries.text)), first=INDENT, rest=2 * INDENT)
        for shown in canaries.shown:
            yield from lines(shown, first=f"{2 * INDENT}- ", rest=f"{2 * INDENT}  ")


def _criteria(evaluation: Evaluation, views: Views, words: Words) -> Iterator[str]:
    """Those that decided, and the titles of the other required ones that are not GO; of a GO, what was measured."""
    if evaluation.verdict is Verdict.GO:
        required = [views.criteria.of(result) for result in evaluation.results if result.required]
        for view in required[:MOST_NAMED]:
            yield from _one(view, words)
        yield from _more(len(required) - MOST_NAMED, words)
        return
    why = views.why()
    if why:
        yield words.named(str(views.heading("why")), "").rstrip()
    # Two lines of the page may ask the same of the same figure: it is said once.
    groups = dict.fromkeys(tuple(_group(group, words)) for group in why)
    for group in list(groups)[:MOST_NAMED]:
        yield from group
    yield from _more(len(groups) - MOST_NAMED, words)
    for verdict, phrase in ((Verdict.NOGO, "also_failed"), (Verdict.INCONCLUSIVE, "also_inconclusive")):
        titles = [
            views.criteria.of(result).title
            for result in evaluation.results
            if result.required and result.verdict is verdict is not evaluation.verdict
        ]
        if titles:
            yield from lines(words.phrase(phrase, titles=words.several(titles)), rest=INDENT)


def _group(group: WhyView, words: Words) -> Iterator[str]:
    """Criteria that share a reason: the first few by their words, and how many more there are."""
    if len(group.criteria) == 1:
        yield from _one(group.criteria[0], words, group.reason)
        return
    titles = [view.title for view in group.criteria[:MOST_TITLES]]
    if more := len(group.criteria) - len(titles):
        titles.append(words.phrase("and_others", count=more))
    yield from lines(Md(words.named(words.several(titles), group.reason)), first=INDENT, rest=2 * INDENT)


def _one(view: CriterionView, words: Words, reason: Md | str = "") -> Iterator[str]:
    text = words.phrase("criterion_line", title=view.title, measured=view.measured, wanted=view.wanted)
    since = f", {view.since}" if view.since else ""
    because = f". {words.phrase('because', reason=reason)}" if reason else ""
    yield from lines(Md(f"{text}{since}{because}"), first=INDENT, rest=2 * INDENT)


def _more(count: int, words: Words) -> Iterator[str]:
    if count > 0:
        yield from lines(words.phrase("more_criteria", count=count), first=INDENT)
