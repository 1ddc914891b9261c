"""Quantities: always with their unit, KB = KiB as in the runbook, and a refusal that says how to write one."""

import pytest

from scenarios.units import SIZE_BYTES, TIME_S, UNITS, parse_quantity


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10 ms", 0.01), ("1.5min", 90), ("2h", 7200), (".5s", 0.5), ("1_000ms", 1), ("3µs", 3e-6)],
)
def test_durations(text, seconds):
    assert parse_quantity(text, TIME_S, example="30s") == pytest.approx(seconds)


@pytest.mark.parametrize(("text", "size"), [("1KB", 1024), ("1KiB", 1024), ("16KiB", 16384), ("2MB", 2 * 1024**2)])
def test_one_kb_is_the_1024_bytes_of_the_runbook(text, size):
    assert parse_quantity(text, SIZE_BYTES, example="1KB") == size


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (30, "write the unit, as in '30s' (got 30)"),
        (True, "write the unit"),
        (None, "write the unit"),
        ("30", "'30' has no unit; use one of ns"),
        ("30KB", "has unit 'KB'"),
        ("30 S", "has unit 'S'"),
        ("-3s", "not a quantity"),
        ("", "not a quantity"),
        ("s", "not a quantity"),
        ("1e3s", "not a quantity"),
        ("1.2.3s", "not a quantity"),
        ("1,5s", "not a quantity"),
        ("infs", "not a quantity"),
    ],
)
def test_a_quantity_that_is_none_is_refused_with_an_example(text, says):
    with pytest.raises(ValueError, match="30s") as refusal:
        parse_quantity(text, TIME_S, example="30s")
    assert says in str(refusal.value)


def test_every_unit_of_a_criterion_has_a_dimension_and_a_positive_factor():
    assert all(dimension and factor > 0 for dimension, factor in UNITS.values())
