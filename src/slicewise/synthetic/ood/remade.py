"""Pictures made from real slices that no longer are one slice as a scanner gives it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from slicewise.arrays import Array
from slicewise.imaging.preprocess import head_box
from slicewise.imaging.slice import Slice
from slicewise.synthetic.ood.picture import (
    Picture,
    draw_side,
    fitted,
    resized,
    saved,
    saved_in_colour,
    to_bytes,
)
from slicewise.synthetic.ood.sketch import smooth_field

Donors = Sequence[Slice]


def inverted(rng: Generator, donors: Donors) -> Picture:
    """Black for white."""
    values = _values(rng, donors)
    return saved(1 - values, rng)


def overexposed(rng: Generator, donors: Donors) -> Picture:
    """A window so narrow that most of the head is white, or nearly all of it black."""
    values = _values(rng, donors)
    bright = values[values > 0.1]
    share = rng.uniform(2, 25) if rng.random() < 0.5 else rng.uniform(96, 99.5)
    limit = float(np.percentile(bright, share)) if bright.size else 0.5
    return saved(np.clip((values - limit) / 0.04 + 0.5, 0, 1), rng)


def false_colour(rng: Generator, donors: Donors) -> Picture:
    """A rainbow scale from blue over green to red, read back as brightness."""
    values = _values(rng, donors)
    centers = np.array([0.75, 0.5, 0.25]) + rng.normal(0, 0.03)
    planes = [np.clip(1.5 - np.abs(4 * (values - center)), 0, 1) for center in centers]
    return saved_in_colour(to_bytes(np.stack(planes, axis=2)), rng)


def upside_down(rng: Generator, donors: Donors) -> Picture:
    """Top for bottom."""
    return saved(_values(rng, donors)[::-1], rng)


def quarter_turned(rng: Generator, donors: Donors) -> Picture:
    """Turned by 90 degrees to either side."""
    return saved(np.rot90(_values(rng, donors), int(rng.choice([1, 3]))), rng)


def squeezed(rng: Generator, donors: Donors) -> Picture:
    """Stretched along one side to twice the other or more."""
    values = _values(rng, donors)
    long, ratio = draw_side(rng), float(rng.uniform(2.0, 3.5))
    short = max(48, round(long / ratio))
    width, height = (long, short) if rng.random() < 0.5 else (short, long)
    return saved(np.clip(resized(values, width, height), 0, 1), rng)


def extreme_zoom(rng: Generator, donors: Donors) -> Picture:
    """A small patch from inside the head, enlarged to a whole picture."""
    values = _values(rng, donors)
    side = max(8, round(min(values.shape) * rng.uniform(0.1, 0.22)))
    top, left = (
        round(length / 2 + rng.uniform(-0.2, 0.2) * length - side / 2) for length in values.shape
    )
    patch = values[top : top + side, left : left + side]
    low, high = float(patch.min()), float(patch.max())
    return saved(fitted(np.clip((patch - low) / (high - low + 1e-6), 0, 1), draw_side(rng)), rng)


def strong_crop(rng: Generator, donors: Donors) -> Picture:
    """Only a corner or a side of the head is left."""
    values = _values(rng, donors)
    height, width = values.shape
    tall, wide = (round(length * rng.uniform(0.3, 0.5)) for length in values.shape)
    top = int(rng.choice([round(height * 0.06), height - tall - round(height * 0.06)]))
    left = int(rng.choice([round(width * 0.06), width - wide - round(width * 0.06)]))
    return saved(fitted(values[top : top + tall, left : left + wide], draw_side(rng)), rng)


def halves_swapped(rng: Generator, donors: Donors) -> Picture:
    """Left for right or top for bottom, without mirroring; as of a wrong offset."""
    values = _values(rng, donors)
    axis = int(rng.integers(2))
    shift = round(values.shape[axis] * rng.uniform(0.4, 0.6))
    return saved(np.roll(values, shift, axis), rng)


def jigsaw(rng: Generator, donors: Donors) -> Picture:
    """Cut into tiles that are put back in random order."""
    values = _values(rng, donors)
    pieces = int(rng.integers(2, 6))
    side = min(values.shape) // pieces
    square = fitted(values, side * pieces)[: side * pieces, : side * pieces]
    square = resized(square, side * pieces, side * pieces)
    grid = square.reshape(pieces, side, pieces, side).transpose(0, 2, 1, 3)
    shuffled = grid.reshape(-1, side, side)[_deranged(rng, pieces**2)]
    again = shuffled.reshape(pieces, pieces, side, side).transpose(0, 2, 1, 3)
    return saved(again.reshape(side * pieces, side * pieces), rng)


def contact_sheet(rng: Generator, donors: Donors) -> Picture:
    """A grid of several slices, as a printed film or a montage."""
    rows, columns = int(rng.integers(1, 6)), int(rng.integers(2, 6))
    cell, gap = max(32, 600 // max(rows, columns)), int(rng.integers(0, 8))
    ground = float(rng.choice([0.0, 0.0, 1.0]))
    sheet = np.full((rows * (cell + gap), columns * (cell + gap)), ground, dtype=np.float32)
    for row in range(rows):
        for column in range(columns):
            small = fitted(_values(rng, donors), cell)
            top, left = row * (cell + gap), column * (cell + gap)
            sheet[top : top + small.shape[0], left : left + small.shape[1]] = small
    return saved(fitted(sheet, max(200, draw_side(rng))), rng)


def double_exposure(rng: Generator, donors: Donors) -> Picture:
    """Two slices laid over each other, one of them shifted, turned or mirrored."""
    first, second = _values(rng, donors), _values(rng, donors)
    height, width = first.shape
    second = np.rot90(second, int(rng.integers(4)))[:, :: int(rng.choice([-1, 1]))]
    shifts = [round(length * rng.uniform(0.1, 0.3) * rng.choice([-1, 1])) for length in first.shape]
    second = np.roll(resized(second, width, height), shifts, (0, 1))
    share = float(rng.uniform(0.4, 0.6))
    return saved(share * first + (1 - share) * second, rng)


def in_viewer(rng: Generator, donors: Donors) -> Picture:
    """A screenshot of a viewer: menus, text and buttons round a small slice."""
    side = int(rng.integers(320, 601))
    height = round(side * rng.uniform(0.6, 0.9))
    ground = int(rng.integers(20, 240))
    image = Image.new("L", (side, height), ground)
    draw = ImageDraw.Draw(image)
    ink = 255 if ground < 128 else 0
    share = rng.uniform(0.3, 0.55)
    small = fitted(_values(rng, donors), round(image.height * share))
    left = round(rng.uniform(0.05, 0.9 - share) * image.width)
    top = round(rng.uniform(0.15, 0.9 - share) * image.height)
    frame = (left - 12, top - 12, left + small.shape[1] + 12, top + small.shape[0] + 12)
    draw.rectangle(frame, fill=0, outline=ink)
    image.paste(Image.fromarray(to_bytes(np.clip(small, 0, 1))), (left, top))
    draw.rectangle((0, 0, image.width, 20), fill=int(rng.integers(60, 220)))
    font = ImageFont.load_default(12)
    draw.text((6, 3), "File   Edit   View   Tools   Help", fill=ink, font=font)
    for k in range(int(rng.integers(4, 16))):
        text = f"{rng.choice(['Series', 'Slice', 'TR', 'TE', 'WL', 'WW'])}: {rng.integers(4000)}"
        place = (frame[2] + 10 if frame[2] < image.width * 0.7 else 6, 28 + 18 * k)
        draw.text(place, text, fill=ink, font=font)
    return saved(np.asarray(image, dtype=np.float32) / 255, rng)


def screen_photograph(rng: Generator, donors: Donors) -> Picture:
    """A slice on a monitor photographed at an angle: keystone, moire, glare and a colour cast."""
    values = _values(rng, donors)
    side = draw_side(rng)
    corners = np.array([(0, 0), (0, 1), (1, 1), (1, 0)]) + rng.uniform(-0.12, 0.3, (4, 2)) * [
        (1, 1), (1, -1), (-1, -1), (-1, 1)
    ]  # fmt: skip
    seen = _keystone(values, corners, side)
    y, x = np.mgrid[0:side, 0:side]
    moire = np.sin(x * rng.uniform(0.3, 1.5) + y * rng.uniform(-0.4, 0.4))
    light = seen * (1 + rng.uniform(0.02, 0.12) * moire) + rng.uniform(0.03, 0.12)
    light += rng.uniform(0, 0.4) * np.exp(
        -((x / side - rng.random()) ** 2 + (y / side - rng.random()) ** 2) / 0.03
    )
    cast = np.array([1.0, 1.0, 1.0]) + rng.normal(0, 0.1, 3)
    grain = 0.02 * rng.standard_normal((side, side, 1))
    return saved_in_colour(to_bytes(light[..., None] * cast + grain), rng)


def ghosted(rng: Generator, donors: Donors) -> Picture:
    """Strong ghosts of periodic movement: every n-th line of k-space weakened and turned."""
    values = _values(rng, donors)
    lines, axis = np.fft.fftshift(np.fft.fft2(values)), int(rng.integers(2))
    phase = np.exp(1j * rng.uniform(0.9, 3.0) * np.sin(
        2 * np.pi * np.arange(values.shape[axis]) / rng.uniform(2, 6)
    ))  # fmt: skip
    return _from_lines(lines * (phase[:, None] if axis == 0 else phase[None]), rng)


def spiked(rng: Generator, donors: Donors) -> Picture:
    """A few spikes in k-space: a weave of stripes over the whole picture."""
    values = _values(rng, donors)
    lines = np.fft.fftshift(np.fft.fft2(values))
    for _ in range(int(rng.integers(1, 6))):
        row, column = (int(n / 2 + rng.uniform(-0.3, 0.3) * n) for n in values.shape)
        lines[row, column] += np.abs(lines).max() * rng.uniform(0.5, 1.5)
    return _from_lines(lines, rng)


def folded_over(rng: Generator, donors: Donors) -> Picture:
    """A field of view too small: what lies outside folds onto the other side."""
    values = _values(rng, donors)
    axis, box = int(rng.integers(2)), head_box(values)
    first, last = (box.top, box.bottom) if axis == 0 else (box.left, box.right)
    kept = max(16, round((last - first) * float(rng.uniform(0.5, 0.8))))
    start = first + round((last - first - kept) * rng.uniform(0, 1))
    moved = np.moveaxis(values, axis, 0)
    folded = np.zeros((kept, moved.shape[1]), dtype=np.float32)
    for k in range(moved.shape[0]):
        folded[(k - start) % kept] += moved[k]
    return saved(np.moveaxis(folded, 0, axis) / max(float(folded.max()), 1e-6), rng)


def torn_by_motion(rng: Generator, donors: Donors) -> Picture:
    """A head that moved during the scan: lines of k-space from many positions."""
    values = _values(rng, donors)
    lines = np.fft.fftshift(np.fft.fft2(values))
    held = int(rng.integers(1, 5))
    steps = np.repeat(rng.normal(0, rng.uniform(5, 14), values.shape[0]), held)
    frequency = np.fft.fftshift(np.fft.fftfreq(values.shape[1]))
    shift = np.exp(2j * np.pi * steps[: values.shape[0], None] * frequency[None])
    return _from_lines(lines * shift, rng)


def drowned_in_noise(rng: Generator, donors: Donors) -> Picture:
    """A slice whose noise is as strong as its signal."""
    values = _values(rng, donors)
    spread = float(rng.uniform(0.35, 0.8))
    noise = spread * rng.standard_normal((2, *values.shape), dtype=np.float32)
    return saved(np.hypot(values + noise[0], noise[1]) / (1 + 2 * spread), rng)


def hidden(rng: Generator, donors: Donors) -> Picture:
    """Most of the head covered by patches of one grey or by a smooth shadow."""
    values = _values(rng, donors).copy()
    height, width = values.shape
    for _ in range(int(rng.integers(4, 9))):
        tall, wide = (round(n * rng.uniform(0.2, 0.45)) for n in values.shape)
        top, left = int(rng.integers(height - tall)), int(rng.integers(width - wide))
        values[top : top + tall, left : left + wide] = rng.choice([0.0, 0.0, 0.5, 1.0])
    shade = np.exp(rng.uniform(0, 0.8) * smooth_field(rng, values.shape, height / 3))
    return saved(np.clip(values * shade, 0, 1), rng)


def _values(rng: Generator, donors: Donors) -> Array:
    """One donor at random as 0 to 1, windowed and sized as one of many exports of it might be."""
    pixels = donors[int(rng.integers(len(donors)))].pixels
    low, high, exponent, side = _draw_export(rng, max(pixels.shape))
    values = _windowed(pixels, low, high) ** np.float32(exponent)
    return values if side == max(pixels.shape) else np.clip(fitted(values, side), 0, 1)


def _draw_export(rng: Generator, side: int) -> tuple[float, float, float, int]:
    """Percentiles that become black and white, exponent of the display, longer side."""
    low, high = rng.uniform(0.2, 2.0), rng.uniform(98.5, 99.9)
    other = max(160, draw_side(rng))
    return low, high, float(np.exp(rng.normal(0, 0.1))), other if rng.random() < 0.5 else side


def _windowed(pixels: Array, low: float, high: float) -> Array:
    """Percentiles `low` and `high` to 0 and 1, clipped."""
    stride = max(1, min(pixels.shape) // 256)
    black, white = np.percentile(pixels[::stride, ::stride], (low, high))
    scaled = (pixels - np.float32(black)) / np.float32(max(white - black, 1e-6))
    return np.asarray(np.clip(scaled, 0, 1), dtype=np.float32)


def _from_lines(
    lines: np.ndarray[tuple[int, ...], np.dtype[np.complex128]], rng: Generator
) -> Picture:
    values = np.abs(np.fft.ifft2(np.fft.ifftshift(lines)))
    return saved(values / max(float(np.percentile(values, 99.5)), 1e-6), rng)


def _deranged(rng: Generator, count: int) -> NDArray[np.int64]:
    """A random cycle through all places, so that no tile stays where it was."""
    cycle = rng.permutation(count)
    order = np.empty(count, dtype=np.int64)
    order[cycle] = np.roll(cycle, 1)
    return order


def _keystone(
    values: Array, corners: np.ndarray[tuple[int, ...], np.dtype[np.float64]], side: int
) -> Array:
    """The picture drawn into a square so that the square's corners show `corners` of it."""
    height, width = values.shape
    quad = (corners * [width, height]).ravel().tolist()
    picture = Image.fromarray(to_bytes(values))
    shown = picture.transform((side, side), Image.Transform.QUAD, quad, Image.Resampling.BILINEAR)
    return np.asarray(np.asarray(shown) / np.float32(255), dtype=np.float32)
