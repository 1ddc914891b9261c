"""A criterion that stays NOGO ends the load on a real lab; the drain goes on, and verdict and fiche say what did it."""

from __future__ import annotations

from pathlib import Path

from lab.handles import Lab
from tests.lab.runs import SHORT, Run

LATENCY = '  - {id: e2e_p99, measure: e2e.p99, go: "< 5 s"}'
STRICT = '  - {id: e2e_p99, measure: e2e.p99, go: "< 1 ms", stop: {after: 5s, grace: 5s}}'
STEADY = "profile: nominal, rate: 500/s, duration: 5s"
LONG = "profile: nominal, rate: 500/s, duration: 120s"


def test_a_criterion_that_stays_nogo_ends_the_load_and_the_verdict_says_so(lab: Lab, tmp_path: Path) -> None:
    text = Path(SHORT).read_text(encoding="utf-8")
    assert (text.count(LATENCY), text.count(STEADY)) == (1, 1)
    scenario = tmp_path / "strict.yaml"
    scenario.write_text(text.replace(LATENCY, STRICT).replace(STEADY, LONG), encoding="utf-8")
    run = Run.start(str(scenario), lab, tmp_path / "runs")
    assert run.wait(within_s=180) == 20, run.output
    ending = run.record.manifest.ending
    assert ending is not None
    assert (ending.how, ending.aborted) == ("criterion", False)
    assert ending.cut is not None
    assert ending.cut.criterion == "e2e_p99"
    assert run.record.manifest.phases[-1].name == "drain"
    assert run.totals["sent"] == run.totals["acked"] == run.totals["arrived"]
    assert ending.cut.due_records <= run.totals["sent"] < 30_000
    verdicts = {name: one["verdict"] for name, one in run.criteria.items()}
    assert (verdicts["load_achieved"], verdicts["e2e_p99"], verdicts["lost"]) == ("GO", "NOGO", "GO")
    assert run.verdict["reason"]["code"] == "cut_short"
    assert "par le critère `e2e_p99`" in run.fiche
