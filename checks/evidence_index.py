"""index.json of an evidence directory, as it is read back: what was asked, and what became of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from run_record.manifest import MOST, Ns
from run_record.reading import Unreadable, parsed, problems_of
from scenarios.yaml_file import StrictModel

Number = Annotated[float, Field(ge=-MOST, le=MOST, allow_inf_nan=False)]
#: A file of the directory itself.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,200}$")]


class _Open(StrictModel):
    model_config = ConfigDict(extra="ignore")


class _Unanswered(_Open):
    """A question whose answer is an error."""

    kind: Literal["metric", "connect"]
    error: str


class _OfConnect(_Open):
    kind: Literal["connect"]
    name: str
    error: None
    file: FileName


class _OfMetric(_Open):
    kind: Literal["metric"]
    role: str
    query: str
    error: None
    file: FileName
    at_s: Number
    span_s: Annotated[Number, Field(ge=0)]
    warnings: tuple[str, ...]
    infos: tuple[str, ...]


class _UnansweredMetric(_Unanswered):
    kind: Literal["metric"]
    role: str
    query: str


class _UnansweredConnect(_Unanswered):
    kind: Literal["connect"]
    name: str


class _Clock(_Open):
    offset_s: Number
    uncertainty_s: Number


class _Index(_Open):
    schema_version: Literal[1, 2] = Field(alias="schema")
    collected_at_ns: Ns
    connect_asked_at_ns: Ns | None = None
    profile: str
    profile_named: bool = False
    profile_others: tuple[str, ...] = ()
    profile_missing: tuple[str, ...] = ()
    profile_strangers: tuple[str, ...] = ()
    prometheus_clock: _Clock | None = None
    prometheus_url: str
    connect_urls: tuple[str, ...]
    windows: dict[str, Number | None] | None
    answers: tuple[_OfMetric | _OfConnect | _UnansweredMetric | _UnansweredConnect, ...]


#: Keys that came while schema 1 was being written, all of them in one version or another.
LATE_IN_SCHEMA_1 = frozenset(
    {
        "connect_asked_at_ns",
        "profile_named",
        "profile_others",
        "profile_missing",
        "profile_strangers",
        "prometheus_clock",
    }
)


def read_index(text: bytes) -> dict[str, Any]:
    """The index of a file's text. Raises Unreadable when it is none."""
    content = parsed(text)
    if not isinstance(content, dict) or type(content.get("schema")) is not int:
        raise Unreadable("is no index")
    try:
        _Index.model_validate_json(text)
    except ValidationError as error:
        raise next(problems_of(error)) from None
    if content["schema"] > 1 and (absent := sorted(LATE_IN_SCHEMA_1 - content.keys())):
        raise Unreadable("missing", where=absent[0])
    return content
