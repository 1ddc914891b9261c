"""What of Connect's answers may be kept and shown: MM2's named connectors, by a list of keys. Pure.

Connect shows every connector's whole configuration to whoever asks, other teams' with their passwords too, and run
records are handed around. So nothing is kept unless it is known to be needed: of the connectors that the environment
names, their state and the keys below. What of these looks like a secret is hidden all the same, and of a stack trace
only the lines stay that say what happened. Evidence of older versions kept more: it goes through here when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from scenarios.secret_shapes import HIDDEN, looks_secret, without_secrets
from scenarios.secrets import hidden

#: What the judge reads, and what makes two runs comparable. After MM2's MirrorSourceConfig, MirrorCheckpointConfig and
#: MirrorHeartbeatConfig, and Connect's ConnectorConfig and SourceConnectorConfig.
_KEYS = frozenset({
    "name", "connector.class", "connector.plugin.version", "tasks.max", "tasks.max.enforce", "key.converter",
    "value.converter", "header.converter", "config.action.reload", "errors.retry.timeout", "errors.retry.delay.max.ms",
    "errors.tolerance", "errors.log.enable", "errors.log.include.messages", "errors.deadletterqueue.topic.name",
    "errors.deadletterqueue.topic.replication.factor", "exactly.once.support", "transaction.boundary",
    "transaction.boundary.interval.ms", "offsets.storage.topic", "enabled", "source.cluster.alias",
    "target.cluster.alias", "source.cluster.bootstrap.servers", "target.cluster.bootstrap.servers",
    "replication.policy.class", "replication.policy.separator", "replication.policy.internal.topic.separator.enabled",
    "replication.factor", "topics", "topics.exclude", "topics.blacklist", "topics.regex", "topic.filter.class",
    "groups", "groups.exclude", "groups.blacklist", "group.filter.class", "config.properties.exclude",
    "config.properties.blacklist", "config.property.filter.class", "use.defaults.from", "forwarding.admin.class",
    "add.source.alias.to.metrics", "metric.names.formats", "offset-syncs.topic.location",
    "offset-syncs.topic.replication.factor", "checkpoints.topic.replication.factor",
    "heartbeats.topic.replication.factor", "offset.lag.max", "consumer.poll.timeout.ms", "admin.timeout.ms",
    "transforms", "predicates", "topic.creation.groups", "topic.creation.enable",
})  # fmt: skip
#: How Kafka's clients are tuned, alone or behind one of the prefixes by which MM2 and Connect hand it on.
_CLIENT_KEYS = frozenset({
    "acks", "batch.size", "linger.ms", "compression.type", "compression.gzip.level", "compression.lz4.level",
    "compression.zstd.level", "buffer.memory", "max.block.ms", "max.request.size", "request.timeout.ms",
    "delivery.timeout.ms", "retries", "retry.backoff.ms", "retry.backoff.max.ms",
    "max.in.flight.requests.per.connection", "enable.idempotence", "fetch.min.bytes", "fetch.max.bytes",
    "fetch.max.wait.ms", "max.partition.fetch.bytes", "max.poll.records", "max.poll.interval.ms", "session.timeout.ms",
    "heartbeat.interval.ms", "auto.offset.reset", "isolation.level", "check.crcs", "receive.buffer.bytes",
    "send.buffer.bytes", "metadata.max.age.ms", "connections.max.idle.ms", "reconnect.backoff.ms",
    "reconnect.backoff.max.ms", "default.api.timeout.ms", "security.protocol", "sasl.mechanism",
})  # fmt: skip
_CLIENT_KEY = re.compile(
    r"(?:(?:source|target)\.(?:cluster\.)?)?(?:(?:producer|consumer|admin)\.(?:override\.)?)?(?P<key>[a-z0-9.]+)"
)
_FAMILIES = re.compile(
    r"(?:refresh\.(?:topics|groups)|sync\.(?:topic\.(?:configs|acls)|group\.offsets)|emit\.(?:heartbeats|checkpoints))"
    r"\.(?:enabled|interval\.seconds)|emit\.offset-syncs\.enabled"
    r"|transforms\.[\w-]+\.(?:type|predicate|negate|headers|regex|replacement)"
    r"|predicates\.[\w-]+\.(?:type|pattern|name)"
    r"|topic\.creation\.[\w-]+\.(?:include|exclude|replication\.factor|partitions)"
)
#: A key that is not of this form is no key of a connector, and is not kept even as a name.
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.:$-]{1,200}")
CAUSE = "Caused by: "
CAUSES_MOST = 20
LINE_MOST = 500


def kept_connectors(connectors: Any, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The body of GET /connectors?expand=status&expand=info, of the connectors with these names (all when None).

    The same again when it is done twice. What has not the shape of Connect's answers is left out, so that whoever reads
    it sees that it is missing. Raises TypeError when there are no connectors at all in it.
    """
    if not isinstance(connectors, Mapping):
        raise TypeError("not an answer of Kafka Connect: no connectors by their names")
    wanted = None if names is None else set(names)
    return {str(name): _connector(parts) for name, parts in connectors.items() if wanted is None or str(name) in wanted}


def kept_config(config: Mapping[Any, Any]) -> dict[str, str]:
    """A configuration: the values of keys that are listed and look like no secret. Other keys stay as names."""
    return {
        key: _value(value) if _is_listed(key) else HIDDEN
        for key, value in ((str(key), value) for key, value in config.items())
        if _PLAIN_KEY.fullmatch(key) and not looks_secret(key)
    }


def kept_trace(trace: Any) -> str:
    """Of a stack trace, its first line and those that name a cause, cut, and without what looks like a secret."""
    lines = str(trace or "").strip().splitlines()
    causes = [line.strip() for line in lines[1:] if line.strip().startswith(CAUSE)]
    told = [*lines[:1], *causes[-CAUSES_MOST:]]
    return "\n".join(without_secrets(hidden(line.strip()[: 4 * LINE_MOST]))[:LINE_MOST] for line in told)


def _connector(parts: Any) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    status, info = (parts.get(part) if isinstance(parts, Mapping) else None for part in ("status", "info"))
    if isinstance(status, Mapping):
        kept["status"] = {key: _value(status[key]) for key in ("name", "type") if key in status}
        if isinstance(status.get("connector"), Mapping):
            kept["status"]["connector"] = _part(status["connector"])
        if "tasks" in status:
            tasks = status["tasks"]
            kept["status"]["tasks"] = [_part(task) for task in tasks] if isinstance(tasks, list) else None
    if isinstance(info, Mapping) and isinstance(info.get("config"), Mapping):
        kept["info"] = {key: _value(info[key]) for key in ("name", "type") if key in info}
        kept["info"]["config"] = kept_config(info["config"])
    return kept


#: A task's number. (Python refuses to read one of thousands of digits.)
_TASK_ID = re.compile(r"[0-9]{1,9}")


def _part(part: Any) -> dict[str, Any]:
    """The status of a connector or a task."""
    if not isinstance(part, Mapping):
        return {}
    kept: dict[str, Any] = {key: _value(part[key]) for key in ("state", "worker_id", "version") if key in part}
    if _TASK_ID.fullmatch(number := str(part.get("id", ""))):
        kept["id"] = int(number)
    return kept | ({"trace": kept_trace(part["trace"])} if part.get("trace") else {})


def _is_listed(key: str) -> bool:
    client = _CLIENT_KEY.fullmatch(key)
    return (
        key in _KEYS or _FAMILIES.fullmatch(key) is not None or (client is not None and client["key"] in _CLIENT_KEYS)
    )


def _value(value: Any) -> str:
    text = hidden(str(value))
    return HIDDEN if looks_secret(text) else text
