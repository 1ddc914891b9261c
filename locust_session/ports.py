"""Ports that Locust will listen on: one that is taken is said in a sentence, before a worker is started.

Locust binds its master's port before any event of a locustfile, and ends in a traceback where it is taken; and the
workers of --processes, which it starts before that, would offer themselves to the other master. A web UI that cannot
listen is only logged: the process ends at once, and its exit code is 0. The parsed options are the first moment at
which anything of ours can look.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from typing import Any

from locust.argument_parser import LocustArgumentParser

from locust_session.output import say
from scenarios.errors import Refused

#: Of this process: Locust parses the command line again for its workers and its web UI, and then the ports are ours.
_looked: list[bool] = []


def require_free(parser: LocustArgumentParser) -> None:
    """Has the ports looked at as soon as the command line is parsed; where one is taken, the process ends (40)."""
    parse_args = parser.parse_args

    def parsed(*arguments: Any, **more: Any) -> Any:
        options = parse_args(*arguments, **more)
        if not _looked:
            _looked.append(True)
            if problems := [*taken(options)]:
                error = Refused("\n".join(problems))
                say(error)
                sys.exit(error.exit_code)
        return options

    parser.parse_args = parsed


def taken(options: Any) -> Iterator[str]:
    """A sentence for each port that these options want and cannot have."""
    distributed = options.master or (options.processes and not options.worker)
    if distributed and (why := _why_not(options.master_bind_host, options.master_bind_port)):
        yield (
            f"the port of Locust's master, {options.master_bind_host}:{options.master_bind_port}, {why}; choose "
            "another with --master-bind-port, and --master-port on its workers"
        )
    headless = options.headless and not options.headful
    if not (headless or options.worker) and (why := _why_not(options.web_host, options.web_port)):
        yield f"the port of the web UI, {options.web_host}:{options.web_port}, {why}; choose another with --web-port"


def _why_not(host: str, port: int) -> str | None:
    """Why nothing can listen there; None when it can."""
    everywhere = host in ("", "*")
    wanted = [(socket.AF_INET6 if ":" in host else socket.AF_INET, "" if everywhere else host)]
    if everywhere and socket.has_dualstack_ipv6():
        wanted.append((socket.AF_INET6, ""))
    for family, address in wanted:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as both servers do
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return "is in use, perhaps by the master of another run, which must end first"
                return f"cannot be had ({error.strerror or error})"
    return None
