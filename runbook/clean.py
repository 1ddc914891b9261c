"""`mm2gate clean`: takes away the topics that runs left behind, on source and target, after showing them.

Source first: MM2 mirrors what it finds there, so a mirror whose source still exists would come back, full. A mirror is
only touched once its source is gone. Where the prefix reaches beyond the topics of our runs, that is said, and "yes" is
not enough: the environment must be named.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import click

from clients.kafka import identify
from clients.kafka_admin import Admin, is_internal
from run_record.store import RunRecord, is_being_written
from runbook import output
from runbook.reach import Ours, Reach
from scenarios import environment as environments
from scenarios.environment import Cluster, Environment, LoadedEnvironment, Topics
from scenarios.errors import Refused

#: How long after a deletion a topic is looked for again: the broker needs a moment, and MM2 may bring it back.
SETTLES_WITHIN_S = 15.0
LOOKS_AGAIN_AFTER_S = 2.0
LOOK_EVERY_S = 0.25

Side = Literal["source", "target"]


class TopicAdmin(Protocol):
    """What cleaning asks of a cluster; `clients.kafka_admin.Admin` answers."""

    def partitions(self) -> dict[str, int]: ...

    def delete_topics(self, names: list[str]) -> dict[str, str | None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Topics inside the prefix, by name with their partitions. `spared` hold MM2's or Kafka's own state."""

    source: Mapping[str, int]
    target: Mapping[str, int]
    spared: tuple[str, ...]

    @property
    def anything(self) -> bool:
        return bool(self.source or self.target)


def leftovers(rules: Topics, source: Mapping[str, int], target: Mapping[str, int]) -> Leftovers:
    """What of the two clusters' topics is inside the prefix: at the source, and as a mirror of such a topic. Pure.

    A mirror counts whether or not its source is still there.
    """
    inside = {name: count for name, count in sorted(source.items()) if name.startswith(rules.prefix)}
    mirrors = {
        name: count for name, count in sorted(target.items()) if (rules.source_of(name) or "").startswith(rules.prefix)
    }
    return Leftovers(
        source={name: count for name, count in inside.items() if not is_internal(name)},
        target={name: count for name, count in mirrors.items() if not is_internal(name)},
        spared=tuple(sorted({name for name in [*inside, *mirrors] if is_internal(name)})),
    )


def clean(
    environment: LoadedEnvironment,
    *,
    ours: Ours,
    yes: bool,
    confirm: str,
    say: Callable[[str], None] = output.say,
    admin: Callable[[Cluster], TopicAdmin] | None = None,
    look_again_after_s: float = LOOKS_AGAIN_AFTER_S,
) -> None:
    """Shows what there is, asks, deletes it and says what became of each topic. `ours`: which of them runs have made.

    Raises Refused (no confirmation, no right, or a topic that came back) and Unreachable.
    """
    where = environment.environment
    admins = {side: (admin or _admin_of(environment))(cluster) for side, cluster in _sides(where).items()}
    found = leftovers(where.topics, admins["source"].partitions(), admins["target"].partitions())
    for name in found.spared:
        say(f"left alone: {name} (MirrorMaker 2's or Kafka's own)")
    if not found.anything:
        say(f"nothing to do: no topic {where.topics.prefix}* and no mirror of one in {where.name}")
        return
    reach = Reach.of(where.topics, found.source, found.target, found.spared, ours)
    for side, topics in _by_side(found).items():
        for name, count in topics.items():
            unknown = "  (not known to be ours)" if f"{side} {name}" in reach.foreign else ""
            say(f"{side}  {name}  {count} {'partition' if count == 1 else 'partitions'}{unknown}")
    for warning in reach.warnings():
        say(warning)
    _require_consent(where, found, reach, yes=yes, confirm=confirm)
    _Deletion(where, admins, found, say, look_again_after_s).run()


@dataclass(slots=True)
class _Deletion:
    """One pass over both clusters."""

    where: Environment
    admins: Mapping[Side, TopicAdmin]
    found: Leftovers
    say: Callable[[str], None]
    look_again_after_s: float

    def run(self) -> None:
        kept = self._delete("source", list(self.found.source))
        waiting = {self.where.topics.remote(name) for name in kept}
        for mirror in sorted(waiting & set(self.found.target)):
            self.say(f"target  {mirror}: left, its source is still there")
        kept |= self._delete("target", [name for name in self.found.target if name not in waiting])
        if kept:
            raise Refused(self._why_kept(kept))
        time.sleep(self.look_again_after_s)
        back = self._back()
        if back:
            raise Refused(
                f"{back[0]} {'and others ' if back[1:] else ''}came back: MirrorMaker 2 still knew it, or a client "
                f"creates topics; pause the connector, or wait for {self.where.mm2.refresh_topics_interval:g} s "
                "(refresh.topics.interval.seconds), and clean again"
            )

    def _delete(self, side: Side, names: list[str]) -> dict[str, str]:
        """Deletes, waits until the cluster no longer shows them; those that were not deleted, and why."""
        outcome = self.admins[side].delete_topics(names)
        deadline_s = time.monotonic() + SETTLES_WITHIN_S
        while names and time.monotonic() < deadline_s:
            if not set(self.admins[side].partitions()) & {name for name, why in outcome.items() if why is None}:
                break
            time.sleep(LOOK_EVERY_S)
        for name in names:
            why = outcome[name]
            self.say(f"{side}  {name}: {'deleted' if why is None else f'NOT deleted ({why})'}")
        return {name: f"{side} cluster: {why}" for name, why in outcome.items() if why is not None}

    def _back(self) -> list[str]:
        before = _by_side(self.found)
        return [
            f"{side} {name}"
            for side, admin in self.admins.items()
            for name in admin.partitions()
            if name in before[side]
        ]

    def _why_kept(self, kept: Mapping[str, str]) -> str:
        name, why = next(iter(kept.items()))
        more = f" and {len(kept) - 1} more" if len(kept) > 1 else ""
        rules = self.where.topics
        return (
            f"{name}{more} could not be deleted ({why}); the users of source.security and target.security may need "
            f"DELETE on topics {rules.prefix}* of the source and {rules.remote(rules.prefix)}* of the target"
        )


def _require_consent(where: Environment, found: Leftovers, reach: Reach, *, yes: bool, confirm: str) -> None:
    """The person agrees: by --yes, by the environment's name. Production wants the name, as for a run; so does a prefix
    that reaches beyond the topics of our runs."""
    count = len(found.source) + len(found.target)
    named = where.production or reach.beyond_ours
    if (yes and not named) or confirm == where.name:
        return
    option = f"--confirm {where.name}" if named else "--yes"
    if confirm:
        raise Refused(f"{confirm} is not the environment's name; it is {where.name}, and nothing was deleted")
    if not sys.stdin.isatty():
        kind = " a production environment," if where.production else ""
        why = f"its prefix {reach.prefix} reaches more than the topics of runs known here, so --yes is not enough; "
        raise Refused(
            f"{where.name} is{kind} not confirmed: {why if reach.beyond_ours else ''}to delete these {count} topics, "
            f"give {option}"
        )
    word = "PRODUCTION environment" if where.production else "environment"
    answer = click.prompt(f"Delete these {count} topics, with all that is in them? Name of the {word}, to go on")
    if answer != where.name:
        raise Refused(f"{answer} is not {where.name}; nothing was deleted")


def _admin_of(environment: LoadedEnvironment) -> Callable[[Cluster], TopicAdmin]:
    def connect(cluster: Cluster) -> TopicAdmin:
        identify(cluster, environment)
        return Admin(cluster, environment)

    return connect


def _sides(where: Environment) -> dict[Side, Cluster]:
    return {"source": where.source, "target": where.target}


def _by_side(found: Leftovers) -> dict[Side, Mapping[str, int]]:
    return {"source": found.source, "target": found.target}


def load_and_clean(env: str, *, runs_dir: Path, yes: bool, confirm: str) -> None:
    """The command. Raises SpecError for an environment that cannot be read, Refused during a run, and as `clean`."""
    environment = environments.load(env)
    require_idle(environment.environment, runs_dir)
    clean(environment, ours=Ours.of(environment.environment, runs_dir), yes=yes, confirm=confirm)


def require_idle(where: Environment, runs_dir: Path) -> None:
    """No run of this machine is playing on the environment: its topics would go from under it. Raises Refused."""
    for record in sorted(runs_dir.glob("*/record")):
        if is_being_written(record) and RunRecord.open(record.parent).manifest.environment.name == where.name:
            raise Refused(f"{record.parent} is a run that goes on in {where.name}; end it, or wait, and clean then")
