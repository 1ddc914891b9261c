"""What the gate makes of MM2 out of order under a load: duplicates to the last one, and the side that is to blame."""

from __future__ import annotations

from collections import Counter

from lab.layout import SOURCE, TARGET
from tests.lab.runs import SHORT_RECORDS, Run
from tests.lab.truths import TWICE_TOPIC, Truths

SIDES = ("cible", "source", "capacité")


def test_a_second_connector_is_caught_as_duplicates_counted_exactly_on_its_topics_only(truths: Truths) -> None:
    run, lab = truths.twice.result(), truths.lab
    assert run.process.returncode == 20, run.output
    totals, duplicated, arrived = run.totals, Counter[str](), Counter[str]()
    for stream in run.streams:
        duplicated[stream["topic"]] += stream["counts"]["duplicated"]
        arrived[stream["topic"]] += stream["counts"]["arrived"]
    # The clusters count for themselves: a connector that is new may be moved once more, and copy some a third time.
    copies = lab.owner(TARGET).record_count(f"source.{TWICE_TOPIC}") - 2 * lab.owner(SOURCE).record_count(TWICE_TOPIC)
    assert totals["sent"] == totals["arrived"] == SHORT_RECORDS
    assert set(+duplicated) == {TWICE_TOPIC}
    # Once each, and no more than the target has; of what it has a third time, some may be canaries.
    assert arrived[TWICE_TOPIC] <= duplicated[TWICE_TOPIC] <= arrived[TWICE_TOPIC] + copies
    assert totals["duplicated"] == duplicated[TWICE_TOPIC]
    assert {name for name, criterion in run.criteria.items() if criterion["verdict"] != "GO"} == {"duplicated"}
    assert run.criteria["duplicated"]["value"] == totals["duplicated"]


def test_a_target_that_holds_mm2_back_is_nogo_and_the_diagnosis_is_the_target(truths: Truths) -> None:
    run = truths.throttled.result()
    assert run.process.returncode == 20, run.output
    assert run.totals["lost"] == run.totals["duplicated"] == 0
    assert run.criteria["lag_growth"]["verdict"] == "NOGO"
    assert _blamed(run) == {"cible"}, run.report
    assert "la cible impose à MM2 d'attendre" in run.report


def test_a_connector_paused_mid_run_is_nogo_and_the_diagnosis_is_the_source(truths: Truths) -> None:
    run = truths.stalled.result()
    assert run.process.returncode == 20, run.output
    assert run.totals["lost"] == run.totals["duplicated"] == 0
    assert run.totals["late"] > 0
    assert run.criteria["not_running"]["verdict"] == "NOGO"
    assert "est en pause" in run.fiche.partition("Piste la plus probable")[2].partition("\n")[0], run.fiche
    # A machine that is busy with other tests may miss too many scrapes to say for how long nothing was polled.
    assert _blamed(run) <= {"source"}, run.report
    assert ("rien n'a été lu pendant" in run.report) == bool(_blamed(run))


def _blamed(run: Run) -> set[str]:
    """The sides on which the report looks for the bottleneck."""
    return {side for side in SIDES if f"Ligne du diagnostic qui correspond : {side} (" in run.report}
