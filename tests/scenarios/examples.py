"""Texts of a scenario and an environment that are right, for tests to bend, and plans made of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from scenarios.environment import Environment, LoadedEnvironment
from scenarios.plan import RunPlan, make_plan
from scenarios.scenario import parse_scenario
from scenarios.yaml_file import parse

ENVIRONMENT = """\
name: desk
source: {alias: source, bootstrap_servers: "127.0.0.1:1", cluster_id: AAAA}
target: {alias: target, bootstrap_servers: "127.0.0.1:2", cluster_id: BBBB}
connect: {urls: ["http://127.0.0.1:3"]}
prometheus: {url: "http://127.0.0.1:4"}
topics: {prefix: mm2gate., replication_factor: 1}
ceilings: {records_per_s: 100000/s, bytes_per_s: 200MiB/s, total_bytes: 100GiB, duration: 5h}
"""

SCENARIO = """\
name: small
question: Does it work?
topics: {count: 1, partitions: 4}
payload: {bytes: 200B}
canary: {patience: 5s}
phases:
  - {name: smoke, profile: nominal, rate: 10/s, duration: 10s}
  - {name: drain, profile: drain, patience: 5s, cap: 20s}
criteria:
  - {id: lost, measure: ledger.lost, go: "== 0 records"}
"""


def environment(text: str = ENVIRONMENT, file: Path = Path("desk.yaml")) -> LoadedEnvironment:
    """The environment of a text, without a file."""
    parsed = parse(text, Environment, file=str(file))
    return LoadedEnvironment.model_construct(file=file, text=text, environment=parsed)


def plan(scenario: str = SCENARIO, where: str = ENVIRONMENT, *, rehearsal: str = "1") -> RunPlan:
    """The plan of two texts."""
    loaded = environment(where)
    return make_plan(
        parse_scenario(scenario, file="small.yaml", environment=loaded.environment),
        loaded,
        rehearsal=Fraction(rehearsal),
    )


def with_phases(*phases: str, topics: str = "{count: 1, partitions: 4}", payload: str = "{bytes: 200B}") -> str:
    """The scenario with other load phases."""
    lines = "".join(f"  - {phase}\n" for phase in phases)
    return (
        SCENARIO.replace("  - {name: smoke, profile: nominal, rate: 10/s, duration: 10s}\n", lines)
        .replace("{count: 1, partitions: 4}", topics)
        .replace("{bytes: 200B}", payload)
    )
