"""How well two fingerprints agree in fine detail, after they have been laid upon each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slicewise.data.fingerprint import SIDE, blur

Array = NDArray[np.float32]

BLOCK = 8
_FINE_SIGMA = 2.0
_TEXTURE = 0.12
_FEWEST_BLOCKS = 12
_LOWER_QUARTILE = 25
_ROUNDS = ((2.5, 6), (1.2, 6))
"""Blur (grid steps) and number of Gauss-Newton steps, coarse to fine."""
_RIDGE = 1e-3
_SCALE_RANGE = (0.6, 1.6)


def agreement(first: Array, second: Array, valid: NDArray[np.bool_] | None = None) -> Array:
    """Lower quartile over 8 x 8 blocks of the correlation of fine detail.

    Copies agree in nearly every block that has texture. Neighbouring slices share the outline of
    the head but differ in folds and vessels, so a quarter of their blocks or more disagree.

    Args:
        first: (P, 64, 64) local contrast.
        second: (P, 64, 64) local contrast, laid upon `first`.
        valid: (P, 64, 64), where `second` has values; everywhere if not given.

    Returns:
        (P,) in [-1, 1]; 0 where fewer than 12 blocks have texture in both.
    """
    a, b = _blocks(first - blur(first, _FINE_SIGMA)), _blocks(second - blur(second, _FINE_SIGMA))
    a, b = a - a.mean(axis=2, keepdims=True), b - b.mean(axis=2, keepdims=True)
    power_a, power_b = (a * a).mean(axis=2), (b * b).mean(axis=2)
    floor = _TEXTURE**2
    correlation = (a * b).mean(axis=2) / np.sqrt((power_a + floor) * (power_b + floor))
    used = (np.minimum(power_a, power_b) > floor) & (np.maximum(power_a, power_b) > 4 * floor)
    if valid is not None:
        used &= _blocks(valid.astype(np.float32)).min(axis=2) > 0
    values = np.where(used, correlation, np.nan)
    values[used.sum(axis=1) < _FEWEST_BLOCKS] = 0.0
    return np.asarray(np.nanpercentile(values, _LOWER_QUARTILE, axis=1), dtype=np.float32)


def align(first: Array, second: Array, boxes_first: Array, boxes_second: Array) -> Array:
    """Scale and shift that lay `second` upon `first`, refined from their heads.

    Gauss-Newton on the squared difference (Lucas and Kanade 1981), four parameters.

    Args:
        first: (P, 64, 64) local contrast.
        second: (P, 64, 64) local contrast.
        boxes_first: (P, 4) left, top, right, bottom of the head, shares of the sides.
        boxes_second: (P, 4) likewise.

    Returns:
        (P, 4): a, b, c, d so that column x, row y of `first` lies at a*x + b, c*y + d of `second`.
    """
    warp = _between(boxes_first, boxes_second)
    start = warp.copy()
    for sigma, steps in _ROUNDS:
        target, source = blur(first, sigma), blur(second, sigma)
        for _ in range(steps):
            warp = warp + _step(target, source, warp)
            lost = ~((warp[:, ::2] > _SCALE_RANGE[0]) & (warp[:, ::2] < _SCALE_RANGE[1])).all(axis=1)
            warp[lost] = start[lost]
    return warp


def sample(images: Array, warp: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Images at the warped grid (bilinear), and which grid points fall inside.

    Args:
        images: (P, 64, 64).
        warp: (P, 4) as from `align`.
    """
    grid = np.arange(SIDE, dtype=np.float32)
    x, y = warp[:, :1] * grid + warp[:, 1:2], warp[:, 2:3] * grid + warp[:, 3:4]
    columns, rows = _hat(x), _hat(y)
    inside_x, inside_y = (x >= 0) & (x <= SIDE - 1), (y >= 0) & (y <= SIDE - 1)
    values = rows @ images @ columns.transpose(0, 2, 1)
    return values.astype(np.float32), inside_y[:, :, None] & inside_x[:, None, :]


def _hat(positions: Array) -> Array:
    """(P, 64, 64) linear interpolation weights of each position over the grid points."""
    clipped = np.clip(positions, 0, SIDE - 1)
    distance = np.abs(clipped[:, :, None] - np.arange(SIDE, dtype=np.float32))
    return np.asarray(np.maximum(1 - distance, 0), dtype=np.float32)


def _between(boxes_first: Array, boxes_second: Array) -> Array:
    first, second = boxes_first.astype("f4") * SIDE - 0.5, boxes_second.astype("f4") * SIDE - 0.5
    scale = (second[:, 2:] - second[:, :2]) / (first[:, 2:] - first[:, :2])
    scale = np.clip(scale, 0.65, 1.55)
    shift = (second[:, :2] + second[:, 2:]) / 2 - scale * (first[:, :2] + first[:, 2:]) / 2
    return np.stack([scale[:, 0], shift[:, 0], scale[:, 1], shift[:, 1]], axis=1)


def _step(target: Array, source: Array, warp: Array) -> Array:
    values, inside = sample(source, warp)
    dy, dx = np.gradient(values, axis=(1, 2))
    # The gradient is taken on the warped picture; divide by the scale to get it in the source.
    dx, dy = dx / warp[:, 0, None, None], dy / warp[:, 2, None, None]
    grid = np.arange(SIDE, dtype=np.float32)
    jacobian = np.stack([dx * grid, dx, dy * grid[:, None], dy], axis=1) * inside[:, None]
    jacobian = jacobian.reshape(len(values), 4, -1)
    residual = ((target - values) * inside).reshape(len(values), -1, 1)
    normal = jacobian @ jacobian.transpose(0, 2, 1)
    trace = np.einsum("pii->pi", normal)
    normal = normal + np.einsum("pi,ij->pij", trace * _RIDGE + 1e-6, np.eye(4, dtype=np.float32))
    return np.asarray(np.linalg.solve(normal, jacobian @ residual)[..., 0], dtype=np.float32)


def _blocks(images: Array) -> Array:
    n, per_side = len(images), SIDE // BLOCK
    cut = images.reshape(n, per_side, BLOCK, per_side, BLOCK)
    return cut.transpose(0, 1, 3, 2, 4).reshape(n, per_side * per_side, BLOCK * BLOCK)
