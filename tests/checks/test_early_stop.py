"""Early stop: a NOGO that lasts ends the load, after its grace and never for less; and the verdict says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from checks.early_stop import FILE
from checks.follow import Follower
from run_record.manifest import Cut, Ending
from tests.checks.test_live import going_on
from tests.support.records import HEALTHY, LOAD_END_S, LOAD_START_S, PHASES, T0_NS, T0_S, scenario_text

S = 10**9
DUPLICATES = replace(HEALTHY, duplicated=20)
QUICK = (
    '{id: lost, measure: ledger.lost, go: "== 0 records"}',
    '{id: duplicated, measure: ledger.duplicated, go: "== 0 records", stop: {after: 2s, grace: 1s}}',
)


class Watched:
    """A run of which a picture is drawn at each of these seconds of its load."""

    def __init__(self, place: Path, *, criteria=QUICK) -> None:
        self.place, self.criteria = place, criteria
        self.follower: Follower | None = None

    def at(self, load_s: float, counts=DUPLICATES) -> dict | None:
        """The request, if there is one by then."""
        newer = going_on(self.place / f"{load_s}-{counts.duplicated}", LOAD_START_S + load_s, counts, self.criteria)
        if self.follower is None:
            self.follower = Follower(directory=newer, looks=self.place, language="fr", now_s=lambda: T0_S)
        self.follower.directory = newer
        self.follower._timeline.path = newer / "record" / "timeline.jsonl"
        self.follower._timeline._read = 0
        self.follower._timeline.rows.clear()
        (newer / "live").mkdir()
        self.follower.write()
        file = newer / "live" / FILE
        return json.loads(file.read_text()) if file.exists() else None


@pytest.fixture
def watched(tmp_path):
    return lambda **more: Watched(tmp_path, **more)


def test_a_nogo_that_lasts_asks_for_the_loads_end_and_says_since_when(watched):
    run = watched()
    assert run.at(2) is None
    assert run.at(3) is None
    request = run.at(4)
    assert request is not None
    assert (request["criterion"], request["unit"], request["go"]) == ("duplicated", "records", "== 0 records")
    assert (request["nogo_since_ns"] - T0_NS) / S == LOAD_START_S + 2
    assert (request["seen_at_ns"] - T0_NS) / S == LOAD_START_S + 4


def test_a_break_begins_the_count_anew(watched):
    run = watched()
    assert run.at(2) is None
    assert run.at(3, HEALTHY) is None
    assert run.at(4) is None
    assert run.at(5) is None
    assert run.at(6) is not None


def test_within_the_grace_nothing_is_ended(watched):
    run = watched(criteria=[QUICK[1].replace("grace: 1s", "grace: 6s")])
    assert [run.at(second) is None for second in (2, 4, 5)] == [True, True, True]
    assert run.at(6) is not None


def test_a_criterion_without_a_mark_never_ends_a_load(watched):
    run = watched(criteria=[QUICK[1].split(", stop")[0] + "}"])
    assert all(run.at(second) is None for second in (2, 5, 9))


def test_a_drain_is_not_ended(watched):
    run = watched()
    assert run.at(2) is None
    assert run.at(LOAD_END_S - LOAD_START_S + 3) is None


# --- the verdict -----------------------------------------------------------------------------------------------------

CUT_AT_S = LOAD_START_S + 5
CUT = Cut(
    criterion="duplicated",
    value=3,
    unit="records",
    nogo_since_ns=T0_NS + int((CUT_AT_S - 30) * S),
    at_ns=T0_NS + int(CUT_AT_S * S),
    due_records=50,
)
ENDING = Ending(how="criterion", aborted=False, at_ns=T0_NS + 138 * S, detail="duplicated", cut=CUT)
CUT_SHORT = (
    *PHASES[:2],
    ("smoke", "load", LOAD_START_S, CUT_AT_S, 100),
    ("drain", "drain", CUT_AT_S, 78, 0),
    ("watch", "watch", 78, 138, 0),
)
JUDGED = (
    '{id: achieved, measure: load.achieved, go: "== 100 %"}',
    '{id: duplicated, measure: ledger.duplicated, go: "== 0 records", stop: {after: 30s, grace: 1s}}',
    '{id: mean, measure: e2e.mean, go: "< 1 ms"}',
    '{id: arrived, measure: ledger.arrived, go: "== plan records"}',
)


def half(**more):
    return HEALTHY.__class__(**({"sent": 50, "acked": 50, "arrived": 50} | more))


def test_a_load_that_a_criterion_ended_is_nogo_with_the_verdicts_exit_code_and_says_by_what_and_when(judge):
    judged = judge(counts=half(duplicated=3), ending=ENDING, phases=CUT_SHORT, scenario=scenario_text(JUDGED))
    assert (judged.content["verdict"], judged.content["exit_code"], judged.content["aborted"]) == ("NOGO", 20, False)
    assert judged.content["reason"]["code"] == "cut_short"
    assert judged.content["reason"]["params"]["criterion"] == "duplicated"
    verdicts = {id_: one["verdict"] for id_, one in judged.criteria.items()}
    # What was sent counts as the load that was wanted by then, so performance is judged; the plan's size is not.
    assert verdicts == {"achieved": "GO", "duplicated": "NOGO", "mean": "NOGO", "arrived": "INCONCLUSIVE"}
    head = judged.fiche.split("\n## ")[0] + judged.fiche.split("\n## ")[1]
    assert "arrêtée avant la fin, à 2027-01-15 08:01:" in head
    assert "par le critère `duplicated` : NOGO sans interruption depuis 30 s, valeur alors 3 records" in head


@pytest.mark.parametrize(("sent", "verdict"), [(50, "GO"), (53, "GO"), (49, "INCONCLUSIVE")])
def test_the_generator_is_measured_by_what_was_due_when_the_load_was_ended(judge, sent, verdict):
    counts = half(sent=sent, acked=sent, arrived=sent, duplicated=3)
    judged = judge(counts=counts, ending=ENDING, phases=CUT_SHORT, scenario=scenario_text(JUDGED))
    assert judged.criteria["achieved"]["verdict"] == verdict


def test_it_is_never_a_go_though_the_criterion_recovered_in_the_drain(judge):
    criteria = [JUDGED[0], JUDGED[1]]
    judged = judge(counts=half(), ending=ENDING, phases=CUT_SHORT, scenario=scenario_text(criteria))
    assert judged.criteria["duplicated"]["verdict"] == "GO"
    assert (judged.content["verdict"], judged.content["exit_code"]) == ("INCONCLUSIVE", 30)
