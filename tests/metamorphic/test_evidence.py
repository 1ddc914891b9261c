"""Damage to what Prometheus said never improves a verdict, and more of it than the judge tolerates is never GO.

Each role of a real GO run is damaged in each way, in all of its series and in one of them; sealed again; judged. What a
criterion needs is told by its measure as it reads (needs.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from checks.evaluate import Evaluation
from checks.measurement import Window
from checks.measures.tolerances import COVERAGE_LEAST
from checks.metric_profiles import CONFLUENT_MIRROR, Role
from checks.reasons import Code
from checks.role_facts import Kind, facts_of
from tests.metamorphic.bed import BADNESS, Bed, as_json, judged
from tests.metamorphic.damages import (
    EVERYTHING,
    HARMLESS,
    HOLES,
    NONE,
    POISONS,
    SMALL,
    TWINS,
    Apply,
    Damage,
    Series,
    Span,
)
from tests.metamorphic.needs import Need, needs_of

ROLES = [Role.UP, *CONFLUENT_MIRROR.metrics]
#: A hole is surely beyond the tolerance when it takes twice as much as may be missing.
BEYOND = 2 * (1 - COVERAGE_LEAST)
#: `up` is 1 or the scrape failed, so that one odd value of it is one missed scrape; and who scrapes twice has it twice.
#: What counts names counts one that is there twice once.
COUNTS_NAMES = frozenset({"topics_replicated"})
#: How often the recorded run was scraped; with so many scrapes in a window, one more or less is nothing.
SCRAPE_S, SCRAPES_ENOUGH = 2.0, 8
OF_VALUES = [role for role in ROLES if role is not Role.UP]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A bed, and what the criteria of its run need."""

    bed: Bed
    needs: Mapping[str, Need]

    def span_of(self, role: Role, *, narrow: bool = False) -> Span:
        """From the first to the last instant at which a criterion looks at a role, or the narrowest such window; skips
        the test if none does."""
        windows = [_span(window) for need in self.needs.values() for window in need.looks.get(role, ())]
        if not windows:
            pytest.skip(f"no criterion of this run reads {role}")
        if narrow:
            return min(windows, key=lambda window: window[1] - window[0])
        return min(start for start, _ in windows), max(end for _, end in windows)

    def must_fall(self, role: Role, damage: Damage, span: Span) -> set[str]:
        """Criteria that the damage leaves without what they need. A look-back gauge may be NaN while nothing happens,
        so that NaN here and there need not be a hole in it."""
        if damage.nan and facts_of(role).kind is Kind.LOOK_BACK and damage.lost != EVERYTHING:
            return set()
        return {
            name
            for name, need in self.needs.items()
            if not (damage is TWINS and name in COUNTS_NAMES)
            for window in need.looks.get(role, ())
            if damage.poisons(span, _span(window)) or damage.share_lost(span, _span(window)) >= BEYOND
        }

    def after(self, role: Role, apply: Apply, span: Span, *, only: int | None = None) -> Evaluation:
        """What the run comes to with a role's series damaged: all of them, or the one of this number."""

        def damaged(series: Series) -> Series:
            if only is None:
                return apply(series, span)
            return [*series[:only], *apply(series[only : only + 1], span), *series[only + 1 :]]

        change = as_json(lambda body: {**body, "data": {**body["data"], "result": damaged(body["data"]["result"])}})
        with self.bed.damaged({name: change for found, name in self.bed.answers() if found == role.value}) as run:
            return judged(run)

    def improved(self, after: Evaluation) -> dict[str, tuple[str, str]]:
        """Criteria that are better than they were: before and after."""
        return {
            result.criterion.id: (self.needs[result.criterion.id].verdict.value, result.verdict.value)
            for result in after.results
            if BADNESS[result.verdict] < BADNESS[self.needs[result.criterion.id].verdict]
        }


@pytest.fixture(scope="module")
def healthy(everything: Bed) -> Subject:
    needs = needs_of(everything.directory)
    assert {name: need.verdict for name, need in needs.items() if need.verdict != "GO"} == {}
    return Subject(bed=everything, needs=needs)


def _span(window: Window) -> Span:
    return window.start_s, window.end_s


def crashed(after: Evaluation) -> list[str]:
    return [result.criterion.id for result in after.results if result.reason.code is Code.MEASURE_CRASHED]


def go_all_the_same(after: Evaluation, criteria: set[str]) -> set[str]:
    return {result.criterion.id for result in after.results if result.verdict == "GO"} & criteria


def no_pass(subject: Subject, role: Role, damage: Damage, *, only: int | None = None) -> None:
    span = subject.span_of(role, narrow=damage.poison is not None)
    after = subject.after(role, damage.apply, span, only=only)
    fallen = subject.must_fall(role, damage, span)
    assert crashed(after) == []
    assert go_all_the_same(after, fallen) == set()
    assert after.verdict != "GO" or not fallen


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("damage", [NONE, *HOLES], ids=str)
def test_a_role_with_too_little_left_is_no_pass(healthy, role, damage):
    no_pass(healthy, role, damage)


@pytest.mark.parametrize("role", OF_VALUES)
@pytest.mark.parametrize("damage", [*POISONS, TWINS], ids=str)
def test_a_role_that_says_what_cannot_be_is_no_pass(healthy, role, damage):
    no_pass(healthy, role, damage)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("which", [0, -1], ids=["first", "last"])
@pytest.mark.parametrize("damage", [NONE, *HOLES], ids=str)
def test_one_part_with_too_little_left_is_no_pass(healthy, role, damage, which):
    if role is Role.NODE_CPU_IDLE and damage.lost == EVERYTHING and not damage.nan:
        pytest.skip("how many processors a node has is told by nobody but this metric")
    places = healthy.bed.series_of(role)
    no_pass(healthy, role, damage, only=places[which] if places else None)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("small", SMALL, ids=lambda apply: apply.__name__)
def test_a_missed_scrape_now_and_then_improves_nothing(healthy, role, small):
    after = healthy.after(role, small, healthy.span_of(role))
    assert crashed(after) == []
    fell = {result.criterion.id: result.verdict for result in after.results if result.verdict != "GO"}
    # In a window of five scrapes, one that was missed is a fifth of what is to be known.
    short = {
        name
        for name, need in healthy.needs.items()
        if any(window.duration_s < SCRAPES_ENOUGH * SCRAPE_S for window in need.looks.get(role, ()))
    }
    assert set(fell) <= short
    assert set(fell.values()) <= {"INCONCLUSIVE"}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("harmless", HARMLESS, ids=lambda apply: apply.__name__)
def test_what_says_the_same_in_other_words_changes_nothing(healthy, role, harmless):
    span = healthy.span_of(role)
    before, after = judged(healthy.bed.directory), healthy.after(role, harmless, span)
    assert [(r.criterion.id, r.verdict, r.measurement.value) for r in after.results] == [
        (r.criterion.id, r.verdict, r.measurement.value) for r in before.results
    ]
