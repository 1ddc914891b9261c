"""Payloads of a scenario: one for all topics or one for each, of files that are there or all that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from mm2_users.payload import TYPES
from scenarios.errors import SpecError
from scenarios.payload import DocumentType
from scenarios.scenario import LoadedScenario, load, parse_scenario
from tests.scenarios.examples import environment, plan, with_phases

PHASE = "{name: a, profile: nominal, rate: 10/s, duration: 10s}"


def scenario(payload: str, directory: Path | None = None, topics: int = 1) -> LoadedScenario:
    text = with_phases(PHASE, payload=payload, topics=f"{{count: {topics}, partitions: 4}}")
    return parse_scenario(text, file="s.yaml", environment=environment().environment, directory=directory)


def problems_of(payload: str, directory: Path | None = None, topics: int = 1) -> list[str]:
    with pytest.raises(SpecError) as raised:
        scenario(payload, directory, topics)
    return [str(problem).removeprefix("s.yaml: ") for problem in raised.value.problems]


@pytest.fixture
def orders(tmp_path):
    (tmp_path / "orders").mkdir()
    for number in range(3):
        (tmp_path / "orders" / f"{number}.json").write_bytes(b"x" * (number + 1) * 100)
    return tmp_path


def test_the_types_a_scenario_may_name_are_those_that_are_rendered():
    assert list(get_args(DocumentType)) == list(TYPES)


def test_one_payload_is_that_of_all_topics():
    payload = scenario("{bytes: 300B, types: [transaction, log_event]}", topics=3).scenario.payload
    assert {payload.of_topic(number) for number in range(3)} == set(payload.root)
    assert (payload.root[0].types, payload.bytes) == (("transaction", "log_event"), 300)


def test_a_list_gives_each_topic_its_own():
    payload = scenario("[{bytes: 100B}, {bytes: 10KB}]", topics=2).scenario.payload
    assert [payload.of_topic(number).bytes for number in range(2)] == [100, 10_240]
    assert (payload.bytes, payload.largest_bytes) == (5170, 10_240)


def test_the_plan_counts_the_mean_of_the_topics():
    made = plan(with_phases(PHASE, payload="[{bytes: 100B}, {bytes: 300B}]", topics="{count: 2, partitions: 4}"))
    assert made.payload_bytes == 100 * 200


def test_files_are_found_beside_the_scenario_in_order(orders):
    payload = scenario("{files: ['orders/*.json', orders/0.json]}", orders).scenario.payload
    files = payload.root[0].files
    assert [file.path.name for file in files] == ["0.json", "1.json", "2.json", "0.json"]
    assert [file.size_bytes for file in files] == [100, 200, 300, 100]
    assert (payload.bytes, payload.largest_bytes) == (175, 300)


def test_paths_start_at_the_scenarios_own_directory(orders, monkeypatch):
    text = with_phases(PHASE, payload="{files: ['orders/*.json']}")
    (orders / "mine.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir("/")
    (payload,) = load(str(orders / "mine.yaml")).scenario.payload.root
    assert payload.largest_bytes == 300


def test_a_judge_elsewhere_reads_the_scenario_without_the_files():
    (payload,) = scenario("{files: [orders/1.json]}").scenario.payload.root
    assert [file.path for file in payload.files] == [None]


def test_all_that_is_wrong_with_files_is_said_at_once(orders):
    (orders / "empty").touch()
    with (orders / "big").open("wb") as big:
        big.truncate(10 * 1024**2 + 1)
    found = problems_of("{files: [empty, big, orders, nowhere.json, 'none/*.json', orders/1.json]}", orders)
    assert found == [
        f"payload.files: {orders}/empty: is empty; a record needs at least one byte",
        f"payload.files: {orders}/big: 10,485,761 bytes, above the 10,485,760 that a record may have",
        f"payload.files: {orders}/orders: not a file",
        f"payload.files: nowhere.json: no such file in {orders}",
        f"payload.files: none/*.json: no such file in {orders}",
    ]


def test_files_beyond_what_a_node_can_hold_are_refused(orders, monkeypatch):
    monkeypatch.setattr("scenarios.payload.MOST_FILES_BYTES", 500)
    monkeypatch.setattr("scenarios.payload.MOST_FILES", 2)
    assert problems_of("{files: ['orders/*']}", orders) == [
        "payload.files: 3 files; at most 2 make a payload",
        "payload.files: 600 bytes in all; every node keeps them in memory, so at most 500",
    ]


@pytest.mark.parametrize(
    ("payload", "topics", "says"),
    [
        (
            "{bytes: 1KB, files: [x]}",
            1,
            "payload: files are sent as they are: give files, or bytes and types, not both",
        ),
        ("{files: []}", 1, "payload.files: write a list of paths or patterns"),
        ("{files: x.json}", 1, "payload.files: write a list of paths or patterns"),
        ("{types: []}", 1, "payload.types: "),
        ("{types: [orders]}", 1, "payload.types[0]: input should be 'user_activity', 'system_metrics'"),
        ("[{bytes: 100B}, {bytes: 99B}]", 2, "payload[1].bytes: input should be greater than or equal to 100"),
        ("[]", 1, "payload: an empty list; give one payload, or one for each topic"),
        ("[{bytes: 1KB}, {bytes: 1KB}]", 3, "2 payloads for 3 topics; give one for all, or one for each"),
        ("{byts: 1KB}", 1, "payload.byts: unknown key (did you mean bytes?)"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(payload, topics, says):
    (problem,) = problems_of(payload, topics=topics)
    assert problem.startswith(says), problem
