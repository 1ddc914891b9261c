"""Labs for the lab tests, and the long runs that play in the background."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.handles import Lab
from tests.lab.runs import ROOT, lab_down, lab_up
from tests.lab.truths import Truths
from tests.unpatched import unpatched

__all__ = ["unpatched"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a real lab."""
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Lab]]:
    """Two labs side by side, warm: one that is left in order, one that tests put out of order."""
    directories = [tmp_path_factory.mktemp("lab") / name for name in ("good", "bad")]
    try:
        with ThreadPoolExecutor(2) as pool:
            good, bad = pool.map(lab_up, directories)
        yield good, bad
    finally:
        for directory in directories:
            if directory.exists():
                lab_down(directory)


@pytest.fixture(scope="session")
def impatient_phase1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phase 1 itself, but for how long it waits for what will never come."""
    text = (ROOT / "scenarios" / "library" / "phase1_smoke.yaml").read_text(encoding="utf-8")
    text, drains = re.subn(r"patience: 60s", "patience: 15s", text)
    text, canaries = re.subn(r"^phases:", "canary: {patience: 15s}\nphases:", text, flags=re.MULTILINE)
    assert (drains, canaries) == (1, 1)
    path = tmp_path_factory.mktemp("scenarios") / "phase1_impatient.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def truths(labs: tuple[Lab, Lab], impatient_phase1: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Truths]:
    truths = Truths(*labs, impatient_phase1, tmp_path_factory.mktemp("truths"))
    yield truths
    truths.close()


@pytest.fixture(scope="session")
def lab(labs: tuple[Lab, Lab], truths: Truths) -> Lab:
    """The lab that is in order, once the clean run, which must not be disturbed, is over."""
    truths.clean.exception()
    return labs[0]
