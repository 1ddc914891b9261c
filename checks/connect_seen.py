"""What Kafka Connect said of this run's environment, from the kept evidence: connectors, workers, and connectors of
others that mirror our topics too. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from checks.connectors import ConnectorSeen, connectors_seen
from checks.measures import Run
from checks.mirror_naming import naming_of, selects
from checks.series import UnreadableAnswer

MIRROR_SOURCE = "MirrorSourceConnector"


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentWorker:
    """A worker of the environment that did not answer, and what came instead."""

    url: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherConnector:
    """A connector that is not the environment's and writes to the same mirrors; `topics` are ours, at the source."""

    name: str
    state: str
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectView:
    """`error`: why nothing is known. `url`: of a worker that answers. `connectors`: those that the environment names,
    the source connector first. `written`: topics of the target that it has written to, None where Connect did not
    tell."""

    url: str = ""
    error: str | None = None
    connectors: tuple[ConnectorSeen, ...] = ()
    silent: tuple[SilentWorker, ...] = ()
    others: tuple[OtherConnector, ...] = ()
    written: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    """Connectors that Connect knows, those of others included, as far as the evidence keeps them."""

    @property
    def source(self) -> ConnectorSeen | None:
        """The source connector."""
        return self.connectors[0] if self.connectors else None


def connect_view(run: Run) -> ConnectView | None:
    """The view; None where MM2 runs by itself and there is no Connect to ask."""
    urls = run.environment.connect.urls
    if not urls or run.evidence.offline is not None:
        return None
    connectors, workers = run.evidence.connect("connectors"), run.evidence.connect("workers").content
    if connectors.content is None:
        return ConnectView(error=connectors.error or "")
    try:
        seen = connectors_seen(run.environment, connectors.content, workers)
        answering = [worker["url"] for worker in workers or () if "error" not in worker]
        silent = [worker for worker in workers or () if "error" in worker]
        return ConnectView(
            url=str(answering[0] if answering else urls[0]),
            connectors=seen,
            silent=tuple(SilentWorker(url=str(one["url"]), error=str(one["error"])) for one in silent),
            others=tuple(_others(run, connectors.content, seen[0])),
            written=_written(run),
            names=tuple(sorted(connectors.content)),
        )
    except UnreadableAnswer as error:
        return ConnectView(error=str(error))
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        return ConnectView(error=f"not an answer of Kafka Connect ({type(error).__name__})")


def _written(run: Run) -> tuple[str, ...] | None:
    content = run.evidence.connect("topics").content
    return tuple(str(topic) for topic in content) if isinstance(content, list) else None


def _others(run: Run, connectors: Mapping[str, Any], source: ConnectorSeen) -> Iterator[OtherConnector]:
    """Mirror source connectors beside ours on the same topics: as the collector kept them (connect-others.json), or, of
    evidence that keeps whole configurations, by theirs."""
    kept = run.evidence.connect("others").content
    if isinstance(kept, Mapping):
        for one in kept["connectors"]:
            topics = tuple(map(str, one["topics"] or ()))
            if one["touch"] == "mirrors" and topics and one["same_source"] is not False:
                yield OtherConnector(name=str(one["name"]), state=str(one["state"]), topics=topics)
        return
    ours = [topic.source for topic in run.record.manifest.topics]
    for name, parts in sorted(connectors.items()):
        config = parts.get("info", {}).get("config", {})
        if name == source.name or not str(config.get("connector.class", "")).endswith(MIRROR_SOURCE):
            continue
        # All connectors of a Connect cluster write to its cluster, so mirrors of the same name are the same mirrors.
        topics = tuple(topic for topic in ours if selects(config, topic))
        if topics and naming_of(config) == naming_of(source.config):
            yield OtherConnector(name=name, state=str(parts["status"]["connector"]["state"]), topics=topics)
