"""Counts of a ledger, and the two equations that must hold between them.

    sent  = acked + failed + unknown
    acked = arrived + late + lost

A *failed* record was provably refused by the source; an *unknown* one was left without an answer, so it may exist: it
is never lost, and its arrival (`unknown_arrived`) is no phantom. A *phantom* is the arrival of a failed record.
`duplicated`, `reordered` and `corrupted` are counted on arrivals; `misplaced` are arrivals on another partition or
mirror than their own, which have not arrived; `foreign` are records of other runs or other writers that were read and
left alone.

Who is to blame for some of them is told apart (docs/measuring.md), each a part of another count:

    purged               of lost: gone from the source before MM2 read them
    unread               of late: on the target, where our own reader did not read them
    gone                 of arrived: no longer on the target when the run ended, though its retention keeps them
    duplicated_at_source of duplicated: the source holds them as often, so it was our producer
    duplicated_untold    of duplicated: not told whether the source, our own reading or MM2 made them
    corrupted_at_source  of corrupted: the source holds them altered
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from run_record.edition import Edition
from run_record.reading import Unreadable

#: What every ledger has; other counts came later, and are not told where they are missing.
FIRST = frozenset(
    {
        "sent",
        "acked",
        "failed",
        "unknown",
        "arrived",
        "lost",
        "late",
        "duplicated",
        "reordered",
        "corrupted",
        "phantom",
        "unknown_arrived",
        "foreign",
    }
)
LATE_IN_SCHEMA_1 = frozenset({"misplaced"})
#: More records than this nobody has sent.
MOST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Numbers of records; the first eleven are the contract of `record/ledger.json`."""

    sent: int = 0
    acked: int = 0
    failed: int = 0
    unknown: int = 0
    arrived: int = 0
    lost: int = 0
    late: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    phantom: int = 0
    unknown_arrived: int = 0
    misplaced: int = 0
    foreign: int = 0
    purged: int = 0
    unread: int = 0
    gone: int = 0
    duplicated_at_source: int = 0
    duplicated_untold: int = 0
    corrupted_at_source: int = 0

    @property
    def backlog(self) -> int:
        """Acknowledged records that have not arrived."""
        return self.acked - self.arrived

    @property
    def balanced(self) -> bool:
        """Whether both equations hold, and no part is larger than its whole; `late` and `lost` are only told apart once
        the drain has ended."""
        return (
            self.sent == self.acked + self.failed + self.unknown
            and self.acked == self.arrived + self.late + self.lost
            and self.purged <= self.lost
            and self.unread <= self.late
            and self.gone <= self.arrived
            and self.duplicated_at_source + self.duplicated_untold <= self.duplicated
            and self.corrupted_at_source <= self.corrupted
        )

    @property
    def on_target(self) -> int:
        """Acknowledged records that arrived, and were still on the target when the run ended."""
        return self.arrived - self.gone

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)})

    def to_json(self) -> dict[str, int]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Any, *, edition: Edition) -> Self:
        """The inverse of `to_json`, of a record of an edition. Raises Unreadable: a count that is missing is not 0."""
        if not isinstance(content, dict):
            raise Unreadable("is no counts")
        every = frozenset(field.name for field in fields(cls))
        needed = {Edition.FIRST: FIRST, Edition.SCHEMA_1: FIRST | LATE_IN_SCHEMA_1}.get(edition, every)
        known = every if edition is Edition.SCHEMA_2 else FIRST | LATE_IN_SCHEMA_1
        for name in sorted(needed - content.keys()):
            raise Unreadable("missing", where=name)
        for name, value in content.items():
            if name not in known:
                raise Unreadable(f"is no count of schema {edition.schema}", where=str(name))
            if type(value) is not int or not 0 <= value <= MOST:
                raise Unreadable("is no number of records", where=name)
        return cls(**content)


def total(parts: Iterable[Counts]) -> Counts:
    """The sum."""
    return sum(parts, Counts())
