"""Free ports, chosen once for the whole lab.

Taken below the range from which the kernel hands out ports to outgoing connections: a component that is stopped and
started again must find its port free.
"""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

from scenarios.errors import LabError

HOST = "127.0.0.1"

_LOWEST = 20_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 2_000


def free_ports(names: tuple[str, ...]) -> dict[str, int]:
    """A port for each name, all different, none in use now. They are held until all are found."""
    # Random, not first-fit: two labs that start at once must not draw the same ports.
    candidates = random.SystemRandom().sample(_range(), k=min(_TRIES, len(_range())))
    ports: dict[str, int] = {}
    with ExitStack() as held:
        for port in candidates:
            if len(ports) == len(names):
                break
            probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            with suppress(OSError):
                probe.bind((HOST, port))
                ports[names[len(ports)]] = port
    if len(ports) < len(names):
        raise LabError(f"fewer than {len(names)} free ports on {HOST} from {_LOWEST} up; end what holds them")
    return ports


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
