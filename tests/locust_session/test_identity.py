"""Who a process is: two that would play the same are one, and whatever differs is said with both values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locust_session.identity import clock_difference, differences, identity_of, plan_sha256
from run_record.manifest import WorkerIdentity
from scenarios.errors import Refused
from scenarios.plan import load_plan
from tests.scenarios.examples import ENVIRONMENT, SCENARIO, plan

VERSIONS = {"mm2gate": "2.0.0", "envelope": "1", "locust": "2.47.0", "python": "3.11.7"}


def identity(made=None, *, senders: int = 2, load: str = "own", **versions: str) -> WorkerIdentity:
    return identity_of(made or plan(), versions={**VERSIONS, **versions}, load=load, senders=senders)


def changed(text: str, changes) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture
def files(tmp_path):
    """Plans from files as a process reads them; arguments are changes to the texts."""

    def read(place: str = "here", scenario=(), environment=(), **more):
        directory = tmp_path / place
        directory.mkdir(exist_ok=True)
        (directory / "s.yaml").write_text(changed(SCENARIO, scenario))
        (directory / "desk.yaml").write_text(changed(ENVIRONMENT, environment))
        return load_plan(str(directory / "s.yaml"), str(directory / "desk.yaml"), **more)

    return read


def test_the_same_files_in_other_places_are_one(files):
    assert [*differences(identity(files("here")), identity(files("there")))] == []


def test_what_may_differ_is_recorded_and_no_objection():
    node = identity(locust="2.47.1", python="3.12.1", librdkafka="2.16.1")
    assert [*differences(identity(), node)] == []
    assert node.versions["librdkafka"] == "2.16.1"


@pytest.mark.parametrize(
    ("change", "here", "there"),
    [
        ({"mm2gate": "1.9.0"}, "mm2gate 1.9.0", "2.0.0"),
        ({"envelope": "2"}, "envelope 2", "1"),
        ({"load": "none"}, "--load none", "own"),
    ],
)
def test_another_version_envelope_or_kind_of_load_is_said_with_both_values(change, here, there):
    (said,) = differences(identity(), identity(**change))
    assert said == f"{here}, the master's is {there}"


def test_another_cluster_in_a_file_of_the_same_name_is_said_with_both_files_and_both_clusters(files):
    other = files("there", environment=[("cluster_id: AAAA", "cluster_id: CCCC")])
    (said,) = differences(identity(files("here")), identity(other))
    for part in ("there/desk.yaml", "here/desk.yaml", "source AAAA, target BBBB", "source CCCC, target BBBB"):
        assert part in said


def test_an_environment_that_differs_in_nothing_but_a_comment_is_another(files):
    other = files("there", environment=[("name: desk", "name: desk # mine")])
    assert len([*differences(identity(files("here")), identity(other))]) == 1


def test_clusters_that_answer_otherwise_behind_the_same_file_are_said_with_both_ids():
    node = identity_of(plan(), versions=VERSIONS, load="own", senders=2, clusters=("AAAA", "DDDD"))
    (said,) = differences(identity(), node)
    assert said == "clusters source AAAA, target DDDD, the master's are source AAAA, target BBBB"


@pytest.mark.parametrize(
    "more", [{"rehearsal": "1/2"}, {"scenario": [("10/s", "11/s")]}, {"scenario": [("partitions: 4", "partitions: 5")]}]
)
def test_another_rehearsal_rate_or_number_of_partitions_is_another_plan(files, more):
    assert plan_sha256(files("here"), senders=2) != plan_sha256(files("there", **more), senders=2)
    assert [*differences(identity(files("here")), identity(files("there", **more)))]


def test_another_number_of_senders_is_another_plan():
    (said,) = differences(identity(senders=2), identity(senders=3))
    assert said.startswith("plan ")


def test_a_value_given_by_set_is_part_of_the_scenario(files):
    rate = [("10/s", "${rate}"), ("phases:", "variables: {rate: {meaning: records/s, example: 10/s}}\nphases:")]
    ten, eleven = (files(name, scenario=rate, settings=f"rate={name}/s") for name in ("10", "11"))
    assert len([*differences(identity(ten), identity(eleven))]) == 1


def test_files_of_a_payload_are_told_apart_by_what_is_in_them(files, tmp_path):
    payload = [("payload: {bytes: 200B}", "payload: {files: ['*.json']}")]
    for place, content in (("one", "{}"), ("same", "{}"), ("other", "[]")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.json").write_text(content)
    one, same, other = (identity(files(place, scenario=payload)) for place in ("one", "same", "other"))
    assert [*differences(one, same)] == []
    (said,) = differences(one, other)
    assert "a payload's files differ" in said
    made = files("one", scenario=payload)
    (tmp_path / "one" / "a.json").unlink()
    with pytest.raises(Refused, match=r"one/a\.json cannot be read"):
        identity(made)


def test_all_that_differs_is_said_at_once(files):
    other = files("there", scenario=[("10/s", "11/s")], environment=[("AAAA", "CCCC")])
    said = [*differences(identity(files("here")), identity(other, load="none", mm2gate="1.9.0"))]
    assert [one.split()[0] for one in said] == ["mm2gate", "--load", "scenario", "environment"]


@pytest.mark.parametrize(
    ("ahead_s", "said"),
    [(0.9, []), (-0.9, []), (5, ["clock 5.0 s ahead of the master's"]), (-5, ["clock 5.0 s behind the master's"])],
)
def test_a_clock_more_than_a_second_away_is_a_difference(ahead_s, said):
    found = [*clock_difference(round(ahead_s * 1e9))]
    assert [one.partition(" (")[0] for one in found] == said


@given(st.sampled_from(sorted(WorkerIdentity.model_fields)), st.text(min_size=1, max_size=5))
def test_no_part_of_an_identity_but_where_the_file_lies_and_what_it_calls_itself_can_differ_in_silence(name, text):
    master = identity()
    changed = {**master.versions, "mm2gate": text} if name == "versions" else text
    node = master.model_copy(update={name: changed})
    same = getattr(node, name) == getattr(master, name)
    free = name in ("environment", "environment_file")  # another name in the file is another file
    assert bool([*differences(master, node)]) == (not same and not free)
