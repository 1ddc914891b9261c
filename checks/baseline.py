"""The baseline: what an earlier run measured, and why it may not stand for this one, if so.

It is kept beside the run as baseline.json, so that the run can be judged again without the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from checks.evidence import Evidence
from run_record.manifest import Manifest
from run_record.reading import Unreadable, read_json
from run_record.store import RunRecord, write_json
from scenarios.errors import RunRecordError
from scenarios.judged_run import verdict_file

FILE = "baseline.json"
GO = "GO"
#: The version of what did not say which it is. Two of them need not be the same.
UNKNOWN = "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Values by measure, and the run they are from. `refused` says why they may not be used; empty when they may."""

    run_id: str
    values: Mapping[str, float]
    refused: str = ""

    def value_of(self, measure: str) -> float | None:
        """What the earlier run measured, in the measure's unit."""
        return None if self.refused else self.values.get(measure)

    @classmethod
    def of(cls, content: Mapping[str, Any], manifest: Manifest, versions: Mapping[str, str]) -> Self:
        """The baseline of baseline.json for a run; refused when it was not GO, may be of another system, or is of a
        rehearsal and this run is none."""
        values = {name: float(value) for name, value in content["values"].items()}
        why = "; ".join(_objections(content, manifest, versions))
        return cls(run_id=content["run_id"], values=values, refused=why)


def _objections(content: Mapping[str, Any], manifest: Manifest, versions: Mapping[str, str]) -> list[str]:
    found = []
    if content["verdict"] != GO or content["aborted"]:
        found.append(f"verdict {content['verdict']}{' (aborted)' if content['aborted'] else ''}")
    for side in ("source", "target"):
        here = getattr(manifest.environment, side).cluster_id
        if content["clusters"][side] != here:
            found.append(f"cluster {side} {content['clusters'][side]} ≠ {here}")
    for name, here in versions.items():
        there = content["versions"].get(name, UNKNOWN)
        if UNKNOWN in (here, there) or here != there:
            found.append(f"{name} {there} ≠ {here}" if here != there else f"{name} {UNKNOWN}")
    if content.get("rehearsal", "1") != "1" and not manifest.is_rehearsal:
        found.append(f"rehearsal {content['rehearsal']}")
    return found


def versions_of(manifest: Manifest, evidence: Evidence) -> dict[str, str]:
    """The versions that make figures comparable: Connect's, with MM2 in it, and ours, which measures."""
    workers = evidence.connect("workers").content or ()
    seen = sorted({str(worker["version"]) for worker in workers if isinstance(worker, dict) and "version" in worker})
    return {"mm2gate": manifest.versions.get("mm2gate", UNKNOWN), "connect": ", ".join(seen) or UNKNOWN}


def keep(run_directory: Path, other: Path) -> None:
    """Keeps another run's values as this one's baseline. RunRecordError when it is no judged run."""
    record, file = RunRecord.open(other), verdict_file(other)
    evidence = record.evidence()
    if file is None or evidence is None:
        raise RunRecordError(f"{other}: is not judged yet, so it is no baseline; mm2gate judge {other}")
    try:
        verdict = read_json(file)
        values = {
            one["measure"]: one["value"]
            for one in verdict["criteria"]
            if one["value"] is not None
            and not one["at_least"]
            and one["between_s"] is None
            and one.get("phase") is None
        }
    except (Unreadable, OSError, KeyError, TypeError, AttributeError):
        raise RunRecordError(f"{file}: is no verdict, so no baseline either; mm2gate judge {other}") from None
    seen = record.manifest.environment
    write_json(
        run_directory / FILE,
        {
            "schema": 1,
            "run_id": verdict["run_id"],
            "scenario": verdict["scenario"],
            "verdict": verdict["verdict"],
            "aborted": verdict["aborted"],
            "rehearsal": record.manifest.rehearsal,
            "clusters": {"source": seen.source.cluster_id, "target": seen.target.cluster_id},
            "versions": versions_of(record.manifest, Evidence.open(evidence)),
            "values": values,
        },
    )


def load(run_directory: Path, manifest: Manifest, evidence: Evidence) -> Baseline | None:
    """The baseline that is kept beside a run, if any."""
    file = run_directory / FILE
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return Baseline.of(content, manifest, versions_of(manifest, evidence))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunRecordError(
            f"{file}: is no baseline ({type(error).__name__}); delete it, or give --baseline"
        ) from None
