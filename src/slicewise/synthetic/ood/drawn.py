"""Pictures without anatomy: noise, flat pictures, textures, scenes, screens and sheets of paper."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from slicewise.synthetic.ood.picture import (
    Values,
    draw_shape,
    draw_side,
    fitted,
    kind,
    smooth_field,
)

Ink = tuple[int, int, int]
_WORDS = (
    "patient", "scan", "report", "of", "image", "left", "normal", "slice", "no", "file", "date",
    "open", "value", "the", "edit", "table", "result", "study", "follow", "number", "history",
)  # fmt: skip


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


def _plane(rng: Generator, bend: float = 0.0) -> tuple[Values, Values]:
    """Coordinates across and down, from -1 to 1, bent by smooth fields."""
    rows, columns = draw_shape(rng)
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    one, other = (bend * smooth_field(rng, x.shape, rows / 3) for _ in range(2))
    return x + one, y + other


def _canvas(rng: Generator) -> tuple[Image.Image, ImageDraw.ImageDraw, Ink]:
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
