"""What lay on both clusters when the run ended decides what is GO, and what is held against MM2."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from run_record.closing import Change, Restart, Trim
from run_record.counts import Counts
from run_record.manifest import Ending
from run_record.store import SEAL, sums
from tests.support.records import (
    HEALTHY,
    HEALTHY_CLOSING,
    PHASES,
    REMOTE,
    T0_NS,
    TOPIC,
    scenario_text,
    write_evidence,
    write_run,
)

HELD_BACK = ("late", "on_target", "backlog_end", "lost")
ENDS_AT_91 = {"high_end": 91, "high_most": 91, "position": 91}
WEEK_MS = 7 * 24 * 3_600_000


def facts(side: str, *, of_topic=None, of_partition=None, changes=(), restarts=()):
    """Healthy closing facts, but for one side's topics and partitions."""
    told = HEALTHY_CLOSING.side(side)
    topics = tuple(topic.model_copy(update=of_topic or {}) for topic in told.topics)
    partitions = tuple(one.model_copy(update=of_partition or {}) for one in told.partitions)
    changed = told.model_copy(update={"topics": topics, "partitions": partitions})
    return HEALTHY_CLOSING.model_copy(update={side: changed, "changes": tuple(changes), "restarts": tuple(restarts)})


def change(what: str, *, side: str = "target", seen_s: float = 4.0) -> Change:
    return Change(side=side, topic=TOPIC if side == "source" else REMOTE, what=what, seen_s=seen_s)


REMADE = facts(
    "target",
    of_topic={"ids": ("one", "another")},
    of_partition={"held": 24, "held_whole": True},
    changes=[change("remade")],
)


def verdicts(run, *names):
    return {run.criteria[name]["verdict"] for name in names}


def why(run, name: str) -> str:
    return run.criteria[name]["reason"]["code"]


# --- never GO --------------------------------------------------------------------------------------------------------


def test_a_mirror_made_anew_is_nogo_and_what_is_on_the_target_is_what_it_holds(judge):
    run = judge(counts=replace(HEALTHY, gone=52), closing=REMADE)
    assert run.content["verdict"] == "NOGO"
    on_target = run.criteria["on_target"]
    assert (on_target["value"], on_target["verdict"], on_target["at_least"]) == (48, "NOGO", False)
    assert on_target["reason"]["code"] == "mirror_remade"
    assert on_target["reason"]["params"] == {"topic": REMOTE, "topics": 1, "at_ns": T0_NS + 75 * 10**9}
    assert verdicts(run, "lost", "late", "duplicated") == {"GO"}
    assert "supprimé puis recréé" in run.fiche
    assert "mirror_recreated" in run.rows()


@pytest.mark.parametrize(
    ("closing", "code"),
    [
        (REMADE, "mirror_remade"),
        (facts("target", of_topic={"ids": ("one", "another")}), "mirror_remade"),
        (facts("target", changes=[change("remade")]), "mirror_remade"),
        (facts("target", changes=[change("gone")]), "mirror_remade"),
        (facts("target", of_topic={"partitions_end": 0}), "mirror_gone"),
        (facts("target", of_topic={"partitions_end": 1}), "mirror_smaller"),
        (facts("target", of_partition={"high_end": 50}), "mirror_truncated"),
        (facts("target", of_partition={"position": 99}), "mirror_truncated"),
        (facts("target", changes=[change("truncated")]), "mirror_truncated"),
        (facts("target", of_topic={"partitions_end": None, "untold": {"end": "timed out"}}), "closing_untold"),
        (facts("target", of_partition={"high_end": None}), "closing_untold"),
        (HEALTHY_CLOSING.model_copy(update={"target": HEALTHY_CLOSING.source}), "closing_untold"),
    ],
)
def test_a_mirror_that_is_not_what_it_was_or_of_which_that_is_not_told_is_never_go(judge, closing, code):
    run = judge(closing=closing)
    assert run.content["verdict"] in ("INCONCLUSIVE", "NOGO")
    assert code in {run.content["reason"]["code"], *(why(run, name) for name in run.criteria)}


def test_where_it_is_not_known_what_a_mirror_made_anew_holds_nothing_is_said_to_be_on_the_target(judge):
    closing = facts("target", of_topic={"ids": ("one", "another")}, of_partition={"held": 3, "held_whole": False})
    run = judge(closing=closing)
    on_target = run.criteria["on_target"]
    assert (on_target["value"], on_target["verdict"], why(run, "on_target")) == (None, "INCONCLUSIVE", "mirror_remade")


def trimmed(youngest_s: float, left: int = 10, **topic):
    trim = Trim(low=20, seen_s=300.0, youngest_s=youngest_s, left_records=left)
    return facts("target", of_topic=topic, of_partition={"trim": trim, "low_end": 20})


@pytest.mark.parametrize(
    ("closing", "verdict"),
    [
        (trimmed(3600.0), "INCONCLUSIVE"),
        (trimmed(3600.0, retention_ms=3_600_000), "GO"),
        (trimmed(3580.0, retention_ms=3_600_000), "GO"),
        (trimmed(1800.0, retention_ms=3_600_000), "INCONCLUSIVE"),
        (trimmed(10.0, retention_bytes=1024), "GO"),
        (trimmed(10.0, retention_bytes=10**9), "INCONCLUSIVE"),
        (trimmed(10**6, retention_ms=-1), "INCONCLUSIVE"),
        (trimmed(10**6, retention_ms=1000, cleanup_policy="compact"), "INCONCLUSIVE"),
        (trimmed(10**6, retention_ms=1000, cleanup_policy="compact,delete"), "GO"),
        (trimmed(10**6, retention_ms=None, retention_bytes=None, cleanup_policy=None), "INCONCLUSIVE"),
    ],
    ids=[
        "a week's retention",
        "an hour's, after an hour",
        "with some slack",
        "an hour's, after half of one",
        "a kilobyte's",
        "a gigabyte's",
        "for ever",
        "compaction deletes nothing",
        "compaction and deletion",
        "not told",
    ],
)
def test_what_a_mirrors_own_retention_took_is_no_fault_and_what_it_would_have_kept_is_never_go(judge, closing, verdict):
    assert judge(closing=closing).content["verdict"] == verdict


def test_what_was_there_before_the_run_and_compaction_change_nothing(judge):
    closing = facts("target", of_partition={"low_start": 5, "low_end": 40, "high_start": 40, **ENDS_AT_91})
    assert judge(closing=closing).content["verdict"] == "GO"


def test_a_record_of_this_schema_without_closing_facts_is_never_go_and_one_of_the_first_has_a_reservation(
    judge, tmp_path, monkeypatch
):
    run = judge(closing=None)
    assert (run.content["verdict"], run.content["reason"]["code"]) == ("INCONCLUSIVE", "closing_missing")
    monkeypatch.setattr("checks.measures.closing.SCHEMA_WITH_CLOSING", 3)  # as if the record were of the first
    run = judge(closing=None, run_id="second")
    assert run.content["verdict"] == "GO"
    assert "ne dit pas ce que contenait la cible" in run.fiche


@pytest.mark.parametrize(
    ("side", "ends"),
    [
        ("target", {"high_end": 0, "high_most": 0, "position": None}),
        ("target", {"high_end": 31, "high_most": 31, "position": 31}),
        ("target", {"low_end": 51, "high_end": 51}),
        ("target", {"position": 20}),
        ("target", {"position": None}),
        ("source", {"high_end": 0, "high_most": 0}),
        ("source", {"high_end": 21, "high_most": 21}),
    ],
)
def test_ends_without_room_for_what_was_counted_are_never_go(judge, side, ends):
    run = judge(closing=facts(side, of_partition={**ends, "high_start": ends.get("high_start", 0)}))
    assert run.content["verdict"] == "INCONCLUSIVE"
    assert "ne laisse pas la place" in run.fiche


@pytest.mark.parametrize(("read_to_end", "verdict"), [(None, "INCONCLUSIVE"), (False, "INCONCLUSIVE"), (True, "GO")])
def test_what_lies_behind_our_reader_may_be_a_copy_unless_it_was_looked_at(judge, read_to_end, verdict):
    run = judge(closing=facts("target", of_partition={"high_end": 60, "high_most": 60, "read_to_end": read_to_end}))
    assert run.content["verdict"] == run.criteria["duplicated"]["verdict"] == verdict


def test_the_source_must_have_room_for_the_duplicates_that_it_is_said_to_hold(judge):
    counts = replace(HEALTHY, duplicated=100, duplicated_at_source=100)
    small = {"high_end": 51, "high_most": 51}
    assert (
        judge(counts=counts, closing=facts("source", of_partition=small | {"low_start": 1})).content["verdict"] != "GO"
    )
    assert judge(counts=counts, run_id="roomy").content["verdict"] == "GO"


@pytest.mark.parametrize(
    "damage",
    [
        lambda closing: closing["target"].pop("topics"),
        lambda closing: closing["target"]["partitions"][0].pop("high_end"),
        lambda closing: closing["target"]["partitions"][0].update(high_end="many"),
        lambda closing: closing.update(changes=None),
        lambda closing: closing.update(more=1),
        lambda closing: closing["target"]["partitions"].pop(),
        lambda closing: closing["target"]["topics"].clear(),
    ],
)
def test_closing_facts_that_were_damaged_are_never_go(tmp_path, judge, damage):
    directory = write_run(tmp_path)
    path = directory / "record" / "ledger.json"
    ledger = json.loads(path.read_text(encoding="utf-8"))
    damage(ledger["closing"])
    path.write_text(json.dumps(ledger), encoding="utf-8")
    (directory / "record" / SEAL).write_text(sums(directory / "record"), encoding="utf-8")
    write_evidence(directory)
    run = type(judge(run_id="healthy"))(directory)
    assert run.content["verdict"] == "INCONCLUSIVE"
    assert run.content["reason"]["code"] in ("closing_unreadable", "closing_untold")


# --- what did not arrive ---------------------------------------------------------------------------------------------

MISSING = replace(HEALTHY, arrived=40, late=60)
ABSENT = {"partitions_start": 0, "partitions_end": 0, "ids": ()}


def absent(committed: int | None):
    closing = facts("target", of_topic=ABSENT, of_partition={"high_end": None, "position": None})
    source = facts("source", of_partition={"committed": committed}).source
    return closing.model_copy(update={"source": source})


def test_a_mirror_that_does_not_exist_proves_nothing_where_mm2_has_carried_the_records_somewhere(judge):
    run = judge(counts=replace(HEALTHY, arrived=0, late=100), closing=absent(committed=50))
    assert {why(run, name) for name in HELD_BACK} == {"mirror_absent"}
    assert verdicts(run, *HELD_BACK, "lost") == {"INCONCLUSIVE"}
    assert run.criteria["late"]["reason"]["params"] == {"topic": REMOTE, "topics": 1}


def test_where_mm2_says_that_it_has_carried_nothing_a_mirror_that_does_not_exist_is_its_fault(judge):
    run = judge(counts=replace(HEALTHY, arrived=0, late=100), closing=absent(committed=None))
    assert (run.criteria["late"]["verdict"], why(run, "late")) == ("NOGO", "mirror_absent")
    assert run.criteria["lost"]["verdict"] == "INCONCLUSIVE"
    assert "mirror_absent" in run.rows()


def test_where_mm2_does_not_say_what_it_has_carried_nobody_is_to_blame(judge):
    untold = {"name": "committed_offsets_unknown", "at_ns": T0_NS, "reason": "no answer"}
    run = judge(counts=replace(HEALTHY, arrived=0, late=100), closing=absent(committed=None), events=[untold])
    assert (run.criteria["late"]["verdict"], why(run, "late")) == ("INCONCLUSIVE", "mirror_absent")


def test_what_our_own_reader_did_not_read_is_inconclusive_and_what_is_late_beside_it_nogo(judge):
    run = judge(counts=replace(MISSING, unread=60))
    assert {why(run, name) for name in ("late", "on_target", "backlog_end")} == {"not_read"}
    assert verdicts(run, "late", "on_target", "backlog_end", "lost") == {"INCONCLUSIVE"}
    run = judge(counts=replace(MISSING, unread=59), run_id="one")
    assert run.criteria["late"] | {"value": 1, "at_least": True, "verdict": "NOGO"} == run.criteria["late"]


def test_what_a_source_that_was_deleted_took_with_it_is_not_mm2s(judge):
    closing = facts("source", of_topic={"ids": ("one", "another")}, changes=[change("remade", side="source")])
    run = judge(counts=MISSING, closing=closing)
    assert {why(run, name) for name in HELD_BACK} == {"source_changed"}
    assert judge(closing=closing, run_id="all").content["verdict"] == "GO", "nothing was missing"


def test_purged_records_are_lost_by_the_source_and_counted(judge):
    trim = Trim(low=17, seen_s=3.0, youngest_s=20.0, left_records=1)
    closing = facts("source", of_partition={"trim": trim, "low_end": 17})
    run = judge(counts=replace(HEALTHY, arrived=90, lost=10, purged=8), closing=closing)
    lost = run.criteria["lost"]
    assert (lost["value"], lost["verdict"], lost["reason"]["code"]) == (10, "NOGO", "purged")
    assert lost["reason"]["params"] == {"count": 8, "lost": 10, "place": f"{TOPIC}:0", "low": 17}
    assert "source_purged" in run.rows()


# --- twice, altered, or read late ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "value", "verdict"),
    [
        (Counts(duplicated=3), 3, "NOGO"),
        (Counts(duplicated=3, duplicated_at_source=3), 0, "GO"),
        (Counts(duplicated=3, duplicated_at_source=2), 1, "NOGO"),
        (Counts(duplicated=3, duplicated_untold=3), 0, "INCONCLUSIVE"),
        (Counts(duplicated=3, duplicated_untold=2), 1, "NOGO"),
        (Counts(duplicated=3, duplicated_at_source=1, duplicated_untold=2), 0, "INCONCLUSIVE"),
    ],
)
def test_only_mm2s_share_of_the_duplicates_is_held_against_it(judge, counts, value, verdict):
    run = judge(counts=HEALTHY + counts)
    assert (run.criteria["duplicated"]["value"], run.criteria["duplicated"]["verdict"]) == (value, verdict)


def test_what_was_altered_at_the_source_already_is_not_mm2s(judge):
    run = judge(counts=replace(HEALTHY, corrupted=2, corrupted_at_source=2))
    assert (run.criteria["corrupted"]["value"], run.content["verdict"]) == (0, "GO")
    assert "altérés dans la source déjà" in run.fiche


def test_parts_larger_than_their_whole_are_no_ledger(judge):
    run = judge(counts=replace(HEALTHY, duplicated=1, duplicated_at_source=2))
    assert why(run, "duplicated") == "record_unreliable"


def test_what_a_reader_that_stood_still_read_late_is_not_held_against_mm2(judge):
    closing = HEALTHY_CLOSING.model_copy(update={"restarts": (Restart(seen_s=5.0, places=(f"{REMOTE}:1",)),)})
    slow = ['{id: slow, measure: e2e.max, go: "< 100 ms"}', '{id: max, measure: ledger.backlog_max, go: "< 1 records"}']
    scenario = scenario_text([*slow, '{id: load, measure: load.achieved, go: "== 100 %"}'])
    settings = {"scenario": scenario, "e2e_ms": [20.0] * 99 + [12_000.0]}
    assert judge(**settings).criteria["slow"]["verdict"] == "NOGO"
    run = judge(**settings, closing=closing, run_id="stood")
    assert (run.criteria["slow"]["verdict"], why(run, "slow")) == ("INCONCLUSIVE", "reader_stood_still")
    assert run.criteria["max"]["verdict"] == "GO", "it cannot look better than it was"
    noted = {"name": "reader_restarted", "at_ns": T0_NS + 10**9, "restart": 1, "places": [f"{REMOTE}:1"], "count": 1}
    assert why(judge(**settings, events=[noted], run_id="noted"), "slow") == "reader_stood_still"


# --- a drain cut short -----------------------------------------------------------------------------------------------

CUT = (*PHASES[:2], ("smoke", "load", 71, 76, 1000), ("drain", "drain", 76, 77, 0))
WHOLE = (*PHASES[:2], ("smoke", "load", 71, 81, 1000), *PHASES[3:])


def test_a_drain_cut_short_is_held_against_nobody_by_any_measure_that_it_makes_look_worse(judge):
    ending = Ending(how="sigint", aborted=True, at_ns=T0_NS + 77 * 10**9)
    criteria = [
        '{id: load, measure: load.achieved, go: "> 10 %"}',
        '{id: topics, measure: target.topics_arrived, go: ">= 1 topics"}',
        '{id: p50, measure: e2e.p50, go: "< 1 s"}',
        '{id: arrived, measure: ledger.arrived, go: ">= 50 records"}',
        '{id: write, measure: connect.write_total, go: ">= 500 records", nogo: "< 500 records"}',
    ]
    scenario = scenario_text(criteria).replace("rate: 10/s", "rate: 100/s")
    run = judge(counts=Counts(sent=300, acked=300, late=300), phases=CUT, scenario=scenario, ending=ending)
    assert {name: why(run, name) for name in ("topics", "p50", "arrived", "write")} == dict.fromkeys(
        ("topics", "p50", "arrived", "write"), "drain_cut_short"
    )
    none = Counts(sent=1000, acked=1000, late=1000)
    whole = judge(counts=none, phases=WHOLE, scenario=scenario, run_id="whole")
    assert verdicts(whole, "topics", "p50") == {"NOGO"}, "the same with a drain that was whole is MM2's"
