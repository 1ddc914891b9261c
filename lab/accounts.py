"""Who may do what on the lab's two clusters, and the passwords.

    admin   super user on both; the lab's own hands (ACLs, quotas), never given to a run
    mm2     the Connect workers and MM2's connectors
    load    the load generator: what a run's environment file names

Nobody but admin may do anything that is not listed here: brokers deny what no ACL allows. The lists are the least
that works, so they are also the answer to "which ACLs does this need?" on a real deployment.
"""

from __future__ import annotations

import secrets

from clients.kafka_owner import Grant
from lab.cache import write_atomically
from lab.layout import SOURCE, TARGET, Layout

ADMIN = "admin"
MM2 = "mm2"
LOAD = "load"
USERS = (ADMIN, MM2, LOAD)

TOPIC_PREFIX = "test-prometheus."
"""Only topics of this prefix are mirrored, and only they may be loaded."""
REMOTE_PREFIX = f"{SOURCE}.{TOPIC_PREFIX}"

CONNECT_GROUP = "mm2-connect"
CONNECT_TOPIC_PREFIX = "mm2-connect-"

# librdkafka looks for the coordinator of a consumer's group even where nothing is ever committed to it, and without
# this asks again twice a second for as long as it runs.
_LOAD_GROUPS = Grant(user=LOAD, resource="GROUP", name="mm2gate-", operations=("DESCRIBE",))

_SOURCE_GRANTS = (
    _LOAD_GROUPS,
    Grant(user=MM2, resource="TOPIC", name=TOPIC_PREFIX, operations=("READ", "DESCRIBE", "DESCRIBE_CONFIGS")),
    Grant(
        user=MM2, resource="TOPIC", name=f"mm2-offset-syncs.{TARGET}.internal", prefixed=False,
        operations=("CREATE", "WRITE", "READ", "DESCRIBE"),
    ),
    # Without it consumer groups are invisible, and the checkpoint connector is silently idle.
    Grant(user=MM2, resource="GROUP", name=TOPIC_PREFIX, operations=("DESCRIBE",)),
    # WRITE is enough for an idempotent producer, DESCRIBE for watermark offsets. Only `mm2gate clean` deletes. Without
    # READ it is not told whether a duplicate was in the source twice.
    Grant(user=LOAD, resource="TOPIC", name=TOPIC_PREFIX, operations=("CREATE", "WRITE", "READ", "DESCRIBE", "DELETE")),
)  # fmt: skip

_TARGET_GRANTS = (
    _LOAD_GROUPS,
    Grant(
        user=MM2, resource="TOPIC", name=REMOTE_PREFIX,
        operations=("CREATE", "WRITE", "READ", "DESCRIBE", "DESCRIBE_CONFIGS", "ALTER", "ALTER_CONFIGS"),
    ),
    Grant(
        user=MM2, resource="TOPIC", name=f"{SOURCE}.checkpoints.internal", prefixed=False,
        operations=("CREATE", "WRITE", "READ", "DESCRIBE"),
    ),
    Grant(
        user=MM2, resource="TOPIC", name="heartbeats", prefixed=False, operations=("CREATE", "WRITE", "DESCRIBE")
    ),
    # Translated offsets are committed as the group they belong to.
    Grant(user=MM2, resource="GROUP", name=TOPIC_PREFIX, operations=("READ",)),
    Grant(
        user=MM2, resource="TOPIC", name=CONNECT_TOPIC_PREFIX,
        operations=("CREATE", "READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"),
    ),
    Grant(user=MM2, resource="GROUP", name=CONNECT_GROUP, prefixed=False, operations=("READ",)),
    # Without DESCRIBE_CONFIGS a mirror's retention is not told, nor whether it explains that records left the mirror.
    Grant(
        user=LOAD, resource="TOPIC", name=REMOTE_PREFIX, operations=("READ", "DESCRIBE", "DESCRIBE_CONFIGS", "DELETE")
    ),
)  # fmt: skip


def grants(cluster: str) -> tuple[Grant, ...]:
    """The ACLs of one cluster."""
    return {SOURCE: _SOURCE_GRANTS, TARGET: _TARGET_GRANTS}[cluster]


def write_passwords(layout: Layout) -> dict[str, str]:
    """A new random password for each user, each in a file that only its owner reads."""
    # No newline at the end: Connect's config provider takes the file as it is.
    passwords = {user: secrets.token_urlsafe(24) for user in USERS}
    for user, password in passwords.items():
        write_atomically(layout.password_file(user), password, mode=0o600)
    return passwords


def read_password(layout: Layout, user: str) -> str:
    """The password of one user of a lab that is up."""
    return layout.password_file(user).read_text(encoding="utf-8")
