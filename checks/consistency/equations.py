"""What an equation is: two figures of a run that must agree, and what is said when they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from checks.evidence import Evidence
from checks.reasons import Param
from checks.windows import Windows
from run_record.counts import Counts, total
from run_record.manifest import Manifest
from run_record.store import RunRecord
from scenarios.environment import Environment
from scenarios.plan import RunPlan
from scenarios.scenario import LoadedScenario

NS_PER_S = 1e9
LEDGER, LATENCY, TIMELINE = "record/ledger.json", "record/latency.json", "record/timeline.jsonl"
MANIFEST, EVENTS = "record/manifest.json", "record/events.jsonl"


class Equation(StrEnum):
    """Every equation there is; each language's catalogue has a sentence for it (a test compares)."""

    # A file can be read.
    UNREADABLE = "unreadable"
    ACCOUNT_ABSENT = "account_absent"

    # The ledger adds up.
    TOTALS_OF_PHASES = "totals_of_phases"
    TOTALS_OF_STREAMS = "totals_of_streams"
    BALANCE = "balance"
    PART_OF = "part_of"
    PHASES_COUNTED = "phases_counted"
    STREAMS = "streams"
    EXAMPLES = "examples"
    CANARIES = "canaries"
    ENDS = "ends"
    NO_ENVELOPES = "no_envelopes"

    # The latencies are those of what was counted.
    LATENCY_COUNTS = "latency_counts"
    LATENCY_SUMS = "latency_sums"

    # The timeline is that of the run.
    ROWS_IN_ORDER = "rows_in_order"
    ROW_COUNTS = "row_counts"
    ROWS_OF_PHASES = "rows_of_phases"
    ROWS_MISSING = "rows_missing"
    ROWS_AND_LEDGER = "rows_and_ledger"
    ROWS_AND_LATENCY = "rows_and_latency"
    ROWS_AND_CLOCK = "rows_and_clock"
    ROWS_AND_PLAN = "rows_and_plan"

    # The phases are those of the scenario.
    PHASE_EDGES = "phase_edges"
    PHASE_ORDER = "phase_order"
    PHASE_PLAN = "phase_plan"
    PHASE_LENGTH = "phase_length"

    # The manifest is that of one run.
    SCENARIO_TEXT = "scenario_text"
    ENVIRONMENT_TEXT = "environment_text"
    PLAN = "plan"
    WORKERS = "workers"
    ENDING = "ending"
    EVENTS_AND_MANIFEST = "events_and_manifest"
    VANISHED = "vanished"

    # The evidence is that of this run.
    EVIDENCE_WINDOWS = "evidence_windows"
    EVIDENCE_TIME = "evidence_time"
    EVIDENCE_OF_ANOTHER = "evidence_of_another"
    EVIDENCE_CUT = "evidence_cut"
    SCRAPE_INTERVAL = "scrape_interval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """An equation that does not hold. `where` says `found`; `other`, which must agree with it, says `wanted`."""

    equation: Equation
    where: str
    found: Param
    other: str = ""
    wanted: Param = ""

    @property
    def params(self) -> Mapping[str, Param]:
        """What its sentence needs."""
        return {"where": self.where, "found": self.found, "other": self.other, "wanted": self.wanted}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that the equations are about. `plan` is made anew from the scenario and the environment that were played; it
    is None where they give none, which is a contradiction by itself."""

    record: RunRecord
    evidence: Evidence
    scenario: LoadedScenario
    environment: Environment
    plan: RunPlan | None
    windows: Windows | None
    _cache: dict[str, Counts] = field(default_factory=dict, repr=False)

    @property
    def manifest(self) -> Manifest:
        return self.record.manifest

    @cached_property
    def load_began(self) -> bool:
        """Whether anything of the load was played."""
        return bool(self.manifest.of_kind("load"))

    @cached_property
    def ended_by_itself(self) -> bool:
        """Whether the run got to its own end: the load may have been ended by a criterion."""
        ending = self.manifest.ending
        return self.record.sealed and ending is not None and not ending.aborted

    @cached_property
    def vanished(self) -> frozenset[str]:
        """Workers without an account, by what happened or by the ledger."""
        return self.lost_workers | frozenset(one["worker"] for one in (self.record.ledger or {}).get("unaccounted", ()))

    @cached_property
    def lost_workers(self) -> frozenset[str]:
        """Workers that vanished or gave no account, as the events tell it."""
        found: set[str] = set()
        for event in self.record.events:
            if event["event"] == "worker_lost":
                found.add(event["worker"])
            elif event["event"] == "account_missing":
                found.update(event["workers"])
        return frozenset(found)

    @cached_property
    def phase_counts(self) -> Mapping[str, Counts]:
        """The ledger's counts of each load phase; none without a ledger."""
        names = () if self.record.ledger is None else self.record.ledger["phases"]
        return {name: counts for name in names if (counts := self.record.counts(name)) is not None}

    @cached_property
    def unattributed(self) -> Counts:
        return self._counts((self.record.ledger or {}).get("unattributed"))

    @cached_property
    def stream_counts(self) -> tuple[Counts, ...]:
        """The ledger's counts of each stream, in its order."""
        return tuple(self._counts(one["counts"]) for one in (self.record.ledger or {}).get("streams", ()))

    @cached_property
    def of_all_phases(self) -> Counts:
        return total(self.phase_counts.values())

    def _counts(self, content: object) -> Counts:
        return Counts() if content is None else Counts.from_json(content, edition=self.manifest.edition)


Check = Callable[[Facts], Iterator[Contradiction]]
