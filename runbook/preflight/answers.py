"""One question's answer, as a person reads it and as it is kept in the run's record."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from scenarios.visible import one_line

#: What is kept of a name or a sentence that others wrote; a topic's name has 249 characters at most.
LONGEST_NAME, LONGEST_SENTENCE = 250, 1200
NAMES_SHOWN, NAMES_COMPARED = 8, 1000
REMARKS_SHOWN = 4


class Outcome(StrEnum):
    """`refused`: it is wrong, and a required criterion rests on it. `noted`: it is wrong, and none does."""

    OK = "ok"
    REFUSED = "refused"
    NOTED = "noted"
    NOT_TOLD = "not_told"


class Moment(StrEnum):
    """When questions are asked: before anything is written anywhere; or after the canaries, which crossed MM2 or did
    not, and still before the load."""

    BEFORE = "before_load"
    CROSSED = "canary_crossed"
    LOST = "canary_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`id` names the question, and stays as it is. `needed_by`: the required criteria that rest on it. `again`: the
    moments at which the same question can tell more. `of`: what is wrong, where several are wrong for one reason: the
    sentence then has {of} in it."""

    id: str
    outcome: Outcome
    sentence: str
    advice: str = ""
    needed_by: tuple[str, ...] = ()
    again: tuple[Moment, ...] = ()
    of: str = ""

    @property
    def text(self) -> str:
        """The sentence, for reading."""
        return _fit(self.sentence.replace("{of}", self.of) if self.of else self.sentence)

    @property
    def line(self) -> str:
        """The sentence and what to do."""
        return f"{self.text}; {_fit(self.advice)}" if self.advice else self.text

    @property
    def refused(self) -> bool:
        return self.outcome is Outcome.REFUSED

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "outcome": self.outcome.value,
            "sentence": self.text,
            "advice": _fit(self.advice),
            "needed_by": list(self.needed_by),
            "again": [moment.value for moment in self.again],
        }


def ok(id_: str, sentence: str) -> Answer:
    """It is as our files say."""
    return Answer(id=id_, outcome=Outcome.OK, sentence=sentence)


def wrong(id_: str, sentence: str, *, advice: str, needed_by: tuple[str, ...], of: str = "") -> Answer:
    """It is not as our files say; that refuses the run if a required criterion rests on it."""
    outcome = Outcome.REFUSED if needed_by else Outcome.NOTED
    return Answer(id=id_, outcome=outcome, sentence=sentence, advice=advice, needed_by=needed_by, of=of)


def not_told(id_: str, sentence: str, *again: Moment) -> Answer:
    """Nobody contradicts, and nobody confirms."""
    return Answer(id=id_, outcome=Outcome.NOT_TOLD, sentence=sentence, again=again)


def shown(name: str) -> str:
    """A name that others gave, fit for a terminal and not endless."""
    return _fit(name, LONGEST_NAME)


def _fit(text: str, most: int = LONGEST_SENTENCE) -> str:
    """The text, or its beginning, on one line and without what a terminal would obey."""
    plain = one_line(text[:most])
    return plain if len(plain) <= most and len(text) <= most else f"{plain[: most - 1]}…"


def found(names: Iterable[str], *, like: str) -> str:
    """What there is, in words: the names most like the one that is missing first."""
    known = sorted({name[:LONGEST_NAME] for name in names})
    if not known:
        return "none"
    near = _near(known, like)
    first = [*near, *(name for name in known if name not in near)][:NAMES_SHOWN]
    more = f" and {len(known) - len(first)} more" if len(known) > len(first) else ""
    return ", ".join(map(shown, first)) + more


def _near(known: Sequence[str], like: str) -> list[str]:
    """The most alike; among thousands, only those that begin alike are compared, since to compare takes its time."""
    if len(known) > NAMES_COMPARED:
        known = [name for name in known if name[:3].lower() == like[:3].lower()][:NAMES_COMPARED]
    return difflib.get_close_matches(like[:LONGEST_NAME], known, n=NAMES_SHOWN, cutoff=0.6)


def refusals(answers: Sequence[Answer]) -> tuple[str, ...]:
    """What is wrong and the verdict would rest on, with what to do: a line each, and one for all of one reason."""
    return tuple(one.line for one in _together([one for one in answers if one.refused]))


def remarks(answers: Sequence[Answer], moment: Moment) -> tuple[str, ...]:
    """What is wrong and decides nothing, and what was not told; what a later moment will tell is not said yet."""
    told = [one.line for one in answers if one.outcome is Outcome.NOTED]
    told += [
        one.line for one in answers if one.outcome is Outcome.NOT_TOLD and not (moment is Moment.BEFORE and one.again)
    ]
    more = len(told) - REMARKS_SHOWN
    return (*told[:REMARKS_SHOWN], *([f"and {more} more, in the record's event names_asked"] if more > 0 else ()))


def _together(answers: Iterable[Answer]) -> Iterable[Answer]:
    """Answers that differ in nothing but what they are of, as one."""
    groups: dict[tuple[str, str], list[Answer]] = {}
    for one in answers:
        groups.setdefault((one.sentence, one.advice), []).append(one)
    for first, *others in groups.values():
        yield replace(first, of=", ".join(dict.fromkeys(one.of for one in (first, *others)))) if others else first
