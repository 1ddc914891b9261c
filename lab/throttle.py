"""Makes MM2 slow on purpose, as a target or a source that holds it back does: Kafka's client quotas on MM2's user.

    target   producer quota: MM2's tasks wait in send, the target answers late
    source   consumer quota: MM2's fetches come back late

Set with Kafka's own tool, in the Java and on the class path that the broker runs with: the admin API of
confluent-kafka knows no quotas. One call takes 2 to 5 s; the brokers apply it within a second.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab.accounts import MM2
from lab.layout import SOURCE, TARGET
from scenarios.errors import LabError

QUOTAS = {TARGET: "producer_byte_rate", SOURCE: "consumer_byte_rate"}

_TOOL = "kafka.admin.ConfigCommand"
_TIMEOUT_S = 60.0


def java_of(command: Sequence[str]) -> tuple[str, str]:
    """The Java and the class path of a component's command line."""
    return command[0], command[command.index("-cp") + 1]


def set_quota(
    cluster: str, bytes_per_s: int | None, *, bootstrap_servers: str, login: str, command: Sequence[str], scratch: Path
) -> None:
    """Limit MM2's user on a cluster, or lift the limit (None); one that is not there is lifted all the same.

    `login` is the admin's JAAS line, `command` the broker's. Raises LabError with the tool's last words.
    """
    java, classpath = java_of(command)
    quota = QUOTAS[cluster]
    change = ["--add-config", f"{quota}={bytes_per_s}"] if bytes_per_s is not None else ["--delete-config", quota]
    descriptor, name = tempfile.mkstemp(prefix="admin-", suffix=".properties", dir=scratch)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config={login}\n")
        argv = [
            java, "-XX:TieredStopAtLevel=1", "-cp", classpath, _TOOL, "--bootstrap-server", bootstrap_servers,
            "--command-config", name, "--alter", "--entity-type", "users", "--entity-name", MM2, *change,
        ]  # fmt: skip
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise LabError(
            f"{quota} of {MM2} on {cluster}: no answer within {_TIMEOUT_S:.0f} s; is {cluster} up?"
        ) from None
    finally:
        Path(name).unlink()
    words = [line for line in (done.stdout + done.stderr).splitlines() if line.strip() and "\tat " not in line]
    not_there = bytes_per_s is None and any(f"Invalid config(s): {quota}" in line for line in words)
    if done.returncode != 0 and not not_there:
        raise LabError(f"{quota} of {MM2} on {cluster} could not be set: {words[-1] if words else 'it says nothing'}")
