"""The canaries: one record to each partition before the load, and whether MM2 carried it across. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from run_record.store import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Canaries:
    """How many were sent, acknowledged and read on the target. `in_time`: of those, how many had crossed when the load
    began; None where the record does not say. `missing`: "topic:partition" at the source."""

    sent: int
    acked: int
    arrived: int
    in_time: int | None = None
    missing: tuple[str, ...] = ()

    @property
    def crossed(self) -> bool:
        """Whether all of them did, by the run's end."""
        return self.arrived >= self.sent

    @property
    def late(self) -> int:
        """Those that crossed while the load was going on already."""
        return 0 if self.in_time is None else max(self.arrived - self.in_time, 0)


def canaries_of(record: RunRecord) -> Canaries | None:
    """Of a run; None where none was sent."""
    event = next((one for one in record.events if one["event"] == "canary"), None)
    in_time = None if event is None else int(event["arrived"])
    ledger = record.ledger
    if ledger is not None and (ledger["canary"]["sent"] or event is None):
        found = ledger["canary"]
        canaries = Canaries(
            sent=int(found["sent"]),
            acked=int(found["acked"]),
            arrived=int(found["arrived"]),
            in_time=in_time,
            missing=tuple(f"{place['topic']}:{place['partition']}" for place in found.get("missing", ())),
        )
    elif event is not None:
        # Killed before the ledger, or going on still: what was known when the load began is all there is.
        sent = int(event["sent"])
        canaries = Canaries(sent=sent, acked=sent, arrived=int(event["arrived"]), in_time=in_time)
    else:
        return None
    return canaries if canaries.sent else None
