"""Scenario and environment of a recorded run, from the texts that its manifest keeps.

A record is data, perhaps somebody else's: what it names is never opened, read or asked. Addresses and secrets come from
the environment that the person who judges has given; everything that a verdict rests on, from the record.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from run_record.manifest import Manifest
from scenarios.environment import Environment, LoadedEnvironment, Secret
from scenarios.errors import Refused
from scenarios.scenario import LoadedScenario, parse_scenario
from scenarios.yaml_file import parse


class RecordedEnvironment(LoadedEnvironment):
    """An environment as a record has it. Its file is a name, and its references to secrets lead nowhere."""

    def password(self, secret: Secret, *, of: str) -> str:
        """Never. Raises Refused."""
        del secret
        self._refuse(of)

    def path(self, name: str) -> Path:
        """Never. Raises Refused."""
        self._refuse(name)

    def _refuse(self, what: str) -> NoReturn:
        raise Refused(
            f"{what}: a record's environment opens no file and reads no secret; give the judge one with --env"
        )


def environment_of(manifest: Manifest) -> RecordedEnvironment:
    """The environment as it was played."""
    seen = manifest.environment
    environment = parse(seen.text, Environment, file=seen.file)
    return RecordedEnvironment.model_construct(file=Path(seen.file), text=seen.text, environment=environment)


def to_ask(manifest: Manifest, given: LoadedEnvironment) -> LoadedEnvironment:
    """The environment that was played, with the addresses and logins of the one that is given.

    These may differ: whoever judges may come by another way, as another user. Raises Refused when what it names is
    another deployment than the record's, or would be asked other questions.
    """
    played = environment_of(manifest).environment
    if differences := [*_differences(manifest, played, given.environment)]:
        raise Refused(
            f"{given.file}: is not the environment that was played ({'; '.join(differences)}); give that one, or none: "
            "the judge is offline then"
        )
    there = given.environment
    connect = played.connect.model_copy(update={"urls": there.connect.urls, "login": there.connect.login})
    prometheus = played.prometheus.model_copy(update={"url": there.prometheus.url, "login": there.prometheus.login})
    asked = played.model_copy(update={"connect": connect, "prometheus": prometheus})
    return LoadedEnvironment.model_construct(file=given.file, text=given.text, environment=asked)


def _differences(manifest: Manifest, played: Environment, given: Environment) -> Iterator[str]:
    for side in ("source", "target"):
        there = getattr(given, side).cluster_id
        for here in dict.fromkeys((getattr(manifest.environment, side).cluster_id, getattr(played, side).cluster_id)):
            if here != there:
                yield f"{side}.cluster_id is {there} there, {here} in the record"
    for key in ("source", "checkpoint", "heartbeat"):
        yield from _differs(f"connect.connectors.{key}", played.connect.connectors, given.connect.connectors, key)
    for key in ("connect", "brokers", "nodes"):
        yield from _differs(f"prometheus.jobs.{key}", played.prometheus.jobs, given.prometheus.jobs, key)
    for key in ("prefix", "remote_name"):
        yield from _differs(f"topics.{key}", played.topics, given.topics, key)


def _differs(name: str, played: object, given: object, key: str) -> Iterator[str]:
    here, there = getattr(played, key), getattr(given, key)
    if here != there:
        yield f"{name} is {there or 'not given'} there, {here or 'not given'} in the record"


def scenario_of(manifest: Manifest) -> LoadedScenario:
    """The scenario as it was played."""
    return parse_scenario(manifest.scenario.text, file=manifest.scenario.file)
