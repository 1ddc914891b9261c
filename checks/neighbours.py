"""Other teams' connectors on the same Connect, as far as they touch this run's topics: their names, and nothing of
their configurations. Pure.

    connect-others.json   {"connectors": [{"name", "connector_class", "state", "touch", "topics", "same_source"}],
                           "others": how many there are, "workers": on which of the group's workers they are}

A second MirrorSourceConnector on the same topics writes every record once more; a sink reads the mirrors; another
source connector may write among our records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from checks.mirror_naming import listed, matches, selects
from run_record.manifest import TopicPlayed
from scenarios.environment import Connectors
from scenarios.secret_shapes import HIDDEN, looks_secret

Touch = Literal["mirrors", "reads", "writes"]
#: How connectors of all kinds name the topic that they write to.
_WRITTEN = ("topic", "kafka.topic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A connector that is not MM2's, or not the one that the environment names, and the topics of the run (by their
    names at the source, or of their mirrors) that it touches. None: what it touches cannot be told.

    `same_source`: of one that mirrors, whether it reads from the same cluster; None where its configuration does not
    show it.
    """

    name: str
    connector_class: str
    state: str
    touch: Touch
    topics: tuple[str, ...] | None
    same_source: bool | None = None


def neighbours_content(
    connectors: Mapping[str, Any], ours: Connectors, topics: Iterable[TopicPlayed]
) -> dict[str, Any]:
    """The content of connect-others.json, of Connect's whole answer. What cannot be read of another's is left out."""
    names = {ours.source, ours.checkpoint, ours.heartbeat}
    played, mm2 = tuple(topics), _config(connectors.get(ours.source))
    others = {str(name): parts for name, parts in connectors.items() if name not in names}
    found = [one for name, parts in sorted(others.items()) if (one := _neighbour(name, parts, mm2, played)) is not None]
    return {
        "connectors": [asdict(one) for one in found],
        "others": len(others),
        "workers": sorted({worker for parts in others.values() for worker in _workers(parts)}),
    }


def neighbours_seen(content: Any) -> tuple[Neighbour, ...]:
    """The connectors of connect-others.json; none where there is no such file. Raises ValueError when it is not one."""
    if content is None:
        return ()
    try:
        return tuple(
            Neighbour(
                name=str(one["name"]),
                connector_class=str(one["connector_class"]),
                state=str(one["state"]),
                touch=one["touch"],
                topics=None if one["topics"] is None else tuple(map(str, one["topics"])),
                same_source=one["same_source"],
            )
            for one in content["connectors"]
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"not what is kept of other connectors ({type(error).__name__})") from None


def workers_of_others(content: Any) -> tuple[str, ...]:
    """Addresses of the workers on which other connectors or their tasks are."""
    workers = content.get("workers", ()) if isinstance(content, Mapping) else ()
    return tuple(map(str, workers)) if isinstance(workers, list) else ()


def _neighbour(name: str, parts: Any, mm2: Mapping[str, str], topics: tuple[TopicPlayed, ...]) -> Neighbour | None:
    config = _config(parts)
    touched = _touched(config, parts, topics)
    if touched is None or touched[1] == ():
        return None
    touch, names = touched
    return Neighbour(
        name=_shown(name),
        connector_class=_shown(config.get("connector.class", "").rpartition(".")[2]),
        state=_shown(str(_get(parts, "status", "connector", "state") or "")),
        touch=touch,
        topics=names,
        same_source=_same_source(config, mm2) if touch == "mirrors" else None,
    )


def _touched(
    config: Mapping[str, str], parts: Any, topics: tuple[TopicPlayed, ...]
) -> tuple[Touch, tuple[str, ...] | None] | None:
    """How a connector touches topics, and which of the run's; None when it names no topics in a way known here."""
    kind = config.get("connector.class", "").rpartition(".")[2]
    if kind == "MirrorSourceConnector":
        return "mirrors", _those((topic.source, selects(config, topic.source)) for topic in topics)
    if kind.startswith("Mirror"):
        return None
    mirrors = tuple(topic.remote for topic in topics)
    if "sink" in (_get(parts, "status", "type"), _get(parts, "info", "type")) or "topics.regex" in config:
        pattern = config.get("topics.regex")
        if pattern is not None:
            return "reads", _those((name, None if HIDDEN in pattern else matches(pattern, name)) for name in mirrors)
        named = listed(config.get("topics", ""))
        return "reads", _those((name, name in named) for name in mirrors)
    written = {config[key] for key in _WRITTEN if key in config}
    beginning = config.get("topic.prefix") or None
    every = (*(topic.source for topic in topics), *mirrors)
    return "writes", _those(
        (name, name in written or (beginning is not None and name.startswith(beginning))) for name in every
    )


def _those(names: Iterable[tuple[str, bool | None]]) -> tuple[str, ...] | None:
    """The names that it touches; None where that cannot be told of one."""
    told = dict(names)
    return None if None in told.values() else tuple(name for name, touched in told.items() if touched)


def _same_source(config: Mapping[str, str], mm2: Mapping[str, str]) -> bool | None:
    servers, ours = (set(listed(one.get("source.cluster.bootstrap.servers", ""))) for one in (config, mm2))
    if servers & ours:
        return True
    alias, our_alias = config.get("source.cluster.alias"), mm2.get("source.cluster.alias")
    if alias is not None and alias == our_alias:
        return True
    return False if servers and ours and alias is not None and our_alias is not None else None


def _config(parts: Any) -> dict[str, str]:
    config = _get(parts, "info", "config")
    return {str(key): str(value) for key, value in config.items()} if isinstance(config, Mapping) else {}


def _workers(parts: Any) -> Iterator[str]:
    tasks = _get(parts, "status", "tasks")
    for part in (_get(parts, "status", "connector"), *(tasks if isinstance(tasks, list) else ())):
        worker = _get(part, "worker_id")
        if worker:
            yield _shown(str(worker))


def _get(content: Any, *path: str) -> Any:
    for key in path:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _shown(text: str) -> str:
    return HIDDEN if looks_secret(text) else text[:200]
