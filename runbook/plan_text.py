"""What `mm2gate plan` prints: all that a run would take, computed from the plan alone."""

from __future__ import annotations

from collections.abc import Iterator

from run_record.space import room_for
from scenarios.phases import LoadPhase, Steps
from scenarios.plan import RunPlan
from scenarios.visible import one_line

MIB = 1024**2


def plan_text(plan: RunPlan) -> str:
    """The text, a line per fact."""
    return "\n".join(_lines(plan))


def _lines(plan: RunPlan) -> Iterator[str]:
    scenario, environment = plan.scenario, plan.environment
    copies = environment.topics.replication_factor
    partitions = sum(topic.partitions for topic in plan.topics)
    yield f"{scenario.name}: {' '.join(str(scenario.question).split())}"
    if plan.is_rehearsal:
        yield f"REHEARSAL: the load's durations are scaled by {plan.rehearsal}; it proves nothing about production"
    source, target = one_line(environment.source.alias), one_line(environment.target.alias)
    yield f"where        {environment.name}: {source} -> {target}"
    yield f"records      {plan.record_count:,} of {scenario.payload.bytes:,} bytes, and {partitions} canaries"
    yield (
        f"disk         {plan.most_records * scenario.payload.bytes * copies / MIB:,.1f} MiB at most on each cluster "
        f"({copies} {'copy' if copies == 1 else 'copies'}, before {scenario.producer.compression})"
    )
    room = room_for(plan)
    yield f"runs         {room.total_bytes / MIB:,.1f} MiB at most where run records go ({room})"
    least_s = scenario.silence_s + plan.load_duration_s + scenario.watch_s
    yield f"time         {least_s / 60:.1f} min if MM2 keeps up, {plan.longest_s / 60:.1f} min at most"
    yield f"topics       {_some([topic.source for topic in plan.topics])}, {plan.topics[0].partitions} partitions each"
    yield f"mirrors      {_some([topic.remote for topic in plan.topics])}"
    yield "phases"
    yield f"  {'canary':<12} one record per partition, awaited up to {plan.canary_patience_s:g} s"
    for phase in scenario.phases:
        yield f"  {phase.name:<12} {_phase(plan, phase)}"
    yield f"criteria     {len(scenario.criteria)}"
    edges_s = sorted({c.between[1] for c in scenario.criteria if c.between is not None})
    if edges_s:
        instants = ", ".join(f"{edge_s * float(plan.rehearsal):g} s" for edge_s in edges_s)
        yield f"checkpoints  at {instants} of the load"
    yield f"rights of {one_line(environment.source.security.username or 'the load')}"
    yield f"  source     CREATE, WRITE, READ, DESCRIBE on topics {environment.topics.prefix}*"
    remote = environment.topics.remote(environment.topics.prefix)
    yield f"  target     READ, DESCRIBE, DESCRIBE_CONFIGS on topics {remote}*"
    yield "  both       DESCRIBE on groups mm2gate-* (librdkafka asks; nothing is committed)"


def _phase(plan: RunPlan, phase: object) -> str:
    if isinstance(phase, Steps):
        rates = ", ".join(f"{rate:g}/s" for rate in phase.rates)
        seconds = plan.loads[-1].profile.duration_s
        again = ", then the best once more" if phase.confirm else ""
        return f"steps, {rates}, {seconds:g} s each and {phase.rest:g} s of rest, until one fails{again}"
    if isinstance(phase, LoadPhase):
        load = next(load for load in plan.loads if load.name == phase.name)
        return (
            f"{phase.profile}, {load.profile.record_count:,} records in {load.profile.duration_s:g} s, "
            f"at most {load.profile.peak_per_s:g}/s"
        )
    cap_s = getattr(phase, "cap", None)
    if cap_s is not None:
        return f"until all have arrived, or {getattr(phase, 'patience', 0):g} s without progress, or {cap_s:g} s"
    return f"nothing is sent for {getattr(phase, 'duration', 0):g} s"


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]} ({len(names)})"
