"""Stands in for Kafka's producer tool: it knows the same options, and "sends" by adding to a file that tests read.

    fake_perf_test.py STATE [--fail TEXT | --hang] and the tool's own options

STATE is a directory: `sent-<topic>` has the number of records, `seen.json` the command line and the file it was given.
"""

from __future__ import annotations

import json
import stat
import sys
import time
from pathlib import Path


def main() -> None:
    state, *words = sys.argv[1:]
    if "--help" in words:
        print("usage: tool [--producer.config FILE] [--command-config FILE] --topic TOPIC")
        return
    options = dict(zip(words[::2], words[1::2], strict=False))
    if "--fail" in options:
        print("[2026-01-01] WARN something")
        print("org.apache.kafka.common.errors.SaslAuthenticationException: Authentication failed")
        sys.exit(1)
    config = Path(options["--command-config"])
    seen = {
        "command": sys.argv,
        "mode": stat.S_IMODE(config.stat().st_mode),
        "text": config.read_text(encoding="ascii"),
        "file": str(config),
    }
    (Path(state) / "seen.json").write_text(json.dumps(seen), encoding="utf-8")
    sent = Path(state) / f"sent-{options['--topic']}"
    total = int(options["--num-records"]) // (2 if "--hang" in options else 1)
    sent.write_text(str(total), encoding="utf-8")
    if "--hang" in options:
        time.sleep(600)


if __name__ == "__main__":
    main()
