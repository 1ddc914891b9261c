"""The measures: one function for each name in scenarios.measures, from a run and its evidence to a measurement."""

from __future__ import annotations

from checks.measurement import Measurement
from checks.measures import (
    backlog,
    connect,
    e2e,
    ledger,
    load,
    mirror,
    partitions,
    producers,
    rates,
    totals,
    trends,
    workers,
)
from checks.measures import registry as _registry
from checks.measures.canaries import without_canaries
from checks.measures.registry import REGISTRY, Run

__all__ = [
    "REGISTRY",
    "Run",
    "backlog",
    "connect",
    "e2e",
    "ledger",
    "load",
    "measure",
    "mirror",
    "partitions",
    "producers",
    "rates",
    "totals",
    "trends",
    "workers",
]


def measure(name: str, run: Run) -> Measurement:
    """Measures one thing on one run, the canaries left out."""
    return without_canaries(run, name, _registry.measure(name, run))
