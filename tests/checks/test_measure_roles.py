"""A measure has a value exactly when every role that it declares is in Prometheus, whatever else is missing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from checks.evidence import Evidence
from checks.measure_roles import ROLES, roles_of
from checks.measures import measure
from checks.measures.registry import Run
from checks.metric_roles import Role
from checks.reasons import Code
from checks.windows import Windows
from run_record.store import RunRecord
from scenarios.environment import Environment
from scenarios.measures import MEASURES
from scenarios.yaml_file import parse
from tests.support.phase2 import item, phase2_metrics, write_phase2
from tests.support.records import SOURCE_CONNECTOR, environment_text, write_evidence

PROCESS = "cpu: {workers: process}\n"
DEDICATED = environment_text().replace('urls: ["http://127.0.0.1:9"]', "urls: []")
ASKED = sorted(name for name, spec in MEASURES.items() if spec.asked)


def all_metrics():
    workers = [{"instance": f"w{n}:9404", "connector": SOURCE_CONNECTOR} for n in (1, 2)]
    counts = {role: [item(lambda _: 2.0, **one) for one in workers] for role in (Role.TOTAL_TASKS, Role.RUNNING_TASKS)}
    rebalancing = [item(lambda _: 0.0, instance=one["instance"]) for one in workers]
    return {**phase2_metrics(), **counts, Role.REBALANCING: rebalancing}


@pytest.fixture(scope="module")
def has_value_without(tmp_path_factory):
    """Whether a measure has a value on a healthy run of which Prometheus lacks a role."""

    @cache
    def run_without(role: Role | None, environment: str) -> Run:
        place: Path = tmp_path_factory.mktemp("run")
        directory = write_phase2(place, environment=environment)
        metrics = {one: series for one, series in all_metrics().items() if one is not role}
        write_evidence(directory, metrics if role is None else {**metrics, role: []})
        record = RunRecord.open(directory)
        where = parse(environment, Environment, file="environment.yaml")
        found = record.evidence()
        assert found is not None
        evidence = Evidence.open(found)
        return Run(record=record, evidence=evidence, environment=where, windows=Windows.of(record, where))

    def has_value(name: str, role: Role | None, environment: str) -> bool:
        measured = measure(name, run_without(role, environment))
        # A minute is too short for a trend: then it has been worked out, and lacked nothing but time.
        return measured.value is not None or measured.why_not.code is Code.TOO_FEW_SAMPLES

    return has_value


def test_every_measure_that_is_asked_for_declares_its_roles():
    assert sorted(ROLES) == ASKED


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        *(pytest.param(name, environment_text(), id=name) for name in ASKED),
        pytest.param("workers.cpu", environment_text() + PROCESS, id="workers.cpu of processes"),
        pytest.param("workers.cpu_growth", environment_text() + PROCESS, id="workers.cpu_growth of processes"),
        pytest.param("connect.not_running", DEDICATED, id="connect.not_running without Connect"),
    ],
)
def test_a_measure_lacks_its_value_where_a_role_that_it_declares_is_missing_and_only_there(
    has_value_without, name, environment
):
    declared = roles_of(name, parse(environment, Environment, file="environment.yaml"))
    assert has_value_without(name, None, environment)
    needed = {role for role in Role if role is not Role.UP and not has_value_without(name, role, environment)}
    assert needed == declared
