"""`mm2gate`, and `python -m runbook`: checks that our packages are ours, then hands over to the command line."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]


def main() -> NoReturn:
    """The console script."""
    runpy.run_path(str(ROOT / "runbook" / "installation.py"))["require_own"](ROOT)
    from runbook.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
