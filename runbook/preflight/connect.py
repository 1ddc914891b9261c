"""Connectors, and the names that MM2 gives mirrors: what Connect says against what the environment says. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from checks.mirror_naming import (
    DEFAULT_TARGET_ALIAS,
    EXCLUDED,
    SOURCE_ALIAS,
    TARGET_ALIAS,
    TOPICS,
    MirrorNaming,
    is_cycle,
    naming_of,
    selects,
    value_of,
)
from runbook.preflight.answers import Answer, Moment, found, not_told, ok, shown, wrong
from runbook.preflight.needs import Needs
from scenarios.environment import Environment
from scenarios.plan import RunPlan

CONFIG, WRITTEN = "config", "topics"
CLASS = "connector.class"
#: Kind of connector → the classes by which Connect knows it: the last part of the name, or Connect's short form of it.
CLASSES = {
    "source": ("MirrorSourceConnector", "MirrorSource"),
    "checkpoint": ("MirrorCheckpointConnector", "MirrorCheckpoint"),
    "heartbeat": ("MirrorHeartbeatConnector", "MirrorHeartbeat"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectSeen:
    """What Connect answered: the connectors there are; of those that we name the configuration; the topics that the
    source connector has written. `troubles`: why one of these was not told, by connector and question."""

    names: tuple[str, ...] | None = None
    configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    written: tuple[str, ...] | None = None
    troubles: Mapping[tuple[str, str], str] = field(default_factory=dict)
    trouble: str = ""
    """Why there is nothing at all."""


def named(environment: Environment) -> dict[str, str]:
    """Kind → name of the connectors that the environment names."""
    names = environment.connect.connectors
    kinds = {"source": names.source, "checkpoint": names.checkpoint, "heartbeat": names.heartbeat}
    return {kind: name for kind, name in kinds.items() if name is not None}


def connect_answers(plan: RunPlan, needs: Needs, seen: ConnectSeen) -> Iterator[Answer]:
    """Of a Connect that was asked before the load."""
    if seen.names is None:
        yield not_told("connect", f"Connect was not asked for names: {seen.trouble}")
        return
    for kind, name in named(plan.environment).items():
        needed_by = needs.mirrors if kind == "source" else needs.connectors
        yield from _connector_answers(plan, kind, name, needed_by, seen)
    source = named(plan.environment)["source"]
    config = seen.configs.get(source)
    if source not in seen.names or (config is not None and not is_of("source", config)):
        return  # what follows would be about another connector
    yield from _mirror_answers(plan, needs, source, config, seen)


def lost_canary_answers(plan: RunPlan, needs: Needs, seen: ConnectSeen) -> Iterator[Answer]:
    """Of a Connect that is asked once more, since no canary came out where we look: by now MM2 may have written it."""
    source = named(plan.environment)["source"]
    config = seen.configs.get(source)
    if seen.names is None or source not in seen.names:
        yield not_told(
            "mirror.written", f"Connect did not say which topics {shown(source)} has written: {seen.trouble}"
        )
    elif config is None or naming_of(config).pattern is None:
        yield _written_answer(plan, needs, source, seen)


def _connector_answers(
    plan: RunPlan, kind: str, name: str, needed_by: tuple[str, ...], seen: ConnectSeen
) -> Iterator[Answer]:
    id_, key, file = f"connect.{kind}", f"connect.connectors.{kind}", plan.loaded_environment.file
    known = seen.names or ()
    if name not in known:
        there = f"there are: {found(known, like=name)}" if known else "there is none at all; is it the Connect meant?"
        yield wrong(
            id_,
            f"connector {shown(name)} ({key}) does not exist on Connect; {there}",
            advice=f"correct {key} in {file}; if it is right, the connector was deleted, or our login may not see it",
            needed_by=needed_by,
        )
        return
    yield ok(id_, f"connector {shown(name)} exists")
    config = seen.configs.get(name)
    if config is None:
        why = seen.troubles.get((name, CONFIG), "Connect did not say")
        yield not_told(f"{id_}.class", f"what class {shown(name)} is of: {why}")
    elif is_of(kind, config):
        yield ok(f"{id_}.class", f"{shown(name)} is a {CLASSES[kind][0]}")
    else:
        others = [other for other in known if other != name]
        yield wrong(
            f"{id_}.class",
            f"connector {shown(name)} ({key}) is no {CLASSES[kind][0]}, its class is {shown(config.get(CLASS, '?'))}; "
            f"other connectors: {found(others, like=name)}",
            advice=f"correct {key} in {file}",
            needed_by=needed_by,
        )


def is_of(kind: str, config: Mapping[str, str]) -> bool:
    """Whether a connector is MM2's of that kind, or one made of it; so too where the class is not to be seen."""
    class_ = value_of(config, CLASS)
    return not class_ or class_.rpartition(".")[2].endswith(CLASSES[kind])


def _mirror_answers(
    plan: RunPlan, needs: Needs, source: str, config: Mapping[str, str] | None, seen: ConnectSeen
) -> Iterator[Answer]:
    if config is None:
        why = seen.troubles.get((source, CONFIG), "Connect did not say")
        yield not_told("mirror.name", f"what {shown(source)} calls mirrors: {why}")
        yield not_told("mirror.topics", f"which topics {shown(source)} takes: {why}")
        yield _written_answer(plan, needs, source, seen)
        return
    naming = naming_of(config)
    yield _name_answer(plan, needs, source, naming)
    if naming.pattern is None:
        yield _written_answer(plan, needs, source, seen)
    yield _topics_answer(plan, needs, source, config)
    yield _alias_answer(plan, needs, source, config)


def _name_answer(plan: RunPlan, needs: Needs, source: str, naming: MirrorNaming) -> Answer:
    """What we look for on the target against what MM2 will write there."""
    if naming.pattern is None:
        return not_told("mirror.name", f"what {shown(source)} calls mirrors: {shown(naming.unknown)}")
    others = [topic for topic in plan.topics if naming.remote(topic.source) != topic.remote]
    if not others:
        first = plan.topics[0]
        return ok("mirror.name", f"{shown(source)} calls the mirror of {first.source} {first.remote}, and so do we")
    first, written = others[0], str(naming.remote(others[0].source))
    return wrong(
        "mirror.name",
        f"we look for the mirror of {first.source} under the name {first.remote} (topics.remote_name = "
        f'"{plan.environment.topics.remote_name}"), and {shown(source)} writes {shown(written)} '
        f"({shown(naming.said)}){_and_more(len(others))}",
        advice=f'set topics.remote_name to "{shown(naming.pattern)}" in {plan.loaded_environment.file}, '
        "or correct the connector",
        needed_by=needs.mirrors,
    )


def _topics_answer(plan: RunPlan, needs: Needs, source: str, config: Mapping[str, str]) -> Answer:
    chosen = {topic.source: selects(config, topic.source) for topic in plan.topics}
    refused = [name for name, selected in chosen.items() if selected is False]
    cycles = [name for name in chosen if is_cycle(config, name)]
    settings = f"{TOPICS} = {config.get(TOPICS, '.*')}, {EXCLUDED} = {config.get(EXCLUDED, 'the default')}"
    if refused:
        why, first = settings, refused[0]
    elif cycles:
        first = cycles[0]
        why = f"its name holds {TARGET_ALIAS}, as if it came from there"
    elif None in chosen.values():
        return not_told("mirror.topics", f"whether {shown(source)} takes our topics: {shown(settings)}")
    else:
        return ok("mirror.topics", f"{shown(source)} takes {plan.topics[0].source}{_and_more(len(chosen))}")
    return wrong(
        "mirror.topics",
        f"{shown(source)} does not mirror {first} ({shown(why)}){_and_more(len(refused or cycles))}",
        advice=f"add the topics inside topics.prefix to the connector's {TOPICS}, or correct topics.prefix in "
        f"{plan.loaded_environment.file}, or the scenario's topics",
        needed_by=needs.mirrors,
    )


def _alias_answer(plan: RunPlan, needs: Needs, source: str, config: Mapping[str, str]) -> Answer:
    """Aliases alone decide nothing but the mirror's name, which is asked by itself; both the wrong way round, they are
    those of the way back."""
    where = plan.environment
    ours = (where.source.alias, where.target.alias)
    theirs = (value_of(config, SOURCE_ALIAS), value_of(config, TARGET_ALIAS, DEFAULT_TARGET_ALIAS))
    if None in theirs or not theirs[0]:
        return not_told("mirror.alias", f"between which clusters {shown(source)} mirrors: it does not say")
    way = f"{shown(theirs[0])} to {shown(str(theirs[1]))}"
    if ours == theirs:
        return ok("mirror.alias", f"{shown(source)} mirrors from {way}")
    return wrong(
        "mirror.alias",
        f"{shown(source)} mirrors from {way} ({SOURCE_ALIAS}, {TARGET_ALIAS}), and the environment has source.alias "
        f"{ours[0]} and target.alias {ours[1]}",
        advice=f"correct the aliases, or connect.connectors.source, in {plan.loaded_environment.file}",
        needed_by=needs.mirrors if theirs == ours[::-1] else (),
    )


def _written_answer(plan: RunPlan, needs: Needs, source: str, seen: ConnectSeen) -> Answer:
    """What the connector has written since it was made, where its configuration does not tell names.

    A topic into which it has written nothing yet is not in the list, nor is any where nobody keeps one
    (topic.tracking.enable): that contradicts nothing.
    """
    if seen.written is None:
        why = seen.troubles.get((source, WRITTEN), "Connect did not say")
        return not_told("mirror.written", f"which topics {shown(source)} has written: {why}", Moment.LOST)
    written = set(seen.written)
    ours = [topic for topic in plan.topics if topic.remote in written]
    if ours:
        return ok("mirror.written", f"{shown(source)} has written {ours[0].remote}{_and_more(len(ours))}")
    others = [
        (topic, name)
        for topic in plan.topics
        for name in sorted(written)
        if _is_another_mirror(plan.environment, topic.source, name)
    ]
    if not others:
        return not_told("mirror.written", f"{shown(source)} has written none of our topics' mirrors yet", Moment.LOST)
    topic, name = others[0]
    return wrong(
        "mirror.written",
        f"we look for the mirror of {topic.source} under the name {topic.remote} (topics.remote_name = "
        f'"{plan.environment.topics.remote_name}"), and {shown(source)} has written {shown(name)}',
        advice=f"correct topics.remote_name in {plan.loaded_environment.file}; or, if {shown(name)} is from before the "
        "connector's policy was changed, reset the topics that Connect keeps for it",
        needed_by=needs.mirrors,
    )


def _is_another_mirror(environment: Environment, topic: str, name: str) -> bool:
    """Whether a name that we do not use is that of the topic's mirror: the topic's own name with something before or
    behind it, and not the mirror of another topic of ours."""
    prefix = environment.topics.prefix
    if (environment.topics.source_of(name) or "").startswith(prefix):
        return False
    return bool(re.fullmatch(rf"(?:.*[^A-Za-z0-9])?{re.escape(topic)}(?:[^A-Za-z0-9].*)?", name))


def _and_more(count: int) -> str:
    return "" if count < 2 else f", and {count - 1} more {'topic' if count == 2 else 'topics'} alike"
