"""ledger.json as it is read back: what must be in it, and of what kind. What it adds up to is for others to ask.

Keys may be added to it, so those that are not known here are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from run_record.counts import Counts
from run_record.edition import Edition
from run_record.manifest import Count
from run_record.reading import Unreadable, missing, problems_of
from scenarios.yaml_file import StrictModel

#: Keys that came while schema 1 was being written: of a ledger of schema 1 without them they are not told.
LATE_IN_SCHEMA_1 = frozenset({"lost_places"})


class _Open(StrictModel):
    model_config = ConfigDict(extra="ignore")


class _Place(_Open):
    topic: str
    partition: Count


class _Canary(_Open):
    sent: Count
    acked: Count
    arrived: Count
    missing: tuple[_Place, ...]


class _Stream(_Open):
    topic: str
    partition: Count
    sender: Count
    counts: dict[str, Any]
    examples: dict[str, tuple[Count | tuple[Count, Count], ...]]


class _Unaccounted(_Open):
    worker: str
    owned: tuple[str, ...]
    sent: Count


class _Ledger(_Open):
    schema_version: int = Field(alias="schema")
    totals: dict[str, Any]
    canary: _Canary
    phases: dict[str, dict[str, Any]]
    unattributed: dict[str, Any]
    streams: tuple[_Stream, ...]
    read_refused: tuple[str, ...]
    lost_places: tuple[str, ...] = ()
    last_errors: tuple[str, ...]
    unaccounted: tuple[_Unaccounted, ...]


def problems_of_ledger(text: bytes, content: Any, *, edition: Edition) -> Iterator[Unreadable]:
    """All that keeps a document from being a ledger of that edition; nothing when it is one."""
    try:
        ledger = _Ledger.model_validate_json(text)
    except ValidationError as error:
        yield from problems_of(error)
        return
    if "schema" not in content:
        yield from missing(["schema"])
        return
    if type(content["schema"]) is not int or ledger.schema_version != edition.schema:
        yield Unreadable(f"is {content['schema']}, the manifest's is {edition.schema}", where="schema")
        return
    if edition > Edition.FIRST:
        yield from missing(sorted(LATE_IN_SCHEMA_1 - content.keys()))
    if edition < Edition.SCHEMA_2 and "closing" in content:
        yield Unreadable("is no key of schema 1", where="closing")
    names: set[frozenset[str]] = set()
    for where, counts in _counts_of(content):
        try:
            Counts.from_json(counts, edition=edition)
        except Unreadable as error:
            yield Unreadable(error.why, where=f"{where}.{error.where}" if error.where else where)
        names.add(frozenset(counts))
    if len(names) > 1:
        yield Unreadable("its parts count different things", where="totals")


def not_told_of(content: Mapping[str, Any]) -> Iterator[str]:
    """Keys that a ledger of an earlier schema has not."""
    yield from sorted(LATE_IN_SCHEMA_1 - content.keys())
    yield from (f"totals.{name}" for name in Counts().to_json() if name not in content["totals"])


def _counts_of(content: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "totals", content["totals"]
    yield "unattributed", content["unattributed"]
    yield from ((f"phases.{name}", counts) for name, counts in content["phases"].items())
    yield from ((f"streams.{number}.counts", one["counts"]) for number, one in enumerate(content["streams"]))
