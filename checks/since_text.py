"""Instants of the load, durations, and since when something was wrong, in a language's words."""

from __future__ import annotations

from checks.markdown import Md
from checks.since import Since
from checks.words import Words


def elapsed(words: Words, seconds: float) -> str:
    """An instant of the load: "T0", "T+4 min 10 s", "T−30 s"."""
    if round(seconds) == 0:
        return "T0"
    return f"T{'+' if seconds > 0 else '−'}{lasting(words, abs(seconds))}"


def lasting(words: Words, seconds: float) -> str:
    """A duration in at most two units, to the second: "1 h 30 min", "4 min 10 s", "12 s"."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    told = [words.quantity(count, unit) for count, unit in parts if count][:2]
    return " ".join(told) or words.quantity(0, "s")


def since_text(found: Since | None, *, zero_s: float, words: Words) -> Md:
    """Since when, from the load's start at `zero_s` on; empty where no figure over time shows it."""
    if found is None:
        return Md("")
    lasted_s = found.end_s - found.start_s
    text = words.phrase(
        "since_end" if found.lasting else "since_until" if round(lasted_s) else "since_once",
        start=elapsed(words, found.start_s - zero_s),
        end=elapsed(words, found.end_s - zero_s),
        lasted=lasting(words, lasted_s),
        instant=words.instant(found.start_s),
    )
    return words.phrase("about", text=text) if found.about else text
