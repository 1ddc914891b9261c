"""Values that a scenario leaves open, such as the capacity that an earlier run found: `${capacity}` in its text.

They are put into the text before it is read, so that a run record's scenario says what was played, whole. Until a
variable is set, its example stands in its place, so that the file can be read and listed; a plan refuses it. A value
`@RUN` is the capacity that a run of phase 4 confirmed, read from its verdict.json.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from scenarios import strict_json
from scenarios.errors import Problem, SpecError
from scenarios.judged_run import verdict_file
from scenarios.text import Text
from scenarios.units import shown
from scenarios.yaml_file import StrictModel

#: No sign of a place within a place: a text full of them is still read in one go.
_PLACE = re.compile(r"\$\{([^${}]*)\}")
#: What a value may hold: a quantity or a name, nothing that could mean something else in YAML.
_VALUE = re.compile(r"[A-Za-z0-9_.%/µ -]+|@.+")
OPTION = "--set"
LONGEST_SETTINGS = 10_000


class Variable(StrictModel):
    """What is left open: an example of it, and what it means."""

    example: str = Field(min_length=1)
    meaning: Text


def parse_settings(text: str) -> dict[str, str]:
    """The text "capacity=7000/s,size=1KB" → name → value. SpecError lists what is wrong with it."""
    if len(text) > LONGEST_SETTINGS:
        message = f"{len(text):,} characters; at most {LONGEST_SETTINGS:,} are read"
        raise SpecError([Problem(file=OPTION, key="", message=message)])
    settings: dict[str, str] = {}
    problems: list[Problem] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            problems.append(Problem(file=OPTION, key="", message=f"{shown(part)}: write it as in capacity=7000/s"))
        elif name in settings:
            problems.append(Problem(file=OPTION, key=name, message="given twice; give it once"))
        elif not _VALUE.fullmatch(value):
            problems.append(
                Problem(file=OPTION, key=name, message=f"{shown(value)} is no plain value, such as 7000/s or 1KB")
            )
        else:
            settings[name] = value
    if problems:
        raise SpecError(problems)
    return settings


def resolved(settings: Mapping[str, str], *, rehearsed: bool) -> dict[str, str]:
    """The settings with `@RUN` replaced by what that run confirmed. SpecError when it confirmed nothing, or was a
    rehearsal while this run is none: what was tried for seconds must not be held for a day."""
    values, problems = dict(settings), []
    for name, value in settings.items():
        if not value.startswith("@"):
            continue
        try:
            values[name] = _capacity_of(Path(value[1:]), rehearsed=rehearsed)
        except ValueError as error:
            problems.append(Problem(file=OPTION, key=name, message=f"{value[1:]}: {error}"))
    if problems:
        raise SpecError(problems)
    return values


def _capacity_of(path: Path, *, rehearsed: bool) -> str:
    try:
        content = strict_json.read((verdict_file(path) or path) if path.is_dir() else path)
        criteria = [one for one in content["criteria"] if one["measure"] == "capacity.confirmed"]
        found = next(((one["verdict"], _number(one["value"])) for one in criteria), None)
        aborted, rehearsal = bool(content["aborted"]), bool(content["rehearsal"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError("is no judged run; give the directory of a run of phase 4") from None
    if found is None:
        raise ValueError("has no capacity; give a run of phase4_ramp")
    verdict, value = found
    if aborted or not value or verdict not in ("GO", "GREY"):
        raise ValueError(f"confirmed no capacity to go by (its capacity is {verdict}, {value or 0:g} records/s)")
    if rehearsal and not rehearsed:
        raise ValueError("was a rehearsal, and this run is none; play phase 4 in full, or give a number")
    return f"{value:g}/s"


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"no number: {value!r}")
    return float(value)


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with the values in their places; places without a value stay."""
    return _PLACE.sub(lambda match: values.get(match[1], match[0]), text)


def left_open(text: str) -> tuple[str, ...]:
    """Names of the places that have no value yet, each once, in order."""
    return tuple(dict.fromkeys(_PLACE.findall(text)))
