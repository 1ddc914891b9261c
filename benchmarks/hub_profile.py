"""Where a hub spends its time: py-spy looks into the program from outside, so calls to C count for the line that makes
them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

RATE_PER_S = 200
#: Frames of a hub at work; what is under none of them is the program's start and end.
AT_WORK = ("Hub.run (", "drive_or_leave (", "Engine.second (")


def sampled(command: Sequence[str], samples: Path) -> list[str]:
    """The same command under py-spy, which writes what it saw to this file. As its parent it needs no rights.

    It does not stop the program to look, which at its limit would halve its rate; a stack in change may be missed.
    """
    program = str(Path(sys.executable).parent / "py-spy")
    options = ["--nonblocking", "--rate", str(RATE_PER_S), "--format", "raw", "--output", str(samples)]
    return [program, "record", *options, "--", *command]


def shares(samples: str) -> dict[str, float]:
    """Function and line → share of the time in which the hub was not idle, the largest first."""
    counts: Counter[str] = Counter()
    for line in samples.splitlines():
        stack, _, count = line.rpartition(" ")
        if any(frame.startswith(AT_WORK) for frame in stack.split(";")):
            counts[stack.rpartition(";")[2]] += int(count)
    total = max(counts.total(), 1)
    return {where: count / total for where, count in counts.most_common()}
