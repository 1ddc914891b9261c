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
from checks.redaction import kept_connectors
from checks.series import Series, UnreadableAnswer, merged, parse_matrix
from run_record.plain import require_plain
from run_record.reading import MOST_NAMED, Unreadable, parsed, read_answer, read_whole
from run_record.store import SEAL, broken_seal, is_sealed
from scenarios.errors import RunRecordError
from scenarios.secret_shapes import without_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """All that was collected for a role. `trouble` says why its series must not be trusted, if so."""

    query: str
    series: tuple[Series, ...] = ()
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    trouble: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A series that is there, and its first and last point, NaN or not."""

    series: Series
    first_s: float
    last_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectAnswer:
    """One answer of Connect; `content` is None exactly when `error` says why."""

    content: Any = None
    error: str | None = None


def _require_own_files(directory: Path, index: Any) -> None:
    """No entry of the index names a file elsewhere: that is no damage, but a trap. Raises RunRecordError."""
    answers = index.get("answers", ()) if isinstance(index, Mapping) else ()
    for entry in answers if isinstance(answers, list) else ():
        file = entry.get("file") if isinstance(entry, Mapping) else None
        if isinstance(file, str) and ("/" in file or file.startswith(".")):
            raise RunRecordError(
                f"{directory / 'index.json'}: names {file[:100]!r}, which is no file of this directory; nothing in it "
                "can be judged"
            )


def _kept(connectors: Any) -> Any:
    """Evidence of an older version kept more of the connectors than may be shown."""
    return kept_connectors(connectors) if isinstance(connectors, Mapping) else connectors


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """One evidence directory, read once: what was worked out of it may be kept beside it."""

    directory: Path
    index: Mapping[str, Any] = field(repr=False)
    faults: tuple[tuple[str, str], ...] = ()
    """What keeps all of it from being read, and why: (file, reason). Then nothing was answered."""

    @classmethod
    def none(cls, *, call: str) -> Evidence:
        """Of a run that is judged offline, and of which nothing was asked before. `call`: how to judge it otherwise."""
        return cls(directory=Path(), index={"profile": next(iter(PROFILES)), "offline": call, "answers": []})

    @classmethod
    def open(cls, directory: Path) -> Evidence:
        """Raises RunRecordError when it is not whole, or not what was sealed."""
        require_plain(directory)
        if not is_sealed(directory):
            raise RunRecordError(f"{directory}: not sealed; its collection did not reach the end")
        if names := broken_seal(directory):
            raise RunRecordError(f"{directory}: {', '.join(names[:MOST_NAMED])} changed since the evidence was sealed")
        try:
            text = read_whole(directory / "index.json")
            _require_own_files(directory, parsed(text))
            index = read_index(text)
        except (Unreadable, FileNotFoundError) as error:
            place, why = f"evidence/{directory.name}/index.json", "is not there"
            if isinstance(error, Unreadable):
                place, why = f"{place}: {error.where}" if error.where else place, error.why
            nothing = {"profile": next(iter(PROFILES)), "answers": [], "prometheus_url": "–"}
            return cls(directory=directory, index=nothing, faults=((place, why),))
        return cls(directory=directory, index=index)

    @property
    def offline(self) -> Reason | None:
        """Why nothing was asked, if nothing was."""
        call = self.index.get("offline")
        return None if call is None else Reason.of(Code.OFFLINE, call=call)

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
        """The text of the seal; empty where there is none."""
        return "" if self.offline else (self.directory / SEAL).read_text(encoding="utf-8")

    @cached_property
    def _metrics(self) -> dict[Role, Metric]:
        return {}

    def metric(self, role: Role) -> Metric:
        """The series of a role, pieces joined."""
        return self._metric(role)

    def shown(self, role: Role) -> tuple[Shown, ...]:
        """Who shows a role at all, and from when to when: a sign of life, whatever the numbers."""
        if role not in self._shown:
            self._shown[role] = tuple(
                Shown(series=one, first_s=float(one.times_s[0]), last_s=float(one.times_s[-1]))
                for one in self._metric(role).series
                if len(one.times_s)
            )
        return self._shown[role]

    @cached_property
    def _shown(self) -> dict[Role, tuple[Shown, ...]]:
        return {}

    def showing(self, role: Role) -> frozenset[str]:
        """Instances that show a role at all."""
        if role not in self._showing:
            self._showing[role] = frozenset(one.series.label("instance") for one in self.shown(role))
        return self._showing[role]

    @cached_property
    def _showing(self) -> dict[Role, frozenset[str]]:
        return {}

    def connect(self, name: str) -> ConnectAnswer:
        """An answer of Connect: workers, connectors, others, offsets, topics."""
        if name not in self._answers:
            self._answers[name] = self._read_connect(name)
        return self._answers[name]

    @cached_property
    def _answers(self) -> dict[str, ConnectAnswer]:
        return {}

    def _read_connect(self, name: str) -> ConnectAnswer:
        entries = [entry for entry in self.index["answers"] if entry["kind"] == "connect"]
        for entry in entries:
            if entry["name"] != name:
                continue
            if entry["error"] is not None:
                return ConnectAnswer(error=without_secrets(str(entry["error"])))
            try:
                content = self._read(entry["file"])
            except UnreadableAnswer as error:
                return ConnectAnswer(error=str(error))
            return ConnectAnswer(content=_kept(content) if name == "connectors" else content)
        errors = [without_secrets(str(entry["error"])) for entry in entries if entry["error"] is not None]
        return ConnectAnswer(error=errors[0] if errors else "not asked")

    def _read(self, name: str) -> Any:
        """The content of an answer. Raises UnreadableAnswer."""
        try:
            return read_answer(self.directory / name)
        except Unreadable as error:
            raise UnreadableAnswer(f"{name} {error}") from None
        except FileNotFoundError:
            raise UnreadableAnswer(f"{name} is not there") from None

    def _metric(self, role: Role) -> Metric:
        if role not in self._metrics:
            self._metrics[role] = self._read_metric(role)
        return self._metrics[role]

    def _read_metric(self, role: Role) -> Metric:
        entries = [e for e in self.index["answers"] if e["kind"] == "metric" and e["role"] == role.value]
        if not entries:
            return Metric(query=role.value, trouble=self.offline or Reason.of(Code.NOT_COLLECTED, metric=role.value))
        query = _pasteable(entries)
        for entry in entries:
            if entry["error"] is not None:
                error = without_secrets(str(entry["error"]))
                return Metric(query=query, trouble=Reason.of(Code.PROMETHEUS_FAILED, error=error))
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
        series: list[Series] = []
        try:
            series = merged(pieces)
        except UnreadableAnswer as error:
            trouble = trouble or Reason.of(Code.UNREADABLE, error=str(error))
        return Metric(
            query=query,
            series=tuple(series),
            warnings=warnings,
            infos=tuple(dict.fromkeys(text for entry in entries for text in entry["infos"])),
            trouble=trouble,
        )
