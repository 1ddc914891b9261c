"""A scenario's variants, one run after the other, and a page that puts them side by side."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from checks.series_fiche import Variant, series_content, series_fiche, worst_code
from run_record.store import RunWriter, new_run_id, write_json, write_text
from runbook.child import run_child
from runbook.output import say
from scenarios.errors import ExitCode
from scenarios.scenario import LoadedScenario

#: A variant that ends with one of these says that the next could not be played either, or that a person wants an end.
ENDS_THE_SERIES = frozenset({ExitCode.REFUSED, ExitCode.ABORTED, ExitCode.BAD_SPEC, ExitCode.INTERNAL})


@dataclass(slots=True, kw_only=True)
class Series:
    """The variants of one scenario. `arguments` are those of `mm2gate run`, without --set and --runs-dir."""

    loaded: LoadedScenario
    arguments: tuple[str, ...]
    runs_directory: Path
    played: list[Variant] = field(default_factory=list)

    def play(self) -> int:
        """Plays them all; the worst exit code. The page is there however it ends."""
        scenario = self.loaded.scenario
        directory = _directory(self.runs_directory, f"{scenario.name}-series")
        for number, values in enumerate(scenario.variants, start=1):
            said = ", ".join(f"{name}={value}" for name, value in values.items())
            say(f"variant {number} of {len(scenario.variants)}: {said}", err=True)
            before = _runs(self.runs_directory, scenario.name)
            code = self._play_one(values)
            # None when a guard refused it: a run of another day says nothing about this variant.
            run = max(_runs(self.runs_directory, scenario.name) - before, default=None)
            self.played.append(Variant(values=dict(values), directory=run, exit_code=code))
            self._write(directory)
            if code in ENDS_THE_SERIES:
                break
        say(f"series: {directory / 'fiche.md'}")
        return worst_code([one.exit_code for one in self.played], wanted=len(scenario.variants))

    def _play_one(self, values: Mapping[str, str]) -> int:
        settings = ",".join(f"{name}={value}" for name, value in values.items())
        command = [sys.executable, "-P", "-m", "runbook", "run", *self.arguments]
        return run_child([*command, "--set", settings, "--runs-dir", str(self.runs_directory)])

    def _write(self, directory: Path) -> None:
        scenario = self.loaded.scenario
        write_json(directory / "series.json", series_content(scenario, self.played))
        write_text(
            directory / "fiche.md", series_fiche(scenario, self.played, language=os.environ.get("MM2GATE_LANG", "fr"))
        )


def _directory(runs_directory: Path, name: str) -> Path:
    directory = RunWriter.create(runs_directory, new_run_id(name, datetime.now(UTC))).directory
    (directory / "record").rmdir()  # a series records nothing itself
    return directory


def _runs(runs_directory: Path, scenario: str) -> set[Path]:
    """The runs of this scenario, and not those of one whose name only begins alike."""
    found = (path for end in ("", "-*") for path in runs_directory.glob(f"*Z-{scenario}{end}"))
    return {path for path in found if (path / "record").is_dir()}
