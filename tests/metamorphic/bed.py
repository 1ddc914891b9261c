"""A recorded run to be damaged: changes to its files, sealed again, judged, and undone.

    bed = Bed.unpack("phase1_smoke", tmp_path)
    with bed.damaged({"record/ledger.json": lambda text: text.replace("100", "99")}) as run:
        judged(run)

Recorded runs are real ones, of the lab (recorded/README.md). A change that leaves a file as it was is a mistake of the
test, and is told.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from checks.case import Case
from checks.evaluate import Evaluation
from checks.verdict import Verdict
from run_record.store import SEAL, RunRecord, sums

RECORDED = Path(__file__).parent / "recorded"
Change = Callable[[str], str | None]
"""From a file's text to another; None removes the file."""
#: From the best to the worst that a judgement can come to; what cannot be judged is no pass.
BADNESS = {Verdict.GO: 0, Verdict.GREY: 1, Verdict.NOT_RUN: 2, Verdict.INCONCLUSIVE: 2, Verdict.NOGO: 3}


@dataclass(frozen=True, kw_only=True)
class Bed:
    """One run directory, whole between two damages."""

    directory: Path

    @classmethod
    def unpack(cls, name: str, where: Path) -> Bed:
        """The recorded run of this name, under `where`."""
        with tarfile.open(RECORDED / f"{name}.tar.xz") as archive:
            archive.extractall(where / name, filter="data")
        (directory,) = (where / name).iterdir()
        return cls(directory=directory)

    @staticmethod
    def recorded_texts(name: str) -> dict[str, str]:
        """The files of a recorded run's record, by name: what a test is made of before it runs."""
        with tarfile.open(RECORDED / f"{name}.tar.xz") as archive:
            members = [one for one in archive.getmembers() if one.isfile() and Path(one.name).parent.name == "record"]
            return {Path(one.name).name: archive.extractfile(one).read().decode() for one in members}  # type: ignore[union-attr]

    @contextmanager
    def damaged(self, changes: Mapping[str, Change], *, reseal: bool = True) -> Iterator[Path]:
        """The run with other contents in some of its files; what was sealed is sealed again."""
        before: dict[Path, str] = {}
        try:
            for name, change in changes.items():
                path = self.directory / name
                before[path] = path.read_text(encoding="utf-8")
                after = change(before[path])
                assert after != before[path], f"{name} is as it was"
                if after is None:
                    path.unlink()
                else:
                    path.write_text(after, encoding="utf-8")
            if reseal:
                self._reseal({path.parent for path in before})
            yield self.directory
        finally:
            for path, text in before.items():
                path.write_text(text, encoding="utf-8")
            self._reseal({path.parent for path in before})

    @contextmanager
    def changed(self, changes: Mapping[str, Change]) -> Iterator[Bed]:
        """Another bed, for as long: a copy of this one with these changes, to be damaged further."""
        copy = self.directory.with_name(f"{self.directory.name}-changed")
        shutil.copytree(self.directory, copy)
        try:
            other = Bed(directory=copy)
            for name, change in changes.items():
                path = copy / name
                text = change(path.read_text(encoding="utf-8"))
                assert text is not None
                path.write_text(text, encoding="utf-8")
                other._reseal({path.parent})
            yield other
        finally:
            shutil.rmtree(copy)

    @cached_property
    def evidence(self) -> Path:
        """Its sealed evidence."""
        found = RunRecord.open(self.directory).evidence()
        assert found is not None
        return found

    def answers(self) -> Iterator[tuple[str, str]]:
        """(role, file's name in the run) of each answer of Prometheus."""
        index = json.loads((self.evidence / "index.json").read_text(encoding="utf-8"))
        for entry in index["answers"]:
            if entry["kind"] == "metric" and "file" in entry:
                yield entry["role"], str((self.evidence / entry["file"]).relative_to(self.directory))

    def series_of(self, role: str) -> list[int]:
        """The places of a role's series in its answer, but for those of topics that are none of the plan's."""
        manifest = json.loads((self.directory / "record" / "manifest.json").read_text(encoding="utf-8"))
        mirrors = {topic["remote"] for topic in manifest["topics"]}
        found = [name for answered, name in self.answers() if answered == role]
        series = [
            one
            for name in found
            for one in json.loads((self.directory / name).read_text(encoding="utf-8"))["data"]["result"]
        ]
        return [place for place, one in enumerate(series) if one["metric"].get("topic", "") in {"", *mirrors}]

    @staticmethod
    def _reseal(directories: set[Path]) -> None:
        for directory in directories:
            (directory / SEAL).write_text(sums(directory), encoding="utf-8")


def judged(directory: Path) -> Evaluation:
    """What the judge comes to, without its documents."""
    record = RunRecord.open(directory)
    evidence = record.evidence()
    assert evidence is not None
    return Case.of(record, evidence).evaluation


def as_json(change: Callable[[Any], Any]) -> Change:
    """A change of a JSON file's content."""

    def changed(text: str) -> str:
        return json.dumps(change(json.loads(text)), ensure_ascii=False)

    return changed
