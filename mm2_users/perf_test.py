"""Kafka's own producer tool: its command line for each topic of a plan, and the file that it logs in with.

The runbook's pages call it variant B. One process sends to one topic, so the plan's rate and records are shared out
among as many processes as there are topics. Credentials go into a properties file that only this user can read, since
anyone can read a command line.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scenarios.environment import Cluster, LoadedEnvironment
from scenarios.errors import Refused
from scenarios.plan import RunPlan
from scenarios.scenario import ProducerSettings

HELP_WITHIN_S = 20.0
_LOGIN = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one process sends: so many records to one topic, at a rate."""

    topic: str
    records: int
    rate_per_s: float


def shares_of(plan: RunPlan) -> Iterator[Share]:
    """The plan's only load, shared out among its topics to the record; topics without a record have no process."""
    (load,) = plan.loads
    records, topics = load.profile.record_count, plan.topics
    for number, topic in enumerate(topics):
        share = records // len(topics) + (number < records % len(topics))
        if share:
            yield Share(topic=topic.source, records=share, rate_per_s=load.profile.peak_per_s * share / records)


def config_option(command: Sequence[str]) -> str:
    """The tool's option for a properties file, which Kafka renamed in 4.2; asked of its own help, which also shows that
    it can be started. Blocks. Raises Refused."""
    tool = " ".join(command)
    remedy = "name Kafka's kafka-producer-perf-test.sh in `perf_test` of the environment file"
    try:
        done = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=HELP_WITHIN_S, check=False)
    except FileNotFoundError:
        raise Refused(f"--load perf-test: {command[0]} is not on this machine; {remedy}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"--load perf-test: {tool} cannot be started ({error}); {remedy}") from None
    said = done.stdout + done.stderr
    for option in ("--command-config", "--producer.config"):
        if option in said:
            return option
    lines = [line for line in said.splitlines() if line.strip()]
    raise Refused(
        f"--load perf-test: {tool} --help does not know a producer's configuration file "
        f"({lines[-1].strip() if lines else 'it said nothing'}); {remedy}"
    )


def arguments_of(share: Share, *, record_bytes: int, option: str, properties: Path) -> list[str]:
    """The tool's arguments."""
    return [
        "--topic", share.topic,
        "--num-records", str(share.records),
        "--record-size", str(record_bytes),
        "--throughput", f"{share.rate_per_s:g}",
        option, str(properties),
    ]  # fmt: skip


def properties_of(cluster: Cluster, environment: LoadedEnvironment, settings: ProducerSettings) -> dict[str, str]:
    """The tool's configuration: where to, who as, and the plan's producer. Raises Refused when a secret is missing."""
    security = cluster.security
    properties = {
        "bootstrap.servers": cluster.bootstrap_servers,
        "client.id": "mm2gate-perf-test",
        "security.protocol": security.protocol,
        "acks": settings.acks,
        "compression.type": settings.compression,
        "linger.ms": str(round(settings.linger * 1000)),
        "batch.size": str(settings.batch),
        "buffer.memory": str(settings.buffer),
    }
    if security.ca_file is not None:
        properties |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(environment.path(security.ca_file))}
    if security.mechanism is not None:
        password = environment.password(security, of=f"{environment.key_of(cluster)}.security")
        properties["sasl.mechanism"] = security.mechanism
        properties["sasl.jaas.config"] = (
            f"{_LOGIN[security.mechanism]} required "
            f'username="{_jaas(security.username or "")}" password="{_jaas(password)}";'
        )
    return properties


def write_properties(path: Path, properties: Mapping[str, str]) -> None:
    """Writes a Java properties file that only this user can read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.writelines(f"{key}={_escaped(value)}\n" for key, value in properties.items())


def _jaas(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _escaped(text: str) -> str:
    """A value as java.util.Properties reads it back: ASCII, backslashes doubled, a leading space kept."""
    codes = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"}
    units = text.encode("utf-16-be", "surrogatepass")
    out = []
    for unit in (int.from_bytes(units[n : n + 2], "big") for n in range(0, len(units), 2)):
        character = chr(unit)
        out.append(codes.get(character) or (character if 0x20 <= unit < 0x7F else f"\\u{unit:04x}"))
    return ("\\" if text.startswith(" ") else "") + "".join(out)
