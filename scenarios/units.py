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


def parse_quantity(text: object, units: dict[str, float] | dict[str, int], *, example: str) -> float:
    """The number in base units.

    Raises ValueError, worded for the file's author, when the unit is missing or of another kind.
    """
    if isinstance(text, bool) or not isinstance(text, str):
        raise ValueError(f"write the unit, as in {example!r} (got {text!r})")  # noqa: TRY004 - pydantic wants ValueError
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"not a quantity: {text!r}; write it as in {example!r}")
    unit = match["unit"]
    if unit not in units:
        known = ", ".join(units)
        raise ValueError(
            f"{text!r} has {f'unit {unit!r}' if unit else 'no unit'}; use one of {known}, as in {example!r}"
        )
    return float(match["number"].replace("_", "")) * units[unit]


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
    match = _SHARE_OF.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return parse_quantity(value, RATE_PER_S, example="10/s")
    return float(match["percent"]) * parse_quantity(match["whole"], RATE_PER_S, example="10/s") / 100


DurationS = Annotated[float, _parser(TIME_S, "30s"), PlainSerializer(lambda s: f"{s:g}s")]
RatePerS = Annotated[float, BeforeValidator(_rate), PlainSerializer(lambda r: f"{r:g}/s")]
SizeBytes = Annotated[int, BeforeValidator(_whole_bytes), PlainSerializer(lambda b: f"{b}B")]
ThroughputBytesPerS = Annotated[
    float, _parser(THROUGHPUT_BYTES_PER_S, "5MiB/s"), PlainSerializer(lambda b: f"{b:g}B/s")
]
