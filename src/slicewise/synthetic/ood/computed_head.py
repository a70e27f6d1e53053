"""CT of the head, the picture most easily taken for an MR slice of the brain."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from slicewise.synthetic.ood.picture import Picture
from slicewise.synthetic.ood.sketch import Array, Sketch
from slicewise.synthetic.ood.tissue import ct_scan


def head_ct(rng: Generator) -> Picture:
    """Axial, brain window: white skull, flat grey brain, dark fluid, at times a bleed."""
    sketch, head = _head(rng, scalp=0.28, skull=1.0)
    brain = float(rng.uniform(0.38, 0.6))
    _paint_brain(sketch, head, brain, difference=float(rng.uniform(0.03, 0.09)))
    if rng.random() < 0.35:
        place = tuple(rng.uniform(-0.35, 0.35, 2))
        bleed = sketch.blob(place, (sketch.vary(0.13, 0.4), sketch.vary(0.1, 0.4)), 0.2)
        sketch.paint(brain - 0.1, bleed - 0.05, 0.06)
        sketch.paint(brain + float(rng.uniform(0.15, 0.35)), bleed, 0.04)
    _paint_rest(sketch)
    return ct_scan(sketch)


def head_ct_bone(rng: Generator) -> Picture:
    """Axial, bone window: a structured skull round a nearly even brain."""
    sketch, head = _head(rng, scalp=0.34, skull=0.9)
    inner = head + _THICK * 0.3
    spongy = np.maximum(inner, -(head + _THICK * 0.7))
    sketch.paint(0.62 + 0.08 * sketch.field(0.04), spongy, 0.015)
    _paint_brain(sketch, head, float(rng.uniform(0.34, 0.44)), difference=0.015)
    if rng.random() < 0.5:
        _paint_base(sketch)
    _paint_rest(sketch)
    return ct_scan(sketch)


_THICK = 0.07


def _head(rng: Generator, scalp: float, skull: float) -> tuple[Sketch, Array]:
    """A sketch with scalp and skull, and the distance to the outside of the skull."""
    sketch = Sketch(rng, aspect=float(rng.uniform(0.85, 1.1)), bend=0.02)
    width, length = sketch.vary(0.62, 0.06), sketch.vary(0.8, 0.05)
    head = sketch.blob(sketch.near((0.0, 0.0), 0.04), (width, length), 0.02)
    sketch.paint(sketch.vary(scalp) * (1 + 0.1 * sketch.field(0.1)), head - sketch.vary(0.06, 0.3))
    sketch.paint(skull, head, 0.012)
    return sketch, head


def _paint_brain(sketch: Sketch, head: Array, value: float, difference: float) -> None:
    """Grey and white matter, sulci, falx, ventricles and the cisterns."""
    brain = head + sketch.vary(_THICK, 0.15)
    sketch.paint(value, brain, 0.012)
    sketch.paint(value - difference, brain + 0.1 + 0.04 * sketch.field(0.13), 0.05)
    dark, wide = value * sketch.vary(0.35), sketch.vary(1.0, 0.25)
    folds = 0.05 * np.abs(sketch.field(0.16)) - 0.006 * wide
    rim = np.maximum(np.maximum(folds, brain + 0.01), -(brain + 0.16))
    sketch.paint(dark + 0.05, rim.astype(np.float32), 0.02)
    for side in (-1, 1):
        front = sketch.rod([(side * 0.06, -0.08), (side * 0.14, -0.3)], [0.05 * wide, 0.03 * wide])
        back = sketch.rod([(side * 0.07, 0.02), (side * 0.2, 0.3)], [0.05 * wide, 0.035 * wide])
        sketch.paint(dark, np.minimum(front, back), 0.025)
        if sketch.rng.random() < 0.4:
            sketch.paint(1.0, sketch.ellipse((side * 0.17, 0.27), (0.03, 0.025)))
    falx = np.maximum(np.abs(sketch.x) - 0.007, np.maximum(brain, 0.22 - np.abs(sketch.y)))
    sketch.paint(value + 0.12, falx.astype(np.float32), 0.012)


def _paint_base(sketch: Sketch) -> None:
    """Bones of the base with air cells."""
    for side in (-1, 1):
        ridge = sketch.rod([(side * 0.08, 0.0), (side * 0.5, 0.25)], [0.07, 0.14])
        sketch.paint(0.92, ridge)
        cells = np.maximum(ridge + 0.04, 0.3 - sketch.field(0.05))
        sketch.paint(0.0, cells, 0.02)
        sketch.paint(0.95, sketch.rod([(side * 0.1, -0.12), (side * 0.52, -0.4)], [0.03, 0.02]))


def _paint_rest(sketch: Sketch) -> None:
    """The arc of the head rest below the head, in some pictures."""
    if sketch.rng.random() < 0.5:
        arc = np.abs(np.hypot(sketch.x, sketch.y + 0.1) - sketch.vary(0.98, 0.02)) - 0.012
        sketch.paint(sketch.vary(0.4, 0.2), np.maximum(arc, 0.45 - sketch.y).astype(np.float32))
