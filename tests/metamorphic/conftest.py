"""Beds for the suite: each recorded run is unpacked once for all its damages."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.metamorphic.bed import Bed

#: One case in so many is run where nobody asks for all of them; always the same, each judged by its own name.
ONE_IN = 2
ALL = "MM2GATE_ALL_DAMAGES"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Thousands of damages take eight minutes: half of them for every day, all for `make test-long`."""
    here = Path(__file__).parent
    if os.environ.get(ALL) or "::" in "".join(config.args):
        return
    left = [
        item
        for item in items
        if here in item.path.parents
        and item.path.name != "test_whole_judge.py"
        and zlib.crc32(item.name.encode()) % ONE_IN
    ]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in set(left)]


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Bed:
    """Phase 1, GO: 100 records over 12 partitions, two workers with four tasks."""
    return Bed.unpack("phase1_smoke", tmp_path_factory.mktemp("smoke"))


@pytest.fixture(scope="session")
def nominal(tmp_path_factory) -> Bed:
    """Phase 2 rehearsed at 1/30, GO: 60 000 records over 120 partitions."""
    return Bed.unpack("phase2_nominal", tmp_path_factory.mktemp("nominal"))


@pytest.fixture(scope="session")
def everything(smoke: Bed) -> Iterator[Bed]:
    """The same, judged by everything that Prometheus is asked for."""
    criteria = (Path(__file__).parent / "everything.yaml").read_text(encoding="utf-8")

    def with_criteria(text: str) -> str:
        manifest = json.loads(text)
        scenario = manifest["scenario"]
        scenario["text"] += criteria
        scenario["sha256"] = hashlib.sha256(scenario["text"].encode()).hexdigest()
        return json.dumps(manifest, ensure_ascii=False)

    with smoke.changed({"record/manifest.json": with_criteria}) as bed:
        yield bed
