"""What the records of a load hold: the runbook's JSON documents of a chosen size, or the user's own files untouched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, InstanceOf, RootModel, ValidationInfo, model_validator

from scenarios.file_patterns import TooManyNames, is_pattern, matching
from scenarios.units import SizeBytes
from scenarios.yaml_file import Problems, StrictModel

SMALLEST_BYTES = 100
LARGEST_BYTES = 10 * 1024**2
MOST_FILES = 10_000
MOST_FILES_BYTES = 256 * 1024**2
#: Key of the validation context: the directory that paths of files start at, where they are wanted at all. A judge on
#: another machine reads the scenario without them.
DIRECTORY = "payload_directory"

DocumentType = Literal["user_activity", "system_metrics", "transaction", "log_event", "sensor_data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadFile:
    """A file that is sent as a record's value. Without a directory to look in, only its name is known."""

    name: str
    path: Path | None = None
    size_bytes: int = 0


def _found(names: Any, info: ValidationInfo) -> tuple[PayloadFile, ...]:
    """Names and patterns → the files that they mean, in order. Every problem of every file is said."""
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError("write a list of paths or patterns, as in ['orders/*.json']")
    directory: Path | None = (info.context or {}).get(DIRECTORY)
    if directory is None:
        return tuple(PayloadFile(name=name) for name in names)
    problems: list[str] = []
    files: list[PayloadFile] = []
    for name in names:
        try:
            paths = _paths(directory, name)
        except TooManyNames as error:
            problems.append(f"{name}: {error}")
            continue
        if not paths:
            problems.append(f"{name}: no such file in {directory}")
        for path in paths:
            file = PayloadFile(name=name, path=path, size_bytes=path.stat().st_size if path.is_file() else 0)
            problems += _problems(file, path)
            files.append(file)
        if len(files) > MOST_FILES:
            break
    total_bytes = sum(file.size_bytes for file in files)
    if len(files) > MOST_FILES:
        problems.append(f"{len(files):,} files; at most {MOST_FILES:,} make a payload")
    if total_bytes > MOST_FILES_BYTES:
        problems.append(
            f"{total_bytes:,} bytes in all; every node keeps them in memory, so at most {MOST_FILES_BYTES:,}"
        )
    if problems:
        raise Problems(problems)
    return tuple(files)


def _paths(directory: Path, name: str) -> list[Path]:
    try:
        if is_pattern(name):
            return matching(directory, name)
        path = directory / Path(name).expanduser()
        return [path] if path.exists() else []
    except (OSError, RuntimeError):  # a name too long to be one, a home of nobody
        return []


def _problems(file: PayloadFile, path: Path) -> Iterator[str]:
    if not path.is_file():
        yield f"{path}: not a file"
    elif file.size_bytes == 0:
        yield f"{path}: is empty; a record needs at least one byte"
    elif file.size_bytes > LARGEST_BYTES:
        yield f"{path}: {file.size_bytes:,} bytes, above the {LARGEST_BYTES:,} that a record may have"
    else:
        try:
            path.open("rb").close()
        except OSError as error:
            yield f"{path}: cannot be read ({error.strerror})"


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Payload(StrictModel):
    """JSON documents of exactly `bytes`, of `types` in turn; or `files`, one per record in turn, untouched."""

    bytes: SizeBytes = Field(1024, ge=SMALLEST_BYTES, le=LARGEST_BYTES)
    types: Annotated[tuple[DocumentType, ...], BeforeValidator(_listed), Field(min_length=1)] | None = None
    files: (
        Annotated[tuple[InstanceOf[PayloadFile], ...], BeforeValidator(_found, json_schema_input_type=list[str])] | None
    ) = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.files is not None and self.model_fields_set & {"bytes", "types"}:
            raise ValueError("files are sent as they are: give files, or bytes and types, not both")
        return self

    @property
    def mean_bytes(self) -> float:
        """Of a record's value."""
        return self.bytes if self.files is None else _mean(file.size_bytes for file in self.files)

    @property
    def largest_bytes(self) -> int:
        """Of a record's value."""
        return self.bytes if self.files is None else max(file.size_bytes for file in self.files)


class Payloads(RootModel[tuple[Payload, ...]]):
    """One payload for all topics, or one for each; in YAML a mapping, or a list of them."""

    model_config = {"frozen": True}

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        if value in ([], ()):
            raise ValueError("an empty list; give one payload, or one for each topic")
        return tuple(value) if isinstance(value, list | tuple) else (value,)

    def of_topic(self, number: int) -> Payload:
        """Of the plan's topic with this number, from 0."""
        return self.root[number] if len(self.root) > 1 else self.root[0]

    @property
    def own_files(self) -> bool:
        """Whether some are the user's own files, whose sizes no text of a scenario tells."""
        return any(payload.files is not None for payload in self.root)

    @property
    def bytes(self) -> int:
        """The mean size of a value: topics get as many records each."""
        return max(ceil(_mean(payload.mean_bytes for payload in self.root)), 1)

    @property
    def largest_bytes(self) -> int:
        """Of all values."""
        return max(payload.largest_bytes for payload in self.root)

    def problems(self, topics: int) -> Iterator[str]:
        """What does not fit a load on so many topics."""
        if len(self.root) not in (1, topics):
            yield f"{len(self.root)} payloads for {topics} topics; give one for all, or one for each"


def _mean(sizes: Iterable[float]) -> float:
    listed = list(sizes)
    return sum(listed) / len(listed)
