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


def test_a_verdict_written_before_there_was_a_since_is_read_too():
    assert against(NOGO) == "lag: 60000 records, GO if < 5000 records"
