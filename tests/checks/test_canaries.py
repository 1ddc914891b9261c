"""Canaries: in no figure of the load, with a silence before it or without; and on top of every document when they did
not cross."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.canaries import canaries_of
from checks.case import Case
from checks.judge import judge_run
from checks.metric_profiles import Role
from checks.words import Words
from run_record.counts import Counts
from run_record.store import SEAL, RunRecord, sums
from runbook.verdict_text import verdict_text
from tests.checks.canaries import change_events, with_canaries
from tests.checks.html_page import plain, read
from tests.support.records import (
    HEALTHY,
    SOURCE_CONNECTOR,
    TOPIC,
    connector,
    growing,
    healthy_connectors,
    healthy_metrics,
    item,
    points,
    scenario_text,
    spoil,
    write_evidence,
    write_run,
)

#: No silence: the canaries have crossed at 71 s, and the load begins.
WITHOUT_SILENCE = (
    ("canary", "canary", 66.0, 71.0, 0),
    ("smoke", "load", 71.0, 81.0, 100),
    ("drain", "drain", 81.0, 83.0, 0),
    ("watch", "watch", 83.0, 143.0, 0),
)
CRITERIA = scenario_text(
    [
        '{id: load, measure: load.achieved, go: "== 100 %"}',
        '{id: polled, measure: connect.poll_total, go: "== plan records"}',
        '{id: written, measure: connect.write_total, go: "== plan records"}',
        '{id: ratio, measure: connect.replication_ratio, go: "== 100 %"}',
        '{id: agrees, measure: mm2.record_count_gap, go: "== 0 records"}',
        '{id: poll_rate, measure: connect.poll_rate, go: "9..11 records/s"}',
    ]
).replace("  - {name: silence, profile: silence, duration: 66s}\n", "")
TASKS = [{"instance": f"w{n + 1}:9404", "connector": SOURCE_CONNECTOR, "task": str(n)} for n in range(2)]
MIRRORS = [{"instance": f"w{n + 1}:9404", "topic": f"source.{TOPIC}", "partition": str(n)} for n in range(2)]


def with_a_canary(base, polled_s, offset_s, start_s=40.0):
    """A counter that counts one canary at an instant, and half of the load."""
    load = growing(base, 50.0)

    def value(at_s):
        return load(at_s) + (1.0 if at_s >= polled_s else 0.0)

    def series(**labels):
        one = item(value, **labels)
        return {**one, "values": points(value, start_s=start_s, offset_s=offset_s)}

    return series


def metrics(polled_s, *, offset_s=0.0, start_s=40.0):
    """Healthy, each task and each partition with its canary."""
    counted = with_a_canary(6.0, polled_s, offset_s, start_s)
    return {
        **healthy_metrics(),
        Role.POLL_TOTAL: [counted(**labels) for labels in TASKS],
        Role.WRITE_TOTAL: [counted(**labels) for labels in TASKS],
        Role.RECORD_COUNT: [counted(**labels) for labels in MIRRORS],
    }


@pytest.fixture
def case_of(tmp_path):
    """The case of a run, with what became of its canaries: `in_time` when the load began, `arrived` in the end."""
    number = iter(range(10_000))

    def build(collected=None, *, in_time=2, arrived=2, evidence=None, **settings):
        directory = write_run(tmp_path / str(next(number)), **settings)
        with_canaries(directory, in_time=in_time, arrived=arrived)
        write_evidence(directory, collected, **(evidence or {}))
        opened = RunRecord.open(directory)
        return Case.of(opened, opened.evidence())

    return build


def values(case):
    return {result.criterion.id: result for result in case.evaluation.results}


@given(polled_s=st.floats(66.2, 70.9), offset_s=st.floats(0.0, 4.9))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_without_a_silence_no_canary_is_in_a_counter_wherever_a_scrape_falls(case_of, polled_s, offset_s):
    case = case_of(metrics(polled_s, offset_s=offset_s), scenario=CRITERIA, phases=WITHOUT_SILENCE)
    found = values(case)
    assert found["polled"].measurement.value == found["written"].measurement.value == 100
    assert found["polled"].measurement.interval is None
    assert case.evaluation.verdict.value == "GO", {name: one.reason for name, one in found.items()}


def test_where_no_scrape_saw_the_time_before_the_canaries_a_range_is_known(case_of):
    counted = metrics(68.0, start_s=67.0)
    found = values(case_of(counted, scenario=CRITERIA, phases=WITHOUT_SILENCE))["polled"]
    assert found.measurement.interval == (100, 102), "the two canaries are in it, or one, or none"
    assert found.verdict.value == "GREY"


def test_canaries_that_straggle_may_be_in_any_growth(case_of):
    found = values(case_of(spoil(healthy_metrics(), Role.POLL_TOTAL, growing(6.0, 51.0)), in_time=0))["poll_total"]
    assert found.measurement.interval == (100, 102)
    assert found.verdict.value == "GO"
    few = spoil(healthy_metrics(), Role.POLL_TOTAL, growing(6.0, 49.5))
    missing = Counts(sent=100, acked=100, arrived=98, late=2)
    assert values(case_of(few, in_time=0, counts=missing))["poll_total"].verdict.value == "NOGO"


@pytest.mark.parametrize(("polled_s", "value", "interval"), [(2.0, 100, None), (900.0, 98, (98, 100))])
def test_canaries_that_mm2_read_before_the_base_and_never_wrote_are_in_no_growth(case_of, polled_s, value, interval):
    """As of an MM2 whose filter drops everything; where it had not read them by then, it may read them at any time."""
    counted = with_a_canary(6.0, polled_s, 0.0, start_s=-20.0)
    polled = {**healthy_metrics(), Role.POLL_TOTAL: [counted(**labels) for labels in TASKS]}
    found = values(case_of(polled, in_time=0, arrived=0))["poll_total"]
    assert (found.measurement.value, found.measurement.interval) == (value, interval)


def test_with_a_silence_and_canaries_that_crossed_nothing_is_taken_off(case_of):
    found = values(case_of())["poll_total"].measurement
    assert (found.value, found.interval, found.detail("canaries")) == (100, None, None)


def test_a_gauge_that_may_show_a_late_canary_judges_nothing(case_of):
    found = values(case_of(in_time=1))
    for name in ("latency_avg", "latency_max"):
        assert found[name].reason.code == "canary_in_gauge"
        assert found[name].verdict.value == "INCONCLUSIVE"
    assert case_of().evaluation.verdict.value == "GO"


# On top of every document.

PAUSED = {
    "connectors": {
        **healthy_connectors(),
        SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, "PAUSED", ("PAUSED", "PAUSED")),
    }
}
SAID = {
    "fr": "aucun canari n'a traversé MM2, sur 2 envoyés : rien ne passait déjà avant la charge.",
    "en": "no canary crossed MM2, of 2 sent: nothing got through before there was any load.",
}


def documents(case, language):
    judgement = judge_run(case.directory, language=language)
    page = plain(read((case.directory / "report.html").read_text(encoding="utf-8")).text)
    texts = {name: (case.directory / name).read_text(encoding="utf-8") for name in ("fiche.md", "summary.md")}
    texts |= {"report.html": page, "terminal": verdict_text(judgement, language=language)}
    return {name: text.replace("\u00a0", " ").replace("\u202f", " ") for name, text in texts.items()}


@pytest.mark.parametrize("language", ["fr", "en"])
def test_canaries_that_did_not_cross_are_on_top_with_what_connect_shows(case_of, language):
    nothing = replace(HEALTHY, arrived=0, late=100)
    case = case_of(in_time=0, arrived=0, counts=nothing, evidence=PAUSED)
    for name, text in documents(case, language).items():
        assert SAID[language] in text, name
        shown = text.replace("`", "")
        states = {
            "fr": "mm2-source-connector : PAUSED ; 2 tâches PAUSED",
            "en": "mm2-source-connector: PAUSED; 2 tasks",
        }
        assert states[language] in shown, name
        decided = Words.load(language).phrase("why_NOGO")
        if name != "summary.md":
            assert shown.index(states[language]) < shown.index(str(decided)), name


def test_a_topics_pattern_that_does_not_match_is_said_with_the_canaries(case_of):
    evidence = {
        "connectors": {**healthy_connectors(), SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, topics="orders[.].*")}
    }
    case = case_of(in_time=0, arrived=0, counts=replace(HEALTHY, arrived=0, late=100), evidence=evidence)
    for name, text in documents(case, "fr").items():
        assert "ne sélectionne pas" in text.split("Ce qui est NOGO")[0], name


def test_the_head_of_a_failed_tasks_trace_is_said_with_the_canaries(case_of):
    trace = "o.a.k.ConnectException: x\nCaused by: o.a.k.TopicAuthorizationException: Not authorized: [source.t]"
    evidence = {
        "connectors": {
            **healthy_connectors(),
            SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, "RUNNING", ("FAILED",), trace),
        }
    }
    case = case_of(in_time=0, arrived=0, counts=replace(HEALTHY, arrived=0, late=100), evidence=evidence)
    top = documents(case, "fr")["fiche.md"].split("Ce qui est NOGO")[0]
    assert "1 tâche en échec" in top
    assert "Not authorized" in top


def test_a_canary_that_was_late_is_said_and_one_that_crossed_is_not(case_of):
    assert "qu'une fois son délai passé" in documents(case_of(in_time=1), "fr")["fiche.md"]
    for name, text in documents(case_of(), "fr").items():
        for said in ("CANARIS", "Canaris :", "canari n'a traversé"):
            assert said not in text, name


def test_of_a_killed_run_the_canaries_are_known_by_the_event(tmp_path):
    directory = write_run(tmp_path, counts=None)
    change_events(directory, lambda one: {**one, "sent": 12, "arrived": 5} if one["event"] == "canary" else one)
    found = canaries_of(RunRecord.open(directory))
    assert (found.sent, found.arrived, found.crossed) == (12, 5, False)


def test_a_load_without_canaries_has_none(tmp_path):
    directory = write_run(tmp_path)
    with_canaries(directory, in_time=0, arrived=0)
    change_events(directory, lambda one: {**one, "event": "nothing"} if one["event"] == "canary" else one)
    record = directory / "record"
    ledger = json.loads((record / "ledger.json").read_text())
    ledger["canary"] = {"sent": 0, "acked": 0, "arrived": 0, "missing": []}
    (record / "ledger.json").write_text(json.dumps(ledger))
    (record / SEAL).write_text(sums(record))
    assert canaries_of(RunRecord.open(directory)) is None
