"""Who a process is: what it would play, where, and by which versions. Master and nodes tell it alike, and what differs
is said with both values. Pure but for the files of a payload, which it reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from run_record.manifest import WorkerIdentity
from scenarios.errors import Refused
from scenarios.payload import Payload, PayloadFile
from scenarios.plan import NS_PER_S, RunPlan

#: Versions that must be the same everywhere: what sends a record, and what it looks like. The others are recorded.
MUST_AGREE = ("mm2gate", "envelope")
NOT_TOLD = "not told"
#: Less is for NTP.
CLOCKS_APART_S = 1.0


def identity_of(
    plan: RunPlan, *, versions: Mapping[str, str], load: str, senders: int, clusters: tuple[str, str] | None = None
) -> WorkerIdentity:
    """Of a process that would play this plan. `clusters`: the ids that source and target have answered with; else those
    that the environment names. Raises Refused when a payload's file cannot be read."""
    environment = plan.environment
    source, target = clusters or (environment.source.cluster_id, environment.target.cluster_id)
    return WorkerIdentity(
        versions=dict(versions),
        load=load,
        scenario_sha256=plan.loaded_scenario.sha256,
        environment=environment.name,
        environment_file=str(plan.loaded_environment.file),
        environment_sha256=plan.loaded_environment.sha256,
        source_cluster_id=source,
        target_cluster_id=target,
        plan_sha256=plan_sha256(plan, senders=senders),
    )


def plan_sha256(plan: RunPlan, *, senders: int) -> str:
    """Over all that decides what is sent, when and where to. Scenario and environment are in it as they were read, so
    that it also tells files apart that lie beside them, and versions that read the same text differently."""
    scenario = plan.scenario
    content = {
        "rehearsal": str(plan.rehearsal),
        "loads": [asdict(load) for load in plan.loads],
        "topics": [asdict(topic) for topic in plan.topics],
        "spread": scenario.topics.model_dump(mode="json"),
        "payload": [_payload(payload) for payload in scenario.payload.root],
        "producer": scenario.producer.model_dump(mode="json"),
        "senders": senders,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _payload(payload: Payload) -> dict[str, Any]:
    if payload.files is None:
        return {"bytes": payload.bytes, "types": payload.types}
    return {"files": [_content_sha256(file) for file in payload.files]}


def _content_sha256(file: PayloadFile) -> str:
    if file.path is None:  # the scenario was read without its directory: nobody could send it
        return file.name
    try:
        return hashlib.sha256(file.path.read_bytes()).hexdigest()
    except OSError as error:
        raise Refused(f"payload file {file.path} cannot be read ({error.strerror})") from None


def differences(master: WorkerIdentity, node: WorkerIdentity) -> Iterator[str]:
    """What a node would do otherwise than its master, each with both values; nothing when they are one."""
    for name in MUST_AGREE:
        here, there = node.versions.get(name, NOT_TOLD), master.versions.get(name, NOT_TOLD)
        if here != there:
            yield f"{name} {here}, the master's is {there}"
    if node.load != master.load:
        yield f"--load {node.load}, the master's is {master.load}"
    same_scenario = node.scenario_sha256 == master.scenario_sha256
    same_environment = node.environment_sha256 == master.environment_sha256
    if not same_scenario:
        yield f"scenario {node.scenario_sha256[:12]}, the master's is {master.scenario_sha256[:12]}"
    if not same_environment:
        yield f"environment {_where(node)}, the master's is {_where(master)}"
    elif _clusters(node) != _clusters(master):
        yield f"clusters {_clusters(node)}, the master's are {_clusters(master)}"
    if same_scenario and same_environment and node.plan_sha256 != master.plan_sha256:
        yield (
            f"plan {node.plan_sha256[:12]}, the master's is {master.plan_sha256[:12]} (a payload's files differ, or "
            "what reads scenario and environment)"
        )


def clock_difference(ahead_ns: int) -> Iterator[str]:
    """Whether a node's clock is too far from its master's, by what is proven of the two."""
    ahead_s = ahead_ns / NS_PER_S
    if abs(ahead_s) > CLOCKS_APART_S:
        yield f"clock {abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} the master's (set both by NTP)"


def _where(one: WorkerIdentity) -> str:
    return f"{one.environment} ({one.environment_file}, sha256 {one.environment_sha256[:12]}, {_clusters(one)})"


def _clusters(one: WorkerIdentity) -> str:
    return f"source {one.source_cluster_id}, target {one.target_cluster_id}"
