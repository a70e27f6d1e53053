"""MR of limbs: knee, thigh, wrist and ankle, drawn with random anatomy."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from slicewise.synthetic.ood.picture import Picture
from slicewise.synthetic.ood.sketch import Array, Point, Sketch, joined
from slicewise.synthetic.ood.tissue import MR_SCANS, Tissues, draw_tissues, mr_scan

_RIND = 0.022
"""Thickness of compact bone, in half heights of the picture."""


def knee(rng: Generator) -> Picture:
    """A sagittal knee: femur, tibia, patella, cartilage, menisci, ligaments, muscle and fat."""
    sketch, signal = Sketch(rng, aspect=float(rng.uniform(0.75, 1.05))), draw_tissues(rng, MR_SCANS)
    leg = _knee_outline(sketch)
    _flesh(sketch, signal, leg, fat=sketch.vary(0.09, 0.4))
    condyle = sketch.blob(sketch.near((0.02, -0.12)), (sketch.vary(0.42, 0.06), 0.33), 0.03)
    femur = joined(condyle, sketch.rod([(0.06, -0.3), (0.1, -1.4)], [0.22, 0.2]))
    head = sketch.box(sketch.near((0.05, 0.36), 0.02), (sketch.vary(0.42, 0.06), 0.15), 0.1)
    tibia = joined(head, sketch.rod([(0.05, 0.5), (0.12, 1.4)], [0.27, 0.19]), rounding=0.25)
    sketch.paint(signal["fat"], sketch.blob((-0.46, 0.1), (0.16, 0.24), 0.1))
    sketch.paint(signal["cartilage"], np.maximum(femur - 0.055, sketch.y * -1 - 0.18))
    for bone in (femur, tibia):
        _bone(sketch, signal, bone)
    for across in (-0.27, 0.3):
        meniscus = sketch.ellipse(sketch.near((across, 0.195), 0.015), (0.13, 0.035))
        sketch.paint(signal["tendon"], meniscus)
    for top, end in (((0.1, 0.12), (0.26, 0.24)), ((0.12, 0.12), (-0.12, 0.24))):
        sketch.paint(signal["tendon"], sketch.rod([sketch.near(top), end], [0.03, 0.035]), 0.03)
    _patella(sketch, signal)
    if rng.random() < 0.4:
        sketch.paint(signal["fluid"], sketch.blob((-0.4, -0.42), (0.07, 0.2), 0.2), 0.03)
    return mr_scan(sketch, 0.3)


def _knee_outline(sketch: Sketch) -> Array:
    width = sketch.vary(0.66, 0.05)
    return joined(
        sketch.rod([(0.06, -1.6), (0.06, -0.5)], [width, width]),
        sketch.ellipse((-0.02, 0.0), (width + 0.05, 0.7)),
        sketch.rod([(0.1, 0.4), (0.16, 1.6)], [width * 0.88, width * 0.85]),
        rounding=0.3,
    )


def _patella(sketch: Sketch, signal: Tissues) -> None:
    x, y = sketch.near((-0.56, -0.2), 0.03)
    tendons = sketch.rod([(x + 0.1, -1.3), (x, y - 0.15), (x, y + 0.15), (-0.34, 0.5)],
                         [0.05, 0.04, 0.04, 0.03])  # fmt: skip
    sketch.paint(signal["tendon"], tendons)
    cap = sketch.blob((x + 0.01, y), (0.1, 0.19), 0.05)
    sketch.paint(signal["cartilage"], cap - 0.03)
    _bone(sketch, signal, cap)


def thigh(rng: Generator) -> Picture:
    """An axial thigh or calf: fat round muscles parted by septa, one or two bones, vessels."""
    pair = rng.random() < 0.3
    sketch = Sketch(rng, aspect=1.7 if pair else float(rng.uniform(0.95, 1.2)))
    signal = draw_tissues(rng, MR_SCANS)
    for side in (-0.85, 0.85) if pair else (0.0,):
        _leg_section(sketch, signal, (side, 0.0))
    return mr_scan(sketch)


def _leg_section(sketch: Sketch, signal: Tissues, middle: Point) -> None:
    rng, (x, y) = sketch.rng, middle
    skin = sketch.blob(middle, (sketch.vary(0.76, 0.06), sketch.vary(0.8, 0.06)), 0.05)
    fat = sketch.vary(0.12, 0.4)
    _flesh(sketch, signal, skin, fat)
    septa = _septa(sketch, middle, cells=int(rng.integers(7, 13)))
    width = sketch.vary(0.012, 0.3)
    sketch.paint(signal["fat"], np.maximum(septa - width, skin + fat), 0.02)
    place = sketch.near((x, y - 0.05), 0.1)
    for number in range(int(rng.integers(1, 3))):
        bone = sketch.blob((place[0] + 0.33 * number, place[1] + 0.1 * number),
                           (sketch.vary(0.15 - 0.06 * number, 0.1),) * 2, 0.06)  # fmt: skip
        sketch.paint(signal["cortex"], bone - 0.02)
        sketch.paint(signal["marrow"], bone + sketch.vary(0.045, 0.2))
    for _ in range(int(rng.integers(2, 6))):
        vessel = sketch.ellipse(sketch.near((x, y + 0.1), 0.22), (sketch.vary(0.03, 0.3),) * 2)
        sketch.paint(signal["blood"], vessel)


def _septa(sketch: Sketch, middle: Point, cells: int) -> Array:
    """Distance to the borders between the regions nearest to random points (Voronoi)."""
    places = np.asarray(middle) + sketch.rng.uniform(-0.7, 0.7, (cells, 2))
    distances = np.stack([np.hypot(sketch.x - px, sketch.y - py) for px, py in places])
    nearest = np.partition(distances, 1, axis=0)
    return np.asarray((nearest[1] - nearest[0]) / 2, dtype=np.float32)


def wrist(rng: Generator) -> Picture:
    """A coronal wrist and hand: forearm bones, two rows of small bones, metacarpals."""
    sketch, signal = Sketch(rng, aspect=float(rng.uniform(0.65, 0.9))), draw_tissues(rng, MR_SCANS)
    spread = sketch.vary(0.135, 0.06)
    palm = joined(
        sketch.rod([(0.0, 1.4), (0.0, 0.5)], [0.4, 0.38]),
        sketch.rod([(0.0, 0.4), (0.0, -1.4)], [0.42, sketch.vary(0.54)]),
        rounding=0.3,
    )
    _flesh(sketch, signal, palm, fat=0.05)
    sketch.paint(signal["tendon"] + 0.1, sketch.rod([(-0.1, 1.2), (0.0, -0.2)], [0.05, 0.04]))
    radius = joined(
        sketch.box((-0.1, 0.6), (sketch.vary(0.2), 0.12), 0.06),
        sketch.rod([(-0.12, 0.7), (-0.14, 1.5)], [0.14, 0.12]),
        rounding=0.25,
    )
    ulna = sketch.rod([(0.24, 0.62), (0.25, 1.5)], [0.1, 0.08])
    bones = [radius, ulna]
    for row, y in enumerate((0.34, 0.08)):
        for k in range(4):
            place = sketch.near(((k - 1.5) * 0.185, y + 0.03 * (k % 2)), 0.015)
            bones.append(sketch.blob(place, (0.085, sketch.vary(0.11 - 0.01 * row)), 0.09))
    for k in range(5):
        x = (k - 2) * spread
        top = (x * 1.5, -0.75 if k else -0.4)
        bones.append(joined(
            sketch.rod([(x, -0.12), top], [0.065, 0.055]), sketch.ellipse(top, (0.08, 0.08))
        ))  # fmt: skip
        if k:
            bones.append(sketch.rod([(top[0], -0.98), (top[0] * 1.15, -1.5)], [0.07, 0.055]))
    for bone in bones:
        sketch.paint(signal["cartilage"], bone - 0.03)
    for bone in bones:
        _bone(sketch, signal, bone)
    return mr_scan(sketch, 0.4)


def ankle(rng: Generator) -> Picture:
    """A sagittal ankle and foot: tibia, talus, heel, midfoot, tendons and the fat of the sole."""
    sketch, signal = Sketch(rng, aspect=float(rng.uniform(0.95, 1.3))), draw_tissues(rng, MR_SCANS)
    foot = joined(
        sketch.rod([(0.3, -1.4), (0.28, 0.1)], [0.36, 0.34]),
        sketch.rod([(0.5, 0.45), (-0.2, 0.45), (-1.5, 0.72)], [0.36, 0.4, 0.22]),
        rounding=0.35,
    )
    _flesh(sketch, signal, foot, fat=0.08)
    sole = np.maximum(sketch.rod([(0.5, 0.72), (-1.5, 0.92)], [0.14, 0.08]), foot + 0.02)
    sketch.paint(signal["fat"] * (1 + 0.1 * sketch.field(0.06)), sole)
    sketch.paint(signal["tendon"], sketch.rod([(0.56, -1.3), (0.66, 0.3)], [0.035, 0.05]))
    bones = [
        sketch.rod([(0.2, -1.5), (0.16, -0.22)], [0.15, 0.2]),
        sketch.blob(sketch.near((0.1, 0.07), 0.02), (0.28, 0.17), 0.05, turn=0.25),
        sketch.blob(sketch.near((0.42, 0.42), 0.02), (0.32, 0.18), 0.06, turn=-0.35),
        sketch.blob((-0.26, 0.2), (0.1, 0.15), 0.06, turn=0.3),
        sketch.blob((-0.46, 0.32), (0.1, 0.13), 0.08, turn=0.3),
        sketch.rod([(-0.62, 0.42), (-1.4, 0.72)], [0.1, 0.075]),
    ]
    for bone in bones:
        sketch.paint(signal["cartilage"], bone - 0.028)
    for bone in bones:
        _bone(sketch, signal, bone)
    return mr_scan(sketch, 0.35)


def _flesh(sketch: Sketch, signal: Tissues, skin: Array, fat: float) -> None:
    """Skin, fat and streaky muscle inside an outline."""
    fibres = 0.5 * sketch.field(0.25) + 0.5 * sketch.field(0.07)
    sketch.paint(signal["muscle"], skin)
    sketch.paint(signal["fat"] * (1 + 0.06 * sketch.field(0.12)), skin + 0.02)
    sketch.paint(signal["muscle"] * (1 + 0.13 * fibres), skin + fat, 0.03)
    strands = np.maximum(0.06 * np.abs(sketch.field(0.3)) - 0.006, skin + fat)
    sketch.paint(signal["fat"], strands, 0.015)


def _bone(sketch: Sketch, signal: Tissues, bone: Array) -> None:
    """A dark rind round marrow with trabeculae."""
    grain = 1 + 0.07 * sketch.field(0.05) + 0.08 * sketch.field(0.3)
    sketch.paint(signal["cortex"], bone, 0.012)
    sketch.paint(signal["marrow"] * grain, bone + _RIND, 0.015)
