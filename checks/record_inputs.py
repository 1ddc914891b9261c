"""Scenario and environment of a recorded run, from the texts that its manifest keeps."""

from __future__ import annotations

from pathlib import Path

from run_record.manifest import Manifest
from scenarios.environment import Environment, LoadedEnvironment
from scenarios.scenario import LoadedScenario, parse_scenario
from scenarios.yaml_file import parse


def environment_of(manifest: Manifest) -> LoadedEnvironment:
    """The environment as it was played. Its file need not exist any more, unless a password must be read."""
    seen = manifest.environment
    environment = parse(seen.text, Environment, file=seen.file)
    return LoadedEnvironment.model_construct(file=Path(seen.file), text=seen.text, environment=environment)


def scenario_of(manifest: Manifest) -> LoadedScenario:
    """The scenario as it was played."""
    return parse_scenario(manifest.scenario.text, file=manifest.scenario.file)
