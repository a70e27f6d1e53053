"""Drawn pictures: noise, textures, scenes, screens, paper; scans of what is no MR of a head.

A section of a scan is a list of rows, each an ellipse (across, down, half width, half height) or a
rod (radius, then across and down of each station), on a randomly bent plane from -1 to 1 down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from slicewise.arrays import Array
from slicewise.synthetic.ood.picture import (
    Values,
    draw_shape,
    draw_side,
    fitted,
    kind,
    resized,
    smooth_field,
)

_WORDS = (
    "patient", "scan", "report", "of", "image", "left", "normal", "slice", "no", "file", "date",
    "open", "value", "the", "edit", "table", "result", "study", "follow", "number", "history",
)  # fmt: skip
Row = tuple[str | float, *tuple[float, ...]]
"""A tissue or a signal, and four numbers of an ellipse, or five and more of a rod."""
Signals = dict[str | float, float]

_SIDE = 224
_TISSUES = ("air", "fat", "muscle", "marrow", "cortex", "fluid", "organ", "blood", "cartilage")
_MR = (
    (0.02, 0.90, 0.36, 0.72, 0.06, 0.16, 0.46, 0.14, 0.42),  # T1
    (0.02, 0.68, 0.22, 0.52, 0.05, 0.97, 0.36, 0.10, 0.56),  # T2
    (0.03, 0.20, 0.38, 0.22, 0.05, 0.95, 0.50, 0.60, 0.66),  # fat suppressed
    (0.02, 0.52, 0.42, 0.34, 0.04, 0.55, 0.56, 0.92, 0.70),  # gradient echo
)
_CT = (
    (0.00, 0.26, 0.56, 0.86, 1.00, 0.44, 0.62, 0.64, 0.57),  # soft tissue
    (0.00, 0.24, 0.54, 0.88, 1.00, 0.42, 0.68, 0.92, 0.57),  # with contrast
    (0.00, 0.52, 0.58, 0.78, 1.00, 0.55, 0.60, 0.62, 0.58),  # wide window
)


@kind("noise", "White noise of a random mean and spread.")
def _gaussian_noise(rng: Generator) -> Values:
    return rng.normal(rng.uniform(0.2, 0.6), rng.uniform(0.05, 0.3), draw_shape(rng))


@kind("noise", "Rayleigh noise as of an empty scan, sometimes over a smooth brightness.")
def _speckle_noise(rng: Generator) -> Values:
    shape = draw_shape(rng)
    shade = np.exp(rng.uniform(0, 0.6) * smooth_field(rng, shape, shape[0] / 2))
    return np.asarray(rng.rayleigh(rng.uniform(0.1, 0.35), shape) * shade)


@kind("noise", "Noise whose amplitude falls with frequency f as 1 / f^a, a from 0.6 to 2: clouds.")
def _coloured_noise(rng: Generator) -> Values:
    height, width = draw_shape(rng)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    spectrum = np.fft.rfft2(rng.standard_normal((height, width)))
    spectrum /= np.maximum(frequency, 1 / max(height, width)) ** rng.uniform(0.6, 2.0)
    values = np.fft.irfft2(spectrum, (height, width))
    return np.asarray(0.5 + rng.uniform(0.1, 0.3) * values / values.std())


@kind("flat", "One grey level, at times with the last bit flickering.")
def _flat_picture(rng: Generator) -> Values:
    level = np.full(draw_shape(rng), rng.integers(0, 256) / 255)
    return level + rng.normal(0, rng.choice([0, rng.uniform(0.4, 1.5) / 255]), level.shape)


@kind("flat", "Brightness that rises along a line or from a point.")
def _gradient_picture(rng: Generator) -> Values:
    x, y = _plane(rng)
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    if rng.random() < 0.5:
        along = np.hypot(x - rng.uniform(-1, 1), y - rng.uniform(-1, 1))
    share = (along - along.min()) / np.ptp(along)
    return np.asarray(rng.uniform(0, 0.4) + rng.uniform(0.1, 0.6) * share ** rng.uniform(0.5, 2))


@kind("texture", "Parallel, crossed or ring-shaped bars, sharp or soft.")
def _stripes(rng: Generator) -> Values:
    x, y = _plane(rng, bend=0.1)
    angle, rate, shape = rng.uniform(0, np.pi), rng.uniform(8, 60), rng.integers(3)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    if shape == 2:
        along = np.hypot(x - rng.uniform(-1, 1), y - rng.uniform(-1, 1))
    wave = np.sin(rate * along) + (shape == 1) * np.sin(rate * rng.uniform(0.5, 2) * across)
    values = rng.uniform(0.2, 0.8) + rng.uniform(0.1, 0.4) * np.tanh(rng.uniform(0.5, 6) * wave)
    return np.asarray(values + rng.uniform(0, 0.04) * rng.standard_normal(values.shape))


@kind("scene", "Things before each other under a sky: statistics of photographs (Lee et al. 2001).")
def _scene(rng: Generator) -> Values:
    height, width = 256, int(rng.integers(200, 360))
    sky, haze = rng.uniform(0.3, 1, (2, 1, 1, 3))
    ground = sky + (haze - sky) * np.linspace(0, 1, height)[:, None, None]
    image = Image.fromarray((255 * ground).astype(np.uint8).repeat(width, axis=1))
    draw, horizon = ImageDraw.Draw(image), rng.uniform(-0.3, 0.6) * height
    for radius in 60 * rng.uniform(0.03, 1, int(rng.integers(60, 400))) ** 2:
        x, y, tall = rng.uniform(0, width), rng.uniform(horizon, height), rng.uniform(0.4, 2.5)
        box = (x - radius, y - radius * tall, x + radius, y + radius * tall)
        shape = draw.ellipse if rng.random() < 0.7 else draw.rectangle
        shape(box, fill=tuple(rng.integers(20, 240, 3).tolist()))
    light = 1 + 0.15 * smooth_field(rng, (height, width), 40)[..., None]
    values = np.asarray(image) / 255 * light + 0.03 * rng.standard_normal((height, width, 1))
    return fitted(values if rng.random() < 0.6 else values.mean(axis=2), draw_side(rng))


@kind("screen", "A page of paragraphs with a heading, in black on white or light on dark.")
def _text_page(rng: Generator) -> Values:
    image, draw, ink = _canvas(rng)
    size, x, y = int(rng.integers(8, 22)), int(rng.integers(8, 40)), int(rng.integers(6, 40))
    draw.text((x, y), " ".join(rng.choice(_WORDS, 3)), fill=ink, font=_font(size * 2))
    for line in np.arange(y + size * 3, image.height - size, size * 1.5).tolist():
        text = " ".join(rng.choice(_WORDS, max(2, image.width // (size * 3))))
        draw.text((x + size * 2 * (rng.random() < 0.2), line), text, fill=ink, font=_font(size))
    return _shown(rng, image)


@kind("paper", "A sheet with a bar code, the number below it and boxes to tick.")
def _barcode(rng: Generator) -> Values:
    image, draw, ink = _canvas(rng)
    (width, height), unit, x = image.size, int(rng.integers(1, 4)), image.width // 10
    while x < width * 0.9:
        bar, gap = (unit * rng.integers(1, 5, 2)).tolist()
        draw.rectangle((x, height * 0.1, x + bar - 1, height * 0.6), fill=ink)
        x += bar + gap
    number = "".join(map(str, rng.integers(10, size=13)))
    draw.text((width // 8, height * 0.62), number, fill=ink, font=_font(height // 9))
    for x in range(width // 8, width * 3 // 4, 40):
        draw.rectangle((x, height * 0.8, x + 13, height * 0.8 + 13), outline=ink)
    return _shown(rng, image)


@kind("limb MR", "A sagittal knee: femur, tibia, patella, cartilage, menisci, muscle and fat.")
def _knee(rng: Generator) -> Values:
    leg = 0.06, -1.7, 0.0, 0.0, 0.16, 1.7
    rows: list[Row] = [
        ("muscle", 0.66, *leg), ("fat", 0.64, *leg), ("muscle", rng.uniform(0.45, 0.6), *leg),
        *_bones((0.02, -0.12, 0.42, 0.32), (0.21, 0.06, -0.3, 0.1, -1.4)),
        *_bones((0.05, 0.36, 0.42, 0.15), (0.21, 0.05, 0.5, 0.12, 1.4)),
        ("cortex", -0.25, 0.19, 0.13, 0.03), ("cortex", 0.3, 0.19, 0.13, 0.03),
        ("cortex", 0.04, -0.45, -1.3, -0.56, -0.2, -0.34, 0.5), *_bones((-0.55, -0.2, 0.1, 0.19)),
    ]  # fmt: skip
    return _mr(rng, rng.uniform(0.75, 1.05), rows)


@kind("trunk MR", "An axial abdomen with liver, spleen, kidneys, bowel, vessels and spine, as MR.")
def _abdomen_mr(rng: Generator) -> Values:
    return _mr(rng, 1.4, _abdomen(rng))


@kind("body CT", "The same section as CT, at times with the table.")
def _abdomen_ct(rng: Generator) -> Values:
    table: list[Row] = [(0.4, 0.012, -1.5, 0.9, 0.0, 0.96, 1.5, 0.9)] * int(rng.integers(2))
    return _ct(rng, 1.4, [*table, *_abdomen(rng)])


@kind("head CT", "Axial, brain window: white skull, flat grey brain, dark fluid, at times a bleed.")
def _head_ct(rng: Generator) -> Values:
    brain, (x, y) = rng.uniform(0.38, 0.6), rng.uniform(-0.35, 0.35, 2)
    rows: list[Row] = [(0.28, 0, 0, 0.68, 0.86), (1.0, 0, 0, 0.62, 0.8), *_brain(rng, brain, 0.06)]
    if rng.random() < 0.35:
        rows += [(brain - 0.1, x, y, 0.18, 0.15), (brain + 0.25, x, y, 0.13, 0.1)]
    return _ct(rng, rng.uniform(0.85, 1.1), rows)


@kind("head CT", "Axial, bone window: a structured skull round a nearly even brain.")
def _head_ct_bone(rng: Generator) -> Values:
    rows: list[Row] = [
        (0.34, 0, 0, 0.68, 0.86), (0.9, 0, 0, 0.62, 0.8), (0.62, 0, 0, 0.6, 0.78),
        (0.9, 0, 0, 0.57, 0.75), *_brain(rng, rng.uniform(0.34, 0.44), 0.015),
    ]  # fmt: skip
    for s in (-1, 1) if rng.random() < 0.5 else ():  # bones of the base, with air cells
        rows.append((0.92, 0.1, s * 0.08, 0.0, s * 0.5, 0.25))
        rows += [(0.0, s * c, c / 2, 0.02, 0.03) for c in rng.uniform(0.05, 0.5, 12).tolist()]
    return _ct(rng, rng.uniform(0.85, 1.1), rows)


@kind("other scanner", "Ultrasound: a fan of speckle with layers, dark cysts and a depth scale.")
def _ultrasound(rng: Generator) -> Values:
    rows: list[Row] = [(0.45, 0, 0, 2, 2)]
    for x, y in rng.uniform(-0.6, 0.6, (int(rng.integers(1, 5)), 2)).tolist():
        size, value = rng.uniform(0.08, 0.3), rng.choice([0.06, 0.15, 0.75])
        rows += [(rng.uniform(0.3, 0.6), 0.1, x, y, x, 1.2), (value, x, y, size, 0.8 * size)]
    aspect, top, wide = rng.uniform(0.9, 1.35), rng.uniform(0.1, 0.4), rng.uniform(0.5, 1.0)
    rays = np.linspace(-1, 1, 60).tolist()
    fan = [(1.0, 0.02, s * top, -0.9, s * wide, 0.85 - 0.2 * s * s) for s in rays]
    image = _section(rng, aspect, rows, {}) * _section(rng, aspect, fan, {})
    image = image * (1 + 0.3 * smooth_field(rng, image.shape, 30))
    grain = rng.rayleigh(0.8, image.shape)
    image = image * (grain + np.roll(grain, 1, 1) + np.roll(grain, 2, 1)) / 3
    if rng.random() < 0.6:
        image[:: _SIDE // 12, -6:-1] = 0.8
    return fitted(np.clip(image, 0, 1), draw_side(rng))


def _plane(rng: Generator, bend: float = 0.0) -> tuple[Values, Values]:
    """Coordinates across and down, from -1 to 1, bent by smooth fields."""
    rows, columns = draw_shape(rng)
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    one, other = (bend * smooth_field(rng, x.shape, rows / 3) for _ in range(2))
    return x + one, y + other


def _canvas(rng: Generator) -> tuple[Image.Image, ImageDraw.ImageDraw, tuple[int, ...]]:
    """An empty picture, what draws on it, and the ink: dark on light in two of three."""
    height = int(rng.integers(160, 601))
    width = min(600, max(160, round(height * rng.uniform(0.75, 1.6))))
    pale, dark = (int(rng.integers(225, 256)),) * 3, (int(rng.integers(0, 60)),) * 3
    ground, ink = (pale, dark) if rng.random() < 0.67 else (dark, pale)
    image = Image.new("RGB", (width, height), ground)
    return image, ImageDraw.Draw(image), ink


def _shown(rng: Generator, image: Image.Image) -> Values:
    """In colour or, every other time, grey; at times reduced."""
    if rng.random() < 0.3:
        image = image.resize((image.width * 2 // 3, image.height * 2 // 3))
    return np.asarray(image.convert("L") if rng.random() < 0.5 else image) / 255


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _abdomen(rng: Generator) -> list[Row]:
    fat, arch = rng.uniform(0.06, 0.16), (0.05, -0.28, 0.62, 0.0, 0.66, 0.28, 0.62)
    rows: list[Row] = [
        ("muscle", 0, 0, 1.2, 0.82), ("fat", 0, 0, 1.18, 0.8),
        ("muscle", 0, 0, 1.2 - fat, 0.82 - fat), ("fat", 0, 0, 0.96, 0.58),
        ("organ", -0.5, -0.1, 0.42, 0.4), ("organ", 0.76, 0.05, 0.18, 0.34),
    ]  # fmt: skip
    bowel = rng.uniform((-0.2, -0.5), (0.8, 0.1), (int(rng.integers(5, 12)), 2))
    for x, y in bowel.tolist():
        fill = str(rng.choice(["organ", "air", "fluid"]))
        rows += [("muscle", x, y, 0.12, 0.1), (fill, x, y, 0.095, 0.075)]
    for x, y in rng.normal((-0.5, -0.1), 0.15, (9, 2)).tolist():
        rows.append(("blood", 0.02, x, y, x + 0.04, y + 0.02))
    for s in (-1, 1):
        rows += [("cartilage", s * 0.52, 0.34, 0.17, 0.2), ("fat", s * 0.44, 0.34, 0.08, 0.06),
                 ("muscle", s * 0.27, 0.64, 0.2, 0.13)]  # fmt: skip
    return [
        *rows, *_bones((0, 0.42, 0.19, 0.14), arch, (0.045, 0, 0.62, 0, 0.8)),
        ("fluid", 0, 0.6, 0.085, 0.07), ("organ", 0, 0.6, 0.05, 0.04),
        ("blood", -0.14, 0.17, 0.075, 0.075), ("blood", 0.08, 0.17, 0.065, 0.065),
    ]  # fmt: skip


def _brain(rng: Generator, value: float, difference: float) -> list[Row]:
    """Grey and white matter, sulci, ventricles, calcifications, falx and the arc of a head rest."""
    dark, wide, white = value * rng.uniform(0.25, 0.45), rng.uniform(0.03, 0.07), value - difference
    rows: list[Row] = [(value, 0, 0, 0.55, 0.73), (white, 0, 0, 0.45, 0.63)]
    for angle, bend in rng.normal(0, (3, 0.15), (18, 2)).tolist():
        (x, u), (y, v) = np.sin([angle, angle + bend]), np.cos([angle, angle + bend])
        rows.append((dark + 0.05, 0.012, 0.54 * x, 0.72 * y, 0.45 * u, 0.6 * v))
    for s in (-1, 1):
        rows += [(dark, wide, s * 0.14, -0.3, s * 0.06, -0.04, s * 0.2, 0.3),
                 (value + 0.12, 0.007, 0, s * 0.7, 0, s * 0.36)]  # fmt: skip
        rows += [(1.0, s * 0.17, 0.27, 0.03, 0.025)] * int(rng.random() < 0.4)
    arc = np.linspace(-0.9, 0.9, 15)
    rest = np.stack([np.sin(arc), np.cos(arc) - 0.1], axis=1).ravel().tolist()
    return [*rows, *[(0.4, 0.012, *rest)] * int(rng.integers(2))]


def _bones(*shapes: tuple[float, ...]) -> list[Row]:
    """Cartilage about rinds of compact bone round marrow."""

    def grown(shape: tuple[float, ...], by: float) -> tuple[float, ...]:
        sizes = slice(2, 4) if len(shape) == 4 else slice(0, 1)
        numbers = np.array(shape)
        numbers[sizes] = np.maximum(numbers[sizes] + by, 0.01)
        return tuple(numbers.tolist())

    layers = ("cartilage", 0.025), ("cortex", 0.0), ("marrow", -0.025)
    return [(tissue, *grown(shape, by)) for tissue, by in layers for shape in shapes]


def _section(rng: Generator, aspect: float, rows: Iterable[Row], signals: Signals) -> Array:
    """(H, W) signal of rows laid over each other."""
    image = Image.new("F", (round(2 * _SIDE * aspect), 2 * _SIDE))  # twice as fine as it comes out
    draw = ImageDraw.Draw(image)
    for tissue, *numbers in rows:
        radii = numbers[2:] if len(numbers) == 4 else numbers[:1] * 2
        stations = np.reshape(numbers[:2] if len(numbers) == 4 else numbers[1:], (-1, 2))
        places = [(_SIDE * (aspect + x), _SIDE * (1 + y)) for x, y in stations.tolist()]
        value, (wide, tall) = signals.get(tissue, tissue), (max(1, _SIDE * r) for r in radii)
        draw.line(places, fill=value, width=round(2 * wide))
        for x, y in places:
            draw.ellipse((x - wide, y - tall, x + wide, y + tall), fill=value)
    return _bent(rng, image)


def _bent(rng: Generator, image: Image.Image, cells: int = 6) -> Array:
    """The same on a plane stretched by up to a tenth and bent by a random mesh, not quite sharp."""
    size, edges = np.array(image.size), np.linspace(0, 1, cells + 1)
    nodes = np.stack(np.meshgrid(edges, edges), axis=-1)
    places = (nodes - 0.5) * rng.uniform(0.95, 1.1, 2) + 0.5 + rng.normal(0, 0.012, nodes.shape)
    corners, places = np.rint(nodes * size).astype(int), places.clip(0, 1) * size
    mesh = [
        ((*corners[i, j], *corners[i + 1, j + 1]),
         places[[i, i + 1, i + 1, i], [j, j, j + 1, j + 1]].ravel().tolist())
        for i in range(cells) for j in range(cells)
    ]  # fmt: skip
    bent = image.transform(image.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)
    coarse = np.rint(size * rng.uniform(0.28, 0.5)).astype(int).tolist()
    return resized(resized(np.asarray(bent), *coarse), *(size // 2).tolist())


def _signals(rng: Generator, scans: Sequence[Sequence[float]], spread: float) -> Signals:
    values = rng.choice(scans) * np.exp(rng.normal(0, spread, len(_TISSUES)))
    return dict(zip(_TISSUES, values.tolist(), strict=True))


def _mr(rng: Generator, aspect: float, rows: Iterable[Row]) -> Values:
    """Texture of the tissues, shading of the coils, Rician noise and a window."""
    image = _section(rng, aspect, rows, _signals(rng, _MR, 0.12))
    texture = 1 + 0.08 * smooth_field(rng, image.shape, rng.uniform(5, 30))
    shading = np.exp(rng.uniform(0.1, 0.35) * smooth_field(rng, image.shape, 130))
    noise = rng.uniform(0.01, 0.05) * rng.standard_normal((2, *image.shape))
    image = np.hypot(image * texture * shading + noise[0], noise[1])
    return fitted(image / np.percentile(image, rng.uniform(98.5, 99.9)), draw_side(rng))


def _ct(rng: Generator, aspect: float, rows: Iterable[Row]) -> Values:
    """Correlated noise, clipped to the window."""
    image = _section(rng, aspect, rows, _signals(rng, _CT, 0.04))
    noise = rng.uniform(0.01, 0.05) * smooth_field(rng, image.shape, rng.uniform(1.2, 2.5))
    return fitted(np.clip(image + noise * (image > 0.01), 0, 1), draw_side(rng))
