"""Is a series stable or growing? A slope with its confidence interval, from medians of blocks. Pure.

Lag is strongly autocorrelated, so tests that ask "is there any trend" say yes of every second stable run. Asked
instead is whether the slope lies, with its whole confidence interval, inside a tolerance. Medians of a few blocks take
most of the autocorrelation away; the Theil–Sen slope (the median of all pairs' slopes) bears what is left of outliers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from checks.series import Floats

BLOCKS = 10
CONFIDENCE = 0.90
#: What MM2 needs to warm up is no trend: this share of the load is left out, at least that many seconds of it.
WARM_UP_SHARE = 0.1
WARM_UP_LEAST_S = 10.0
#: Blocks at each end whose values are taken together for the balance.
BALANCE_BLOCKS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """The slope in units per second, and its 90 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The slope; the balance, which is the change from the first blocks to the last per second; both ends' medians."""

    slope: Slope
    balance: float
    start: float
    end: float

    @property
    def interval(self) -> tuple[float, float]:
        """From the lowest to the highest of what both signals allow: only if they agree can all of it lie in a zone."""
        return min(self.slope.low, self.balance), max(self.slope.high, self.balance)


def trend_of(times_s: Floats, values: Floats) -> Trend:
    """The trend of a series of at least `BLOCKS` points, the warm-up already left out."""
    if len(times_s) < BLOCKS:
        raise ValueError(f"{len(times_s)} points do not fill {BLOCKS} blocks")
    times, blocks = np.array_split(times_s, BLOCKS), np.array_split(values, BLOCKS)
    slope = theil_sen(np.array([part.mean() for part in times]), np.array([np.median(part) for part in blocks]))
    start, end = np.concatenate(blocks[:BALANCE_BLOCKS]), np.concatenate(blocks[-BALANCE_BLOCKS:])
    apart_s = np.concatenate(times[-BALANCE_BLOCKS:]).mean() - np.concatenate(times[:BALANCE_BLOCKS]).mean()
    start_median, end_median = float(np.median(start)), float(np.median(end))
    return Trend(
        slope=slope,
        balance=float((end_median - start_median) / apart_s),
        start=start_median,
        end=end_median,
    )


def theil_sen(x: Floats, y: Floats, *, confidence: float = CONFIDENCE) -> Slope:
    """The median of the slopes of all pairs of points, and Sen's confidence interval for it.

    Sen (1968): Kendall's S of n points without trend has variance n(n−1)(2n+5)/18, less the same sum over groups of
    equal y; the interval is bounded by the slopes of that rank. `x` ascends, no two alike.
    """
    earlier, later = np.triu_indices(len(x), k=1)
    slopes = np.sort((y[later] - y[earlier]) / (x[later] - x[earlier]))
    count = len(x)
    _, ties = np.unique(y, return_counts=True)
    variance = (_kendall(count) - sum(_kendall(int(k)) for k in ties)) / 18
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(max(variance, 0.0))
    low = max(round((len(slopes) - reach) / 2) - 1, 0)
    high = min(round((len(slopes) + reach) / 2), len(slopes) - 1)
    return Slope(value=float(np.median(slopes)), low=float(slopes[low]), high=float(slopes[high]))


def _kendall(n: int) -> int:
    return n * (n - 1) * (2 * n + 5)
