"""Labs for the lab tests, and the long runs that play in the background."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.handles import Lab
from tests.lab.blamed import Blamed
from tests.lab.broken import Broken
from tests.lab.runs import ROOT, lab_down, lab_up, rewritten
from tests.lab.truths import Truths
from tests.unpatched import unpatched

__all__ = ["unpatched"]

# Two labs at once are ten JVMs on what may be two cores. None lives long enough here for Java's second compiler to
# earn what it takes; a lab that is measured has it.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


#: Runs that play in the background from the first test on.
BACKGROUND = ("truths", "broken", "blamed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a real lab. First what plays on the lab that is in order; then what asks for the
    runs that play in the background meanwhile; then what empties that lab, and the lab's own tests, which use it up;
    last what asks for the runs on the other lab, which take longest."""
    ours = [item for item in items if Path(__file__).parent in Path(item.path).parents]
    if not ours:
        return
    background = [name for name in BACKGROUND if any(name in item.fixturenames for item in ours)]
    last = {"test_clean.py": 2, "test_lab_lifecycle.py": 3}
    for item in ours:
        item.add_marker(pytest.mark.lab)
    items.sort(
        key=lambda item: (
            0
            if item not in ours
            else 4 * bool({"truths", "blamed"} & {*item.fixturenames})
            or last.get(item.path.name)
            or 1 * ("broken" in item.fixturenames)
        )
    )
    # A mark would come too late: a test's fixtures are known by now.
    first = next(item for item in items if item in ours)
    first.fixturenames[:0] = [name for name in background if name not in first.fixturenames]


@pytest.fixture(scope="session")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Lab]]:
    """Two labs side by side, warm: one that is left in order, one for the long runs, which put it out of order."""
    # With a space, on purpose.
    directories = [tmp_path_factory.mktemp("lab") / name for name in ("a good lab", "a bad lab")]
    try:
        with ThreadPoolExecutor(2) as pool:
            good, bad = pool.map(lab_up, directories)
        yield good, bad
    finally:
        with ExitStack() as ends:  # each of them, even if another one cannot be taken down
            for directory in directories:
                if directory.exists():
                    ends.callback(lab_down, directory)


@pytest.fixture(scope="session")
def light_phase2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phase 2 with a fifth of its load on two topics, and impatient: what a fault does to it needs no more. Nor does it
    ask for what looks back, so two minutes of fences are half a minute."""
    text = (ROOT / "scenarios" / "library" / "phase2_nominal.yaml").read_text(encoding="utf-8")
    for pattern, replacement in (
        (r"count: 10, partitions: 12", "count: 2, partitions: 12"),
        (r"silence, duration: 66s", "silence, duration: 6s"),
        (r"watch, duration: 60s", "watch, duration: 15s"),
        (r"rate: 1000/s", "rate: 200/s"),
        (r"patience: 60s, cap: 600s", "patience: 5s, cap: 12s"),
        (r"950\.\.1050 records/s", "190..210 records/s"),
        (r"< 800 records/s", "< 160 records/s"),
        (r"0\.95\.\.1\.05 MB/s", "0.19..0.21 MB/s"),
        (r"< 0\.5 MB/s", "< 0.1 MB/s"),
        (r"== 10 topics", "== 2 topics"),
        (r"< 100 ms", "< 10 s"),  # of a machine that has other work
    ):
        text, count = re.subn(pattern, replacement, text)
        assert count == 1, pattern
    text, count = re.subn(r"(?m)^.*measure: (mm2\.latency|connect\.offset_commit_failure).*\n", "", text)
    assert count == 6
    text, count = re.subn(", beside: connect.throttle_max", "", text)
    assert count == 1
    path = tmp_path_factory.mktemp("scenarios") / "phase2_light.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def slow_phase1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phase 1, with limits of time for a machine that has other work."""
    path = tmp_path_factory.mktemp("scenarios") / "phase1_slow.yaml"
    rewritten(
        ROOT / "scenarios" / "library" / "phase1_smoke.yaml",
        path,
        ('go: "< 1 s"', 'go: "< 20 s"'),
        ('go: "< 100 ms", nogo: "> 500 ms"', 'go: "< 20 s", nogo: "> 30 s"'),
        ('go: "< 500 ms"', 'go: "< 20 s"'),
        ('go: "< 1000 ms"', 'go: "< 20 s"'),
    )
    return path


@pytest.fixture(scope="session")
def truths(
    labs: tuple[Lab, Lab], slow_phase1: Path, light_phase2: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Truths]:
    truths = Truths(labs[1], slow_phase1, light_phase2, tmp_path_factory.mktemp("truths"))
    yield truths
    truths.close()


@pytest.fixture(scope="session")
def blamed(
    request: pytest.FixtureRequest, labs: tuple[Lab, Lab], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Blamed]:
    """On the lab of the truths, after them if they are asked for."""
    asked = any("truths" in getattr(item, "fixturenames", ()) for item in request.session.items)
    directory = tmp_path_factory.mktemp("blamed")
    if asked:
        yield Blamed(labs[1], directory, request.getfixturevalue("truths").pool)
        return
    with ThreadPoolExecutor(1) as pool:
        yield Blamed(labs[1], directory, pool)


@pytest.fixture(scope="session")
def broken(labs: tuple[Lab, Lab], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    broken = Broken(labs[0], tmp_path_factory.mktemp("broken"))
    yield broken
    broken.close()


@pytest.fixture(scope="session")
def lab(labs: tuple[Lab, Lab]) -> Lab:
    """The lab that is in order."""
    return labs[0]
