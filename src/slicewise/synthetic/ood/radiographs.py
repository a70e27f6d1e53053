"""X-ray pictures: shadows that add up. Chest, hand, knee and skull."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from slicewise.synthetic.ood.picture import Picture
from slicewise.synthetic.ood.sketch import Array, Point, Sketch, joined
from slicewise.synthetic.ood.tissue import radiograph


def chest_xray(rng: Generator) -> Picture:
    """From the front: lungs, ribs, collar bones, heart, diaphragm, spine."""
    sketch = Sketch(rng, aspect=float(rng.uniform(0.85, 1.1)), bend=0.03)
    body = joined(
        sketch.box((0.0, 0.4), (0.9, 1.2), 0.3), sketch.box((0.0, -1.0), (0.22, 0.5), 0.1)
    )
    sketch.add(0.5 + 0.03 * sketch.field(0.3), body, 0.1)
    lungs = [sketch.blob((side * 0.42, -0.08), (0.34, 0.68), 0.05) for side in (-1, 1)]
    for side, lung in zip((-1, 1), lungs, strict=True):
        floor = sketch.vary(0.42, 0.05) + 0.25 * (sketch.x - side * 0.4) ** 2
        sketch.add(-0.34, np.maximum(lung, sketch.y - floor), 0.05)
    vessels = 0.05 * np.maximum(sketch.field(0.07), 0) * np.exp(-3 * np.abs(sketch.x) ** 2)
    sketch.add(vessels, np.minimum(*lungs), 0.05)
    heart = sketch.blob(sketch.near((0.12, 0.22)), (sketch.vary(0.34), 0.34), 0.06, turn=0.4)
    sketch.add(0.26, heart, 0.04)
    sketch.add(0.16, sketch.rod([(0.0, -1.2), (0.0, 1.4)], [0.12, 0.15]), 0.03)
    for side in (-1, 1):
        _ribs(sketch, side)
        collar = [(side * 0.06, -0.66), (side * 0.4, -0.76), (side * 0.8, -0.84)]
        _bone_shadow(sketch, sketch.rod(collar, [0.045, 0.035, 0.04]), 0.16)
    _mark(sketch)
    return radiograph(sketch)


def _ribs(sketch: Sketch, side: int) -> None:
    for k in range(9):
        y = -0.72 + 0.14 * k
        reach = 0.55 + 0.2 * min(k, 4) / 4
        back = [(side * 0.08, y), (side * reach * 0.7, y + 0.0), (side * reach, y + 0.12)]
        front = [(side * reach, y + 0.12), (side * reach * 0.55, y + 0.34)]
        _bone_shadow(sketch, sketch.rod(back, [0.035] * 3), 0.14)
        _bone_shadow(sketch, sketch.rod(front, [0.032] * 2), 0.09)


def hand_xray(rng: Generator) -> Picture:
    """From the front: finger bones with bright rinds in a haze of soft tissue."""
    sketch = Sketch(rng, aspect=float(rng.uniform(0.65, 0.95)), bend=0.04)
    spread = sketch.vary(1.0, 0.15)
    fingers = [_finger(sketch, k, spread) for k in range(5)]
    palm = sketch.blob((0.0, 0.38), (0.42, 0.4), 0.04)
    flesh = [sketch.rod(stations, [0.12, 0.1, 0.095, 0.08, 0.05]) for stations in fingers]
    arm = sketch.rod([(0.0, 0.6), (0.0, 1.4)], [0.3, 0.3])
    sketch.add(0.22 + 0.01 * sketch.field(0.3), joined(palm, arm, *flesh, rounding=0.08), 0.03)
    for stations in fingers:
        for (ax, ay), (bx, by) in pairwise(stations):
            gap = 0.1
            start = (ax + (bx - ax) * gap, ay + (by - ay) * gap)
            end = (bx + (ax - bx) * gap, by + (ay - by) * gap)
            middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
            _bone_shadow(sketch, sketch.rod([start, middle, end], [0.055, 0.038, 0.05]), 0.3)
    for k in range(8):
        place = sketch.near(((k % 4 - 1.5) * 0.15, 0.66 + 0.15 * (k // 4)), 0.02)
        _bone_shadow(sketch, sketch.blob(place, (0.085, 0.08), 0.1), 0.3)
    for x, size in ((-0.12, 0.13), (0.16, 0.08)):
        _bone_shadow(sketch, sketch.rod([(x, 1.0), (x, 1.5)], [size, size * 0.8]), 0.35)
    _mark(sketch)
    return radiograph(sketch)


def _finger(sketch: Sketch, number: int, spread: float) -> list[Point]:
    """Joints from the wrist to the tip; the first is the thumb."""
    angle = spread * (0.85, 0.22, 0.02, -0.16, -0.34)[number] + float(sketch.rng.normal(0, 0.03))
    lengths = ((0.32, 0.28, 0.2, 0.1), (0.5, 0.33, 0.2, 0.12), (0.5, 0.37, 0.23, 0.13),
               (0.46, 0.34, 0.22, 0.12), (0.42, 0.27, 0.16, 0.1))[number]  # fmt: skip
    x, y = (0.24, 0.12, 0.03, -0.08, -0.18)[number], 0.55
    points = [(x, y)]
    for length in lengths:
        x, y = x + length * np.sin(angle), y - length * np.cos(angle)
        points.append((float(x), float(y)))
        angle *= 0.85
    return points


def knee_xray(rng: Generator) -> Picture:
    """From the front: thigh bone, shin bones and the joint between them."""
    sketch = Sketch(rng, aspect=float(rng.uniform(0.6, 1.0)), bend=0.04)
    leg = sketch.rod([(0.0, -1.4), (0.0, 0.0), (0.02, 1.4)], [0.62, 0.52, 0.5])
    sketch.add(0.25 + 0.02 * sketch.field(0.3), leg, 0.05)
    femur = joined(
        sketch.rod([(0.0, -1.5), (0.0, -0.4)], [0.17, 0.2]),
        sketch.ellipse((-0.2, -0.2), (0.2, 0.19)),
        sketch.ellipse((0.2, -0.2), (0.2, 0.19)),
        rounding=0.3,
    )
    tibia = joined(
        sketch.box((0.0, 0.12), (sketch.vary(0.38, 0.05), 0.1), 0.06),
        sketch.rod([(0.0, 0.3), (0.02, 1.5)], [0.22, 0.15]),
        rounding=0.3,
    )
    fibula = sketch.rod([(0.36, 0.3), (0.38, 1.5)], [0.08, 0.06])
    for bone in (femur, tibia, fibula):
        _bone_shadow(sketch, bone, 0.42)
    sketch.add(0.1, sketch.ellipse(sketch.near((0.0, -0.35), 0.04), (0.19, 0.2)), 0.05)
    _mark(sketch)
    return radiograph(sketch)


def skull_xray(rng: Generator) -> Picture:
    """From the side: vault with its two tables, base, face, jaw and neck."""
    sketch = Sketch(rng, aspect=float(rng.uniform(0.9, 1.1)), bend=0.03)
    vault = sketch.blob((0.08, -0.15), (sketch.vary(0.76, 0.05), 0.64), 0.03)
    face = sketch.box((-0.5, 0.35), (0.26, 0.42), 0.15)
    neck = sketch.rod([(0.25, 0.5), (0.35, 1.4)], [0.38, 0.36])
    sketch.add(0.2, joined(vault - 0.08, face - 0.06, neck, rounding=0.2), 0.03)
    sketch.add(0.22 + 0.03 * sketch.field(0.25), vault, 0.03)
    sketch.add(0.4, np.abs(vault + 0.04) - 0.03, 0.02)
    sketch.add(0.32 + 0.08 * sketch.field(0.08), sketch.blob((0.1, 0.32), (0.34, 0.14), 0.15), 0.06)
    sketch.add(0.24 + 0.08 * sketch.field(0.1), face, 0.06)
    for center, radii in (((-0.62, 0.1), (0.12, 0.11)), ((-0.46, 0.34), (0.15, 0.13))):
        sketch.add(-0.2, sketch.blob(center, radii, 0.08), 0.03)
    jaw = sketch.rod([(-0.02, 0.3), (-0.04, 0.72), (-0.66, 0.9)], [0.08, 0.1, 0.09])
    _bone_shadow(sketch, jaw, 0.25)
    for k in range(5):
        sketch.add(0.25, sketch.box((-0.7 + 0.1 * k, 0.66), (0.03, 0.09), 0.02), 0.015)
        _bone_shadow(sketch, sketch.box((0.26 + 0.03 * k, 0.6 + 0.16 * k), (0.11, 0.06), 0.03), 0.2)
    _mark(sketch)
    return radiograph(sketch)


def _bone_shadow(sketch: Sketch, bone: Array, strength: float) -> None:
    """A bone in projection: its rind is brighter than its middle, its sponge is structured."""
    sponge = 1 + 0.08 * sketch.field(0.05)
    sketch.add(0.6 * strength * sponge, bone, 0.015)
    sketch.add(0.4 * strength, np.abs(bone + 0.018) - 0.018, 0.012)


def _mark(sketch: Sketch) -> None:
    """The letter of the side, in some pictures."""
    if sketch.rng.random() < 0.5:
        ink = Image.new("F", (sketch.shape[1], sketch.shape[0]))
        place = (sketch.shape[1] * sketch.rng.choice([0.06, 0.86]), sketch.shape[0] * 0.06)
        font = ImageFont.load_default(sketch.shape[0] // 10)
        ImageDraw.Draw(ink).text(place, str(sketch.rng.choice(["L", "R"])), fill=1.0, font=font)
        np.maximum(sketch.image, np.asarray(ink) * sketch.image.max(), out=sketch.image)
