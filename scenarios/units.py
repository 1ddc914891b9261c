"""Quantities as people write them in YAML, always with their unit: "30s", "10/s", "1KB", "5MiB".

A bare number is refused: YAML files outlive the memory of what their author meant. Decimal prefixes (KB, MB) follow
the runbook, where "1 KB" is the 1024-byte record of kafka-producer-perf-test: there and here KB = KiB = 1024 bytes.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

_QUANTITY = re.compile(r"\s*(?P<number>[0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?|\.[0-9]+)\s*(?P<unit>[A-Za-zµ%/]*)\s*")

TIME_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
SIZE_BYTES = {"B": 1, "KB": 1024, "KiB": 1024, "MB": 1024**2, "MiB": 1024**2, "GB": 1024**3, "GiB": 1024**3}
RATE_PER_S = {"/s": 1.0, "/min": 1 / 60, "records/s": 1.0, "msg/s": 1.0, "records/min": 1 / 60}
THROUGHPUT_BYTES_PER_S = {f"{unit}/s": factor for unit, factor in SIZE_BYTES.items()}

#: Every unit a criterion may use: unit → (dimension, factor to the dimension's base unit).
UNITS: dict[str, tuple[str, float]] = (
    {unit: ("time", factor) for unit, factor in TIME_S.items()}
    | {unit: ("size", float(factor)) for unit, factor in SIZE_BYTES.items()}
    | {unit: ("rate", factor) for unit, factor in RATE_PER_S.items()}
    | {unit: ("throughput", float(factor)) for unit, factor in THROUGHPUT_BYTES_PER_S.items()}
    | {"%": ("share", 1.0), "x": ("ratio", 1.0)}
    | {
        unit: (unit, 1.0)
        for unit in ("records", "topics", "partitions", "tasks", "connectors", "rebalances", "errors", "packets")
    }
)


#: The most of each kind, in its base unit: far above what any cluster is asked for, and small enough that whatever is
#: reckoned with it (nanoseconds, records of all phases) stays a number of 64 bits.
MOST_TIME_S = 366 * 86400.0
MOST_RATE_PER_S = 1e9
MOST_BYTES = 2.0**60
#: What lies below is no time or rate that is meant.
LEAST = 1e-9
#: A text that is longer is no quantity.
LONGEST_TEXT = 100


def parse_quantity(text: object, units: dict[str, float] | dict[str, int], *, example: str) -> float:
    """The number in base units.

    Raises ValueError, worded for the file's author, when the unit is missing or of another kind.
    """
    if isinstance(text, bool) or not isinstance(text, str):
        raise ValueError(f"write the unit, as in {example!r} (got {text!r})")  # noqa: TRY004 - pydantic wants ValueError
    match = _QUANTITY.fullmatch(text) if len(text) <= LONGEST_TEXT else None
    if match is None:
        raise ValueError(f"not a quantity: {shown(text)}; write it as in {example!r}")
    unit = match["unit"]
    if unit not in units:
        known = ", ".join(units)
        raise ValueError(
            f"{text!r} has {f'unit {unit!r}' if unit else 'no unit'}; use one of {known}, as in {example!r}"
        )
    return _countable(float(match["number"].replace("_", "")) * units[unit], text, units)


def _countable(number: float, text: str, units: dict[str, float] | dict[str, int]) -> float:
    most = MOST_TIME_S if units is TIME_S else MOST_RATE_PER_S if units is RATE_PER_S else MOST_BYTES
    if number > most:
        raise ValueError(f"{text!r} is more than mm2gate can play or count")
    if 0 < number < LEAST:
        raise ValueError(f"{text!r} is too little to be told from nothing; write 0 where nothing is meant")
    return number


def shown(text: str) -> str:
    """A text in quotes, the end of a long one left out."""
    return repr(text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…")


def _parser(units: dict[str, float] | dict[str, int], example: str) -> BeforeValidator:
    def parse(value: Any) -> float:
        return parse_quantity(value, units, example=example)

    return BeforeValidator(parse)


def _whole_bytes(value: Any) -> int:
    size = parse_quantity(value, SIZE_BYTES, example="1KB")
    if size != int(size):
        raise ValueError(f"not a whole number of bytes: {value!r}")
    return int(size)


_SHARE_OF = re.compile(r"\s*(?P<percent>[0-9]+(?:\.[0-9]+)?)\s*%\s+of\s+(?P<whole>.+)")


def _rate(value: Any) -> float:
    """A rate, or a share of one: "10/s", "70 % of 7150/s"."""
    match = _SHARE_OF.fullmatch(value) if isinstance(value, str) and len(value) <= LONGEST_TEXT else None
    if match is None:
        return parse_quantity(value, RATE_PER_S, example="10/s")
    whole = parse_quantity(match["whole"], RATE_PER_S, example="10/s")
    return _countable(float(match["percent"]) * whole / 100, value, RATE_PER_S)


DurationS = Annotated[float, _parser(TIME_S, "30s"), PlainSerializer(lambda s: f"{s:g}s")]
RatePerS = Annotated[float, BeforeValidator(_rate), PlainSerializer(lambda r: f"{r:g}/s")]
SizeBytes = Annotated[int, BeforeValidator(_whole_bytes), PlainSerializer(lambda b: f"{b}B")]
ThroughputBytesPerS = Annotated[
    float, _parser(THROUGHPUT_BYTES_PER_S, "5MiB/s"), PlainSerializer(lambda b: f"{b:g}B/s")
]
