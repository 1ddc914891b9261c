"""What the web UI's form may ask for: names that were known when the process started, and a rehearsal factor.

Locust writes whatever `/swarm` is sent into its parsed options, `runs_dir` and `confirm` among them, so a request with
any field that is not the form's is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from scenarios.environment import named
from scenarios.errors import Refused
from scenarios.scenario import library_names

OURS = ("scenario", "env", "rehearsal")
#: Locust's own fields. Users and spawn rate have no effect: the scenario says how much is sent.
LOCUSTS = frozenset({"user_count", "spawn_rate", "host", "run_time", "profile"})
LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The scenarios and environments of the dropdowns, the command line's first."""

    scenarios: tuple[str, ...]
    environments: tuple[str, ...]

    @classmethod
    def at_start(cls, options: Mapping[str, str]) -> Self:
        """What is packaged, what is in `environments/`, and what the command line named."""
        return cls(
            scenarios=_with(options["scenario"], library_names()),
            environments=_with(options["env"], named()),
        )


def _with(given: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([given, *names] if given else names))


def wanted(form: Mapping[str, str], known: Known, now: Mapping[str, str]) -> dict[str, str]:
    """Our options as the form asks for them; `now` are those that hold where it does not say. Raises Refused."""
    foreign = sorted(set(form) - LOCUSTS - set(OURS))
    if foreign:
        raise Refused(f"the form may not set {_shown(foreign[0])}; that is decided where this process is started")
    chosen = {name: form.get(name, now[name]).strip() for name in OURS}
    for name, names, option in (("scenario", known.scenarios, "--scenario"), ("env", known.environments, "--env")):
        if chosen[name] not in names:
            what = "environment" if name == "env" else name
            raise Refused(
                f"{what} {_shown(chosen[name])} was not known when this process started "
                f"(known: {', '.join(names) or 'none'}); start it again with {option}"
            )
    return chosen


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")
