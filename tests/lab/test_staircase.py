"""A staircase on real Kafka and a throttled MM2; variants of a scenario that change the connector, and put it back."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.handles import Lab
from lab.layout import TARGET
from tests.lab.runs import Run

pytestmark = pytest.mark.long

HERE = Path(__file__).parent
CONNECTOR = "mm2-source-connector"
#: About 550 records/s of 1 KB, as they travel to the target.
HELD_BACK_BYTES_PER_S = 600 * 1024


@pytest.fixture
def held_back(lab: Lab) -> Iterator[Lab]:
    lab.throttle(TARGET, HELD_BACK_BYTES_PER_S)
    try:
        yield lab
    finally:
        lab.throttle(TARGET, None)


def test_capacity_of_a_throttled_mm2_lies_between_the_right_two_steps(held_back: Lab, tmp_path: Path) -> None:
    run = Run.start(str(HERE / "stairs.yaml"), held_back, tmp_path)
    run.wait()
    steps = run.verdict["steps"]
    assert list(steps) == ["step_200", "step_400", "step_900", "step_400_again"], run.output
    assert steps == {"step_200": "GO", "step_400": "GO", "step_900": "NOGO", "step_400_again": "GO"}, run.output
    capacity = run.criteria["capacity"]
    assert (capacity["verdict"], capacity["value"], capacity["details"]["refused"]) == ("GO", 400, 900)
    # The step that failed is what the ramp is for; nothing may be lost on it all the same.
    assert run.process.returncode == 0
    assert run.totals["lost"] == run.totals["late"] == 0
    judged = [event for event in run.record.events if event["event"] == "step_judged"]
    assert [(one["phase"], one["verdict"]) for one in judged] == list(steps.items())


def tasks_max(lab: Lab) -> str:
    return lab.connect.config(CONNECTOR)["tasks.max"]


def test_variants_change_the_connector_and_it_is_put_back_after_a_stop_too(lab: Lab, tmp_path: Path) -> None:
    before = tasks_max(lab)
    run = Run.start(str(HERE / "matrix.yaml"), lab, tmp_path)
    run.until(lambda: len(list(tmp_path.glob("*-matrix/record/events.jsonl"))) == 2, within_s=120)
    second = max(tmp_path.glob("*Z-matrix"))
    run.until(lambda: '"phase": "steady"' in (second / "record" / "events.jsonl").read_text(), within_s=90)
    assert tasks_max(lab) == "3"
    run.signal(signal.SIGTERM)
    assert run.wait(within_s=90) == 50, run.output
    assert tasks_max(lab) == before
    assert not list(tmp_path.glob(".undo-*"))
    (series,) = tmp_path.glob("*-series/series.json")
    codes = [variant["exit_code"] for variant in json.loads(series.read_text(encoding="utf-8"))["variants"]]
    assert codes == [0, 50], run.output
