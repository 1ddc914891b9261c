"""What the gate makes of MM2 out of order under a load: duplicates to the last one, and the side that is to blame."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from lab.handles import Lab
from lab.layout import SOURCE, TARGET
from tests.lab.runs import SHORT, SHORT_RECORDS, Run
from tests.lab.truths import CONNECTOR, Truths

TWICE = "mm2-source-connector-again"
TWICE_TOPIC = "test-prometheus.twice-1"


def test_a_second_connector_is_caught_as_duplicates_counted_exactly_on_its_topics_only(
    lab: Lab, tmp_path: Path
) -> None:
    text = Path(SHORT).read_text(encoding="utf-8").replace("short-{n}", "twice-{n}")
    drain = "  - {name: drain, profile: drain, patience: 20s, cap: 60s}\n"
    assert drain in text
    # Copies may come later than what they are copies of.
    text = text.replace(drain, f"{drain}  - {{name: watch, profile: watch, duration: 6s}}\n")
    (tmp_path / "twice.yaml").write_text(text, encoding="utf-8")
    config = lab.connect.config(CONNECTOR)
    lab.connect.put_config(TWICE, {**config, "name": TWICE, "topics": TWICE_TOPIC.replace(".", "[.]")})
    try:
        run = Run.start(str(tmp_path / "twice.yaml"), lab, tmp_path / "runs")
        assert run.wait() == 20, run.output
    finally:
        lab.connect.delete(TWICE)
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
    target, source, capacity = run.optimisation
    assert "| **oui** |" in target, run.fiche
    assert "| **oui** |" not in source + capacity
    assert "Le goulot est du côté : cible" in run.fiche
    assert "la cible impose à MM2 d'attendre" in run.fiche


def test_a_connector_paused_mid_run_is_nogo_and_the_diagnosis_is_the_source(truths: Truths) -> None:
    run = truths.stalled.result()
    assert run.process.returncode == 20, run.output
    assert run.totals["lost"] == run.totals["duplicated"] == 0
    assert run.totals["late"] > 0
    assert run.criteria["not_running"]["verdict"] == "NOGO"
    target, source, capacity = run.optimisation
    assert "| **oui** |" in source, run.fiche
    assert "| **oui** |" not in target + capacity
    assert "Le goulot est du côté : source" in run.fiche
    assert "rien n'a été lu pendant" in run.fiche
