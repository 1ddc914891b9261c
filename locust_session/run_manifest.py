"""What a run writes down of itself: the manifest, from plan, clusters, workers and the phases played. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from locust_session.asking import Asked
from locust_session.identity import identity_of
from locust_session.moments import MasterClock
from run_record.manifest import (
    ClockCheck,
    ClusterSeen,
    Ending,
    EnvironmentSeen,
    Manifest,
    PhasePlayed,
    ScenarioText,
    TopicPlayed,
    Worker,
    WorkerIdentity,
)
from scenarios.plan import RunPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What is known of a run before it begins."""

    plan: RunPlan
    clusters: tuple[ClusterSeen, ClusterSeen]
    rehearsal: str
    versions: Mapping[str, str]
    load: str = "own"
    asked: Asked | None = None
    """What was asked of names before the run."""

    def identity(self, *, senders: int) -> WorkerIdentity:
        """What the master plays, and every worker must."""
        source, target = self.clusters
        clusters = source.cluster_id, target.cluster_id
        return identity_of(self.plan, versions=self.versions, load=self.load, senders=senders, clusters=clusters)


def manifest_of(
    facts: RunFacts,
    *,
    run_id: str,
    started_at_ns: int,
    workers: Iterable[Worker],
    phases: Iterable[PhasePlayed],
    clock: MasterClock,
    ending: Ending | None,
) -> Manifest:
    """The manifest as things stand; with its `ending` it is complete."""
    phases = tuple(phases)
    plan, environment = facts.plan, facts.plan.environment
    return Manifest(
        run_id=run_id,
        started_at_ns=started_at_ns,
        scenario=ScenarioText(
            name=plan.scenario.name,
            file=Path(plan.loaded_scenario.file).name,
            sha256=plan.loaded_scenario.sha256,
            text=plan.loaded_scenario.text,
        ),
        environment=EnvironmentSeen(
            name=environment.name,
            production=environment.production,
            file=str(plan.loaded_environment.file),
            text=plan.loaded_environment.text,
            source=facts.clusters[0],
            target=facts.clusters[1],
        ),
        rehearsal=facts.rehearsal,
        load=facts.load,
        planned_records=_planned_records(plan, phases),
        record_bytes=plan.scenario.payload.bytes,
        topics=tuple(TopicPlayed(source=t.source, remote=t.remote, partitions=t.partitions) for t in plan.topics),
        versions=dict(facts.versions),
        workers=tuple(workers),
        phases=phases,
        clock=None
        if ending is None
        else ClockCheck(
            wall_minus_monotonic_start_ns=clock.offset_ns,
            wall_minus_monotonic_end_ns=clock.offset_ns + clock.wall_step_ns(),
            largest_step_ns=clock.largest_step_ns,
        ),
        ending=ending,
    )


def _planned_records(plan: RunPlan, phases: tuple[PhasePlayed, ...]) -> int:
    """Of a staircase, the records of the steps that the run has come to; what was never tried was not planned."""
    loads = [phase for phase in phases if phase.kind == "load"]
    return sum(phase.records for phase in loads) if plan.ladder and loads else plan.record_count
