"""The manifest: what the run was, where, with what, and when each phase *actually* began and ended.

Instants are integer nanoseconds of the Unix epoch (`_ns`), read from the wall clock of the master once per run and
carried on by its monotonic clock, so that a clock that is stepped mid-run bends no window.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from scenarios.yaml_file import StrictModel

SCHEMA = 1
PhaseKind = Literal["canary", "silence", "load", "rest", "drain", "watch"]


class ScenarioText(StrictModel):
    """The scenario as it was played."""

    name: str
    file: str
    sha256: str
    text: str


class ClusterSeen(StrictModel):
    """A cluster by the id that it answered with."""

    alias: str
    cluster_id: str
    bootstrap_servers: str


class EnvironmentSeen(StrictModel):
    """The environment without secrets (its file holds none), and the clusters that answered."""

    name: str
    production: bool
    file: str
    text: str
    source: ClusterSeen
    target: ClusterSeen


class TopicPlayed(StrictModel):
    """One topic of the plan and its mirror."""

    source: str
    remote: str
    partitions: int


class PhasePlayed(StrictModel):
    """A phase with its actual edges; `end_ns` is missing only in a record whose writer died."""

    name: str
    kind: PhaseKind
    records: int = Field(0, description="records planned in it")
    planned_s: float | None = None
    start_ns: int
    end_ns: int | None = None

    @property
    def duration_s(self) -> float | None:
        return None if self.end_ns is None else (self.end_ns - self.start_ns) / 1e9


class WorkerIdentity(StrictModel):
    """What a worker would play, where, and by which versions; told by itself before anything was prepared."""

    versions: dict[str, str]
    load: str
    scenario_sha256: str
    environment: str = Field(description="its name")
    environment_file: str = Field(description="where it lies on the worker")
    environment_sha256: str = Field(description="of the file's text")
    source_cluster_id: str = Field(description="as the cluster told the worker's own client")
    target_cluster_id: str
    plan_sha256: str = Field(description="of loads, topics, partitions, payload with its files, and senders")


class WorkerClock(StrictModel):
    """A worker's wall clock: how far it was proven to be ahead of the master's (below 0: behind), which its share of
    the load was corrected by; and how far it ever was from where it should have been, since then."""

    ahead_of_master_ns: int
    largest_step_ns: int


class Worker(StrictModel):
    """A Locust worker, or the only process of a local run. Schema 1 tells neither its identity nor its clock."""

    index: int
    id: str
    host: str
    pid: int
    identity: WorkerIdentity | None = None
    clock: WorkerClock | None = None


class ClockCheck(StrictModel):
    """How far the wall clock moved against the monotonic one during the run, and across what."""

    wall_minus_monotonic_start_ns: int
    wall_minus_monotonic_end_ns: int
    largest_step_ns: int


class Cut(StrictModel):
    """The criterion that ended the load early, by having been NOGO long enough."""

    criterion: str
    value: float | None
    unit: str
    nogo_since_ns: int
    at_ns: int
    due_records: int = Field(0, description="records that the plan wanted by then: what the generator is measured by")


class Ending(StrictModel):
    """How the run ended. `aborted` when someone or something ended it before its plan did; a load that a criterion
    ended (`cut`) is none: it was drained in full, and is judged."""

    how: Literal["completed", "criterion", "stopped", "sigterm", "sigint", "run_time", "worker_lost", "failed"]
    aborted: bool
    at_ns: int
    detail: str = ""
    cut: Cut | None = None


class Manifest(StrictModel):
    """The whole file. Written at the start, and once more, complete, before the record is sealed."""

    schema_version: Literal[1] = Field(1, alias="schema")
    run_id: str
    started_at_ns: int
    scenario: ScenarioText
    environment: EnvironmentSeen
    rehearsal: str = Field("1", description="factor on the load's durations, as it was asked for")
    load: str = Field("own", pattern="^(own|perf-test|none)$", description="who sent: us, Kafka's tool, or others")
    planned_records: int
    record_bytes: int
    topics: tuple[TopicPlayed, ...]
    versions: dict[str, str]
    workers: tuple[Worker, ...] = ()
    phases: tuple[PhasePlayed, ...] = ()
    clock: ClockCheck | None = None
    ending: Ending | None = None

    @property
    def has_envelopes(self) -> bool:
        """Whether each record says which it is; else there are counts, and nothing is known of any one record."""
        return self.load == "own"

    @property
    def is_rehearsal(self) -> bool:
        return self.rehearsal != "1"

    def phase(self, name: str) -> PhasePlayed | None:
        """The phase of that name, if the run got to it."""
        return next((phase for phase in self.phases if phase.name == name), None)

    def of_kind(self, kind: PhaseKind) -> tuple[PhasePlayed, ...]:
        """The phases of a kind that the run got to, in order."""
        return tuple(phase for phase in self.phases if phase.kind == kind)

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)
