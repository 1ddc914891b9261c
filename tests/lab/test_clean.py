"""Cleaning a real lab: what a run left goes on both clusters, stays gone, and the same scenario runs again."""

from __future__ import annotations

import re
import time
from pathlib import Path

from clients.kafka_admin import Admin
from lab.handles import Lab
from scenarios import environment as environments
from tests.lab.runs import SHORT, SHORT_RECORDS, Run, mm2gate

NAMES = ("test-prometheus.leftover-1", "test-prometheus.leftover-2")


def topics(lab: Lab) -> tuple[set[str], set[str]]:
    """Names of the source's topics, and the target's, that the load may see."""
    loaded = environments.load(str(lab.environment_file))
    where = loaded.environment
    return set(Admin(where.source, loaded).partitions()), set(Admin(where.target, loaded).partitions())


def clean(lab: Lab, *options: str, env: Path | None = None) -> tuple[int, str, str]:
    done = mm2gate("clean", "--env", str(env or lab.environment_file), *options)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_topics_of_a_run_are_cleaned_on_both_sides_and_the_scenario_runs_again(lab: Lab, tmp_path: Path) -> None:
    scenario = tmp_path / "leftover.yaml"
    text = Path(SHORT).read_text(encoding="utf-8").replace("short-{n}", "leftover-{n}")
    assert text.count("duration: 5s") == 1
    scenario.write_text(text.replace("duration: 5s", "duration: 2s"), encoding="utf-8")
    assert Run.start(str(scenario), lab, tmp_path / "first").wait() == 0

    # Of runs that are not in runs/ it knows nothing; other tests' runs may have left topics here too.
    code, said, refused = clean(lab, "--yes")
    assert (code, "--yes is not enough" in refused, "give --confirm lab" in refused) == (40, True, True), refused
    assert all(f"source  {name}  6 partitions  (not known to be ours)" in said for name in NAMES), said
    code, said, _ = clean(lab, "--runs-dir", str(tmp_path / "first"))
    assert code == 40, "nobody has agreed"
    assert all(f"source  {name}  6 partitions\n" in said for name in NAMES), said
    at_source, at_target = topics(lab)
    assert set(NAMES) <= at_source
    assert {f"source.{name}" for name in NAMES} <= at_target

    # mm2 may see the topics, and may not delete them.
    text = lab.environment_file.read_text(encoding="utf-8")
    text = text.replace("username: load", "username: mm2").replace("load.password", "mm2.password")
    text = re.sub(r"secrets/", f"{lab.environment_file.parent}/secrets/", text)
    (tmp_path / "mm2.yaml").write_text(text, encoding="utf-8")
    code, said, refused = clean(lab, "--confirm", "lab", env=tmp_path / "mm2.yaml")
    assert code == 40, refused
    assert "the users of source.security and target.security may need DELETE on topics test-prometheus.*" in refused
    assert len(refused.strip().splitlines()) == 1
    assert set(NAMES) <= topics(lab)[0]

    code, said, refused = clean(lab, "--confirm", "lab")
    assert code == 0, refused
    for name in NAMES:
        assert f"source  {name}: deleted" in said
        assert f"target  source.{name}: deleted" in said
    time.sleep(6)  # longer than MM2 takes to look for topics here
    assert not {name for side in topics(lab) for name in side if "test-prometheus" in name}

    code, said, _ = clean(lab)
    assert (code, "nothing to do" in said) == (0, True), said

    again = Run.start(str(scenario), lab, tmp_path / "second")
    assert again.wait() == 0, again.output
    assert again.totals["sent"] == again.totals["arrived"] == SHORT_RECORDS - 3 * 500
