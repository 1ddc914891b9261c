"""Hides what must not be in a run record. Pure.

Connect shows a connector's whole configuration to whoever asks, and run records are handed around.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "(hidden)"
_SECRET_KEY = re.compile(
    r"passw|passphrase|secret|jaas|token|credential|user\.info|private|keystore\.(key|certificate)|api[._-]?key",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")


def redacted_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without the values of secret keys, and without user:password@ in URLs."""
    return {key: HIDDEN if _SECRET_KEY.search(key) else _USERINFO.sub("", str(value)) for key, value in config.items()}


def redacted_connectors(connectors: Mapping[str, Any]) -> dict[str, Any]:
    """The body of GET /connectors?expand=…, its configurations redacted."""
    kept: dict[str, Any] = {}
    for name, parts in connectors.items():
        info = parts.get("info")
        if isinstance(info, dict) and isinstance(info.get("config"), dict):
            parts = {**parts, "info": {**info, "config": redacted_config(info["config"])}}  # noqa: PLW2901
        kept[name] = parts
    return kept
