"""Which keys a record must have: it was written by one of three editions of this program's records.

    FIRST     schema 1, as it began
    SCHEMA_1  schema 1, as it ended: with who sent, misplaced records, places that the reader lost, from sent to arrived
    SCHEMA_2  what is written now

A key that an edition has and a record has not is missing; one that came later is not told.
"""

from __future__ import annotations

from enum import IntEnum


class Edition(IntEnum):
    """In the order in which they came."""

    FIRST = 1
    SCHEMA_1 = 2
    SCHEMA_2 = 3

    @property
    def schema(self) -> int:
        """The number that the record's files bear."""
        return 2 if self is Edition.SCHEMA_2 else 1
