"""What "stable lag" lets pass and stops, on lags recorded on labs: the table of docs/criteria.md.

    python -m tests.trend_calibration

`tests/checks/recorded_lags.json` has the lag of each second of a minute at 1000 records/s: of runs in which MM2 kept
up, and of runs in which it did not (a quota on the target; MM2 stopped). Longer loads are made of ten-second blocks of
one stable run, drawn at random, so that neighbours stay as alike as they were; a slope is then added to them.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from checks.trend import WARM_UP_LEAST_S, WARM_UP_SHARE, trend_of
from checks.verdict import Verdict, judge_interval
from scenarios.conditions import Interval

RECORDED = Path(__file__).parent / "checks" / "recorded_lags.json"
#: records/s; that of phase2_nominal's criterion `lag_growth`.
TOLERANCE = 1.0
BLOCK_S = 10
DURATIONS_S = (60, 300, 900, 1800)
SLOPES = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
DRAWS = 400

Floats = NDArray[np.float64]


def recorded() -> dict[str, dict[str, Floats]]:
    """stable, growing → run → lag at each second of the load."""
    content = json.loads(RECORDED.read_text(encoding="utf-8"))
    return {kind: {run: np.array(lags, dtype=float) for run, lags in runs.items()} for kind, runs in content.items()}


def verdict_of(lag: Floats, tolerance: float = TOLERANCE) -> Verdict:
    """As `backlog.growth` and its criterion come to it."""
    times_s = np.arange(len(lag), dtype=float)
    steady = times_s >= max(WARM_UP_LEAST_S, WARM_UP_SHARE * times_s[-1])
    interval = trend_of(times_s[steady], lag[steady]).interval
    return judge_interval(*interval, Interval(high=tolerance, high_open=False), Interval(low=tolerance))


def drawn(lag: Floats, duration_s: int, generator: np.random.Generator) -> Floats:
    """A stable lag of that length, of blocks of a recorded one after its warm-up."""
    steady = lag[int(WARM_UP_LEAST_S) :]
    starts = generator.integers(0, len(steady) - BLOCK_S + 1, duration_s // BLOCK_S)
    return np.concatenate([steady[start : start + BLOCK_S] for start in starts])


def shares(duration_s: int, slope: float, *, draws: int = DRAWS, seed: int = 1) -> dict[Verdict, float]:
    """How often each verdict comes out, in %, of lags that grow by `slope` records/s."""
    generator = np.random.default_rng(seed)
    stable = list(recorded()["stable"].values())
    found: Counter[Verdict] = Counter()
    for number in range(draws):
        lag = drawn(stable[number % len(stable)], duration_s, generator)
        found[verdict_of(lag + slope * np.arange(len(lag)))] += 1
    return {verdict: 100 * found[verdict] / draws for verdict in (Verdict.GO, Verdict.GREY, Verdict.NOGO)}


def table() -> str:
    """GO / GREY / NOGO in %, by duration and slope."""
    head = "| load | " + " | ".join("stable" if not slope else f"+{slope:g} records/s" for slope in SLOPES) + " |"
    lines = [head, "|---|" + "---|" * len(SLOPES)]
    for duration_s in DURATIONS_S:
        cells = [" / ".join(f"{share:.0f}" for share in shares(duration_s, slope).values()) for slope in SLOPES]
        lines.append(f"| {duration_s / 60:g} min | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
