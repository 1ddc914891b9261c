"""The run directory: written once, flushed as it grows, sealed at the end, readable after SIGKILL at any instant.

    <runs>/<UTC instant>-<scenario>/
        record/    manifest.json events.jsonl timeline.jsonl ledger.json latency.json SHA256SUMS    by the session
        evidence/  001/ 002/ …  what Prometheus and Connect said, each collected once                by the judge
        live/      verdict.json fiche.md stop-request.json                                            while it runs
        verdict.json fiche.md …                                                                       derived

`SHA256SUMS` is the seal: without it the writer did not reach the end. Each JSONL line is one whole JSON document, so
a torn last line is dropped, and said.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import Any

from run_record.closing import Closing
from run_record.counts import Counts
from run_record.edition import Edition
from run_record.events import read_events
from run_record.histogram import LatencyHistogram
from run_record.ledger_file import not_told_of, problems_of_ledger
from run_record.manifest import SCHEMA, Manifest, PhasePlayed, read_manifest
from run_record.plain import require_plain
from run_record.reading import (
    MOST_NAMED,
    Fault,
    Unreadable,
    digest,
    lines_of,
    parsed,
    read_text,
    read_whole,
)
from run_record.timeline import TimelineRow
from scenarios.errors import RunRecordError
from scenarios.visible import in_json

SEAL = "SHA256SUMS"


#: Runs hold topics, addresses and what brokers said: only the user who starts them may read them, until that user says
#: otherwise.
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


def private_directory(path: Path, *, exist_ok: bool = False) -> None:
    """Makes a directory that only this user may enter, and the one above it, if that is missing. Raises OSError."""
    for one in (path.parent, path):
        try:
            one.mkdir(mode=DIRECTORY_MODE, parents=True)
        except FileExistsError:
            if one == path and not exist_ok:
                raise


def open_private(path: str | Path, flags: int) -> int:
    """Opens a file that, if it is made, only this user may read; never through a link. Raises OSError."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)


def new_run_id(scenario: str, now: datetime) -> str:
    """`20260301T100000Z-phase1_smoke`."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{scenario}"


def looks_of(directory: Path, pid: int) -> Path:
    """Where the process that follows a run keeps what it reads meanwhile. Gone with it, or removed by who killed it."""
    return directory / "live" / f".looks-{pid}"


def write_json(path: Path, content: Any) -> None:
    """Writes `content` so that a reader sees the old file or the whole new one, never a part. Raises RunRecordError."""
    write_text(path, json_text(content))


def write_text(path: Path, text: str) -> None:
    """Like `write_json`, for text."""
    try:
        _replace(path, text)
    except OSError as error:
        raise RunRecordError(f"{path}: cannot be written ({error.strerror}); make room there, and try again") from None


def json_text(content: Any) -> str:
    """A document as `write_json` writes it."""
    return in_json(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, sort_keys=False)) + "\n"


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)  # of a process of this number that was killed
        with os.fdopen(open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


class RunWriter:
    """The session's pen: one per run, on the master. What cannot be written raises RunRecordError, and leaves what was
    written before as it was."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._record = directory / "record"
        self._streams: dict[str, FileIO] = {}
        self._sealed = False

    @classmethod
    def create(cls, runs_directory: Path, run_id: str) -> RunWriter:
        """A fresh directory; a run that starts within the same second gets a number behind its name."""
        for attempt in range(1000):
            directory = runs_directory / (run_id if attempt == 0 else f"{run_id}-{attempt + 1}")
            try:
                private_directory(directory)
                private_directory(directory / "record")
            except FileExistsError:
                continue
            except OSError as error:
                raise RunRecordError(
                    f"{runs_directory}: cannot be written ({error.strerror}); choose another with --runs-dir"
                ) from None
            return cls(directory)
        raise RunRecordError(f"{runs_directory}: holds a thousand runs named {run_id}")

    @property
    def run_id(self) -> str:
        return self.directory.name

    def event(self, name: str, *, at_ns: int, **details: Any) -> None:
        """Appends an event. It outlives this process at once, and a power cut from the seal on: a load never waits for
        the disk."""
        self._append("events.jsonl", {"at_ns": at_ns, "event": name, **details})

    def timeline(self, row: TimelineRow) -> None:
        """Appends a second."""
        self._append("timeline.jsonl", row.to_json())

    def manifest(self, manifest: Manifest) -> None:
        """Writes the manifest, whole."""
        self._whole("manifest.json", manifest.to_json())

    def ledger(self, content: dict[str, Any]) -> None:
        """Writes the ledger (docs/run-record.md has its form)."""
        self._whole("ledger.json", {"schema": SCHEMA, **content})

    def latency(self, phases: dict[str, dict[str, LatencyHistogram]]) -> None:
        """Writes the histograms of each phase: phase → e2e, send_delay, ack → histogram."""
        content = {name: {kind: h.to_json() for kind, h in kinds.items()} for name, kinds in phases.items()}
        self._whole("latency.json", {"schema": SCHEMA, "phases": content})

    def seal(self) -> None:
        """Closes the record for good. Idempotent."""
        if self._sealed:
            return
        self._sealed = True
        for name, stream in self._streams.items():
            with self._writing(name):
                os.fsync(stream.fileno())
            stream.close()
        self._streams.clear()
        with self._writing(SEAL):
            _replace(self._record / SEAL, sums(self._record))

    def _whole(self, name: str, content: dict[str, Any]) -> None:
        with self._writing(name):
            _replace(self._record / name, json_text(content))

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunRecordError(
                f"{self._record / name}: the record cannot be written ({error.strerror}); make room, then "
                f"`mm2gate judge {self.directory}` judges what was recorded before"
            ) from None

    def _append(self, name: str, content: dict[str, Any]) -> None:
        if self._sealed:
            return
        line = (in_json(json.dumps(content, ensure_ascii=False, allow_nan=False)) + "\n").encode()
        with self._writing(name):
            stream = self._streams.get(name)
            if stream is None:
                stream = self._streams[name] = FileIO(self._record / name, "a", opener=open_private)
                # Held until the writer closes it or dies: a reader tells a run that goes on from one that was killed.
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            whole_bytes = os.fstat(stream.fileno()).st_size
            try:
                while line:
                    line = line[stream.write(line) :]
            except OSError:
                os.truncate(
                    stream.fileno(), whole_bytes
                )  # not half a line, with others behind it once there is room again
                raise


def sums(directory: Path) -> str:
    """`sha256  name` of each file, as sha256sum writes and checks them. One that is too large to be ours, or cannot be
    read, has a sum that is none."""
    names = sorted(path.name for path in directory.iterdir() if path.is_file() and path.name != SEAL)
    return "".join(f"{digest(directory / name)}  {name}\n" for name in names if not name.startswith("."))


def is_sealed(directory: Path) -> bool:
    """Whether the directory's writer reached its end."""
    return (directory / SEAL).is_file()


def is_being_written(directory: Path) -> bool:
    """Whether the record's writer lives, on this machine: it holds a lock that dies with it."""
    try:
        with (directory / "events.jsonl").open(encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def broken_seal(directory: Path) -> list[str]:
    """Names of sealed files that are no longer what was sealed, or missing, or new."""
    try:
        written = set(read_text(directory / SEAL).splitlines())
    except (Unreadable, OSError):
        return [SEAL]
    try:
        now = set(sums(directory).splitlines())
    except OSError:  # a directory that may not be listed
        return [directory.name]
    return sorted({line.partition("  ")[2] or SEAL for line in written ^ now})


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run as read back. Of a run that was killed, what reached the disk."""

    directory: Path
    manifest: Manifest
    events: tuple[dict[str, Any], ...]
    sealed: bool
    torn: tuple[str, ...] = field(default=())
    """Names of files whose last line was cut off."""
    unread: tuple[Fault, ...] = field(default=(), repr=False)
    """What of the events could not be read."""

    @classmethod
    def open(cls, directory: Path) -> RunRecord:
        """Reads a run directory. Raises RunRecordError when it is none, when it leads out of itself, when its seal is
        broken, or when its manifest cannot be read; what else cannot be read is in `faults`."""
        record = directory / "record"
        if directory.is_dir():
            require_plain(directory, below=("record", "evidence"))
        if not (record / "manifest.json").is_file():
            raise RunRecordError(f"{directory}: not a run directory (no record/manifest.json)")
        sealed = is_sealed(record)
        if sealed and (names := broken_seal(record)):
            raise RunRecordError(
                f"{record}: {', '.join(names[:MOST_NAMED])} changed since the record was sealed; nothing in it can be "
                "judged"
            )
        manifest = _manifest(record / "manifest.json")
        events, torn, faults = read_events(record / "events.jsonl")
        if manifest.ending is None:
            manifest = manifest.model_copy(update={"phases": _phases_of(events)})
        return cls(
            directory=directory,
            manifest=manifest,
            events=tuple(events),
            sealed=sealed,
            torn=("events.jsonl",) if torn else (),
            unread=tuple(faults),
        )

    @property
    def timeline(self) -> tuple[TimelineRow, ...]:
        return self._timeline[0]

    @cached_property
    def _timeline(self) -> tuple[tuple[TimelineRow, ...], tuple[Fault, ...]]:
        """The rows that can be read, and what cannot. A torn last line is what a killed writer leaves."""
        rows, faults, name = [], [], "timeline.jsonl"
        try:
            for number, line, whole in lines_of(self.directory / "record" / name):
                if not whole:
                    faults += [Fault(file=name, where=f"line {number}", why="is cut")] if self.sealed else []
                    continue
                try:
                    rows.append(TimelineRow.read(line, edition=self.manifest.edition))
                except Unreadable as error:
                    where = f"line {number}" + (f": {error.where}" if error.where else "")
                    faults.append(Fault(file=name, where=where, why=error.why))
        except Unreadable as error:
            faults.append(Fault.of(name, error))
        return tuple(rows), tuple(faults)

    @cached_property
    def kept_histograms(self) -> tuple[tuple[int, Mapping[str, Any]], ...]:
        """When the timeline kept histograms (ns), and of what: kind → content, as it was written."""
        return tuple((row.at_ns, row.histograms) for row in self.timeline if row.histograms)

    @cached_property
    def merged_histograms(self) -> dict[tuple[str, int, int], LatencyHistogram]:
        """What `histogram_between` worked out, so that it does so once."""
        return {}

    def histogram_between(self, kind: str, start_ns: int, end_ns: int) -> LatencyHistogram:
        """Those of a kind that were kept after one instant and up to another, in one."""
        found = self.merged_histograms.get((kind, start_ns, end_ns))
        if found is None:
            found = self.merged_histograms[kind, start_ns, end_ns] = LatencyHistogram()
            for at_ns, kinds in self.kept_histograms:
                if kind in kinds and start_ns < at_ns <= end_ns:
                    found.merge(LatencyHistogram.from_json(kinds[kind]))
        return found

    @cached_property
    def ledger(self) -> dict[str, Any] | None:
        """The content of ledger.json; None when the run was killed before it was written, or it cannot be read."""
        return self._ledger[0]

    @cached_property
    def closing(self) -> Closing | None:
        """What lay on both clusters when the run ended; None where that is not told. Raises ClosingUnreadable."""
        return None if self.ledger is None else Closing.of(self.ledger)

    @cached_property
    def latency(self) -> dict[str, dict[str, LatencyHistogram]]:
        """phase → e2e, send_delay, ack → histogram; empty when the run was killed, or the file cannot be read."""
        return self._latency[0]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All that cannot be read of the record's files, which are read for it."""
        torn = [Fault(file=name, where="", why="is cut") for name in self.torn if self.sealed]
        return (*self.unread, *torn, *self._timeline[1], *self._ledger[1], *self._latency[1])

    @property
    def not_told(self) -> tuple[str, ...]:
        """Keys of this version that a record of an earlier schema has not."""
        if self.manifest.schema_version == SCHEMA:
            return ()
        ledger = () if self.ledger is None else not_told_of(self.ledger)
        return (*self.manifest.not_told, *(f"ledger.{name}" for name in ledger))

    @cached_property
    def _ledger(self) -> tuple[dict[str, Any] | None, tuple[Fault, ...]]:
        edition = self.manifest.edition
        return self._read("ledger.json", lambda text, content: list(problems_of_ledger(text, content, edition=edition)))

    @cached_property
    def _latency(self) -> tuple[dict[str, dict[str, LatencyHistogram]], tuple[Fault, ...]]:
        edition, found = self.manifest.edition, {}  # type: Edition, dict[str, dict[str, LatencyHistogram]]

        def problems(_text: bytes, content: Any) -> list[Unreadable]:
            return list(_read_latency(content, found, edition=edition))

        content, faults = self._read("latency.json", problems)
        return ({} if content is None else found), faults

    def _read(
        self, name: str, problems: Callable[[bytes, Any], list[Unreadable]]
    ) -> tuple[dict[str, Any] | None, tuple[Fault, ...]]:
        """A file's content, and what is wrong with it; None where there is no such file, or anything is."""
        try:
            text = read_whole(self.directory / "record" / name)
            content = parsed(text)
            found = problems(text, content) if isinstance(content, dict) else [Unreadable("is no object")]
        except FileNotFoundError:
            return None, ()
        except Unreadable as error:
            found = [error]
        return (None, tuple(Fault.of(name, one) for one in found)) if found else (content, ())

    def counts(self, phase: str | None = None) -> Counts | None:
        """The ledger's counts, of one phase or in total; None without a ledger, or a phase that it does not know."""
        content = self.ledger
        found = None if content is None else content["totals"] if phase is None else content["phases"].get(phase)
        return None if found is None else Counts.from_json(found, edition=self.manifest.edition)

    def evidence(self) -> Path | None:
        """The newest sealed evidence, if any was collected."""
        found = self.sealed_evidence()
        return found[-1] if found else None

    def sealed_evidence(self) -> list[Path]:
        """Evidence whose collection reached its end, the newest last."""
        return [path for path in self._all_evidence() if is_sealed(path)]

    def passed_over(self, judged: str) -> tuple[str, ...]:
        """Names of evidence that is newer than the one that is judged, and whose collection did not reach its end."""
        return tuple(path.name for path in self._all_evidence() if path.name > judged and not is_sealed(path))

    def _all_evidence(self) -> list[Path]:
        return sorted(self.directory.glob("evidence/[0-9][0-9][0-9]"))


def _manifest(path: Path) -> Manifest:
    try:
        manifest, problems = read_manifest(read_whole(path))
    except (Unreadable, FileNotFoundError) as error:
        manifest, problems = None, [error if isinstance(error, Unreadable) else Unreadable("is gone")]
    if manifest is None:
        said = "; ".join(map(str, problems[:MOST_NAMED]))
        raise RunRecordError(f"{path}: {said}; damaged, or not of this version?")
    return manifest


def _read_latency(
    content: dict[str, Any], found: dict[str, dict[str, LatencyHistogram]], *, edition: Edition
) -> Iterator[Unreadable]:
    """Puts the histograms of latency.json into `found`, and says what keeps any from being one."""
    if type(content.get("schema")) is not int or content["schema"] != edition.schema:
        yield Unreadable(f"is not {edition.schema}, the manifest's", where="schema")
        return
    phases = content.get("phases")
    if not isinstance(phases, dict) or not all(isinstance(kinds, dict) for kinds in phases.values()):
        yield Unreadable("is no list of phases", where="phases")
        return
    for phase, kinds in phases.items():
        for kind, histogram in kinds.items():
            try:
                found.setdefault(phase, {})[kind] = LatencyHistogram.from_json(histogram)
            except Unreadable as error:
                where = f"phases.{phase}.{kind}" + (f".{error.where}" if error.where else "")
                yield Unreadable(error.why, where=where)
        found.setdefault(phase, {})


def read_lines(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """The JSON documents of a JSONL file that is being written, and whether a torn last line was dropped. Raises
    Unreadable when a line is none."""
    lines = list(lines_of(path))
    return [parsed(line) for _, line, whole in lines if whole], bool(lines) and not lines[-1][2]


def _phases_of(events: Iterable[dict[str, Any]]) -> tuple[PhasePlayed, ...]:
    """Phases of a record whose manifest was never completed, from its events."""
    return tuple(_walk(events))


def _walk(events: Iterable[dict[str, Any]]) -> Iterator[PhasePlayed]:
    current: PhasePlayed | None = None
    for event in events:
        if event["event"] != "phase_started":
            continue
        if current is not None:
            yield current.model_copy(update={"end_ns": event["at_ns"]})
        current = PhasePlayed(
            name=event["phase"],
            kind=event["kind"],
            records=event["records"],
            planned_s=event["planned_s"],
            start_ns=event["at_ns"],
        )
    if current is not None:
        yield current
