"""What the ledger must say of a plant, worked out from the definitions of docs/glossary.md and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from run_record.counts import Counts
from tests.mm2_users.saboteur import NEVER_THERE, REFUSED, UNANSWERED, Place

#: Arrivals that still say which record they are, or (the envelope's damage) can be only one.
ALTERED = frozenset({"corrupt", "damage", "deface", "rekey"})
#: Whose envelope, with the due instant in it, is gone.
UNTIMED = frozenset({"damage", "deface"})


@dataclass(kw_only=True)
class Truth:
    """Of one stream: `records` were sent to a partition, and this became of them."""

    records: int
    partition: int
    trouble: Mapping[Place, str] = field(default_factory=dict)
    plant: Mapping[Place, str] = field(default_factory=dict)
    committed_seq: int = -1
    """MM2 has committed past the records up to this one, and the mirror was read to its end."""

    def counts(self) -> Counts:
        """Arrivals that belong to no stream are in it too."""
        refused = {seq for seq in range(self.records) if self._trouble(seq) in REFUSED}
        unanswered = {seq for seq in range(self.records) if self._trouble(seq) in UNANSWERED}
        acked = set(range(self.records)) - refused - unanswered
        seen: set[int] = set()
        highest, duplicated, reordered, corrupted, foreign, misplaced = -1, 0, 0, 0, 0, 0
        for seq, how in self.arrivals():
            if how == "stray":
                misplaced += 1
            elif how == "blank":
                foreign += 1
            elif how == "cut":
                corrupted += 1
            else:
                corrupted += how in ALTERED
                duplicated += seq in seen
                reordered += seq not in seen and seq < highest
                seen.add(seq)
                highest = max(highest, seq)
        missing = acked - seen
        lost = {seq for seq in missing if seq < highest or seq <= self.committed_seq}
        return Counts(
            sent=self.records,
            acked=len(acked),
            failed=len(refused),
            unknown=len(unanswered),
            arrived=len(acked & seen),
            lost=len(lost),
            late=len(missing - lost),
            duplicated=duplicated,
            reordered=reordered,
            corrupted=corrupted,
            phantom=len(refused & seen),
            unknown_arrived=len(unanswered & seen),
            misplaced=misplaced,
            foreign=foreign,
        )

    def timed(self) -> int:
        """First arrivals that have a latency."""
        first: dict[int, str] = {}
        for seq, how in self.arrivals():
            if how not in ("stray", "blank", "cut"):
                first.setdefault(seq, how)
        return sum(how not in UNTIMED for how in first.values())

    def arrivals(self) -> Iterable[tuple[int, str]]:
        """(sequence number, what was done to it) as they stand on the mirrors, in order."""
        there = [seq for seq in range(self.records) if self._trouble(seq) not in NEVER_THERE]
        waiting: int | None = None
        held = []
        for position, seq in enumerate(there):
            action = self.plant.get((self.partition, seq), "copy")
            swapped, waiting = waiting, None
            if action == "swap":
                waiting = seq
            elif action == "hold":
                held.append(seq)
            elif action != "lose":
                yield seq, action
            if action == "duplicate":
                yield seq, "copy"
            if action == "replay":
                yield from ((old, "copy") for old in there[max(position - 2, 0) : position + 1])
            if swapped is not None:
                yield swapped, "copy"
        yield from ((seq, "copy") for seq in ([] if waiting is None else [waiting]) + held)

    def _trouble(self, seq: int) -> str:
        return self.trouble.get((self.partition, seq), "")


def truth_of(streams: Iterable[Truth]) -> Counts:
    """The sum."""
    return sum((one.counts() for one in streams), Counts())
