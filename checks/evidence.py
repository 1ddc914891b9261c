"""Reads a sealed evidence directory back, offline. What could not be asked or read is an error in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from checks.evidence_index import read_index
from checks.metric_profiles import PROFILES, MetricProfile, Role
from checks.reasons import Code, Reason
from checks.series import Series, UnreadableAnswer, merged, parse_matrix
from run_record.reading import MOST_NAMED, Unreadable, read_answer, read_whole
from run_record.store import SEAL, broken_seal, is_sealed
from scenarios.errors import RunRecordError


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """All that was collected for a role. `trouble` says why its series must not be trusted, if so."""

    query: str
    series: tuple[Series, ...] = ()
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    trouble: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectAnswer:
    """One answer of Connect; `content` is None exactly when `error` says why."""

    content: Any = None
    error: str | None = None


def _pasteable(entries: list[dict[str, Any]]) -> str:
    """The query with the instant it was asked for, as PromQL that brings the same points today."""
    first, last = entries[0], entries[-1]
    if "at_s" not in last:
        return str(first["query"])
    query = str(first["query"])
    if len(entries) > 1:
        # Pieces touch: one range over all of them has the same points.
        span_s = last["at_s"] - first["at_s"] + first["span_s"]
        query = f"{query[: query.rindex('[')]}[{round(span_s * 1000)}ms]"
    return f"{query} @ {last['at_s']:.3f}"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One evidence directory."""

    directory: Path
    index: Mapping[str, Any] = field(repr=False)
    faults: tuple[tuple[str, str], ...] = ()
    """What keeps all of it from being read, and why: (file, reason). Then nothing was answered."""

    @classmethod
    def open(cls, directory: Path) -> Evidence:
        """Raises RunRecordError when it is not whole, or not what was sealed."""
        if not is_sealed(directory):
            raise RunRecordError(f"{directory}: not sealed; its collection did not reach the end")
        if names := broken_seal(directory):
            raise RunRecordError(f"{directory}: {', '.join(names[:MOST_NAMED])} changed since the evidence was sealed")
        try:
            return cls(directory=directory, index=read_index(read_whole(directory / "index.json")))
        except (Unreadable, FileNotFoundError) as error:
            place, why = f"evidence/{directory.name}/index.json", "is not there"
            if isinstance(error, Unreadable):
                place, why = f"{place}: {error.where}" if error.where else place, error.why
            nothing = {"profile": next(iter(PROFILES)), "answers": [], "prometheus_url": "–"}
            return cls(directory=directory, index=nothing, faults=((place, why),))

    @property
    def profile(self) -> MetricProfile:
        """The metric profile that the collector found."""
        try:
            return PROFILES[self.index["profile"]]
        except KeyError:
            raise RunRecordError(
                f"{self.directory}: collected under metric profile {self.index.get('profile')!r}, unknown here"
            ) from None

    @property
    def strangers(self) -> tuple[str, ...]:
        """Workers whose metrics go by another profile's names only, so that every sum leaves them out."""
        return tuple(self.index.get("profile_strangers", ()))

    @property
    def clock_offset(self) -> tuple[float, float] | None:
        """Seconds by which Prometheus's clock was ahead of the collector's, and how sure that is; None if not known."""
        found = self.index.get("prometheus_clock")
        return None if found is None else (float(found["offset_s"]), float(found["uncertainty_s"]))

    @property
    def connect_asked_ns(self) -> int | None:
        """The collector's wall clock when Connect was asked; None for a run that goes on, which is looked at now."""
        found = self.index.get("connect_asked_at_ns", self.index.get("collected_at_ns"))
        return None if found is None else int(found)

    @property
    def seal(self) -> str:
        """The text of the seal."""
        return (self.directory / SEAL).read_text(encoding="utf-8")

    @cached_property
    def _metrics(self) -> dict[Role, Metric]:
        return {}

    def metric(self, role: Role) -> Metric:
        """The series of a role, pieces joined."""
        if role not in self._metrics:
            self._metrics[role] = self._read_metric(role)
        return self._metrics[role]

    def connect(self, name: str) -> ConnectAnswer:
        """An answer of Connect: workers, connectors, offsets, topics."""
        entries = [entry for entry in self.index["answers"] if entry["kind"] == "connect"]
        for entry in entries:
            if entry["name"] != name:
                continue
            if entry["error"] is not None:
                return ConnectAnswer(error=entry["error"])
            try:
                return ConnectAnswer(content=self._read(entry["file"]))
            except UnreadableAnswer as error:
                return ConnectAnswer(error=str(error))
        errors = [entry["error"] for entry in entries if entry["error"] is not None]
        return ConnectAnswer(error=errors[0] if errors else "not asked")

    def _read(self, name: str) -> Any:
        """The content of an answer. Raises UnreadableAnswer."""
        try:
            return read_answer(self.directory / name)
        except Unreadable as error:
            raise UnreadableAnswer(f"{name} {error}") from None
        except FileNotFoundError:
            raise UnreadableAnswer(f"{name} is not there") from None

    def _read_metric(self, role: Role) -> Metric:
        entries = [e for e in self.index["answers"] if e["kind"] == "metric" and e["role"] == role.value]
        if not entries:
            return Metric(query=role.value, trouble=Reason.of(Code.NOT_COLLECTED, metric=role.value))
        query = _pasteable(entries)
        for entry in entries:
            if entry["error"] is not None:
                return Metric(query=query, trouble=Reason.of(Code.PROMETHEUS_FAILED, error=entry["error"]))
        pieces: list[Series] = []
        trouble: Reason | None = None
        for entry in entries:
            try:
                pieces += parse_matrix(self._read(entry["file"]))
            except UnreadableAnswer as error:
                trouble = Reason.of(Code.UNREADABLE, error=str(error))
        warnings = tuple(dict.fromkeys(text for entry in entries for text in entry["warnings"]))
        if warnings and trouble is None:
            trouble = Reason.of(Code.API_WARNINGS, warning=warnings[0], count=len(warnings))
        return Metric(
            query=query,
            series=tuple(merged(pieces)),
            warnings=warnings,
            infos=tuple(dict.fromkeys(text for entry in entries for text in entry["infos"])),
            trouble=trouble,
        )
