"""Which step of a staircase comes next, and which capacity the played ones prove. Pure: from the steps' verdicts alone.

    warm      once at the lowest rate, whatever comes of it
    ramp      the rates in order, until one is neither GO nor GREY: load that a system fails under proves nothing higher
    finer     between the last step up to which all were GO and the first that was not: the middle of what is left
    confirm   the best step once more; if it is not GO again, the next lower one

The capacity is the highest rate up to which every step was GO and, where the staircase confirms, that was GO twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scenarios.phases import Step

GO = "GO"
#: A step of these verdicts lets the ramp go on; any other ends it.
GOES_ON = frozenset({GO, "GREY"})
#: Kinds of steps that try a rate for the first time.
TRIED = frozenset({"ramp", "finer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the played steps prove. `rate_per_s` 0: not even the lowest step was GO (twice, where confirmed).

    `refused`: the lowest step that was not GO, so that the capacity lies below its rate; None when all were.
    `unconfirmed`: steps that were GO once, and not when they were played again.
    `unasked`: steps above the capacity that were GO once and were never played again, the highest first: as far as
    anybody knows the capacity is theirs, and `rate_per_s` is a lower bound.
    """

    step: Step | None
    refused: Step | None
    confirmed: bool
    unconfirmed: tuple[Step, ...] = ()
    unasked: tuple[Step, ...] = ()

    @property
    def rate_per_s(self) -> float:
        return 0.0 if self.step is None else self.step.rate_per_s


def next_step(ladder: Sequence[Step], verdicts: Mapping[str, str]) -> Step | None:
    """The step to play next, given the verdicts of those that were played, by name; None at the end."""
    warm = [step for step in ladder if step.kind == "warm" and step.name not in verdicts]
    if warm:
        return warm[0]
    ramp = [step for step in ladder if step.kind == "ramp"]
    played = [step for step in ramp if step.name in verdicts]
    if len(played) < len(ramp) and all(verdicts[step.name] in GOES_ON for step in played):
        return ramp[len(played)]
    return _finer(ladder, verdicts) or _to_confirm(ladder, verdicts)


def capacity_of(ladder: Sequence[Step], verdicts: Mapping[str, str]) -> Capacity:
    """What the played steps prove so far."""
    refused = _first_refused(ladder, verdicts)
    confirms = any(step.kind == "confirm" for step in ladder)
    best: Step | None = None
    unconfirmed: list[Step] = []
    unasked: list[Step] = []
    for step in _once(ladder, verdicts):
        again = _again(ladder, step)
        if not confirms or (again is not None and verdicts.get(again.name) == GO):
            best = step
            break
        (unconfirmed if again is not None and again.name in verdicts else unasked).append(step)
    return Capacity(
        step=best,
        refused=refused,
        confirmed=confirms and best is not None,
        unconfirmed=tuple(unconfirmed),
        unasked=tuple(unasked),
    )


def _finer(ladder: Sequence[Step], verdicts: Mapping[str, str]) -> Step | None:
    """The middle of the untried rates between the best step and the first that was not GO, before any confirmation."""
    best, refused = next(iter(_once(ladder, verdicts)), None), _first_refused(ladder, verdicts)
    if best is None or refused is None or any(s.kind == "confirm" and s.name in verdicts for s in ladder):
        return None
    untried = [
        step for step in ladder if step.kind == "finer" and best.rate_per_s < step.rate_per_s < refused.rate_per_s
    ]
    return untried[len(untried) // 2] if untried else None


def _first_refused(ladder: Sequence[Step], verdicts: Mapping[str, str]) -> Step | None:
    refused = [step for step in ladder if step.kind in TRIED and verdicts.get(step.name, GO) != GO]
    return min(refused, key=lambda step: step.rate_per_s, default=None)


def _once(ladder: Sequence[Step], verdicts: Mapping[str, str]) -> list[Step]:
    """Steps that were GO and lie below every step that was not, the highest rate first."""
    refused = _first_refused(ladder, verdicts)
    good = [
        step
        for step in ladder
        if step.kind in TRIED
        and verdicts.get(step.name) == GO
        and (refused is None or step.rate_per_s < refused.rate_per_s)
    ]
    return sorted(good, key=lambda step: -step.rate_per_s)


def _again(ladder: Sequence[Step], step: Step) -> Step | None:
    return next((one for one in ladder if one.kind == "confirm" and one.rate_per_s == step.rate_per_s), None)


def _to_confirm(ladder: Sequence[Step], verdicts: Mapping[str, str]) -> Step | None:
    for step in _once(ladder, verdicts):
        again = _again(ladder, step)
        if again is None or verdicts.get(again.name) == GO:
            return None
        if again.name not in verdicts:
            return again
    return None
