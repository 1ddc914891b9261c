"""The measures: one function for each name in scenarios.measures, from a run and its evidence to a measurement."""

from __future__ import annotations

from checks.measures import connect, e2e, ledger, load, mirror
from checks.measures.registry import REGISTRY, Run, measure

__all__ = ["REGISTRY", "Run", "connect", "e2e", "ledger", "load", "measure", "mirror"]
