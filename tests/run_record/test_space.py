"""The room that a run takes: never less than real ones take, not much more, and asked for before anything is sent."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from checks.metric_profiles import PROFILES, Filter, Job
from checks.record_inputs import environment_of, scenario_of
from locust_session import timeline
from run_record import space
from run_record.space import require_room, room_for
from run_record.store import RunRecord
from scenarios.environment import Ceilings
from scenarios.errors import Refused
from scenarios.plan import RunPlan, make_plan, parse_rehearsal
from scenarios.scenario import library_names, load
from tests.scenarios.examples import environment, plan
from tests.support.day import write_day

RECORDED = Path(__file__).parents[1] / "lab_unit" / "recorded_run.tar.xz"


def plan_of(record: RunRecord) -> RunPlan:
    """What a record's run was to play."""
    manifest = record.manifest
    where = environment_of(manifest)
    large = Ceilings(records_per_s="1000000/s", bytes_per_s="999GB/s", total_bytes="999999GB", duration="99h")
    where = where.model_copy(update={"environment": where.environment.model_copy(update={"ceilings": large})})
    return make_plan(scenario_of(manifest), where, rehearsal=parse_rehearsal(manifest.rehearsal))


def sizes(directory: Path) -> tuple[int, int]:
    """Of record and evidence as they lie there, in bytes."""
    record, evidence = (
        sum(file.stat().st_size for file in (directory / name).rglob("*") if file.is_file())
        for name in ("record", "evidence")
    )
    return record, evidence


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of a real lab of three minutes, scraped every two seconds, and one of a day, every fifteen."""
    place = tmp_path_factory.mktemp("runs")
    with tarfile.open(RECORDED) as archive:
        archive.extractall(place, filter="data")
    return {"recorded": place / "recorded_run", "day": write_day(place)}


@pytest.mark.parametrize(("name", "at_most"), [("recorded", 12), ("day", 3)])
def test_a_run_takes_no_more_room_than_was_asked_for_and_a_good_part_of_it(runs, name, at_most):
    record = RunRecord.open(runs[name])
    needed = room_for(plan_of(record))
    record_bytes, evidence_bytes = sizes(runs[name])
    assert record_bytes <= needed.record_bytes <= at_most * record_bytes
    assert evidence_bytes <= needed.evidence_bytes <= at_most * evidence_bytes


def test_every_role_that_the_judge_asks_for_is_reckoned_with():
    for profile in PROFILES.values():
        filters = [(metric.filter, metric.job) for metric in profile.metrics.values()]
        assert sum(one is Filter.PREFIX for one, _ in filters) <= space.ROLES_OF_A_PARTITION
        assert sum(one in (Filter.CONNECTOR, Filter.PRODUCER) for one, _ in filters) <= space.ROLES_OF_A_TASK
        others = sum(one is Filter.NONE for one, _ in filters) + 1  # `up`
        assert others - sum(job is Job.NODES for _, job in filters) <= space.ROLES_OF_A_WORKER


def test_histograms_are_reckoned_as_often_as_they_are_written():
    ours = (space.HISTOGRAMS_EVERY_S, space.HISTOGRAMS_EVERY_S_LATER, space.LATER_S)
    assert ours == (timeline.HISTOGRAMS_EVERY_S, timeline.HISTOGRAMS_EVERY_S_LATER, timeline.LATER_S)


def test_the_scenarios_of_the_library_fit_a_disk_with_a_gibibyte_free():
    where = environment()
    for name in library_names():
        loaded = load(name, environment=where.environment)
        if not loaded.unset:
            needed = room_for(make_plan(loaded, where, rehearsal=parse_rehearsal("1/30")))
            assert needed.total_bytes < 1024**3, name


@pytest.fixture
def disk(monkeypatch):
    """A disk with so many bytes free."""

    def free(bytes_: int) -> None:
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=bytes_ // 512, f_frsize=512))

    return free


def test_too_little_room_is_refused_with_both_figures_and_what_to_do(disk, tmp_path):
    needed = room_for(plan()).total_bytes
    disk(needed - 1024)
    with pytest.raises(Refused) as refused:
        require_room(plan(), tmp_path / "runs")
    said = str(refused.value)
    for part in (f"{tmp_path}/runs: ", " MiB free", f"{needed / 1024**2:,.1f} MiB", "make room", "--runs-dir"):
        assert part in said
    disk(needed + 1024)
    require_room(plan(), tmp_path / "runs")


def test_a_directory_that_is_not_there_yet_is_on_the_disk_of_the_one_above_it(tmp_path, monkeypatch):
    asked = []
    real = os.statvfs
    monkeypatch.setattr(os, "statvfs", lambda place: (asked.append(Path(place)), real(place))[1])
    require_room(plan(), tmp_path / "not" / "there")
    assert asked[-1] == tmp_path


def test_a_place_that_cannot_be_asked_has_room_until_it_is_written_to(monkeypatch, tmp_path):
    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "statvfs", denied)
    require_room(plan(), tmp_path)
