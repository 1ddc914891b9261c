"""Trust is not bought with silence: an MM2 in order is GO, every time. How many times: MM2GATE_HEALTHY_RUNS.

Nothing else may run on the machine meanwhile: the verdict of a lab that shares its two cores is about the machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.handles import Lab
from tests.lab.runs import MM2GATE, Run, lab_down, lab_up

pytestmark = pytest.mark.long

TIMES = int(os.environ.get("MM2GATE_HEALTHY_RUNS", "3"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab for these runs only."""
    directory = tmp_path_factory.mktemp("healthy") / "lab"
    try:
        yield lab_up(directory)
    finally:
        if directory.exists():
            lab_down(directory)


@pytest.mark.parametrize(
    ("scenario", "options"), [("phase1_smoke", ()), ("phase2_nominal", ("--rehearsal", "1/30"))], ids=["1", "2"]
)
def test_a_healthy_mm2_is_go_every_time(alone: Lab, tmp_path: Path, scenario: str, options: tuple[str, ...]) -> None:
    # New topics on a cold lab: the first load after `lab up` meets partitions that nobody has read or written yet.
    came_to = []
    for number in range(TIMES):
        run = Run.start(scenario, alone, tmp_path / str(number), (*MM2GATE, "run"), *options)
        came_to.append(run.wait(within_s=400))
        print(run.output.partition("Aggregated")[2])
    assert came_to == [0] * TIMES
