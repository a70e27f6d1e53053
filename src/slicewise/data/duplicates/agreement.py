"""How well two fingerprints agree in fine detail, once they are laid upon each other."""

from __future__ import annotations

import numpy as np

from slicewise.arrays import Array, Bools
from slicewise.data.duplicates.fingerprint import SIDE, Fingerprints, blur, interpolation

SAME_AGREEMENT = 0.75
"""No two slices of Figshare folds 1 and 2 are joined; docs/data.md tells how it was chosen."""
_WORTH_REFINING = 0.2

_BLOCK = 8
_PER_SIDE = SIDE // _BLOCK
_FINE_SIGMA = 2.0
_TEXTURE = 0.2
_FLOOR = 0.05
_FEWEST_BLOCKS = 8
_LOWER_QUARTILE = 25
_INNER_RADIUS = 0.73
"""Of the inner part of the coded region, whose half side is one. The rim is alike in all heads."""

_ROUNDS = ((2.0, 5), (1.0, 5))
"""Blur (grid steps) and number of Gauss-Newton steps, coarse to fine."""
_LARGEST_RESCALE = 1.4
_DAMPING = 1e-3


def verified(one: Fingerprints, two: Fingerprints, pose: tuple[int, int], by_head: Bools) -> Array:
    """(P,) agreement of P pairs, refined where it is worth it.

    The first of each is turned by `pose` (row and column direction); where (P,) `by_head` says so,
    heads are laid upon each other, or else whole pictures.
    """
    down, across = pose
    first, second = one.contrast()[:, ::down, ::across], two.contrast()
    left, top, right, bottom = one.boxes.astype(np.float32).T
    if across < 0:
        left, right = 1 - right, 1 - left
    if down < 0:
        top, bottom = 1 - bottom, 1 - top
    turned = np.stack([left, top, right, bottom], axis=1)
    warp = same_picture(turned, two.boxes.astype(np.float32))
    warp[by_head] = same_head(int(by_head.sum()))
    scores = agreement(first, *laid_upon(second, warp))
    again = np.flatnonzero((scores < SAME_AGREEMENT) & (scores > _WORTH_REFINING))
    if len(again):
        better = refine(first[again], second[again], warp[again])
        refined = agreement(first[again], *laid_upon(second[again], better))
        scores[again] = np.maximum(scores[again], refined)
    return scores


def agreement(first: Array, second: Array, valid: Bools) -> Array:
    """Lower quartile, over the blocks inside the head, of the correlation of fine detail.

    Copies agree in nearly every block that has texture. Neighbouring slices share the outline of
    the head but differ in folds and vessels, so a quarter of their blocks or more disagree.

    Takes (P, 56, 56) local contrast, the second laid upon the first, and where it has values. Gives
    (P,) in [-1, 1]; 0 where fewer than 8 blocks have texture in both.
    """
    one, two = (_blocks(images - blur(images, _FINE_SIGMA)) for images in (first, second))
    one, two = (cut - cut.mean(axis=2, keepdims=True) for cut in (one, two))
    power_one, power_two = (one * one).mean(axis=2), (two * two).mean(axis=2)
    correlation = (one * two).mean(axis=2) / np.sqrt(
        (power_one + _FLOOR**2) * (power_two + _FLOOR**2)
    )
    centres = (np.arange(_PER_SIDE) + 0.5) / _PER_SIDE * 2 - 1
    inner = (centres[:, None] ** 2 + centres[None] ** 2).ravel() < _INNER_RADIUS**2
    used = (np.minimum(power_one, power_two) > _TEXTURE**2) & inner
    used &= _blocks(valid.astype(np.float32)).mean(axis=2) > 0.9
    values = np.where(used, correlation, np.nan)
    values[used.sum(axis=1) < _FEWEST_BLOCKS] = 0.0
    return np.asarray(np.nanpercentile(values, _LOWER_QUARTILE, axis=1), dtype=np.float32)


def same_picture(boxes_first: Array, boxes_second: Array) -> Array:
    """The warp of two uncropped copies: equal places in the picture lie upon each other.

    Takes (P, 4) left, top, right, bottom of the coded regions, shares of the sides. Gives (P, 4) a,
    b, c, d: column x, row y of the first code lies at column a*x + b, row c*y + d of the second.
    """
    step_first = (boxes_first[:, 2:] - boxes_first[:, :2]) / SIDE
    step_second = (boxes_second[:, 2:] - boxes_second[:, :2]) / SIDE
    scale = step_first / step_second
    shift = (boxes_first[:, :2] + step_first / 2 - boxes_second[:, :2]) / step_second - 0.5
    warp = np.stack([scale[:, 0], shift[:, 0], scale[:, 1], shift[:, 1]], axis=1)
    return warp.astype(np.float32)


def same_head(count: int) -> Array:
    """The warp of copies cropped or padded differently: head upon head. Shape (count, 4)."""
    return np.tile(np.array([1, 0, 1, 0], dtype=np.float32), (count, 1))


def refine(first: Array, second: Array, start: Array) -> Array:
    """Scales and shifts that lay `second` upon `first` best, near `start`.

    Gauss-Newton on the squared difference (Lucas and Kanade 1981). A pair that drifts off to
    another scale keeps its start.

    Takes (P, 56, 56) local contrast and (P, 4) from `same_picture` or `same_head`.
    """
    warp = start.copy()
    for sigma, steps in _ROUNDS:
        target, source = blur(first, sigma), blur(second, sigma)
        for _ in range(steps):
            warp = warp + _gauss_newton_step(target, source, warp)
            change = np.abs(np.log(np.maximum(warp[:, ::2], 1e-3) / start[:, ::2])).max(axis=1)
            drifted = change > np.log(_LARGEST_RESCALE)
            warp[drifted] = start[drifted]
    return warp


def laid_upon(images: Array, warp: Array) -> tuple[Array, Bools]:
    """Images sampled at the warped grid (bilinear), and which grid points fall inside.

    Takes (P, 56, 56) float32 and (P, 4) as from `refine`.
    """
    grid = np.arange(SIDE, dtype=np.float32)
    x, y = warp[:, :1] * grid + warp[:, 1:2], warp[:, 2:3] * grid + warp[:, 3:4]
    step = np.ones(len(warp), dtype=np.float32)
    columns, rows = (interpolation(np.clip(at, 0, SIDE - 1), SIDE, step) for at in (x, y))
    values = rows @ images @ columns.transpose(0, 2, 1)
    across, down = ((at >= -0.5) & (at <= SIDE - 0.5) for at in (x, y))
    return np.asarray(values, dtype=np.float32), down[:, :, None] & across[:, None, :]


def _gauss_newton_step(target: Array, source: Array, warp: Array) -> Array:
    values, inside = laid_upon(source, warp)
    slope_y, slope_x = np.gradient(values, axis=(1, 2))
    # Slopes are taken on the warped picture; the division brings them to the source's steps.
    slope_x, slope_y = slope_x / warp[:, 0, None, None], slope_y / warp[:, 2, None, None]
    grid = np.arange(SIDE, dtype=np.float32)
    parts = np.stack([slope_x * grid, slope_x, slope_y * grid[:, None], slope_y], axis=1)
    jacobian = (parts * inside[:, None]).reshape(len(values), 4, -1)
    residual = ((target - values) * inside).reshape(len(values), -1, 1)
    normal = jacobian @ jacobian.transpose(0, 2, 1)
    damping = np.einsum("pii->pi", normal) * _DAMPING + 1e-6
    normal = normal + damping[:, :, None] * np.eye(4, dtype=np.float32)
    return np.asarray(np.linalg.solve(normal, jacobian @ residual)[..., 0], dtype=np.float32)


def _blocks(images: Array) -> Array:
    cut = images.reshape(-1, _PER_SIDE, _BLOCK, _PER_SIDE, _BLOCK)
    return cut.transpose(0, 1, 3, 2, 4).reshape(-1, _PER_SIDE**2, _BLOCK**2)
