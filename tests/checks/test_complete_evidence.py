"""What Prometheus says is believed only if it is complete: each role of a healthy minute, damaged in each way.

Damage beyond what is tolerated leaves no figure of any measure that reads the role; less of it never gives another
figure; what says the same in other words changes nothing. Which measure reads which role is told by the measures.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.evidence import Evidence, Metric
from checks.measurement import Window
from checks.measures import Run, measure
from checks.metric_profiles import CONFLUENT_MIRROR, Role
from checks.reasons import Code, Reason
from checks.record_inputs import environment_of
from checks.role_facts import FACTS, Kind, Owner
from checks.series import UnreadableAnswer, merged, parse_matrix
from checks.windows import Windows
from run_record.store import RunRecord
from scenarios.measures import MEASURES
from tests.support.phase2 import END_S, START_S, phase2_metrics, write_phase2
from tests.support.records import T0_S, environment_text, matrix, write_evidence

ASKED = [name for name, spec in MEASURES.items() if spec.asked and name != "connect.not_running"]
#: Ten scrapes in a minute's load are too few for a trend (tests/checks/test_phase5.py has longer ones).
ASKED = [name for name in ASKED if not name.endswith("_growth")]
LOAD = Window(start_s=T0_S + START_S, end_s=T0_S + END_S)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory) -> Run:
    """The minute, its workers' own CPU measured."""
    directory = write_phase2(
        tmp_path_factory.mktemp("healthy"), environment=environment_text() + "cpu: {workers: process}\n"
    )
    write_evidence(directory, phase2_metrics())
    record = RunRecord.open(directory)
    environment = environment_of(record.manifest).environment
    return Run(
        record=record,
        evidence=Evidence.open(record.evidence()),
        environment=environment,
        windows=Windows.of(record, environment),
    )


HEALTHY = phase2_metrics()


@cache
def as_read() -> dict[Role, Metric]:
    return {role: read(role, items) for role, items in HEALTHY.items()}


def read(role, items) -> Metric:
    """Series as the evidence has them; what cannot be read is its trouble."""
    try:
        return Metric(query=str(role), series=tuple(merged(parse_matrix(matrix(items, [])))))
    except UnreadableAnswer as error:
        return Metric(query=str(role), trouble=Reason.of(Code.UNREADABLE, error=str(error)))


def with_metrics(run: Run, changed) -> Run:
    """The run with other series of some roles in its evidence."""
    evidence = replace(run.evidence)
    evidence._metrics.update(as_read())
    evidence._metrics.update({role: read(role, items) for role, items in changed.items()})
    return replace(run, evidence=evidence)


@contextmanager
def reading() -> Iterator[set[Role]]:
    """The roles that a measure reads."""
    roles: set[Role] = set()
    read = Evidence.metric

    def metric(evidence, role):
        roles.add(role)
        return read(evidence, role)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evidence, "metric", metric)
        yield roles


@pytest.fixture(scope="module")
def readers(healthy) -> dict[Role, list[str]]:
    """For each role, the measures that read it."""
    found: dict[Role, list[str]] = {}
    for name in ASKED:
        with reading() as roles:
            assert measure(name, healthy).value is not None, name
        for role in roles:
            found.setdefault(role, []).append(name)
    return found


ROLES = [*HEALTHY]


# Damages: from a series' points, (seconds since the run began, text), to other points.


def without(start_s, end_s):
    return lambda points: [point for point in points if not start_s <= point[0] <= end_s]


def valued(text, start_s=-math.inf, end_s=math.inf):
    return lambda points: [(at_s, text if start_s <= at_s <= end_s else value) for at_s, value in points]


def shifted(by_s):
    return lambda points: [(at_s + by_s, value) for at_s, value in points]


def thinned(keep):
    return lambda points: points[::keep]


def slowed(factor):
    return lambda points: [(START_S + factor * (at_s - START_S), value) for at_s, value in points]


def contradicted(points):
    return [*points, (points[len(points) // 2][0], "12345")]


MIDDLE_S = START_S + 29
GONE = {
    "cut at the start": without(0, START_S + 25),
    "cut at the end": without(END_S - 25, 1e9),
    "hole": without(START_S + 15, END_S - 15),
    "nothing": without(0, 1e9),
    "one point in twelve": thinned(12),
    "later": shifted(+60),
    "earlier": shifted(-90),
    "slower": slowed(6),
    "faster": slowed(1 / 4),
}
ODD = {
    "NaN at the start": valued("NaN", 0, START_S + 25),
    "NaN at the end of the load": valued("NaN", END_S - 25, END_S + 25),
    "NaN in the middle": valued("NaN", START_S + 15, END_S - 15),
    "NaN all along": valued("NaN"),
}
POISON = {
    "+Inf once": valued("+Inf", MIDDLE_S, MIDDLE_S + 5),
    "-Inf once": valued("-Inf", MIDDLE_S, MIDDLE_S + 5),
    "below 0 once": valued("-1", MIDDLE_S, MIDDLE_S + 5),
    "below 0 all along": valued("-7"),
    "not a number": valued("many", MIDDLE_S, MIDDLE_S + 5),
    "two values at once": contradicted,
}
DAMAGES = {**GONE, **ODD, **POISON}


def damaged(items, change, which=None):
    """Series with other points, all of them or the one of this number; those without any are gone."""
    found = copy.deepcopy(items)
    for number, one in enumerate(found):
        if which in (None, number):
            points = change([(float(at_s) - T0_S, value) for at_s, value in one["values"]])
            one["values"] = [[T0_S + at_s, value] for at_s, value in points]
    return [one for one in found if one["values"]]


def figures(run, names):
    return {name: measure(name, run).value for name in names}


def after(healthy, role, change, which=None):
    """The run with a damaged role."""
    return with_metrics(healthy, {role: damaged(HEALTHY[role], change, which)})


#: A scrape that failed for want of one is a scrape that failed, whatever `up` says instead of 1.
CASES = [(role, name) for role in ROLES for name in ({**GONE, **ODD} if role is Role.UP else DAMAGES)]
LOOK_BACK = [role for role in ROLES if FACTS[role].kind is Kind.LOOK_BACK]


# Beyond what is tolerated.


@pytest.mark.parametrize(("role", "damage"), CASES)
def test_a_metric_damaged_beyond_what_is_tolerated_leaves_no_figure(healthy, readers, role, damage):
    run = after(healthy, role, DAMAGES[damage])
    assert {name: value for name, value in figures(run, readers[role]).items() if value is not None} == {}


@pytest.mark.parametrize("which", ["first", "last"])
@pytest.mark.parametrize(("role", "damage"), CASES)
def test_one_part_damaged_beyond_what_is_tolerated_leaves_no_figure(healthy, readers, role, damage, which):
    number = 0 if which == "first" else len(HEALTHY[role]) - 1
    if role is Role.NODE_CPU_IDLE and damage == "nothing":
        pytest.skip("how many processors a node has is told by nobody else")
    run = after(healthy, role, DAMAGES[damage], number)
    found = {name: value for name, value in figures(run, readers[role]).items() if value is not None}
    # A topic that shows nothing is a topic fewer, of those that are counted.
    assert found == ({"mm2.topics_replicated": 9} if (role, damage) == (Role.RECORD_COUNT, "nothing") else {})


@pytest.mark.parametrize("role", [role for role in ROLES if role is not Role.UP])
def test_series_that_are_there_twice_leave_no_figure(healthy, readers, role):
    twins = [{**one, "metric": {**one["metric"], "replica": "b"}} for one in HEALTHY[role]]
    run = with_metrics(healthy, {role: [*HEALTHY[role], *twins]})
    counted_by_name = {"mm2.topics_replicated"}
    found = figures(run, set(readers[role]) - counted_by_name)
    assert {name: value for name, value in found.items() if value is not None} == {}


@pytest.mark.parametrize(
    "role", [role for role in ROLES if FACTS[role].owner in (Owner.TASK, Owner.PARTITION, Owner.PRODUCER)]
)
def test_series_whose_instance_is_renamed_midway_leave_no_exact_figure(healthy, readers, role):
    """The other half of each comes from an instance that nobody scrapes."""
    half = T0_S + MIDDLE_S
    halves = [
        {"metric": {**one["metric"], **labels}, "values": [pair for pair in one["values"] if keep(pair[0])]}
        for one in HEALTHY[role]
        for labels, keep in (
            ({}, lambda at_s: at_s < half),
            ({"instance": "w9:9404"}, lambda at_s: at_s >= half),
        )
    ]
    run = with_metrics(healthy, {role: halves})
    found = {name: measure(name, run) for name in readers[role]}
    assert {name: one.why_not.code for name, one in found.items()} == dict.fromkeys(found, Code.UP_MISSING)


# NaN is what they show when nothing happened, and only then.


@pytest.mark.parametrize("role", LOOK_BACK)
def test_nan_long_after_the_last_record_is_idleness(healthy, readers, role):
    run = after(healthy, role, valued("NaN", END_S + 40))
    names = [name for name in readers[role] if name != "mm2.record_count_gap"]
    assert figures(run, names) == figures(healthy, names)


@pytest.mark.parametrize("role", LOOK_BACK)
def test_nan_of_a_part_that_carried_nothing_is_idleness(healthy, readers, role):
    counter = FACTS[role].activity.counter
    counters = (counter, Role.RECORD_COUNT) if FACTS[role].owner is Owner.PARTITION else (counter,)
    idle = {one: damaged(HEALTHY[one], valued("60"), 0) for one in counters}
    idle[role] = damaged(HEALTHY[role], valued("NaN"), 0)
    run = with_metrics(healthy, idle)
    assert all(measure(name, run).value is not None for name in readers[role])


@pytest.mark.parametrize("role", LOOK_BACK)
def test_a_store_that_keeps_no_nan_is_named(healthy, readers, role):
    """As VictoriaMetrics has it: what was NaN is not there."""
    known = damaged(HEALTHY[role], lambda points: [p for p in points if START_S <= p[0] < END_S + 35])
    known = damaged(known, lambda points: [point for point in points if point[1] != "nan"])
    run = with_metrics(healthy, {role: known})
    assert {measure(name, run).why_not.code for name in readers[role]} == {Code.NAN_NOT_KEPT}


# Within what is tolerated.


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("which", [None, 0])
def test_one_missed_scrape_changes_no_figure(healthy, readers, role, which):
    """Of figures that do not move during the load: what moves is read from the scrapes that there are."""
    run = after(healthy, role, without(MIDDLE_S - 2, MIDDLE_S + 2), which)
    names = [name for name in readers[role] if name != "connect.poll_idle"]
    assert figures(run, names) == pytest.approx(figures(healthy, names))


@given(data=st.data())
def test_fewer_points_give_the_same_figure_or_none(healthy, readers, data):
    role = data.draw(st.sampled_from([one for one in ROLES if one is not Role.UP]))
    which = data.draw(st.integers(0, len(HEALTHY[role]) - 1))
    gone = data.draw(st.sets(st.integers(0, 34), max_size=12))
    run = after(healthy, role, lambda points: [one for place, one in enumerate(points) if place not in gone], which)
    for name in readers[role]:
        if name != "connect.poll_idle":
            value = measure(name, run).value
            assert value is None or value == pytest.approx(measure(name, healthy).value)


# In other words.


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "change",
    [
        lambda items: list(reversed(items)),
        lambda items: [{**one, "metric": {**one["metric"], "cluster": "x", "pod": "y"}} for one in items],
        lambda items: [{**one, "values": list(reversed(one["values"]))} for one in items],
        lambda items: [{**one, "values": [pair for pair in one["values"] for _ in range(2)]} for one in items],
        lambda items: [*items[1:], *items[:1]],
    ],
    ids=["series in another order", "labels more", "points in another order", "points twice", "first series last"],
)
def test_order_labels_and_repetition_change_no_figure(healthy, readers, role, change):
    run, before, names = (
        with_metrics(healthy, {role: change(HEALTHY[role])}),
        with_metrics(healthy, {}),
        readers[role],
    )
    assert {name: measure(name, run) for name in names} == {name: measure(name, before) for name in names}


def test_every_role_says_what_it_is():
    assert set(FACTS) == {*Role}
    assert {*CONFLUENT_MIRROR.metrics, Role.UP} == {*Role}
