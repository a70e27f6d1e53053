"""Other medical pictures: ultrasound, vessel maps, scintigrams, the back of the eye, cells."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from slicewise.synthetic.ood.picture import (
    Picture,
    draw_side,
    fitted,
    saved,
    saved_in_colour,
    to_bytes,
)
from slicewise.synthetic.ood.sketch import Array, Point, Sketch, coverage


def ultrasound(rng: Generator) -> Picture:
    """A fan or a rectangle of speckle with layers, dark cysts, shadows and a depth scale."""
    sketch = Sketch(rng, side=224, aspect=float(rng.uniform(0.9, 1.35)), bend=0.06)
    layers = 0.45 + 0.16 * sketch.field(0.3) + 0.1 * np.sin(14 * sketch.y + sketch.field(0.5))
    sketch.image += layers.astype(np.float32)
    for _ in range(int(rng.integers(1, 5))):
        place = tuple(rng.uniform(-0.6, 0.6, 2))
        cyst = sketch.blob(place, (sketch.vary(0.2, 0.4), sketch.vary(0.14, 0.4)), 0.12)
        sketch.paint(sketch.vary(0.8), np.abs(cyst) - 0.01, 0.02)
        sketch.paint(rng.choice([0.06, 0.15, 0.75]), cyst + 0.01, 0.03)
        below = np.maximum(np.abs(sketch.x - place[0]) - 0.1, place[1] - sketch.y)
        sketch.add(rng.uniform(-0.25, 0.2), below.astype(np.float32), 0.06)
    grain = rng.rayleigh(0.8, sketch.shape).astype(np.float32)
    smeared = (grain + np.roll(grain, 1, 1) + np.roll(grain, 2, 1)) / 3
    image = sketch.image * smeared * np.exp(-0.4 * rng.random() * (sketch.y + 1))
    image = image * coverage(_field_of_view(sketch), 0.01)
    if rng.random() < 0.6:
        image[:: sketch.shape[0] // 12, -6:-1] = 0.8
    return saved(fitted(image, draw_side(rng)), rng)


def _field_of_view(sketch: Sketch) -> Array:
    if sketch.rng.random() < 0.25:
        return sketch.box((0.0, 0.05), (sketch.vary(0.75), 0.88), 0.0)
    radius, depth = sketch.rng.uniform(0.1, 0.6), sketch.rng.uniform(1.5, 1.8)
    top = -0.9 - radius
    reach = np.hypot(sketch.x, sketch.y - top)
    angle = np.abs(np.arctan2(sketch.x, sketch.y - top))
    bounds = (radius - reach, reach - radius - depth, angle - sketch.rng.uniform(0.45, 0.75))
    return np.asarray(np.maximum.reduce(bounds), dtype=np.float32)


def angiogram(rng: Generator) -> Picture:
    """A projection of branching vessels, bright on dark or dark on bright."""
    sketch = Sketch(rng, bend=0.12)
    for _ in range(int(rng.integers(2, 5))):
        start = (float(rng.uniform(-0.4, 0.4)), 1.05)
        _branch(sketch, start, float(rng.normal(0, 0.3)), sketch.vary(0.05), depth=6)
    image = sketch.image + 0.08 * sketch.field(0.4) + 0.05 * rng.standard_normal(sketch.shape)
    image = np.clip(0.12 + image, 0, 1.2) / 1.2
    return saved(fitted(image if rng.random() < 0.6 else 1 - image, draw_side(rng)), rng)


def _branch(sketch: Sketch, start: Point, angle: float, radius: float, depth: int) -> None:
    length = sketch.vary(0.36, 0.25)
    end = (start[0] + length * np.sin(angle), start[1] - length * np.cos(angle))
    sketch.add(0.3 + 4 * radius, sketch.rod([start, end], [radius, radius * 0.85]), 0.02)
    if depth > 1:
        for side in (-1, 1):
            turn = angle + side * abs(float(sketch.rng.normal(0.5, 0.2)))
            if depth > 3 or sketch.rng.random() < 0.6:
                _branch(sketch, end, turn, radius * 0.72, depth - 1)


def scintigram(rng: Generator) -> Picture:
    """A whole-body tracer picture: few counts, blurred, with hot spots; dark on white or not."""
    sketch = Sketch(rng, side=int(rng.integers(96, 160)), aspect=float(rng.uniform(0.4, 0.6)))
    parts = [
        sketch.ellipse((0.0, -0.78), (0.13, 0.15)),
        sketch.box((0.0, -0.2), (0.24, 0.42), 0.1),
        *(sketch.rod([(s * 0.12, 0.2), (s * 0.14, 0.95)], [0.1, 0.06]) for s in (-1, 1)),
        *(sketch.rod([(s * 0.26, -0.5), (s * 0.34, 0.25)], [0.07, 0.04]) for s in (-1, 1)),
    ]
    sketch.paint(sketch.vary(0.3), np.minimum.reduce(parts), 0.08)
    for _ in range(int(rng.integers(3, 12))):
        spot = tuple(rng.normal(0, (0.14, 0.4)))
        sketch.add(rng.uniform(0.2, 1.0), sketch.ellipse(spot, (sketch.vary(0.05, 0.5),) * 2), 0.06)
    counts = rng.poisson(np.clip(sketch.image, 0, None) * rng.uniform(8, 40)).astype(np.float32)
    share = counts / max(float(np.percentile(counts, 99.5)), 1.0)
    share = fitted(np.clip(share, 0, 1), draw_side(rng))
    return saved(1 - share if rng.random() < 0.6 else share, rng)


def fundus(rng: Generator) -> Picture:
    """The back of the eye in colour: an orange disc with vessels and the optic disc."""
    sketch = Sketch(rng, bend=0.1)
    for direction in (-1.9, -1.2, 1.2, 1.9):
        angle = direction + float(rng.normal(0, 0.15))
        _branch(sketch, (0.45, 0.0), angle, sketch.vary(0.022), depth=5)
    vessels = np.clip(sketch.image, 0, 0.6)
    disc = coverage(sketch.ellipse((0.48, 0.0), (0.13, 0.15)), 0.03)
    spot = np.exp(-(((sketch.x + 0.15) ** 2 + sketch.y**2) / 0.06))
    round_ = coverage(_disc(sketch), 0.02)
    tint = np.array([0.80, 0.40, 0.18]) * np.exp(rng.normal(0, 0.12, 3))
    light = 1 + 0.12 * sketch.field(0.7) + 0.03 * sketch.field(0.05) - 0.25 * spot
    planes = [
        (tint[k] * (light - (0.3, 0.8, 0.7)[k] * vessels) + (0.2, 0.45, 0.3)[k] * disc) * round_
        for k in range(3)
    ]
    return _coloured(np.stack(planes, axis=2), rng)


def _disc(sketch: Sketch) -> Array:
    """Distance to a true circle, which no bend of the plane touches."""
    y, x = np.mgrid[-1 : 1 : sketch.shape[0] * 1j, -1 : 1 : sketch.shape[1] * 1j]
    return np.asarray(np.hypot(x, y) - sketch.vary(0.93, 0.03), dtype=np.float32)


def cells(rng: Generator) -> Picture:
    """Stained tissue under a microscope: pink ground, purple nuclei."""
    sketch = Sketch(rng, side=160, bend=0.05)
    pink = 0.5 + 0.3 * sketch.field(0.08) + 0.2 * sketch.field(0.3)
    for _ in range(int(rng.integers(40, 90))):
        place = tuple(rng.uniform(-1, 1, 2))
        size = sketch.vary(0.05, 0.25)
        nucleus = sketch.ellipse(place, (size, sketch.vary(size, 0.2)), float(rng.uniform(0, 3)))
        sketch.paint(sketch.vary(0.8, 0.15), nucleus, 0.015)
    stain, nuclei = np.clip(pink, 0, 1)[..., None], np.clip(sketch.image, 0, 1)[..., None]
    light = np.exp(-stain * np.array([0.1, 0.5, 0.2]) - nuclei * np.array([0.7, 0.9, 0.35]))
    return _coloured(light + 0.02 * rng.standard_normal(light.shape), rng)


def _coloured(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], rng: Generator) -> Picture:
    side = draw_side(rng)
    planes = [fitted(np.clip(values[..., k], 0, 1), side) for k in range(3)]
    return saved_in_colour(to_bytes(np.stack(planes, axis=2)), rng)
