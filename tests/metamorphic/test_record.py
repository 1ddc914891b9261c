"""Damage to any key of a run's record is never GO, unless nobody judges by that key; and never a traceback.

Each key of each file of a real GO run is taken away, made null, another type, negative, one more, or another run's;
sealed again; judged. Keys that only tell a reader something (a host's name, a version) are listed, with why.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from checks.reasons import Code
from scenarios.errors import Mm2gateError
from tests.metamorphic.bed import Bed, judged

Path = tuple[str | int, ...]
FILES = ("manifest.json", "ledger.json", "latency.json")
LINES = ("timeline.jsonl", "events.jsonl")
#: Of a list, these places stand for all; of a file of lines, these lines.
PLACES = (0, 1, -1)
GONE = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What is done to a value: `make(value, key)` takes its place, GONE for none. `applies`: to which values it can be
    done."""

    name: str
    make: Callable[[Any, str | int], Any]
    applies: Callable[[Any], bool] = lambda _: True

    def __str__(self) -> str:
        return self.name


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _more(value: float, key: str | int) -> float:
    """One more; of an instant or a duration in nanoseconds, a minute."""
    return value + (60_000_000_000 if str(key).endswith("_ns") else 1)


#: What no reader could take for a value.
BREAKS = (
    Edit(name="gone", make=lambda *_: GONE),
    Edit(name="a list for it", make=lambda value, _: [[value]], applies=lambda value: not isinstance(value, list)),
    Edit(name="a text for a number", make=lambda *_: "many", applies=_number),
    Edit(name="null", make=lambda *_: None, applies=lambda value: value is not None),
)
#: What reads well, and is not so.
LIES = (
    Edit(name="one more", make=_more, applies=_number),
    Edit(name="negative", make=lambda value, _: -value - 1, applies=_number),
    Edit(name="a thousandfold", make=lambda value, key: _more(1000 * value, key), applies=_number),
    Edit(name="another word", make=lambda value, _: f"{value}x", applies=lambda value: isinstance(value, str)),
    Edit(name="the opposite", make=lambda value, _: not value, applies=lambda value: isinstance(value, bool)),
)


def leaves(content: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Each value of a JSON document, and where it stands; of a list, some."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield (*path, key), value
            yield from leaves(value, (*path, key))
    elif isinstance(content, list):
        for place in sorted({place % len(content) for place in PLACES if content}):
            yield (*path, place), content[place]
            yield from leaves(content[place], (*path, place))


def edited(content: Any, path: Path, edit: Edit) -> Any:
    """The document with one value replaced or gone."""
    content = copy.deepcopy(content)
    *above, last = path
    holder = content
    for key in above:
        holder = holder[key]
    made = edit.make(holder[last], last)
    if made is GONE:
        del holder[last]
    else:
        holder[last] = made
    return content


def outcome(bed: Bed, name: str, text: str) -> str:
    """What the judge comes to with this text in a file: a verdict, or that the record is refused with a sentence."""
    with bed.damaged({f"record/{name}": lambda _: text}) as run:
        try:
            after = judged(run)
        except Mm2gateError:
            return "refused"
    crashed = [result.criterion.id for result in after.results if result.reason.code is Code.MEASURE_CRASHED]
    assert crashed == []
    return str(after.verdict)


# Which keys, and which of them nobody judges by.

#: Keys (ANY stands for a place in a list or a name) that tell a reader something and decide nothing: any value is told.
ANY = "*"
TOLD_ONLY: dict[tuple[str, ...], str] = {
    ("manifest.json", "environment", "file"): "the path on the machine that played it",
    ("manifest.json", "scenario", "file"): "the name of its file there",
    ("manifest.json", "versions", ANY): "of what generated the load",
    ("manifest.json", "workers", ANY, "host"): "where a worker ran",
    ("manifest.json", "workers", ANY, "pid"): "its process",
    ("manifest.json", "workers", ANY, "id"): "Locust's name for it",
    ("manifest.json", "ending", "detail"): "words",
    ("timeline.jsonl", "wanted_per_s"): "drawn; what was wanted is worked out from the plan",
    ("timeline.jsonl", "wanted"): "drawn, as of the row, which may be late",
    ("timeline.jsonl", "due"): "drawn, as of the nodes' last report",
    ("timeline.jsonl", "workers"): "drawn",
    ("timeline.jsonl", "e2e", ANY): "drawn; latencies are judged by the histograms",
    ("timeline.jsonl", "send_delay", ANY): "drawn",
    ("events.jsonl", "detail"): "words",
    ("timeline.jsonl", "wall_step_ns"): "a clock that NTP slews moves a little; a step of a second is judged",
    ("manifest.json", "clock", ANY): "the same",
}
#: Keys that came while schema 1 was being written: where it has not them, they are not told, and that is a reservation.
LATE_IN_SCHEMA_1 = {
    ("manifest.json", "load"),
    ("manifest.json", "ending", "cut"),
    ("ledger.json", "lost_places"),
    ("latency.json", "phases", ANY, "e2e_from_sent"),
    ("timeline.jsonl", "due"),
}
#: Keys of which a line, or a record, may have none.
OPTIONAL = {
    ("manifest.json", "versions", ANY),
    ("timeline.jsonl", "e2e", ANY),
    ("timeline.jsonl", "send_delay", ANY),
}


def documents(name: str) -> Iterator[tuple[str, int | None, Path, Any]]:
    """(file, line or None, path, value) of all that is edited in a recorded run."""
    for file, text in Bed.recorded_texts(name).items():
        if file in FILES:
            yield from ((file, None, path, value) for path, value in leaves(json.loads(text)))
        elif file in LINES:
            lines = text.splitlines()
            for line in sorted({place % len(lines) for place in (0, len(lines) // 2, -1)}):
                yield from ((file, line, path, value) for path, value in leaves(json.loads(lines[line])))


def is_one_of(keys: Iterable[tuple[str, ...]], file: str, path: Path) -> bool:
    return any(
        len(key) == len(path) + 1
        and all(wanted in (ANY, str(found)) for wanted, found in zip(key, (file, *path), strict=True))
        for key in keys
    )


def told_only(file: str, path: Path) -> bool:
    return is_one_of(TOLD_ONLY, file, path)


def may_lack(file: str, path: Path, edit: Edit) -> bool:
    """Whether a record of schema 1 is whole without it."""
    gone = edit.name == "gone" and is_one_of(LATE_IN_SCHEMA_1, file, path)
    return gone or (edit.name in ("gone", "null") and is_one_of(OPTIONAL, file, path) and path[-1] != "count")


def is_step(path: Path, edit: Edit) -> bool:
    """A clock's step is judged from a second on; one more is a minute here."""
    return str(path[-1]).endswith("_ns") and edit.name in ("one more", "a thousandfold")


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


def cases(edits: tuple[Edit, ...], *, lies: bool) -> list[Any]:
    return [
        pytest.param(
            file, line, path, edit, id=f"{file}:{'' if line is None else line}:{'.'.join(map(str, path))}:{edit}"
        )
        for file, line, path, value in documents("phase1_smoke")
        for edit in edits
        if edit.applies(value)
        and not (told_only(file, path) and not is_step(path, edit) if lies else may_lack(file, path, edit))
    ]


def text_with(bed: Bed, file: str, line: int | None, path: Path, edit: Edit) -> str:
    text = (bed.directory / "record" / file).read_text(encoding="utf-8")
    if line is None:
        return json.dumps(edited(json.loads(text), path, edit))
    lines = text.splitlines()
    lines[line] = json.dumps(edited(json.loads(lines[line]), path, edit))
    return "\n".join(lines) + "\n"


def test_the_record_that_is_damaged_is_go_while_it_is_whole(smoke):
    assert judged(smoke.directory).verdict == "GO"


@pytest.mark.parametrize(("file", "line", "path", "edit"), cases(BREAKS, lies=False))
def test_a_key_that_no_one_can_read_is_never_go(smoke, file, line, path, edit):
    assert outcome(smoke, file, text_with(smoke, file, line, path, edit)) != "GO"


@pytest.mark.parametrize(("file", "line", "path", "edit"), cases(LIES, lies=True))
def test_a_value_that_others_contradict_is_never_go(smoke, file, line, path, edit):
    assert outcome(smoke, file, text_with(smoke, file, line, path, edit)) != "GO"


# Whole files, whole lines, and another run's.


def others(*, lies: bool = True) -> list[Any]:
    """Each key of which another run has another value."""
    other = {
        (file, line is not None, path): value for file, line, path, value in documents("phase2_nominal") if not line
    }
    found = []
    for file, line, path, value in documents("phase1_smoke"):
        swapped = other.get((file, line is not None, path), value)
        if not line and swapped != value and not told_only(file, path) and not isinstance(value, dict | list):
            edit = Edit(name="another run's", make=lambda *_, swapped=swapped: swapped)
            found.append(pytest.param(file, line, path, edit, id=f"{file}:{_dotted(path)}"))
    return found


@pytest.mark.parametrize(("file", "line", "path", "edit"), others())
def test_a_value_of_another_run_is_never_go(smoke, file, line, path, edit):
    assert outcome(smoke, file, text_with(smoke, file, line, path, edit)) != "GO"


@pytest.mark.parametrize("file", [*FILES, *LINES])
def test_a_file_of_another_run_is_never_go(smoke, nominal, file):
    assert outcome(smoke, file, (nominal.directory / "record" / file).read_text(encoding="utf-8")) != "GO"


def shifted(lines: list[str]) -> list[str]:
    return [json.dumps({**row, "at_ns": row["at_ns"] + 60_000_000_000}) for row in map(json.loads, lines)]


LINE_DAMAGES: dict[str, Callable[[list[str]], list[str]]] = {
    "no line": lambda _: [],
    "the first half gone": lambda lines: lines[len(lines) // 2 :],
    "the second half gone": lambda lines: lines[: len(lines) // 2],
    "a hole of a third": lambda lines: lines[: len(lines) // 3] + lines[2 * len(lines) // 3 :],
    "two lines left": lambda lines: [lines[0], lines[-1]],
    "each line twice": lambda lines: [line for line in lines for _ in range(2)],
    "a minute later": shifted,
    "nothing but a brace": lambda _: ["{"],
    "NULs": lambda lines: ["\0" * len(line) for line in lines],
}


@pytest.mark.parametrize("file", LINES)
@pytest.mark.parametrize("damage", LINE_DAMAGES)
def test_lines_that_are_missing_or_out_of_place_are_never_go(smoke, file, damage):
    lines = (smoke.directory / "record" / file).read_text(encoding="utf-8").splitlines()
    assert outcome(smoke, file, "".join(f"{line}\n" for line in LINE_DAMAGES[damage](lines))) != "GO"


TEXT_DAMAGES: dict[str, Callable[[str], str]] = {
    "empty": lambda _: "",
    "cut in the middle": lambda text: text[: len(text) // 2],
    "NULs": lambda text: "\0" * len(text),
    "a list": lambda _: "[]",
    "null": lambda _: "null",
    "nested deeply": lambda _: "[" * 100_000,
    "NaN": lambda _: "NaN",
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", TEXT_DAMAGES)
def test_a_file_that_cannot_be_read_is_never_go(smoke, file, damage):
    text = (smoke.directory / "record" / file).read_text(encoding="utf-8")
    assert outcome(smoke, file, TEXT_DAMAGES[damage](text)) != "GO"
