"""A criterion in one English line: what was measured, what was wanted, since when."""

from __future__ import annotations

import pytest

from checks.criterion_text import against

NOGO = {
    "id": "lag",
    "verdict": "NOGO",
    "value": 60000,
    "unit": "records",
    "go": "< 5000 records",
    "reason": {"code": "go_missed", "params": {}},
}
SINCE = {
    "start": "2026-11-21T06:37:03.333Z",
    "end": "2026-11-21T06:37:23.333Z",
    "lasting": False,
    "about": False,
}


@pytest.mark.parametrize(
    ("since", "said"),
    [
        (None, ""),
        (SINCE, ", from 2026-11-21T06:37:03Z to 06:37:23Z"),
        (SINCE | {"lasting": True}, ", from 2026-11-21T06:37:03Z to the end"),
        (SINCE | {"about": True}, ", about from 2026-11-21T06:37:03Z to 06:37:23Z"),
    ],
)
def test_a_nogo_says_what_how_much_and_since_when(since, said):
    assert against(NOGO | {"since": since}) == f"lag: 60000 records, GO if < 5000 records{said}"


@pytest.mark.parametrize(
    ("value", "unit", "go", "said"),
    [
        (1_799_999, "records", "== plan records", "1799999 records"),
        (86_399_999, "records", "== plan records", "86399999 records"),
        (98.99997, "%", "> 99 %", "98.99997 %"),
        (5000.0004, "ms", "< 5 s", "5000.0004 ms"),
        (949.99996, "records/s", "950..1050 records/s", "949.99996 records/s"),
        (1050.00004, "records/s", "950..1050 records/s", "1050.00004 records/s"),
        (118.527344, "ms", "< 100 ms", "118.527 ms"),
        (150.000004, "ms", "<= baseline + max(50 %, 50 ms)", "150.000004 ms"),
    ],
)
def test_no_figure_is_rounded_to_its_limit_or_across(value, unit, go, said):
    assert against(NOGO | {"value": value, "unit": unit, "go": go}) == f"lag: {said}, GO if {go}"


def test_a_figure_is_on_its_own_side_of_the_nogo_limit_too():
    grey = NOGO | {"verdict": "GREY", "value": 499.99996, "unit": "ms", "go": "< 100 ms", "nogo": ">= 500 ms"}
    assert against(grey) == "lag: 499.99996 ms, GO if < 100 ms"


def test_a_verdict_written_before_there_was_a_since_is_read_too():
    assert against(NOGO) == "lag: 60000 records, GO if < 5000 records"
