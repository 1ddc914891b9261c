"""`mm2gate`, and `python -m runbook`: checks that our packages are ours, then hands over to the command line."""

from __future__ import annotations

import os
import runpy
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]


#: ExitCode.ABORTED
ABORTED = 50


def leave(number: int, _frame: object) -> NoReturn:
    """Whoever is told to end before there is anything to end says so, with a run's exit code.

    At once: an exception would be swallowed where it came out of a module's destructor or callback.
    """
    with suppress(OSError):  # the terminal may be what has ended
        os.write(2, f"mm2gate: ended by {signal.Signals(number).name} before anything began\n".encode())
    os._exit(ABORTED)


def main() -> NoReturn:
    """The console script."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, leave)
    runpy.run_path(str(ROOT / "runbook" / "installation.py"))["require_own"](ROOT)
    from runbook.cli import main as command_line

    if sys.argv[1:2] != ["run"]:
        # A run takes care of its signals itself as soon as there is one, or as something else has begun that must be
        # put back (`runbook.signals`); other commands as Python does.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if signal.getsignal(signal.SIGHUP) is leave:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
    command_line()


if __name__ == "__main__":
    main()
