"""A criterion that stays NOGO ends the load on a real lab; the drain goes on, and verdict and fiche say what did it."""

from __future__ import annotations

from tests.lab.broken import Broken


def test_a_criterion_that_stays_nogo_ends_the_load_and_the_verdict_says_so(broken: Broken) -> None:
    run = broken.strict.result()
    assert run.process.returncode == 20, run.output
    ending = run.record.manifest.ending
    assert ending is not None
    assert (ending.how, ending.aborted) == ("criterion", False)
    assert ending.cut is not None
    assert ending.cut.criterion == "e2e_p99"
    assert run.record.manifest.phases[-1].name == "drain"
    assert run.totals["sent"] == run.totals["acked"] == run.totals["arrived"]
    assert ending.cut.due_records <= run.totals["sent"] < 150_000
    verdicts = {name: one["verdict"] for name, one in run.criteria.items()}
    assert (verdicts["load_achieved"], verdicts["e2e_p99"], verdicts["lost"]) == ("GO", "NOGO", "GO")
    assert run.verdict["reason"]["code"] == "cut_short"
    assert "par le critère `e2e_p99`" in run.fiche
