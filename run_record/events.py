"""What happened in a run, as its record tells it: one JSON object an event, each of a kind with keys of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from run_record.manifest import MOST, PhaseKind
from run_record.reading import Fault, Unreadable, lines_of, parsed

FILE = "events.jsonl"
Event = Mapping[str, Any]
_TEXT, _COUNT, _TEXTS = "text", "count", "texts"
#: Event → its keys → what each is. Of an event that is not listed only `at_ns` and `event` are known.
KEYS: Mapping[str, Mapping[str, str]] = {
    "run_started": {"run_id": _TEXT},
    "topics_created": {"topics": _TEXTS},
    "phase_started": {"phase": _TEXT, "kind": "kind of phase", "records": _COUNT, "planned_s": "seconds or null"},
    "canary": {"sent": _COUNT, "arrived": _COUNT},
    "load_incomplete": {"planned": _COUNT, "sent": _COUNT},
    "step_judged": {"phase": _TEXT, "verdict": _TEXT, "judged": "yes or no"},
    "load_cut_short": {"criterion": _TEXT, "value": "number or null", "unit": _TEXT, "nogo_since_ns": _COUNT},
    "worker_lost": {"worker": _TEXT, "owned": _TEXTS},
    "committed_offsets_unknown": {"reason": _TEXT},
    "account_missing": {"workers": _TEXTS},
    "run_ended": {"how": _TEXT, "detail": _TEXT},
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST


_KINDS: Mapping[str, Callable[[Any], bool]] = {
    _TEXT: lambda value: isinstance(value, str),
    _TEXTS: lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
    _COUNT: lambda value: type(value) is int and 0 <= value <= MOST,
    "kind of phase": lambda value: value in get_args(PhaseKind),
    "seconds or null": lambda value: value is None or (_is_number(value) and value >= 0),
    "number or null": lambda value: value is None or _is_number(value),
    "yes or no": lambda value: isinstance(value, bool),
}


def read_events(path: Path) -> tuple[list[dict[str, Any]], bool, list[Fault]]:
    """The events, whether a torn last line was dropped, and what else of the file could not be read."""
    events: list[dict[str, Any]] = []
    faults: list[Fault] = []
    torn = False
    try:
        for number, line, whole in lines_of(path):
            torn = not whole
            if not whole:
                continue
            try:
                events.append(_event(line))
            except Unreadable as error:
                where = f"line {number}" + (f": {error.where}" if error.where else "")
                faults.append(Fault(file=FILE, where=where, why=error.why))
    except Unreadable as error:
        faults.append(Fault.of(FILE, error))
    return events, torn, faults


def _event(line: bytes) -> dict[str, Any]:
    content = parsed(line)
    if not isinstance(content, dict):
        raise Unreadable("is no event")
    for key, kind in {"at_ns": _COUNT, "event": _TEXT, **KEYS.get(str(content.get("event")), {})}.items():
        if key not in content:
            raise Unreadable("missing", where=key)
        if not _KINDS[kind](content[key]):
            raise Unreadable(f"is no {kind}", where=key)
    return content
