"""Free ports, chosen once for the whole lab.

Taken below the range from which the kernel hands out ports to outgoing connections: a component that is stopped and
started again must find its port free. What was drawn lately, by any process of this user, is not drawn again: minutes
may pass before a component binds its port, and of two labs that start at once one in twenty would draw one of the
other's.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from scenarios.errors import LabError

HOST = "127.0.0.1"

_LOWEST = 20_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 2_000
_DRAWN = Path(tempfile.gettempdir()) / f"mm2gate-ports-{os.getuid()}"
_LATELY_S = 300.0


def free_ports(names: tuple[str, ...]) -> dict[str, int]:
    """A port for each name, all different, none in use now. They are held until all are found."""
    candidates = random.SystemRandom().sample(_range(), k=min(_TRIES, len(_range())))
    ports: dict[str, int] = {}
    with _drawn_lately() as drawn, ExitStack() as held:
        for port in candidates:
            if len(ports) == len(names):
                break
            if port in drawn:
                continue
            probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            with suppress(OSError):
                probe.bind((HOST, port))
                ports[names[len(ports)]] = port
                drawn[port] = time.time()
    if len(ports) < len(names):
        raise LabError(f"fewer than {len(names)} free ports on {HOST} from {_LOWEST} up; end what holds them")
    return ports


@contextmanager
def _drawn_lately() -> Iterator[dict[int, float]]:
    """Port → when it was drawn. One process at a time looks and adds; without a place to keep them, none is known."""
    try:
        number = os.open(_DRAWN, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        yield {}
        return
    with os.fdopen(number, "r+", encoding="ascii", errors="replace") as kept:
        fcntl.flock(kept, fcntl.LOCK_EX)
        drawn: dict[int, float] = {}
        for line in kept:
            with suppress(ValueError):
                port, at_s = line.split()
                drawn[int(port)] = float(at_s)
        drawn = {port: at_s for port, at_s in drawn.items() if 0 <= time.time() - at_s < _LATELY_S}
        yield drawn
        kept.seek(0)
        kept.truncate()
        kept.writelines(f"{port} {at_s:.0f}\n" for port, at_s in drawn.items())


def answers(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def _range() -> range:
    highest = 32_768
    with suppress(OSError, ValueError, IndexError):
        highest = int(_EPHEMERAL.read_text(encoding="ascii").split()[0])
    return range(_LOWEST, highest) if highest > _LOWEST + _TRIES else range(_LOWEST, 60_000)
