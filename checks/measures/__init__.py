"""The measures: one function for each name in scenarios.measures, from a run and its evidence to a measurement."""

from __future__ import annotations

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
from checks.measures.registry import REGISTRY, Run, measure

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
