"""A load generator that stands still for longer than a node waits for its master sends all of it all the same, late,
and says so; and a worker that would play on other clusters is refused before anything is sent or created."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from clients.kafka_admin import Admin
from lab.handles import Lab
from lab.ports import free_ports
from scenarios import environment as environments
from tests.lab.runs import LOCUST, ROOT, Run, variant
from tests.lab.test_distributed import master_and_workers

FREEZE_S = 6.0
STEADY_S = 15
RECORDS = 1200 + 500 * STEADY_S


@pytest.fixture
def longer(tmp_path: Path) -> str:
    """The short scenario with time to stand still in, and the question whether records were sent when they were due."""
    return variant(
        tmp_path / "longer.yaml",
        ("rate: 500/s, duration: 5s", f"rate: 500/s, duration: {STEADY_S}s"),
        ("criteria:", 'criteria:\n  - {id: send_delay, measure: load.send_delay_p99, go: "< 100 ms"}'),
    )


def freeze(pid: int) -> None:
    """The process does not run for a while, as when its machine is moved."""
    time.sleep(2.0)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(FREEZE_S)
    os.kill(pid, signal.SIGCONT)


def assert_all_was_sent_late_and_said(run: Run, code: int) -> None:
    """Exact counts; a generator that was late cannot say GO, or blame anybody; and who stood still is named."""
    assert run.totals["sent"] == run.totals["acked"] == run.totals["arrived"] == RECORDS, run.output
    assert code == 30, run.output
    verdicts = {name: one["verdict"] for name, one in run.criteria.items()}
    assert verdicts.pop("send_delay") in ("NOGO", "INCONCLUSIVE")
    assert run.criteria["send_delay"]["value"] > 1000
    assert "send_delay" in run.verdict["deciding"]
    for name in ("load_achieved", "arrived", "lost", "late", "duplicated", "reordered"):
        assert verdicts[name] == "GO", (name, run.criteria[name])
    lasted_s = [event["lasted_s"] for event in run.record.events if event["event"] == "stood_still"]
    assert [one for one in lasted_s if one > FREEZE_S - 1] == [pytest.approx(FREEZE_S, abs=1.5)], lasted_s
    assert "resté figé" in run.fiche
    ending = run.record.manifest.ending
    assert ending is not None
    assert ending.how == "completed"


def test_a_generator_that_was_frozen_for_6_s_sends_all_of_it_and_is_inconclusive_by_name(
    lab: Lab, tmp_path: Path, longer: str
) -> None:
    run = Run.start(longer, lab, tmp_path / "runs")
    run.until_phase("steady")
    freeze(run.process.pid)
    assert_all_was_sent_late_and_said(run, run.wait())
    assert "stood still for" in run.output


def test_a_worker_that_was_frozen_for_6_s_is_not_lost_and_sends_all_of_it(
    lab: Lab, tmp_path: Path, longer: str
) -> None:
    with master_and_workers(lab, tmp_path / "runs", 2, scenario=longer) as (master, workers):
        master.until_phase("steady")
        freeze(workers[0].pid)
        code = master.wait()
    assert_all_was_sent_late_and_said(master, code)
    first, second = master.record.manifest.workers
    assert first.identity is not None
    assert first.identity == second.identity
    assert first.identity.source_cluster_id == master.record.manifest.environment.source.cluster_id


def topics_of(lab: Lab) -> set[str]:
    """On both clusters."""
    environment = environments.load(str(lab.environment_file))
    clusters = (environment.environment.source, environment.environment.target)
    return {name for cluster in clusters for name in Admin(cluster, environment).partitions()}


def exchanged(text: str, one: str, other: str) -> str:
    """Each in the other's place."""
    return re.sub(f"{re.escape(one)}|{re.escape(other)}", lambda found: other if found[0] == one else one, text)


def test_a_worker_whose_environment_points_at_another_cluster_is_refused_before_anything_is_created(
    lab: Lab, tmp_path: Path
) -> None:
    scenario = variant(tmp_path / "identity.yaml", ("short-{n}", "identity-{n}"))
    directory, where = lab.environment_file.parent, environments.load(str(lab.environment_file))
    text = where.text.replace("secrets/", f"{directory}/secrets/")
    source, target = where.environment.source, where.environment.target
    swapped = exchanged(text, source.bootstrap_servers, target.bootstrap_servers)
    swapped = exchanged(swapped, source.cluster_id, target.cluster_id)
    for place, content in (("master", text), ("worker", swapped)):
        (tmp_path / place).mkdir()
        (tmp_path / place / "environment.yaml").write_text(content, encoding="utf-8")
    before = topics_of(lab)
    port = str(free_ports(("master",))["master"])
    started = {
        place: subprocess.Popen(
            [*LOCUST, *arguments],
            cwd=tmp_path / place,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for place, arguments in {
            "master": [
                *("--headless", "--loglevel", "WARNING", "--master", "--expect-workers", "1"),
                *("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--scenario", scenario),
                *("--env", "environment.yaml", "--runs-dir", str(tmp_path / "runs")),
            ],
            "worker": ["--worker", "--master-host", "127.0.0.1", "--master-port", port],
        }.items()
    }
    try:
        said, _ = started["master"].communicate(timeout=120)
    finally:
        for process in started.values():
            process.kill()
            process.communicate()
    assert started["master"].returncode == 40, said
    lines = [line for line in said.splitlines() if "does not play what the master plays" in line]
    assert lines, said
    assert "Traceback" not in said
    for part in (
        f"(pid {started['worker'].pid}, ",
        f"source {target.cluster_id}, target {source.cluster_id}",
        f"source {source.cluster_id}, target {target.cluster_id}",
        str(tmp_path / "worker" / "environment.yaml"),
    ):
        assert part in lines[-1]
    assert topics_of(lab) == before, "nothing was created on either cluster"
