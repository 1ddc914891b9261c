"""Rows of the diagnosis beyond the page: each situation gives its row, as the lead of what decided; a healthy run gives
none; and no row has a say in the verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args

import pytest

from checks import case as cases
from checks import diagnosis
from checks.case import Case
from checks.diagnosis import OUR_ROWS, PAGE_ROWS
from checks.judge import judge_run
from checks.lead import PRESSURE, kind_of, lead_of
from checks.metric_profiles import Role
from checks.rows.table import EXPLAINS
from checks.topic_troubles import Kind, TopicTrouble
from run_record.store import SEAL, RunRecord, sums
from scenarios.measures import MEASURES
from scenarios.scenario import load
from tests.checks.canaries import with_canaries
from tests.support.records import (
    HEALTHY,
    REMOTE,
    SOURCE_CONNECTOR,
    T0_S,
    TOPIC,
    always,
    connector,
    during_look_back,
    growing,
    healthy_connectors,
    healthy_metrics,
    scenario_text,
    spoil,
    write_evidence,
    write_run,
)

NOTHING = replace(HEALTHY, arrived=0, late=100)
LOST = replace(HEALTHY, arrived=95, lost=5)
DOUBLED = replace(HEALTHY, duplicated=100)
UNWRITTEN = spoil(healthy_metrics(), Role.WRITE_TOTAL, always(6.0))
UNREAD = spoil(UNWRITTEN, Role.POLL_TOTAL, always(6.0))
TWO_WORKERS = [
    {"url": "http://w1:8083", "version": "4.3.1", "kafka_cluster_id": "target-id"},
    {"url": "http://w2:8083", "error": "connection refused"},
]
MIRROR_CLASS = "org.apache.kafka.connect.mirror.MirrorSourceConnector"


def sealed_again(directory):
    (directory / SEAL).write_text(sums(directory))


def changed(file, change):
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(change(content)), encoding="utf-8")
    sealed_again(file.parent)


@pytest.fixture
def judged(tmp_path):
    """The case of a run in some situation. `ledger` changes the ledger; `written` is what Connect says that MM2 has
    written to; `config` the source connector's, `others` are connectors beside ours, `others_kept` what the evidence
    keeps of them instead."""

    def build(
        metrics=None,
        *,
        evidence=None,
        ledger=None,
        written=None,
        config=None,
        others=None,
        others_kept=None,
        canaries=2,
        **settings,
    ):
        directory = write_run(tmp_path, **settings)
        if canaries != 2:
            with_canaries(directory, in_time=canaries, arrived=canaries)
        if ledger is not None:
            changed(directory / "record" / "ledger.json", ledger)
        connectors = {**healthy_connectors(), **(others or {})}
        connectors[SOURCE_CONNECTOR] = connector(SOURCE_CONNECTOR, **(config or {}))
        kept = write_evidence(directory, metrics, **{"connectors": connectors, **(evidence or {})})
        if written is not None:
            changed(kept / "connect-topics.json", lambda _: written)
        if others_kept is not None:
            (kept / "connect-others.json").write_text(json.dumps(others_kept), encoding="utf-8")
            answer = {"kind": "connect", "name": "others", "error": None, "file": "connect-others.json"}
            changed(kept / "index.json", lambda index: {**index, "answers": [*index["answers"], answer]})
        record = RunRecord.open(directory)
        return Case.of(record, record.evidence())

    return build


def rows(case):
    return [finding.row for finding in case.findings if finding.fits]


def lead(case):
    found = lead_of(case.evaluation, case.findings)
    return None if found is None or found.finding is None else found.finding


def partitions(*arrived):
    """Streams of 50 records each, of which so many arrived."""

    def change(ledger):
        none = dict.fromkeys(ledger["totals"], 0)
        counts = [{**none, "sent": 50, "acked": 50, "arrived": number, "late": 50 - number} for number in arrived]
        streams = [
            {
                "topic": TOPIC,
                "partition": number,
                "sender": 0,
                "counts": one,
                "examples": {"late": [[one["arrived"], 50]]} if one["late"] else {},
            }
            for number, one in enumerate(counts)
        ]
        return {**ledger, "streams": streams}

    return change


def closing(mirror=None, *, partitions=2, restarts=(), changes=(), **facts):
    """What lay on both clusters when the run ended; `mirror` are facts of the mirror, `facts` of its partitions."""

    def topic(name, **more):
        whole = {
            "topic": name,
            "partitions_start": 2,
            "partitions_end": 2,
            "ids": ["A"],
            "retention_ms": 604_800_000,
            "retention_bytes": -1,
            "cleanup_policy": "delete",
            "untold": {},
        }
        return whole | more

    def partition(name, number, **more):
        ends = {"low_start": 0, "high_start": 0, "low_end": 0, "high_end": 51, "high_most": 51}
        return {"topic": name, "partition": number, **ends, **more}

    facts_of_topics = {
        "source": {"topics": [topic(TOPIC)], "partitions": [partition(TOPIC, n) for n in range(2)]},
        "target": {
            "topics": [topic(REMOTE, **(mirror or {}))],
            "partitions": [
                partition(REMOTE, n, **{"position": facts.get("high_end", 51), **facts}) for n in range(partitions)
            ],
        },
        "changes": [{"side": "target", "topic": REMOTE, **change} for change in changes],
        "restarts": [{"seen_s": at_s, "places": [f"{REMOTE}:0"]} for at_s in restarts],
    }
    return lambda ledger: {**ledger, "closing": facts_of_topics}


HALF = replace(HEALTHY, arrived=48, late=52)
GAP = scenario_text(
    [
        '{id: load, measure: load.achieved, go: "== 100 %"}',
        '{id: lost, measure: ledger.lost, go: "== 0 records"}',
        '{id: agrees, measure: mm2.record_count_gap, go: "== 0 records"}',
    ]
)
SITUATIONS = {
    "mirror_absent": {
        "counts": NOTHING,
        "ledger": closing({"partitions_start": 0, "partitions_end": 0, "ids": []}),
    },
    "mirror_gone": {
        "counts": HALF,
        "ledger": closing({"partitions_end": 0}, changes=[{"what": "gone", "seen_s": 5.0}]),
    },
    "mirror_recreated": {
        "counts": HALF,
        "ledger": closing({"ids": ["A", "B"]}, changes=[{"what": "remade", "seen_s": 5.0}], held=24, held_whole=True),
    },
    "mirror_truncated": {"counts": HALF, "ledger": closing(high_end=20)},
    "mirror_fewer_partitions": {"counts": HALF, "ledger": closing({"partitions_end": 1})},
    "mirror_unread": {"counts": replace(HEALTHY, arrived=48, late=52, unread=52)},
    "reader_stood_still": {"counts": HALF, "ledger": closing(restarts=[4.0])},
    "source_purged": {"counts": replace(HEALTHY, arrived=90, lost=10, purged=10)},
    "duplicated_at_source": {"counts": replace(HEALTHY, duplicated=7, duplicated_at_source=7), "scenario": GAP},
    "headers_dropped": {
        "metrics": UNWRITTEN,
        "config": {"transforms": "strip", "transforms_strip_type": "o.a.k.c.transforms.DropHeaders"},
        "counts": replace(NOTHING, foreign=100),
    },
    "transforms": {"config": {"transforms": "drop", "transforms_drop_type": "o.a.k.c.Filter"}, "counts": LOST},
    "transforms_alter": {
        "config": {"transforms": "mask", "transforms_mask_type": "o.a.k.c.transforms.MaskField$Value"},
        "counts": replace(HEALTHY, corrupted=100),
    },
    "records_skipped": {
        "metrics": spoil(healthy_metrics(), Role.TASK_SKIPPED, growing(0.0, 5.0)),
        "config": {"errors_tolerance": "all"},
        "counts": LOST,
    },
    "worker_gone": {"evidence": {"workers": TWO_WORKERS}, "counts": replace(HEALTHY, duplicated=40)},
    "mirror_renamed": {
        "metrics": healthy_metrics(),
        "counts": NOTHING,
        "written": [f"dc1_{TOPIC.replace('.', '_')}", "heartbeats"],
    },
    "mirror_lost_place": {"counts": replace(HEALTHY, arrived=48, late=52), "lost_places": [f"{REMOTE}:0"]},
    "partitions_silent": {"counts": replace(HEALTHY, arrived=50, late=50), "ledger": partitions(50, 0)},
    "second_connector": {
        "others": {"backup": connector("backup", connector_class=MIRROR_CLASS)},
        "counts": DOUBLED,
    },
    "foreign_records": {
        "metrics": spoil(healthy_metrics(), Role.ACTIVE_COUNT, always(900.0)),
        "counts": replace(HEALTHY, foreign=5000),
    },
    "exporter_down": {"metrics": spoil(healthy_metrics(), Role.UP, lambda s: 0.0 if 75 < s < 110 else 1.0, which=1)},
    "tasks_restarted": {
        "metrics": spoil(healthy_metrics(), Role.REBALANCES, lambda at_s: 3.0 if at_s < 76 else 5.0),
        "counts": replace(HEALTHY, duplicated=40),
    },
    "time_before_mm2": {
        "metrics": spoil(
            spoil(healthy_metrics(), Role.LATENCY_AVG, during_look_back(700.0)),
            Role.RECORD_AGE_AVG,
            during_look_back(600.0),
        ),
        "e2e_ms": [720.0] * 100,
    },
    "time_in_mm2": {
        "metrics": spoil(healthy_metrics(), Role.LATENCY_AVG, during_look_back(700.0)),
        "e2e_ms": [720.0] * 100,
    },
    "sender_held_up": {
        "e2e_ms": [1600.0] * 100,
        "e2e_from_sent_ms": [20.0] * 100,
    },
    "generator_stalled": {
        "events": [
            {
                "name": "stood_still",
                "at_ns": (T0_S + 79) * 10**9,
                "worker": "w2",
                "from_ns": (T0_S + 76) * 10**9,
                "lasted_s": 3.0,
            }
        ],
        "send_delay_ms": [1.0, 3000.0],
    },
    "canaries_missing": {"counts": replace(HEALTHY, arrived=0, late=100), "canaries": 0},
}


@pytest.mark.parametrize("row", SITUATIONS)
def test_each_situation_leads_with_its_own_row(judged, row):
    case = judged(**SITUATIONS[row])
    assert lead(case).row == row, rows(case)


@pytest.mark.parametrize("row", SITUATIONS)
def test_no_row_has_a_say_in_the_verdict(judged, monkeypatch, row):
    monkeypatch.setattr(cases, "diagnose", lambda run, evaluation: ())
    without = judged(**SITUATIONS[row])
    monkeypatch.undo()
    sealed = without.run.evidence.directory
    again = Case.of(RunRecord.open(without.directory), sealed)
    assert again.findings
    assert again.evaluation == without.evaluation


def test_a_healthy_run_fits_no_row(judged):
    assert rows(judged()) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"counts": replace(HEALTHY, corrupted=1)},
        {"metrics": spoil(healthy_metrics(), Role.ACTIVE_COUNT, always(900.0))},
        {"metrics": spoil(healthy_metrics(), Role.LATENCY_MAX, always(700.0))},
    ],
)
def test_what_is_in_order_is_no_suspect_when_something_else_is_wrong(judged, settings):
    """Everything that a row of ours looks at is healthy: none of them may come up."""
    assert rows(judged(**settings)) == []


def test_a_mirror_that_was_made_anew_is_dated_and_says_what_it_holds(judged):
    found = lead(judged(**SITUATIONS["mirror_recreated"]))
    assert found.params["topic"] == REMOTE
    assert found.params["at_ns"] == (T0_S + 71 + 5) * 10**9
    assert found.params["count"] == 48


def test_of_fewer_partitions_both_numbers_are_said(judged):
    found = lead(judged(**SITUATIONS["mirror_fewer_partitions"]))
    assert (found.params["count"], found.params["of"]) == (1, 2)


def test_a_run_that_only_its_mirror_keeps_from_a_go_leads_with_the_mirror(judged):
    remade = closing({"ids": ["A", "B"]}, changes=[{"what": "remade", "seen_s": 5.0}], held=50, held_whole=True)
    case = judged(ledger=remade)
    assert case.evaluation.verdict.value == "INCONCLUSIVE"
    assert case.evaluation.deciding == (), "every criterion is GO"
    assert lead(case).row == "mirror_recreated"


def test_closing_facts_that_are_in_order_are_no_row(judged):
    assert rows(judged(counts=replace(HEALTHY, corrupted=1), ledger=closing())) == []


def test_closing_facts_that_cannot_be_read_stop_no_diagnosis(judged):
    case = judged(counts=LOST, ledger=lambda ledger: {**ledger, "closing": {"source": 5}})
    assert "mirror_recreated" not in rows(case)


# What the rows say.


def test_a_second_connector_is_named_with_the_topic(judged):
    found = lead(judged(**SITUATIONS["second_connector"]))
    assert (found.params["other"], found.params["topic"], found.params["state"]) == ("backup", TOPIC, "RUNNING")


@pytest.mark.parametrize(
    "config",
    [
        {"connector_class": MIRROR_CLASS, "topics": "orders[.].*"},
        {"connector_class": MIRROR_CLASS, "source_cluster_alias": "elsewhere"},
        {"connector_class": MIRROR_CLASS, "replication_policy_class": "o.a.k.c.mirror.IdentityReplicationPolicy"},
        {"connector_class": "io.debezium.connector.mysql.MySqlConnector"},
    ],
)
def test_a_connector_that_writes_elsewhere_is_no_second_one(judged, config):
    case = judged(others={"other": connector("other", **config)}, counts=DOUBLED)
    assert "second_connector" not in rows(case)


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({}, True),
        ({"same_source": None}, True),
        ({"same_source": False}, False),
        ({"touch": "reads", "topics": [REMOTE]}, False),
        ({"topics": None}, False),
    ],
)
def test_of_other_teams_connectors_only_what_the_evidence_keeps_of_them_is_read(judged, other, found):
    one = {"name": "backup", "connector_class": "MirrorSourceConnector", "state": "RUNNING", "touch": "mirrors"}
    one |= {"topics": [TOPIC], "same_source": True, **other}
    case = judged(counts=DOUBLED, others_kept={"connectors": [one], "others": 1, "workers": []})
    assert ("second_connector" in rows(case)) is found


def test_a_worker_that_is_gone_is_named_with_its_error_even_when_its_tasks_moved_on(judged):
    found = lead(judged(**SITUATIONS["worker_gone"]))
    assert found.params == {"worker": "http://w2:8083", "error": "connection refused"}


def test_a_worker_on_which_tasks_are_still_shown_is_said_once(judged):
    workers = [{"url": "http://w1:8083", "error": "no answer"}, {**TWO_WORKERS[0], "url": "http://w2:8083"}]
    found = rows(judged(evidence={"workers": workers}, counts=NOTHING, metrics=UNREAD))
    assert "worker_silent" in found
    assert "worker_gone" not in found


def test_a_silent_exporter_is_named_with_its_share_and_the_instant(judged):
    found = lead(judged(**SITUATIONS["exporter_down"]))
    assert found.params["instance"] == "w2:9404"
    assert 50 < found.params["percent"] < 70
    assert found.params["up"] == "0"
    assert (found.params["since_ns"] / 1e9) % 1000 == pytest.approx(75, abs=1)


def test_a_worker_that_was_never_scraped_is_named_by_the_address_that_connect_has(judged):
    one = spoil(healthy_metrics(), Role.UP, always(1.0))
    one = {
        role: [series for series in some if not series["metric"]["instance"].startswith("w2")]
        for role, some in one.items()
    }
    tasks = connector(SOURCE_CONNECTOR)
    tasks["status"]["tasks"][1]["worker_id"] = "w2:8083"
    case = judged(one, evidence={"connectors": {**healthy_connectors(), SOURCE_CONNECTOR: tasks}})
    assert case.evaluation.verdict.value == "INCONCLUSIVE"
    found = lead(case)
    assert (found.row, found.params["instance"], found.params["percent"]) == ("exporter_down", "w2:8083", 0.0)


def test_a_target_of_the_job_that_is_no_worker_is_no_suspect(judged):
    metrics = healthy_metrics()
    broker = {**metrics[Role.UP][0], "metric": {"job": "kafka-connect", "instance": "broker:9404"}}
    broker["values"] = [[at_s, "0" if n % 2 else "1"] for n, (at_s, _) in enumerate(broker["values"])]
    case = judged({**metrics, Role.UP: [*metrics[Role.UP], broker]}, counts=replace(HEALTHY, corrupted=1))
    assert "exporter_down" not in rows(case)


def test_tasks_that_failed_alike_are_one_row(judged):
    case = judged(
        counts=NOTHING,
        evidence={
            "connectors": {
                **healthy_connectors(),
                SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, "RUNNING", ("FAILED", "RUNNING", "FAILED"), "boom"),
            }
        },
    )
    found = [finding for finding in case.findings if finding.row == "task_failed"]
    assert [(one.params["count"], one.params["numbers"]) for one in found] == [(2, "0, 2")]


def test_errors_that_are_tolerated_are_no_suspect_while_none_was_skipped(judged):
    assert "records_skipped" not in rows(judged(config={"errors_tolerance": "all"}, counts=LOST))


def test_errors_that_are_tolerated_and_cannot_be_counted_are_a_suspect_where_records_are_missing(judged):
    down = {"errors": dict.fromkeys((Role.TASK_SKIPPED, Role.TASK_FAILURES), "down")}
    assert "records_skipped" in rows(judged(config={"errors_tolerance": "all"}, counts=LOST, evidence=down))


def test_a_name_that_looks_alike_is_no_suspect_where_our_mirror_is_written_too(judged):
    assert "mirror_renamed" not in rows(judged(counts=LOST, written=[REMOTE, f"other.{TOPIC}"]))


def test_partitions_that_all_pass_or_all_fail_are_no_row(judged):
    assert "partitions_silent" not in rows(judged(counts=NOTHING, ledger=partitions(0, 0)))
    assert "partitions_silent" not in rows(judged(counts=LOST, ledger=partitions(47, 48), run_id="other"))


def test_figures_that_contradict_each_other_say_nothing_of_where_the_time_goes(judged):
    slow = spoil(healthy_metrics(), Role.LATENCY_AVG, during_look_back(700.0))
    assert set(rows(judged(slow))) == {"slow"}


def test_without_a_silence_mm2s_gauges_say_nothing_of_where_the_time_goes(judged):
    phases = (
        ("canary", "canary", 0, 71, 0),
        ("smoke", "load", 71, 81, 100),
        ("drain", "drain", 81, 83, 0),
        ("watch", "watch", 83, 143, 0),
    )
    assert "time_in_mm2" not in rows(judged(phases=phases, **SITUATIONS["time_in_mm2"]))


@pytest.mark.parametrize("missing", [Role.RECORD_AGE_AVG, Role.LATENCY_AVG])
def test_a_figure_that_is_missing_makes_the_latency_rows_silent(judged, missing):
    situation = {**SITUATIONS["time_in_mm2"], "evidence": {"errors": {missing: "down"}}}
    assert not {"time_in_mm2", "time_before_mm2", "time_after_mm2"} & set(rows(judged(**situation)))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("second_connector", f"un autre connecteur, `backup` (`RUNNING`), réplique aussi `{TOPIC}`"),
        ("foreign_records", "5 000 enregistrements qui ne sont pas de ce test ont été lus dans nos topics cibles"),
    ],
)
def test_somebody_else_in_our_topics_is_on_the_sheet_whatever_the_verdict(judged, row, said):
    situation = {**SITUATIONS[row], "metrics": None, "counts": replace(SITUATIONS[row]["counts"], duplicated=0)}
    case = judged(**situation)
    assert case.evaluation.verdict.value == "GO"
    judge_run(case.directory)
    fiche = (case.directory / "fiche.md").read_text(encoding="utf-8").replace("\u202f", " ").replace("\u00a0", " ")
    assert said in fiche


# What a row may explain.


def test_every_row_says_what_it_may_explain():
    assert set(EXPLAINS) == {*OUR_ROWS, *PAGE_ROWS}
    assert {name for row in EXPLAINS.values() for name in row.measures} <= set(MEASURES)
    assert all(row.measures or row.codes for row in EXPLAINS.values())


def test_every_measure_of_the_runbooks_criteria_has_a_row_that_may_explain_it_or_a_step():
    explained = {name for row in EXPLAINS.values() for name in row.measures}
    for scenario in ("phase1_smoke", "phase2_nominal", "phase4_ramp"):
        for criterion in load(scenario).scenario.criteria:
            assert (
                criterion.measure in explained
                or kind_of(criterion.measure) == PRESSURE
                or (kind_of(criterion.measure) in ("duplicated", "altered"))
            )


def test_a_row_that_fits_and_has_nothing_to_do_with_what_decided_does_not_lead(judged):
    case = judged(
        counts=replace(HEALTHY, corrupted=1),
        evidence={
            "connectors": {
                **healthy_connectors(),
                SOURCE_CONNECTOR: connector(SOURCE_CONNECTOR, "PAUSED", ("PAUSED",)),
            }
        },
        scenario=scenario_text(
            [
                '{id: load, measure: load.achieved, go: "== 100 %"}',
                '{id: corrupted, measure: ledger.corrupted, go: "== 0 records"}',
            ]
        ),
    )
    assert "connector_paused" in rows(case)
    assert lead(case) is None


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_fact_about_a_topic_is_a_row_of_its_kind(judged, monkeypatch, kind):
    fact = TopicTrouble(kind=kind, topic=REMOTE, at_ns=1_800_000_076_000_000_000, count=48, of=100, found="x")
    monkeypatch.setattr(diagnosis, "topic_troubles", lambda run, view: iter([fact]))
    counts = replace(HEALTHY, arrived=48, lost=52, duplicated=3)
    assert lead(judged(counts=counts, scenario=GAP)).row == kind
