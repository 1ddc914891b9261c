"""What a scenario leaves open: places that a run fills, and what it is told when it does not."""

from __future__ import annotations

from fractions import Fraction

import pytest

from scenarios.errors import SpecError
from scenarios.plan import make_plan
from scenarios.scenario import parse_scenario
from scenarios.variables import parse_settings
from tests.scenarios.examples import SCENARIO, environment

OPEN = SCENARIO.replace("rate: 10/s", 'rate: "70 % of ${capacity}"') + (
    "variables: {capacity: {example: 100/s, meaning: what phase 4 found}}\n"
)


def planned(loaded):
    return make_plan(loaded, environment(), rehearsal=Fraction(1))


def test_value_is_put_into_the_text_that_the_record_keeps():
    loaded = parse_scenario(OPEN, file="x.yaml", settings={"capacity": "200/s"})
    assert "${capacity}" not in loaded.text
    assert planned(loaded).record_count == 1400
    assert parse_scenario(loaded.text, file="x.yaml").scenario.load_phases[0].rate == 140


def test_open_scenario_can_be_read_but_not_played():
    loaded = parse_scenario(OPEN, file="x.yaml")
    assert loaded.scenario.load_phases[0].rate == 70
    with pytest.raises(SpecError, match="needs capacity: what phase 4 found; give --set capacity=100/s"):
        planned(loaded)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"speed": "1/s"}, "no variable of x.yaml; it has capacity"), ({"capacity": "1 apple"}, "has unit 'apple'")],
)
def test_wrong_value_is_told(settings, said):
    with pytest.raises(SpecError, match=said):
        parse_scenario(OPEN, file="x.yaml", settings=settings)


def test_place_without_a_declaration_is_told():
    with pytest.raises(SpecError, match="is not among its variables; declare it"):
        parse_scenario(SCENARIO.replace("rate: 10/s", 'rate: "${speed}"'), file="x.yaml")


def test_settings_are_names_and_plain_values():
    assert parse_settings("capacity=7000/s, size=1KB") == {"capacity": "7000/s", "size": "1KB"}
    assert parse_settings("") == {}


@pytest.mark.parametrize("text", ["capacity", "=1", "capacity=", "a=1,a=2", "a={b: c}", "a=x: y"])
def test_anything_else_is_refused(text):
    with pytest.raises(SpecError):
        parse_settings(text)


def test_variant_that_leaves_a_variable_out_is_told():
    text = OPEN + "variants:\n  - {capacity: 10/s}\n  - {speed: 10/s}\n"
    with pytest.raises(SpecError, match="variants: number 2 and the variables differ in capacity, speed"):
        parse_scenario(text, file="x.yaml")
