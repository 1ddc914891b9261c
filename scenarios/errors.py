"""Every way mm2gate can fail on purpose, and the exit code of each.

    Mm2gateError                  70  something of ours is broken
    ├── SpecError                 64  a scenario or environment file is wrong; lists every problem of the file
    ├── Refused                   40  a guard said no before any load: identity, authentication, prefix, ceilings
    │   └── Unreachable           40  a cluster, Connect or Prometheus did not answer, or not as it should
    │       ├── ConnectFailure        Connect's REST API; knows the HTTP status, if there was one
    │       └── MetricsUnavailable    Prometheus
    ├── RunRecordError            70  a run directory cannot be written or read
    └── LabError                  70  the lab on this machine could not be brought up or down

Raise for broken machinery; a bad *measurement* is never an exception, it is a verdict. Messages are one sentence for
the person at the keyboard: what happened, where, what to do. The command line prints them without a traceback. None
holds a secret that this process has read, nor the name of a login: they name the key that refers to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from scenarios.secrets import hidden
from scenarios.visible import one_line


class ExitCode(IntEnum):
    """What the process says to the shell. Python's own 1 and 2 (a crash, bad arguments) can never be an answer."""

    GO = 0
    GREY = 10
    NOGO = 20
    INCONCLUSIVE = 30
    REFUSED = 40
    ABORTED = 50
    BAD_SPEC = 64
    INTERNAL = 70


EXIT_CODE_MEANINGS: dict[ExitCode, str] = {
    ExitCode.GO: "GO: every required criterion met",
    ExitCode.GREY: "GREY: measured, between the GO and the NOGO condition; a person decides",
    ExitCode.NOGO: "NOGO: a required criterion failed",
    ExitCode.INCONCLUSIVE: "INCONCLUSIVE: something that is required could not be measured",
    ExitCode.REFUSED: "refused by a guard, or unreachable, before any load",
    ExitCode.ABORTED: "aborted (Ctrl-C, SIGTERM, Stop); what was sent is drained and judged",
    ExitCode.BAD_SPEC: "bad scenario, environment or command line",
    ExitCode.INTERNAL: "internal error",
}


class Mm2gateError(Exception):
    """Root of the tree. Its text is the whole message for the user."""

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL

    def __init__(self, message: str = "") -> None:
        super().__init__(hidden(message))


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with a file: where (dotted key, empty for the file itself), what, and what to do."""

    file: str
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return one_line(f"{where}: {self.message}")


class SpecError(Mm2gateError):
    """A scenario or environment that cannot be used; carries all problems, not just the first."""

    exit_code = ExitCode.BAD_SPEC

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Refused(Mm2gateError):
    """A guard refused before anything was written to any cluster."""

    exit_code = ExitCode.REFUSED


class Unreachable(Refused):
    """Something that the run needs did not answer. Once a load was sent, the judge keeps it as evidence instead."""


class ConnectFailure(Unreachable):
    """Connect's REST API did not answer, or said no. `status` is the HTTP status, None when there was no answer."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class MetricsUnavailable(Unreachable):
    """Prometheus did not answer, or not as it should. `status` is the HTTP status, None when there was no answer."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class RunRecordError(Mm2gateError):
    """A run directory that cannot be created, read or trusted."""


class LabError(Mm2gateError):
    """The lab on this machine failed; the message ends with what its log says."""
