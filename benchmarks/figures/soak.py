"""Whether a worker's memory grows: half an hour at a modest rate, and the slope of its resident memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.bench_lab import BenchLab
from benchmarks.figure import Figure
from benchmarks.ours import play
from benchmarks.program import BenchmarkError

RATE_PER_S, DURATION_S, WARM_S, BLOCK_S = 5_000, 1800, 300, 60
NAME, TITLE = (
    "soak_rss_slope",
    f"growth of resident memory over 30 min at {RATE_PER_S}/s, upper 95 % bound of the slope",
)
#: Two-sided 95 % of Student's t by degrees of freedom, from 5 on; the normal's beyond 30.
_T95 = {5: 2.571, 10: 2.228, 15: 2.131, 20: 2.086, 25: 2.060, 30: 2.042}


def measure(lab: BenchLab, *, say: Callable[[str], None]) -> Figure:
    """One run. Raises BenchmarkError when it is not GO."""
    run = play(lab.environment, lab.scratch, name="soak", records_per_s=RATE_PER_S, duration_s=DURATION_S)
    if not run.holds:
        raise BenchmarkError(f"the soak is not GO: {run.why_not()}")
    watch, start_s = run.finished.cpu, run.load_end_s - DURATION_S
    inside = [
        (at_s - start_s, rss_bytes)
        for at_s, rss_bytes in zip(watch.times_s, watch.rss_bytes, strict=True)
        if start_s + WARM_S < at_s < run.load_end_s
    ]
    slope, upper = slope_mb_per_h(*blocks(inside))
    say(f"soak: {slope:.1f} MB/h, at most {upper:.1f}")
    return Figure(
        name=NAME,
        title=TITLE,
        unit="MB/h",
        value=upper,
        direction="<=",
        limit=10,
        note=f"slope {slope:.2f} MB/h over means of {BLOCK_S} s, the first {WARM_S} s left out; "
        f"{inside[-1][1] / 1e6:.0f} MB at the end",
    )


def not_measured() -> Figure:
    """The row of the short mode."""
    return Figure(name=NAME, title=TITLE, unit="MB/h", value=None, direction="<=", limit=10, note="`make bench-full`")


def blocks(samples: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Means over stretches of BLOCK_S: samples a tenth of a second apart are not independent of each other."""
    times_s, values = np.array(samples, dtype=np.float64).T
    numbers = (times_s // BLOCK_S).astype(int)
    each = [numbers == number for number in np.unique(numbers)]
    return [float(times_s[one].mean()) for one in each], [float(values[one].mean()) for one in each]


def slope_mb_per_h(times_s: Sequence[float], rss_bytes: Sequence[float]) -> tuple[float, float]:
    """The least squares slope, and the upper end of its two-sided 95 % confidence interval."""
    hours, megabytes = np.array(times_s) / 3600, np.array(rss_bytes) / 1e6
    spread = ((hours - hours.mean()) ** 2).sum()
    slope = float(((hours - hours.mean()) * (megabytes - megabytes.mean())).sum() / spread)
    rest = megabytes - megabytes.mean() - slope * (hours - hours.mean())
    freedom = len(hours) - 2
    error = math.sqrt(float((rest**2).sum()) / freedom / spread)
    return slope, slope + error * _T95[max(known for known in _T95 if known <= freedom)]
