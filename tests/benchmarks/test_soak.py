"""The slope of a soak: what grows is seen to grow, what only wavers is not said to, and few points say little."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.figures.soak import blocks, slope_mb_per_h

MINUTES = np.arange(25) * 60.0


def test_a_steady_growth_is_its_slope():
    slope, upper = slope_mb_per_h(MINUTES, 200e6 + MINUTES / 3600 * 12e6)
    assert slope == pytest.approx(12)
    assert upper == pytest.approx(12)


def test_noise_widens_the_bound_and_not_the_slope():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        slope, upper = slope_mb_per_h(MINUTES, 200e6 + MINUTES / 3600 * 3e6 + rng.normal(0, 0.5e6, len(MINUTES)))
        assert upper > slope
        covered += upper >= 3
    assert 0.955 < covered / 400 < 0.995  # 97.5 % of upper ends of a two-sided 95 % interval


def test_samples_become_means_of_a_minute():
    times_s, values = blocks([(at_s, float(at_s >= 360)) for at_s in np.arange(300.0, 420.0, 0.5)])
    assert values == [0.0, 1.0]
    assert times_s == pytest.approx([329.75, 389.75])
