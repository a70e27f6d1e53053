"""Surfaces without an object: cells, stripes, marble, tiles."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from slicewise.synthetic.ood.picture import Picture, draw_side, fitted, saved
from slicewise.synthetic.ood.sketch import Sketch


def voronoi(rng: Generator) -> Picture:
    """Regions nearest to random points, each of one grey, with or without drawn borders."""
    sketch = _surface(rng)
    places = rng.uniform(-1.2, 1.2, (int(rng.integers(8, 45)), 2))
    distances = np.stack([np.hypot(sketch.x - x, sketch.y - y) for x, y in places])
    values = rng.random(len(places))[distances.argmin(axis=0)]
    nearest = np.partition(distances, 1, axis=0)
    border = nearest[1] - nearest[0] < rng.choice([0.0, 0.02, 0.05])
    return _finished(sketch, np.where(border, rng.choice([0.0, 1.0]), values))


def stripes(rng: Generator) -> Picture:
    """Parallel, crossed or ring-shaped bars, sharp or soft."""
    sketch = _surface(rng)
    angle, rate = rng.uniform(0, np.pi), rng.uniform(8, 60)
    along = sketch.x * np.cos(angle) + sketch.y * np.sin(angle)
    across = sketch.y * np.cos(angle) - sketch.x * np.sin(angle)
    shape = rng.integers(3)
    if shape == 2:
        along = np.hypot(sketch.x - rng.uniform(-1, 1), sketch.y - rng.uniform(-1, 1))
    wave = np.sin(rate * along)
    if shape == 1:
        wave = wave + np.sin(rate * rng.uniform(0.5, 2) * across)
    return _finished(sketch, 0.5 + 0.5 * np.tanh(rng.uniform(0.5, 6) * wave))


def marble(rng: Generator) -> Picture:
    """Veins: a sine of a direction bent by turbulence, as Perlin (1985) draws marble."""
    sketch = _surface(rng)
    turbulence = sum(np.abs(sketch.field(0.8 / 2**k)) / 2**k for k in range(4))
    wave = np.sin(rng.uniform(2, 8) * sketch.x + rng.uniform(1.5, 5) * turbulence)
    return _finished(sketch, (0.5 + 0.5 * wave) ** rng.uniform(0.6, 2.0))


def tiles(rng: Generator) -> Picture:
    """Bricks or a chessboard, each piece of its own grey and grain."""
    sketch = _surface(rng)
    height, ratio = rng.uniform(0.12, 0.5), rng.choice([1.0, 1.0, 2.0, 2.6])
    row = np.floor((sketch.y + 2) / height)
    offset = 0.5 * (row % 2) if ratio > 1 else 0.0
    place = (sketch.x + 2) / (height * ratio) + offset
    column = np.floor(place)
    pieces = rng.random((64, 64))[row.astype(int) % 64, column.astype(int) % 64]
    if ratio == 1 and rng.random() < 0.5:
        pieces = 0.15 + 0.7 * ((row + column) % 2)
    joint = np.minimum((sketch.y + 2) / height - row, (place - column) * ratio) < 0.08
    values = np.where(joint, rng.choice([0.1, 0.9]), 0.3 + 0.5 * pieces)
    return _finished(sketch, values + 0.06 * sketch.field(0.05))


def _surface(rng: Generator) -> Sketch:
    return Sketch(rng, side=256, aspect=float(rng.uniform(0.8, 1.3)), bend=rng.uniform(0, 0.12))


def _finished(sketch: Sketch, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Picture:
    rng = sketch.rng
    low, high = rng.uniform(0, 0.3), rng.uniform(0.6, 1)
    image = low + (high - low) * values + rng.uniform(0, 0.04) * rng.standard_normal(sketch.shape)
    return saved(fitted(np.clip(image, 0, 1), draw_side(rng)), rng)
