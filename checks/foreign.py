"""What can be told of a load that is not ours (`--load perf-test`, `--load none`), and what cannot.

Its records carry no envelope. How many were appended at the source and at the mirrors is known from offsets, and MM2's
metrics are what they always are; what became of any single record is not known: whether one was lost while another was
doubled, how long it took, whether its bytes are those that were sent.
"""

from __future__ import annotations

from checks.measurement import Measurement
from checks.measures import Run
from checks.reasons import Code
from scenarios.measures import MEASURES

NEEDS_ENVELOPES = frozenset(
    {
        "load.send_delay_max",
        "load.send_delay_mean",
        "load.send_delay_p99",
        "source.ack_mean",
        "ledger.send_errors",
        "ledger.lost",
        "ledger.late",
        "ledger.duplicated",
        "ledger.reordered",
        "ledger.corrupted",
        "ledger.phantom",
        "e2e.mean",
        "e2e.max",
        "e2e.p50",
        "e2e.p99",
    }
)


def untold(run: Run, name: str) -> Measurement | None:
    """Why a measure has no value on this run, where that is so because nobody but us puts envelopes into records."""
    manifest = run.record.manifest
    if manifest.has_envelopes or name not in NEEDS_ENVELOPES:
        return None
    return Measurement.missing(Code.NEEDS_ENVELOPES, unit=MEASURES[name].unit, source=name, load=manifest.load)
