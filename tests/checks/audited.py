"""Runs `mm2gate` with a hook on what Python opens, connects to and starts; says it on stderr, as JSON, at the end.

python -P tests/checks/audited.py judge RUN
"""

from __future__ import annotations

import atexit
import json
import os
import sys

SEEN: list[tuple[str, str]] = []
WATCHED = {"open", "os.listdir", "os.scandir", "os.exec", "os.system", "os.posix_spawn", "subprocess.Popen"}
SOCKETS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind", "socket.sendto"}


def hook(event: str, arguments: tuple[object, ...]) -> None:
    if event in SOCKETS:
        SEEN.append((event, repr(arguments[1:])))
    elif event in WATCHED and arguments and isinstance(arguments[0], str | bytes | os.PathLike):
        SEEN.append((event, os.path.realpath(os.fsdecode(arguments[0]))))


def main() -> None:
    from runbook.cli import main as command

    sys.addaudithook(hook)
    atexit.register(lambda: print("AUDIT" + json.dumps(SEEN), file=sys.stderr))
    command()


if __name__ == "__main__":
    main()
