"""junit.xml: a test case per criterion, never greener than the verdict, and well-formed whatever it is told."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.junit import junit
from run_record.manifest import Ending
from tests.support.records import HEALTHY, T0_NS

HOSTILE = "]]></failure></testcase><testcase name='x'/>&amp; \"'<!-- \x00\x0b\ud800\ufffe \n\r\t%0A::error::x"


def criterion(verdict: str = "GO", code: str = "go_met", **more: Any) -> dict[str, Any]:
    head = {"id": "p99", "verdict": verdict, "value": 250, "unit": "ms", "go": "< 100 ms", "nogo": None}
    tail = {"samples": 1000, "window": None, "source": "record/latency.json", "reason": {"code": code, "params": {}}}
    return head | tail | {"measure": "e2e.p99", "group": "performance", "advisory": False} | more


def content(*criteria: dict[str, Any], verdict: str = "GO", code: str = "all_go") -> dict[str, Any]:
    return {
        "scenario": "smoke",
        "run_id": "20260301T100000Z-smoke",
        "verdict": verdict,
        "exit_code": 0,
        "aborted": False,
        "rehearsal": False,
        "evidence": "001",
        "reason": {"code": code, "params": {"how": "sigterm"}},
        "criteria": list(criteria),
    }


def suite(told: dict[str, Any]) -> ET.Element:
    root = ET.fromstring(junit(told, started_at="2026-03-01T10:00:00.000Z"))
    (only,) = root
    assert root.attrib.items() >= {name: only.get(name) for name in ("tests", "failures", "errors", "skipped")}.items()
    return only


@pytest.mark.parametrize(
    ("told", "tag", "says"),
    [
        (criterion("NOGO", "go_missed"), "failure", "NOGO: p99: 250 ms, GO if < 100 ms"),
        (criterion("GREY", "between"), "failure", "GREY: p99: 250 ms, GO if < 100 ms"),
        (criterion("INCONCLUSIVE", "no_series", value=None), "error", "INCONCLUSIVE: p99: no series, GO if < 100 ms"),
        (
            criterion("INCONCLUSIVE", "load_not_applied"),
            "skipped",
            "not judged, INCONCLUSIVE: p99: 250 ms (load not applied), GO if < 100 ms",
        ),
        (criterion("NOGO", "go_missed", advisory=True), "skipped", "advisory, NOGO: p99: 250 ms, GO if < 100 ms"),
    ],
)
def test_each_verdict_has_its_outcome_and_says_what_was_measured_and_wanted(told, tag, says):
    outcome = suite(content(told, criterion(), verdict=told["verdict"])).find(f"testcase[@name='p99']/{tag}")
    assert outcome is not None
    assert outcome.get("message") == says
    assert outcome.get("type") == told["verdict"]
    assert "measure: e2e.p99" in (outcome.text or "")


def test_every_criterion_is_a_case_in_the_scenarios_order_and_a_go_run_has_no_other(judge):
    judged = judge()
    assert judged.content["verdict"] == "GO"
    only = ET.parse(judged.directory / "junit.xml").getroot()[0]
    assert [case.get("name") for case in only.iter("testcase")] == [one["id"] for one in judged.content["criteria"]]
    assert (only.get("failures"), only.get("errors"), only.get("skipped")) == ("0", "0", "0")
    assert only.get("timestamp") == "2027-01-15T08:00:00.000Z"


def test_a_suite_is_not_green_when_only_the_way_the_run_ended_stands_against_a_go(judge):
    judged = judge(ending=Ending(how="sigterm", aborted=True, at_ns=T0_NS + 80_000_000_000))
    only = ET.parse(judged.directory / "junit.xml").getroot()[0]
    failing = only.findall("testcase/failure") + only.findall("testcase/error")
    assert judged.content["verdict"] != "GO"
    assert failing


def test_an_aborted_run_whose_criteria_are_go_has_a_case_of_its_own():
    only = suite(content(criterion(), verdict="INCONCLUSIVE", code="aborted"))
    error = only.find("testcase[@name='run']/error")
    assert error is not None
    assert (error.get("message"), error.text) == ("INCONCLUSIVE: aborted", "how: sigterm")
    assert (only.get("tests"), only.get("errors")) == ("2", "1")


def test_hostile_text_stays_text():
    told = criterion(
        "NOGO", "go_missed", source=HOSTILE, id=HOSTILE, reason={"code": HOSTILE, "params": {"x": HOSTILE}}
    )
    only = suite(content(told, verdict="NOGO"))
    (case,) = only.findall("testcase")
    (failure,) = case
    assert "</failure></testcase>" in (failure.text or "")
    assert "\x00" not in (case.get("name") or "")


@given(text=st.text(max_size=40), verdict=st.sampled_from(["GO", "GREY", "NOGO", "INCONCLUSIVE", "NOT_RUN"]))
def test_it_is_well_formed_whatever_the_texts_and_never_green_unless_go(text, verdict):
    told = criterion(verdict, text, id=text, go=text, nogo=text, source=text, measure=text, group=text, value=None)
    only = suite(content(told, verdict="INCONCLUSIVE" if verdict == "NOT_RUN" else verdict))
    green = only.get("failures") == only.get("errors") == "0"
    assert green == (verdict == "GO")


def test_records_that_were_lost_are_a_failure_of_their_criterion(judge):
    counts = HEALTHY.__class__(sent=100, acked=100, arrived=97, late=2, lost=1)
    judged = judge(counts=counts)
    only = ET.parse(judged.directory / "junit.xml").getroot()[0]
    expected = {"NOGO": "failure", "INCONCLUSIVE": "error", "GO": None, "GREY": "failure"}
    for one in judged.content["criteria"]:
        case = only.find(f"testcase[@name='{one['id']}']")
        tag = next((child.tag for child in case if child.tag != "system-out"), None)
        assert tag == expected[one["verdict"]] or tag == "skipped", one["id"]
    assert any(one["verdict"] == "NOGO" for one in judged.content["criteria"])


def test_what_a_page_would_obey_is_written_out():
    told = content(criterion("NOGO", "go_missed", id="x\x1b[2J\x9b\u202ey\u2028"), verdict="NOGO")
    text = junit(told | {"scenario": "s\u2066"}, started_at="2026-03-01T10:00:00.000Z")
    assert 'name="x\\x1b[2J\\x9b\\u202ey\\u2028"' in text
    assert not set("\x1b\x9b\u202e\u2028\u2066") & set(text)
