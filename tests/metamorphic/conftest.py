"""Beds for the suite: each recorded run is unpacked once for all its damages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.metamorphic.bed import Bed


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
