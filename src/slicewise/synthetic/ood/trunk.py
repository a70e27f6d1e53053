"""Sections of the trunk, by MR or CT alike: abdomen, pelvis, chest, heart, breast and spine."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from slicewise.synthetic.ood.picture import Picture
from slicewise.synthetic.ood.sketch import Array, Point, Sketch, joined
from slicewise.synthetic.ood.tissue import (
    CT_SCANS,
    MR_SCANS,
    Tissues,
    ct_scan,
    draw_tissues,
    mr_scan,
)


def abdomen_mr(rng: Generator) -> Picture:
    """An axial abdomen with liver, spleen, kidneys, bowel, vessels and spine, as MR."""
    return mr_scan(_abdomen(Sketch(rng, aspect=1.4), draw_tissues(rng, MR_SCANS)))


def abdomen_ct(rng: Generator) -> Picture:
    """The same section as CT in a soft-tissue window, at times with the table."""
    sketch = Sketch(rng, aspect=1.4)
    _table(sketch)
    return ct_scan(_abdomen(sketch, draw_tissues(rng, ("ct_soft", "ct_contrast"))))


def chest_ct(rng: Generator) -> Picture:
    """An axial chest as CT, in a soft-tissue or a wide window."""
    sketch = Sketch(rng, aspect=1.4)
    _table(sketch)
    return ct_scan(_chest(sketch, draw_tissues(rng, CT_SCANS)))


def pelvis_mr(rng: Generator) -> Picture:
    """An axial pelvis: femoral heads, bladder, rectum, gluteal muscles."""
    sketch, signal = Sketch(rng, aspect=1.4), draw_tissues(rng, MR_SCANS)
    body = _body(sketch, signal, (1.2, 0.78), fat=sketch.vary(0.14, 0.35))
    inner = body + 0.3
    sketch.paint(signal["fat"] * (1 + 0.1 * sketch.field(0.15)), np.maximum(inner, -0.5))
    _bowel(sketch, signal, (0.0, -0.25), (0.45, 0.2), loops=5)
    bladder = sketch.blob(sketch.near((0.0, -0.12)), (sketch.vary(0.3, 0.2), 0.22), 0.07)
    sketch.paint(signal["muscle"], bladder - 0.03)
    sketch.paint(signal["fluid"], bladder)
    sketch.paint(signal["gland"] * _grain(sketch), sketch.blob((0.0, 0.16), (0.17, 0.12), 0.08))
    rectum = sketch.blob(sketch.near((0.0, 0.42), 0.02), (0.13, 0.11), 0.1)
    sketch.paint(signal["muscle"], rectum)
    sketch.paint(signal["air"] if sketch.rng.random() < 0.5 else signal["bowel"], rectum + 0.04)
    sketch.paint(signal["marrow"] * _grain(sketch), sketch.blob((0.0, 0.62), (0.12, 0.06), 0.1))
    for side in (-1.0, 1.0):
        _hip(sketch, signal, side)
    return mr_scan(sketch)


def _hip(sketch: Sketch, signal: Tissues, side: float) -> None:
    socket = sketch.rod([(side * 0.48, -0.3), (side * 0.45, 0.0), (side * 0.5, 0.3)],
                        [0.07, 0.06, 0.08])  # fmt: skip
    head = sketch.blob(sketch.near((side * 0.7, -0.02), 0.02), (0.19, 0.19), 0.03)
    neck = joined(head, sketch.rod([(side * 0.78, 0.0), (side * 1.0, 0.12)], [0.1, 0.1]))
    for bone in (socket, neck):
        sketch.paint(signal["cortex"], bone - 0.025)
        sketch.paint(signal["marrow"] * _grain(sketch), bone)
    gluteus = sketch.blob((side * 0.55, 0.52), (0.36, 0.16), 0.08, turn=-side * 0.5)
    streaks = 1 + 0.25 * np.maximum(sketch.field(0.08), 0.3)
    sketch.paint(signal["muscle"] * streaks, gluteus, 0.04)
    for point in ((side * 0.42, -0.42), (side * 0.5, -0.45)):
        sketch.paint(signal["blood"], sketch.ellipse(sketch.near(point, 0.01), (0.045, 0.045)))


def heart_mr(rng: Generator) -> Picture:
    """A short-axis heart: ring of the left ventricle, crescent of the right, lungs and liver."""
    sketch, signal = Sketch(rng, aspect=float(rng.uniform(0.8, 1.25))), draw_tissues(rng, MR_SCANS)
    bright = bool(rng.random() < 0.75)
    blood = sketch.vary(0.9 if bright else 0.1)
    sketch.image += signal["lung"] + 0.03
    wall = sketch.rod([(-1.6, -0.2), (-0.7, -0.85), (0.4, -1.0), (1.8, -0.6)], [0.25] * 4)
    sketch.paint(signal["fat"] * (1 + 0.1 * sketch.field(0.1)), wall - 0.12, 0.04)
    sketch.paint(signal["muscle"] * (1 + 0.15 * sketch.field(0.12)), wall, 0.03)
    sketch.paint(signal["organ"] * _grain(sketch), sketch.blob((-0.6, 1.0), (0.9, 0.42), 0.1))
    left = sketch.near((0.12, 0.02), 0.08)
    size = sketch.vary(0.36, 0.12)
    right = sketch.blob((left[0] - size * 1.05, left[1] - 0.06), (size * 1.05, size * 1.1), 0.09)
    sketch.paint(signal["fat"], joined(right, sketch.ellipse(left, (size * 1.12, size * 1.12))))
    sketch.paint(0.45 * _grain(sketch), right + 0.03)
    sketch.paint(blood * (1 + 0.08 * sketch.field(0.2)), right + 0.06)
    muscle = signal["muscle"] if not bright else sketch.vary(0.38)
    sketch.paint(muscle * _grain(sketch), sketch.blob(left, (size, size), 0.02))
    cavity = sketch.blob(left, (size * sketch.vary(0.62, 0.1),) * 2, 0.05)
    sketch.paint(blood * (1 + 0.06 * sketch.field(0.15)), cavity, 0.03)
    for _ in range(2):
        papillary = sketch.ellipse(sketch.near(left, size * 0.3), (0.045, 0.05))
        sketch.paint(muscle, np.maximum(papillary, cavity))
    _vessels(sketch, signal["muscle"], count=14)
    aorta = sketch.ellipse(sketch.near((0.62, 0.7), 0.06), (0.12, 0.12))
    sketch.paint(blood, aorta)
    return mr_scan(sketch, 0.35)


def breast_mr(rng: Generator) -> Picture:
    """Axial breasts: fat with strands of glandular tissue, chest wall and heart behind."""
    sketch, signal = Sketch(rng, aspect=float(rng.uniform(1.5, 1.9))), draw_tissues(rng, MR_SCANS)
    chest = sketch.ellipse((0.0, 1.15), (1.7, 0.85))
    width, depth = sketch.vary(0.6, 0.1), sketch.vary(0.85, 0.12)
    parts = [sketch.blob((side * 0.78, 0.3), (width, depth), 0.06) for side in (-1, 1)]
    skin = joined(chest, *parts, rounding=0.25)
    sketch.paint(signal["muscle"], skin)
    sketch.paint(signal["fat"] * (1 + 0.05 * sketch.field(0.2)), skin + 0.025)
    dense = sketch.vary(0.25, 0.8)
    for side in (-1, 1):
        core = sketch.blob((side * 0.78, 0.15), (width * 0.66, depth * 0.6), 0.2)
        strands = dense - np.abs(sketch.field(0.09)) * 0.6 + 0.25 * sketch.field(0.3)
        sketch.paint(signal["gland"], np.maximum(core, -0.25 * strands), 0.06)
    sketch.paint(signal["muscle"] * (1 + 0.12 * sketch.field(0.1)), chest + 0.08, 0.03)
    sketch.paint(signal["lung"], sketch.ellipse((-0.55, 1.3), (0.7, 0.65)), 0.03)
    sketch.paint(signal["lung"], sketch.ellipse((0.75, 1.3), (0.6, 0.6)), 0.03)
    sketch.paint(signal["blood"] * _grain(sketch), sketch.blob((0.15, 1.0), (0.5, 0.32), 0.08))
    return mr_scan(sketch, 0.45)


def spine_mr(rng: Generator) -> Picture:
    """A sagittal spine: vertebral bodies, discs, canal with cord, spinous processes, muscle."""
    sketch = Sketch(rng, aspect=float(rng.uniform(0.5, 0.95)))
    signal = draw_tissues(rng, MR_SCANS)
    skin = sketch.x - 0.62 - 0.08 * np.sin(2.2 * sketch.y)
    sketch.paint(signal["fat"], skin)
    sketch.paint(signal["muscle"] * (1 + 0.2 * sketch.field(0.12)), skin + sketch.vary(0.16, 0.4))
    front = sketch.x + 0.2
    sketch.paint((signal["bowel"] + signal["fat"]) / 2 * (1 + 0.35 * sketch.field(0.14)), front)
    count, bow = int(rng.integers(6, 12)), float(rng.uniform(-0.25, 0.3))
    step = 2.4 / count
    places = [(-0.08 + bow * (y * y - 0.3), y) for y in np.arange(-1.15, 1.3, step)]
    canal = sketch.rod([(x + 0.3, y) for x, y in places], [0.075] * len(places))
    sketch.paint(signal["fat"], canal - 0.03)
    sketch.paint(signal["fluid"], canal)
    cord_end = int(rng.integers(3, len(places) + 1))
    cord = [(x + 0.3, y) for x, y in places[:cord_end]]
    sketch.paint(signal["cord"], sketch.rod(cord, [0.04] * cord_end), 0.015)
    sketch.paint(
        signal["blood"], sketch.rod([(x - 0.33, y) for x, y in places], [0.07] * len(places))
    )
    _vertebrae(sketch, signal, places, step)
    return mr_scan(sketch, 0.5)


def _vertebrae(sketch: Sketch, signal: Tissues, places: list[Point], step: float) -> None:
    height = step * 0.37
    column = sketch.rod(places, [0.185] * len(places))
    sketch.paint(signal["tendon"], column - 0.01)
    for (x, y), (nx, ny) in zip(places, [*places[1:], (places[-1][0], places[-1][1] + step)],
                                strict=True):  # fmt: skip
        turn = float(np.arctan2(x - nx, ny - y))
        body = sketch.box((x, y), (sketch.vary(0.18, 0.03), sketch.vary(height, 0.05)), 0.04, turn)
        sketch.paint(signal["cortex"], body - 0.012, 0.012)
        sketch.paint(sketch.vary(signal["marrow"], 0.05) * _grain(sketch), body + 0.006, 0.015)
        disc = sketch.ellipse(((x + nx) / 2, (y + ny) / 2), (0.15, step * 0.085), turn)
        sketch.paint(sketch.vary(signal["disc"], 0.3), disc)
        spine = sketch.box((x + 0.5, y + step * 0.3), (0.11, step * 0.22), 0.04, turn + 0.3)
        sketch.paint(signal["cortex"], spine - 0.015)
        sketch.paint(signal["marrow"] * _grain(sketch), spine + 0.01)


def _abdomen(sketch: Sketch, signal: Tissues) -> Sketch:
    body = _body(sketch, signal, (1.25, 0.85), fat=sketch.vary(0.1, 0.5))
    cavity = body + sketch.vary(0.24, 0.12)
    sketch.paint(signal["fat"] * (1 + 0.05 * sketch.field(0.1)), cavity, 0.03)
    _bowel(sketch, signal, (0.25, -0.2), (0.5, 0.3), loops=int(sketch.rng.integers(5, 12)))
    liver = sketch.blob((-0.55, -0.12), (sketch.vary(0.52, 0.1), sketch.vary(0.46, 0.1)), 0.12)
    organ = signal["organ"] * _grain(sketch)
    sketch.paint(organ, np.maximum(liver, cavity + 0.03))
    _vessels(sketch, signal["blood"], count=9, within=np.maximum(liver, cavity) + 0.08)
    spleen = sketch.blob((0.82, 0.05), (0.2, 0.38), 0.08, turn=0.2)
    sketch.paint(organ * sketch.vary(0.9), np.maximum(spleen, cavity + 0.04))
    for side in (-1, 1):
        _kidney(sketch, signal, side)
    _spine_section(sketch, signal, (0.0, 0.42))
    for x, size in ((-0.14, 0.075), (0.08, 0.065)):
        sketch.paint(signal["blood"], sketch.ellipse((x, 0.17), (sketch.vary(size),) * 2))
    return sketch


def _chest(sketch: Sketch, signal: Tissues) -> Sketch:
    body = _body(sketch, signal, (1.25, 0.8), fat=sketch.vary(0.08, 0.5))
    cage = body + sketch.vary(0.2, 0.1)
    for angle in np.linspace(0.1, 2 * np.pi, 15)[:-1]:
        place = 1.06 * np.cos(angle), 0.63 * np.sin(angle)
        rib = sketch.ellipse(place, (0.12, 0.035), turn=float(angle + np.pi / 2))
        sketch.paint(signal["cortex"], rib)
        sketch.paint(signal["marrow"], rib + 0.015)
    lungs = [sketch.blob((side * 0.56, 0.0), (0.42, 0.55), 0.07) for side in (-1, 1)]
    sketch.paint(signal["muscle"], cage)
    for lung in lungs:
        sketch.paint(signal["lung"] + 0.02 * sketch.field(0.1), np.maximum(lung, cage + 0.02))
    heart = sketch.blob(sketch.near((0.15, -0.12)), (sketch.vary(0.36), 0.32), 0.08)
    sketch.paint(signal["fat"], heart - 0.03)
    sketch.paint(signal["blood"] * _grain(sketch), heart)
    _vessels(sketch, signal["blood"], count=40, within=np.minimum(*lungs) + 0.03)
    _spine_section(sketch, signal, (0.0, 0.42))
    sketch.paint(signal["blood"], sketch.ellipse((0.18, 0.3), (sketch.vary(0.1),) * 2))
    return sketch


def _body(sketch: Sketch, signal: Tissues, radii: Point, fat: float) -> Array:
    """Skin, fat and muscle wall; gives the distance to the skin."""
    size = float(sketch.rng.uniform(0.88, 1.06))
    body = sketch.blob((0.0, 0.0), (radii[0] * size, radii[1] * size), 0.03)
    sketch.paint(signal["muscle"], body)
    sketch.paint(signal["fat"] * (1 + 0.05 * sketch.field(0.15)), body + 0.02)
    sketch.paint(signal["muscle"] * (1 + 0.12 * sketch.field(0.1)), body + fat, 0.03)
    return body


def _bowel(sketch: Sketch, signal: Tissues, at: Point, reach: Point, loops: int) -> None:
    for _ in range(loops):
        place = (at[0] + sketch.rng.uniform(-1, 1) * reach[0],
                 at[1] + sketch.rng.uniform(-1, 1) * reach[1])  # fmt: skip
        loop = sketch.blob(place, (sketch.vary(0.12, 0.3), sketch.vary(0.1, 0.3)), 0.15)
        sketch.paint(signal["muscle"], loop)
        fill = sketch.rng.choice(["bowel", "air", "fluid"])
        sketch.paint(signal[str(fill)], loop + 0.025, 0.03)


def _kidney(sketch: Sketch, signal: Tissues, side: int) -> None:
    place = sketch.near((side * 0.52, 0.34), 0.03)
    kidney = sketch.blob(place, (0.17, 0.2), 0.06, turn=side * 0.4)
    sketch.paint(signal["kidney"], kidney)
    sketch.paint(signal["kidney"] * 0.8, kidney + 0.06, 0.03)
    sketch.paint(signal["fat"], sketch.ellipse((place[0] - side * 0.09, place[1]), (0.09, 0.06)))


def _spine_section(sketch: Sketch, signal: Tissues, at: Point) -> None:
    x, y = at
    body = sketch.blob(at, (sketch.vary(0.19), 0.15), 0.04)
    arch = sketch.rod([(x - 0.3, y + 0.2), (x, y + 0.24), (x + 0.3, y + 0.2)], [0.04, 0.09, 0.04])
    process = sketch.rod([(x, y + 0.25), (x, y + 0.42)], [0.05, 0.03])
    for side in (-1, 1):
        muscle = sketch.blob((x + side * 0.27, y + 0.26), (0.2, 0.14), 0.08)
        sketch.paint(signal["muscle"] * (1 + 0.2 * sketch.field(0.07)), muscle)
    for bone in (arch, process, body):
        sketch.paint(signal["cortex"], bone)
        sketch.paint(signal["marrow"] * _grain(sketch), bone + 0.025)
    canal = sketch.ellipse((x, y + 0.19), (0.085, 0.07))
    sketch.paint(signal["fluid"], canal)
    sketch.paint(signal["cord"], canal + 0.03)


def _vessels(sketch: Sketch, value: float, count: int, within: Array | None = None) -> None:
    """Small round or elongated vessels, scattered."""
    for _ in range(count):
        place = tuple(sketch.rng.uniform(-1, 1, 2))
        end = sketch.near(place, 0.06)
        vessel = sketch.rod([place, end], [sketch.vary(0.018, 0.4), 0.01])
        sketch.paint(value, vessel if within is None else np.maximum(vessel, within), 0.015)


def _table(sketch: Sketch) -> None:
    if sketch.rng.random() < 0.6:
        table = np.abs(sketch.y - 0.9 - 0.1 * sketch.x**2 * sketch.rng.uniform(-1, 1)) - 0.012
        sketch.paint(sketch.vary(0.4, 0.2), table.astype(np.float32))


def _grain(sketch: Sketch) -> Array:
    return np.asarray(1 + 0.05 * sketch.field(0.06) + 0.04 * sketch.field(0.25), dtype=np.float32)
