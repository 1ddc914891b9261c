"""The environment that a person gives to the judge: here, the one that a synthetic run was played on."""

from __future__ import annotations

from pathlib import Path

from run_record.store import RunRecord
from scenarios.environment import Environment, LoadedEnvironment
from scenarios.yaml_file import parse


def as_played(run: Path | RunRecord) -> LoadedEnvironment:
    """Of a run directory, or its record."""
    record = RunRecord.open(run) if isinstance(run, Path) else run
    text = record.manifest.environment.text
    file = record.directory.parent / "environment.yaml"
    return LoadedEnvironment.model_construct(
        file=file, text=text, environment=parse(text, Environment, file="environment.yaml")
    )
