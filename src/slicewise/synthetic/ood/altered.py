"""Pictures made from real ones: slices that no longer are a slice, and views of sample files.

Other packages install these files. They are few, so no limit is fitted on them.

* pydicom's test files: MIT licence; its readme of them knows of no restriction on their use.
* `china.jpg` by danielbuechele and `flower.jpg` by vultilion (scikit-learn, `datasets/images`):
  Creative Commons Attribution 2.0, as the readme beside them says.
* `grace_hopper.jpg` (matplotlib): portrait by James S. Davis, U.S. Navy, public domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from slicewise.arrays import Array
from slicewise.errors import MissingExtraError
from slicewise.imaging.read import read_slices
from slicewise.imaging.slice import Slice
from slicewise.synthetic.ood.picture import Kind, Values, draw_side, fitted, kind, resized

Donors = Sequence[Slice]
altered = partial(kind, needs_donors=True)


@altered("values changed", "Black for white.")
def _inverted(rng: Generator, donors: Donors) -> Values:
    return 1 - _donor(rng, donors)


@altered("values changed", "A window so narrow that the head is white or nearly all black.")
def _overexposed(rng: Generator, donors: Donors) -> Values:
    values = _donor(rng, donors)
    share = rng.uniform(2, 25) if rng.random() < 0.5 else rng.uniform(96, 99.5)
    return (values - np.percentile(values[values > 0.1], share)) / 0.04 + 0.5


@altered("values changed", "A rainbow scale from blue over green to red, read back as brightness.")
def _false_colour(rng: Generator, donors: Donors) -> Values:
    centers = np.array([0.75, 0.5, 0.25]) + rng.normal(0, 0.03)
    return 1.5 - np.abs(4 * (_donor(rng, donors)[..., None] - centers))


@altered("turned", "Top for bottom.")
def _upside_down(rng: Generator, donors: Donors) -> Values:
    return _donor(rng, donors)[::-1]


@altered("turned", "Turned by 90 degrees to either side.")
def _quarter_turned(rng: Generator, donors: Donors) -> Values:
    return np.rot90(_donor(rng, donors), int(rng.choice([1, 3])))


@altered("a part only", "A small patch from inside the head, enlarged to a whole picture.")
def _extreme_zoom(rng: Generator, donors: Donors) -> Values:
    values = _donor(rng, donors)
    side = max(8, round(min(values.shape) * rng.uniform(0.1, 0.22)))
    top, left = (round(n * rng.uniform(0.3, 0.7) - side / 2) for n in values.shape)
    patch = values[top : top + side, left : left + side]
    return fitted((patch - patch.min()) / (np.ptp(patch) + 1e-6), draw_side(rng))


@altered("a part only", "Only a corner of the head is left.")
def _strong_crop(rng: Generator, donors: Donors) -> Values:
    values = _donor(rng, donors)
    for _ in range(2):  # rows, then columns
        kept, edge = round(len(values) * rng.uniform(0.3, 0.5)), round(len(values) * 0.06)
        first = int(rng.choice([edge, len(values) - kept - edge]))
        values = values[first : first + kept].T
    return fitted(values, draw_side(rng))


@altered("rearranged", "Left for right or top for bottom, without mirroring; as of a wrong offset.")
def _halves_swapped(rng: Generator, donors: Donors) -> Values:
    values, axis = _donor(rng, donors), int(rng.integers(2))
    return np.roll(values, round(values.shape[axis] * rng.uniform(0.4, 0.6)), axis)


@altered("rearranged", "Cut into tiles that are put back in random order.")
def _jigsaw(rng: Generator, donors: Donors) -> Values:
    values, pieces = _donor(rng, donors), int(rng.integers(2, 6))
    side = min(values.shape) // pieces
    starts = range(0, pieces * side, side)
    tiles = [values[y : y + side, x : x + side] for y in starts for x in starts]
    cycle = rng.permutation(pieces**2)  # to the next place of a cycle: none stays where it was
    order = cycle[(np.argsort(cycle) + 1) % pieces**2]
    return np.block([[tiles[k] for k in row] for row in order.reshape(pieces, pieces)])


@altered("several at once", "A grid of several slices, as a printed film or a montage.")
def _contact_sheet(rng: Generator, donors: Donors) -> Values:
    rows, columns = int(rng.integers(1, 6)), int(rng.integers(2, 6))
    cell, gap = max(32, 600 // max(rows, columns)), int(rng.integers(0, 8))
    shape = rows * (cell + gap), columns * (cell + gap)
    sheet = np.full(shape, rng.choice([0.0, 0.0, 1.0]), dtype=np.float32)
    for row, column in product(*(range(0, side, cell + gap) for side in shape)):
        small = fitted(_donor(rng, donors), cell)
        sheet[row : row + small.shape[0], column : column + small.shape[1]] = small
    return fitted(sheet, max(200, draw_side(rng)))


@altered("several at once", "Two slices over each other, one of them shifted, turned or mirrored.")
def _double_exposure(rng: Generator, donors: Donors) -> Values:
    first, second = _donor(rng, donors), _donor(rng, donors)
    second = np.rot90(second, int(rng.integers(4)))[:, :: int(rng.choice([-1, 1]))]
    shifts = [round(n * rng.uniform(0.1, 0.3) * rng.choice([-1, 1])) for n in first.shape]
    second = np.roll(resized(second, *first.shape[::-1]), shifts, (0, 1))
    return second + rng.uniform(0.4, 0.6) * (first - second)


@altered("on a screen", "A screenshot of a viewer: menus, text and a small slice.")
def _in_viewer(rng: Generator, donors: Donors) -> Values:
    width, height = int(rng.integers(320, 601)), int(rng.integers(240, 400))
    image = Image.new("L", (width, height), int(rng.integers(240)))
    draw, small = ImageDraw.Draw(image), fitted(_donor(rng, donors), round(height * 0.5))
    left, top = int(rng.integers(20, width // 3)), int(rng.integers(40, height // 3))
    draw.rectangle((left - 12, top - 12, left + height // 2 + 12, top + height // 2 + 12), fill=0)
    image.paste(Image.fromarray((small * 255).astype(np.uint8)), (left, top))
    draw.rectangle((0, 0, width, 20), fill=int(rng.integers(60, 160)))
    write = partial(draw.text, fill=255, font=ImageFont.load_default(12))
    write((6, 3), "File   Edit   View   Tools   Help")
    for y in range(28, 28 + 18 * int(rng.integers(4, 16)), 18):
        text = f"{rng.choice(['Series', 'Slice', 'TR', 'TE', 'WL', 'WW'])}: {rng.integers(4000)}"
        write((left + height // 2 + 20, y), text)
    return np.asarray(image) / 255


@altered("on a screen", "A monitor photographed at an angle: keystone, moire, glare, colour.")
def _screen_photograph(rng: Generator, donors: Donors) -> Values:
    values, side = _donor(rng, donors), draw_side(rng)
    inwards = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
    corners = [(0, 0), (0, 1), (1, 1), (1, 0)] + rng.uniform(-0.12, 0.3, (4, 2)) * inwards
    quad = (corners * values.shape[::-1]).ravel().tolist()
    picture = Image.fromarray(np.ascontiguousarray(values))
    method, bilinear = Image.Transform.QUAD, Image.Resampling.BILINEAR
    seen = np.asarray(picture.transform((side, side), method, quad, bilinear))
    y, x = np.mgrid[0:side, 0:side]
    moire = np.sin(x * rng.uniform(0.3, 1.5) + y * rng.uniform(-0.4, 0.4))
    light = seen * (1 + rng.uniform(0.02, 0.12) * moire) + rng.uniform(0.03, 0.12)
    away = (x / side - rng.random()) ** 2 + (y / side - rng.random()) ** 2
    light = light + rng.uniform(0, 0.4) * np.exp(-away / 0.03)
    grain = 0.02 * rng.standard_normal((side, side, 1))
    return np.asarray(light[..., None] * (1 + rng.normal(0, 0.1, 3)) + grain)


@altered("failed scan", "Strong ghosts of periodic movement: lines of k-space turned in phase.")
def _ghosted(rng: Generator, donors: Donors) -> Values:
    lines, axis = _k_space(rng, donors), int(rng.integers(2))
    period = np.arange(lines.shape[axis]) / rng.uniform(2, 6)
    phase = np.exp(1j * rng.uniform(0.9, 3.0) * np.sin(2 * np.pi * period))
    return _reconstructed(lines * (phase[:, None] if axis == 0 else phase))


@altered("failed scan", "A few spikes in k-space: a weave of stripes over the whole picture.")
def _spiked(rng: Generator, donors: Donors) -> Values:
    lines = _k_space(rng, donors)
    for _ in range(int(rng.integers(1, 6))):
        row, column = (int(n * rng.uniform(0.2, 0.8)) for n in lines.shape)
        lines[row, column] += np.abs(lines).max() * rng.uniform(0.5, 1.5)
    return _reconstructed(lines)


@altered("failed scan", "A head that moved during the scan: lines of k-space from many positions.")
def _torn_by_motion(rng: Generator, donors: Donors) -> Values:
    lines = _k_space(rng, donors)
    moves = rng.normal(0, rng.uniform(5, 14), len(lines)).repeat(int(rng.integers(1, 5)))
    frequency = np.fft.fftshift(np.fft.fftfreq(lines.shape[1]))
    return _reconstructed(lines * np.exp(2j * np.pi * np.outer(moves[: len(lines)], frequency)))


@kind("real scan", "A CT of the base of a skull, in a bone, a wide or a brain window.")
def _real_head_ct(rng: Generator) -> Values:
    values = _view(rng, _scans("J2K_pixelrep_mismatch.dcm")[0])
    width = rng.choice([90, 200, 400, 1500, 2500]) * np.exp(rng.normal(0, 0.1))
    center = rng.uniform(30, 60) if width < 1000 else rng.uniform(200, 600)
    return fitted(np.clip((values - center) / width + 0.5, 0, 1), draw_side(rng))


@kind("real scan", "A CT of a vertebra and what is beside it.")
def _real_spine_ct(rng: Generator) -> Values:
    return _windowed(rng, _scans("CT_small.dcm")[0])


@kind("real scan", "An axial MR of an abdomen.")
def _real_abdomen_mr(rng: Generator) -> Values:
    return _windowed(rng, _scans("examples_overlay.dcm")[0])


@kind("real scan", "A heart or a lymph node by ultrasound, with what the machine writes round it.")
def _real_ultrasound(rng: Generator) -> Values:
    frames = [*_scans("examples_ybr_color.dcm"), *_scans("examples_rgb_color.dcm") * 5]
    return _windowed(rng, frames[int(rng.integers(len(frames)))])


def _cut(package: str, name: str, rng: Generator) -> Values:
    """A random part of a photograph; grey or, more often, in colour."""
    photograph = _part(rng, _photograph(package, name), 0.3)
    light = fitted(photograph, draw_side(rng)) ** np.exp(rng.normal(0, 0.25))
    return np.asarray(light if rng.random() < 0.6 else light.mean(axis=2))


_landscape, _flower, _portrait = (
    Kind(name, "photograph", f"A cut of a {shown}.", partial(_cut, package, file))
    for name, shown, package, file in (
        ("landscape", "photograph of a temple", "sklearn", "datasets/images/china.jpg"),
        ("flower", "photograph of a flower", "sklearn", "datasets/images/flower.jpg"),
        ("portrait", "portrait of a person", "matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    )
)


def _donor(rng: Generator, donors: Donors) -> Array:
    """One donor at random as 0 to 1, windowed and sized as one of many exports of it might be."""
    pixels = donors[int(rng.integers(len(donors)))].pixels
    low, high, exponent, side = _draw_export(rng, max(pixels.shape))
    black, white = np.percentile(pixels[::2, ::2], (low, high))
    values = np.clip((pixels - black) / max(white - black, 1e-6), 0, 1).astype(np.float32)
    values **= np.float32(exponent)
    return values if side == max(pixels.shape) else fitted(values, side)


def _draw_export(rng: Generator, side: int) -> tuple[float, float, float, int]:
    """Percentiles that become black and white, exponent of the display, longer side."""
    other = side if rng.random() < 0.5 else max(160, draw_side(rng))
    exponent = float(np.exp(rng.normal(0, 0.1)))
    return rng.uniform(0.2, 2.0), rng.uniform(98.5, 99.9), exponent, other


def _k_space(rng: Generator, donors: Donors) -> Values:
    return np.fft.fftshift(np.fft.fft2(_donor(rng, donors)))


def _reconstructed(lines: Values) -> Values:
    values = np.abs(np.fft.ifft2(np.fft.ifftshift(lines)))
    return values / max(float(np.percentile(values, 99.5)), 1e-6)


def _view(rng: Generator, pixels: Values) -> Values:
    """A part of at least 70 % of each side, mirrored or not, turned by up to 8 degrees."""
    turn, ground = float(rng.uniform(-8, 8)), float(pixels.min())
    picture = Image.fromarray(pixels).rotate(turn, Image.Resampling.BILINEAR, fillcolor=ground)
    return _part(rng, np.asarray(picture), 0.7)


def _part(rng: Generator, pixels: Values, least: float) -> Values:
    tall, wide = (round(n * rng.uniform(least, 1.0)) for n in pixels.shape[:2])
    top, left = rng.integers(len(pixels) - tall + 1), rng.integers(pixels.shape[1] - wide + 1)
    return pixels[top : top + tall, left : left + wide][:, :: int(rng.choice([-1, 1]))]


def _windowed(rng: Generator, pixels: Values) -> Values:
    """A view between random low and high percentiles as 0 to 1."""
    values = _view(rng, pixels)
    low, high = np.percentile(values, (rng.uniform(0.2, 3), rng.uniform(98, 99.9)))
    return fitted(np.clip((values - low) / max(high - low, 1e-6), 0, 1), draw_side(rng))


@lru_cache(maxsize=8)
def _scans(name: str) -> list[Array]:
    """Every frame of one of pydicom's test files, (H, W) float32 each."""
    return [one.pixels for one in read_slices(_sample_file("pydicom", f"data/test_files/{name}"))]


@lru_cache(maxsize=4)
def _photograph(package: str, name: str) -> Values:
    with Image.open(_sample_file(package, name)) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.float32) / 255


def _sample_file(package: str, name: str) -> Path:
    """A file of an installed package, which is not imported for it: that would take seconds."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise MissingExtraError("sample pictures", "evaluate")
    return Path(found.origin).parent / name
