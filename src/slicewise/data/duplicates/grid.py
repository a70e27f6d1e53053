"""Blur and interpolation on stacks of small square grids, as matrix products."""

from __future__ import annotations

import numpy as np

from slicewise.arrays import Array


def blur(images: Array, sigma: float) -> Array:
    """Gaussian blur; weights are renormalised at the edges.

    Args:
        images: (N, S, S) float32.
        sigma: Standard deviation, grid steps.
    """
    steps = np.arange(images.shape[-1])
    kernel = np.exp(-0.5 * ((steps[:, None] - steps[None]) / sigma) ** 2)
    kernel = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    return np.asarray(kernel @ images @ kernel.T, dtype=np.float32)


def interpolation(positions: Array, side: int, reach: Array) -> Array:
    """Weights of a triangle filter; each row sums to one.

    Args:
        positions: (N, M) where to sample, in grid steps; expected within [0, side - 1].
        side: Number of grid points.
        reach: (N,) half width of the triangle in grid steps: 1 interpolates linearly, more also
            averages, which keeps detail from aliasing when the result is coarser.

    Returns:
        (N, M, side) float32.
    """
    distance = np.abs(positions[:, :, None] - np.arange(side, dtype=np.float32))
    weights = np.maximum(1 - distance / reach[:, None, None], 0)
    total = weights.sum(axis=2, keepdims=True)
    return np.asarray(weights / np.maximum(total, 1e-6), dtype=np.float32)
