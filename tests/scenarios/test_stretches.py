"""Criteria that look at a stretch of the load only."""

from __future__ import annotations

import pytest

from scenarios.errors import SpecError
from scenarios.scenario import load, parse_scenario

TEXT = load("phase2_nominal").text
HEAD = TEXT[: TEXT.index("criteria:")] + "criteria:\n"


def parsed(line):
    return parse_scenario(f"{HEAD}  - {{{line}}}\n", file="x.yaml").scenario.criteria[0]


def test_stretch_is_in_load_time():
    criterion = parsed('id: a, measure: ledger.backlog_max, go: "< 5 records", between: [5min, 900s]')
    assert criterion.between == (300.0, 900.0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('id: a, measure: ledger.backlog_max, go: "< 5 records", between: [5min, 5min]', "is empty"),
        ('id: a, measure: ledger.backlog_max, go: "< 5 records", between: [0min, 31min]', "the load ends after 1800s"),
        ('id: a, measure: ledger.lost, go: "== 0 records", between: [0min, 5min]', "ledger.lost is known of the whole"),
        (
            'id: a, measure: mm2.latency_avg, go: "< 5 ms", beside: ledger.late, between: [0min, 5min]',
            "ledger.late is known of the whole",
        ),
        ('id: a, measure: ledger.backlog_max, go: "< 5 records", between: [0, 5]', "write the unit"),
    ],
)
def test_stretch_that_cannot_be_looked_at_is_refused(line, said):
    with pytest.raises(SpecError, match=said):
        parsed(line)
