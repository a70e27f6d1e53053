"""What a screen or a sheet of paper shows: text, windows, charts, tables, forms, bar codes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from slicewise.synthetic.ood.picture import Picture, saved, saved_in_colour

Ink = tuple[int, int, int]

_TEXT = """
the of patient and scan report image left normal with slice no file date open value in edit table
result study follow page number view settings history total line over under between window help
search save tools contrast section note see above below
"""
_WORDS = tuple(_TEXT.split())
_PALETTE: tuple[Ink, ...] = (
    (0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233),
)  # fmt: skip


def text_page(rng: Generator) -> Picture:
    """A page of paragraphs with a heading, in black on white or light on dark."""
    ground, ink = _theme(rng)
    draw, image = _canvas(rng, ground)
    size = int(rng.integers(8, 22))
    x, y = int(rng.integers(8, 40)), int(rng.integers(6, 40))
    draw.text((x, y), _words(rng, 3).title(), fill=ink, font=_font(size * 2))
    y += size * 3
    while y < image.height - size:
        if rng.random() < 0.12:
            y += size
        indent = int(rng.choice([0, 0, 0, size * 2]))
        text = _words(rng, max(2, image.width // (size * 3)))
        draw.text((x + indent, y), text, fill=ink, font=_font(size))
        y += round(size * 1.5)
    return _shown(image, rng)


def dialog_window(rng: Generator) -> Picture:
    """A window with title bar, text, fields and buttons on a desktop."""
    ground, ink = _theme(rng)
    draw, image = _canvas(rng, _tint(rng))
    width, height = image.size
    left, top = round(width * rng.uniform(0.02, 0.2)), round(height * rng.uniform(0.02, 0.2))
    right, bottom = width - left, height - top
    accent = _tint(rng)
    draw.rectangle((left, top, right, bottom), fill=ground, outline=ink)
    draw.rectangle((left, top, right, top + 22), fill=accent)
    draw.text((left + 6, top + 4), _words(rng, 2).title(), fill=ground, font=_font(12))
    y = top + 34
    while y < bottom - 60:
        draw.text((left + 12, y), _words(rng, 3), fill=ink, font=_font(12))
        if rng.random() < 0.5:
            draw.rectangle(((left + right) // 2, y - 3, right - 12, y + 16), outline=ink)
        y += int(rng.integers(22, 40))
    for k in range(int(rng.integers(1, 4))):
        box = (right - 80 * (k + 1), bottom - 34, right - 80 * k - 12, bottom - 10)
        draw.rectangle(box, fill=accent if k == 0 else None, outline=ink)
        draw.text((box[0] + 10, box[1] + 5), _words(rng, 1), fill=ink, font=_font(12))
    return _shown(image, rng)


def chart(rng: Generator) -> Picture:
    """A chart with axes: lines, bars or points."""
    ground, ink = _theme(rng)
    draw, image = _canvas(rng, ground)
    width, height = image.size
    left, bottom, right, top = width * 0.13, height * 0.86, width * 0.95, height * 0.1
    faint = tuple((3 * g + i) // 4 for g, i in zip(ground, ink, strict=True))
    for k in range(6):
        y = bottom + (top - bottom) * k / 5
        draw.line((left, y, right, y), fill=faint)
        draw.text((left - 30, y - 6), f"{k * 20}", fill=ink, font=_font(11))
    draw.line((left, top, left, bottom, right, bottom), fill=ink, width=2)
    draw.text((width * 0.3, 4), _words(rng, 3).title(), fill=ink, font=_font(14))
    count, style = int(rng.integers(4, 30)), int(rng.integers(3))
    x = np.linspace(left, right, count + 2)[1:-1]
    for k in range(1 if style == 1 else int(rng.integers(1, 5))):
        walk = np.cumsum(rng.normal(size=count))
        share = (walk - walk.min()) / max(float(np.ptp(walk)), 1e-6) * 0.9 + 0.05
        y = bottom + (top - bottom) * share
        colour = _PALETTE[k % len(_PALETTE)]
        if style == 0:
            draw.line(list(zip(x, y, strict=True)), fill=colour, width=2)
        for a, b in zip(x, y, strict=True):
            if style == 1:
                half = (right - left) / count * 0.35
                draw.rectangle((a - half, b, a + half, bottom), fill=colour)
            elif style == 2:
                draw.ellipse((a - 3, b - 3, a + 3, b + 3), fill=colour)
    return _shown(image, rng)


def table(rng: Generator) -> Picture:
    """A spreadsheet of words and numbers."""
    ground, ink = _theme(rng)
    draw, image = _canvas(rng, ground)
    size = int(rng.integers(9, 16))
    row, column = size + int(rng.integers(4, 10)), int(rng.integers(45, 110))
    draw.rectangle((0, 0, image.width, row), fill=_tint(rng))
    for y in range(0, image.height, row):
        draw.line((0, y, image.width, y), fill=ink)
        for x in range(0, image.width, column):
            text = _words(rng, 1) if x == 0 or y == 0 else f"{rng.normal(50, 30):.1f}"
            draw.text((x + 4, y + 2), text, fill=ink, font=_font(size))
    for x in range(0, image.width, column):
        draw.line((x, 0, x, image.height), fill=ink)
    return _shown(image, rng)


def form(rng: Generator) -> Picture:
    """A printed form with boxes to fill in, some ticked or signed by hand."""
    draw, image = _canvas(rng, (250, 250, 246))
    ink: Ink = (30, 30, 30)
    draw.text((14, 10), _words(rng, 3).upper(), fill=ink, font=_font(18))
    for y in range(44, image.height - 24, int(rng.integers(24, 44))):
        draw.text((14, y), _words(rng, 2).title(), fill=ink, font=_font(12))
        middle = image.width // 2
        if rng.random() < 0.4:
            for k in range(3):
                box = (middle + 40 * k, y, middle + 40 * k + 13, y + 13)
                draw.rectangle(box, outline=ink)
                if rng.random() < 0.4:
                    draw.line((*box[:2], *box[2:]), fill=(20, 20, 120), width=2)
        else:
            draw.line((middle, y + 14, image.width - 14, y + 14), fill=ink)
            steps = np.arange(0, rng.uniform(30, 120), 3)
            waves = y + 8 + 5 * np.cumsum(rng.normal(0, 0.5, steps.size)) % 12
            draw.line(list(zip(middle + steps, waves, strict=True)), fill=(20, 20, 120), width=2)
    return _shown(image, rng)


def barcode(rng: Generator) -> Picture:
    """Bars of random widths with digits below, or a square code of black and white cells."""
    draw, image = _canvas(rng, (255, 255, 255))
    width, height = image.size
    if rng.random() < 0.5:
        cells = int(rng.integers(17, 42))
        pattern = rng.random((cells, cells)) < 0.5
        for row, column in ((0, 0), (0, cells - 7), (cells - 7, 0)):
            pattern[row : row + 7, column : column + 7] = _FINDER
        side = round(min(width, height) * rng.uniform(0.6, 0.95))
        code = Image.fromarray(np.where(pattern, 0, 255).astype(np.uint8))
        image.paste(code.resize((side, side), Image.Resampling.NEAREST), (8, 8))
        return _shown(image, rng)
    unit, x = int(rng.integers(1, 4)), width // 10
    while x < width * 0.9:
        bar = unit * int(rng.integers(1, 5))
        draw.rectangle((x, height * 0.12, x + bar - 1, height * 0.75), fill=(0, 0, 0))
        x += bar + unit * int(rng.integers(1, 5))
    number = "".join(map(str, rng.integers(10, size=13)))
    draw.text((width // 8, height * 0.78), number, fill=(0, 0, 0), font=_font(height // 9))
    return _shown(image, rng)


_FINDER = np.array([[max(abs(i), abs(j)) in (0, 1, 3) for i in range(-3, 4)] for j in range(-3, 4)])


def _canvas(rng: Generator, ground: Ink) -> tuple[ImageDraw.ImageDraw, Image.Image]:
    height = int(rng.integers(160, 601))
    width = min(600, max(160, round(height * rng.uniform(0.75, 1.6))))
    image = Image.new("RGB", (width, height), ground)
    return ImageDraw.Draw(image), image


def _shown(image: Image.Image, rng: Generator) -> Picture:
    """As a colour file or, every other time, a grey one; at times reduced."""
    if rng.random() < 0.3:
        image = image.resize((image.width * 2 // 3, image.height * 2 // 3))
    if rng.random() < 0.5:
        return saved(np.asarray(image.convert("L"), dtype=np.float32) / 255, rng)
    return saved_in_colour(np.asarray(image, dtype=np.uint8), rng)


def _theme(rng: Generator) -> tuple[Ink, Ink]:
    """Ground and ink: light in two of three."""
    light, dark = int(rng.integers(225, 256)), int(rng.integers(0, 60))
    pair: tuple[Ink, Ink] = ((light,) * 3, (dark,) * 3)
    return pair if rng.random() < 0.67 else (pair[1], pair[0])


def _tint(rng: Generator) -> Ink:
    red, green, blue = (int(value) for value in rng.integers(60, 210, 3))
    return red, green, blue


def _words(rng: Generator, count: int) -> str:
    return " ".join(rng.choice(_WORDS, count))


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
