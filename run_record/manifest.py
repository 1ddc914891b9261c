"""The manifest: what the run was, where, with what, and when each phase *actually* began and ended.

Instants are integer nanoseconds of the Unix epoch (`_ns`), read from the wall clock of the master once per run and
carried on by its monotonic clock, so that a clock that is stepped mid-run bends no window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from run_record.edition import Edition
from run_record.reading import Unreadable, missing, parsed, problems_of
from scenarios.yaml_file import StrictModel

#: What is written now; records of schema 1 are still read.
SCHEMA: Final = 2
#: Unix nanoseconds, and counts: what is larger is neither.
MOST = 2**63 - 1
Ns = Annotated[int, Field(ge=0, le=MOST)]
StepNs = Annotated[int, Field(ge=-MOST, le=MOST)]
Count = Annotated[int, Field(ge=0, le=MOST)]
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
    partitions: int = Field(ge=1, le=MOST)


class PhasePlayed(StrictModel):
    """A phase with its actual edges; `end_ns` is missing only in a record whose writer died."""

    name: str
    kind: PhaseKind
    records: Count = Field(0, description="records planned in it")
    planned_s: float | None = Field(None, ge=0, le=MOST, allow_inf_nan=False)
    start_ns: Ns
    end_ns: Ns | None = None

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

    index: Count
    id: str
    host: str
    pid: Count
    identity: WorkerIdentity | None = None
    clock: WorkerClock | None = None


class ClockCheck(StrictModel):
    """How far the wall clock moved against the monotonic one during the run, and across what."""

    wall_minus_monotonic_start_ns: StepNs
    wall_minus_monotonic_end_ns: StepNs
    largest_step_ns: StepNs


class Cut(StrictModel):
    """The criterion that ended the load early, by having been NOGO long enough."""

    criterion: str
    value: float | None = Field(allow_inf_nan=False)
    unit: str
    nogo_since_ns: Ns
    at_ns: Ns
    due_records: Count = Field(0, description="records that the plan wanted by then: what the generator is measured by")


class Ending(StrictModel):
    """How the run ended. `aborted` when someone or something ended it before its plan did; a load that a criterion
    ended (`cut`) is none: it was drained in full, and is judged."""

    how: Literal["completed", "criterion", "stopped", "sigterm", "sigint", "run_time", "worker_lost", "failed"]
    aborted: bool
    at_ns: Ns
    detail: str = ""
    cut: Cut | None = None


class Manifest(StrictModel):
    """The whole file. Written at the start, and once more, complete, before the record is sealed."""

    schema_version: Literal[1, 2] = Field(SCHEMA, alias="schema")
    run_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=255, description="names a directory")
    started_at_ns: Ns
    scenario: ScenarioText
    environment: EnvironmentSeen
    rehearsal: str = Field("1", description="factor on the load's durations, as it was asked for")
    load: str = Field("own", pattern="^(own|perf-test|none)$", description="who sent: us, Kafka's tool, or others")
    planned_records: Count
    record_bytes: Count
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

    @property
    def edition(self) -> Edition:
        """Which keys the files of its record must have."""
        if self.schema_version > 1:
            return Edition.SCHEMA_2
        return Edition.SCHEMA_1 if "load" in self.model_fields_set else Edition.FIRST

    @property
    def not_told(self) -> tuple[str, ...]:
        """Keys of schema 2 that a record of schema 1 has not, of whatever is in a list once."""
        absent = {key for model, path in _parts(self, "") for key in _keys(path, _fields(model) - _told(model))}
        return tuple(sorted(absent)) if self.schema_version == 1 else ()

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


#: What every manifest of schema 1 has. Other keys came later, the first of them (`load`, `ending.cut`) while schema 1
#: was being written: of a record without them they are not told.
SCHEMA_1: Mapping[type[StrictModel], frozenset[str]] = {
    ScenarioText: frozenset({"name", "file", "sha256", "text"}),
    ClusterSeen: frozenset({"alias", "cluster_id", "bootstrap_servers"}),
    EnvironmentSeen: frozenset({"name", "production", "file", "text", "source", "target"}),
    TopicPlayed: frozenset({"source", "remote", "partitions"}),
    PhasePlayed: frozenset({"name", "kind", "records", "planned_s", "start_ns", "end_ns"}),
    Worker: frozenset({"index", "id", "host", "pid"}),
    ClockCheck: frozenset({"wall_minus_monotonic_start_ns", "wall_minus_monotonic_end_ns", "largest_step_ns"}),
    Cut: frozenset({"criterion", "value", "unit", "nogo_since_ns", "at_ns"}),
    Ending: frozenset({"how", "aborted", "at_ns", "detail"}),
    Manifest: frozenset(
        {
            "schema",
            "run_id",
            "started_at_ns",
            "scenario",
            "environment",
            "rehearsal",
            "planned_records",
            "record_bytes",
            "topics",
            "versions",
            "workers",
            "phases",
            "clock",
            "ending",
        }
    ),
}


LATE_IN_SCHEMA_1: Mapping[type[StrictModel], frozenset[str]] = {
    Manifest: frozenset({"load"}),
    Ending: frozenset({"cut"}),
    Cut: frozenset({"due_records"}),
}


def read_manifest(text: bytes) -> tuple[Manifest | None, list[Unreadable]]:
    """The manifest of a file's text, and all that is wrong with it; None when it cannot be taken for one.

    A key that its schema has and the text has not is wrong: a default in its place would be a guess.
    """
    try:
        content = parsed(text)
    except Unreadable as error:
        return None, [error]
    number = content.get("schema") if isinstance(content, dict) else None
    if isinstance(content, dict) and type(number) is not int:  # to pydantic 1.0 and true are 1
        return None, [Unreadable("missing" if "schema" not in content else "is no schema", where="schema")]
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        return None, list(problems_of(error))
    absent = [key for model, path in _parts(manifest, "") for key in _keys(path, _needed(model, number) - _told(model))]
    if manifest.edition is Edition.FIRST and manifest.ending is not None and "cut" in manifest.ending.model_fields_set:
        absent.append("load")  # which came before it
    later = [key for model, path in _parts(manifest, "") for key in _keys(path, _told(model) - _known(model, number))]
    if later and not absent:
        return None, [Unreadable("is no key of schema 1", where=key) for key in later]
    return (None if absent else manifest), list(missing(absent))


def _needed(model: StrictModel, schema: int | None) -> frozenset[str]:
    return SCHEMA_1.get(type(model), frozenset()) if schema == 1 else _fields(model)


def _known(model: StrictModel, schema: int | None) -> frozenset[str]:
    """Keys that a record of the schema may have."""
    late = LATE_IN_SCHEMA_1.get(type(model), frozenset())
    return _needed(model, schema) | late if schema == 1 else _fields(model)


def _fields(model: StrictModel) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in type(model).model_fields.items())


def _told(model: StrictModel) -> frozenset[str]:
    fields = type(model).model_fields
    return frozenset(fields[name].alias or name for name in model.model_fields_set)


def _keys(path: str, names: frozenset[str]) -> list[str]:
    return [f"{path}{name}" for name in sorted(names)]


def _parts(model: StrictModel, path: str) -> Iterator[tuple[StrictModel, str]]:
    """The model and all that are in it, each with the key at which its own keys begin."""
    yield model, path
    for name in type(model).model_fields:
        value = getattr(model, name)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, StrictModel):
                yield from _parts(one, f"{path}{name}{'[]' if isinstance(value, tuple) else ''}.")
