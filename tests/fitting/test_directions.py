from __future__ import annotations

import numpy as np

from slicewise.fitting.ood_fit import main_directions


def test_the_widest_come_first() -> None:
    rng = np.random.default_rng(0)
    spread = np.array([1.0, 5.0, 0.2])
    found = main_directions(rng.normal(size=(500, 3)) * spread, 2)
    np.testing.assert_allclose(np.abs(found), [[0, 1, 0], [1, 0, 0]], atol=0.05)
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-12)


def test_directions_without_spread_are_left_out() -> None:
    flat = np.random.default_rng(0).normal(size=(50, 2)) @ np.ones((2, 5))
    assert main_directions(flat - flat.mean(axis=0), 4).shape == (1, 5)
