"""Image issues: slices that may not belong into a set of MR slices of heads, by readable rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image

from slicewise.arrays import Array, Bools, Floats
from slicewise.errors import MissingExtraError
from slicewise.imaging.appearance import Appearance
from slicewise.imaging.slice import Slice, is_synthetic

UNUSUAL_LIMIT = 4.0
_NEIGHBOURS = 5
_FEWEST = 50
_MOST_RANGES = 8.0
"""No statistic counts for more than so many interquartile ranges."""

_RING_SIDE = 128
_FOREGROUND = 0.12
_RAYS = 72
_STEPS = 96
_REACH = 1.35
"""How far rays go, in half axes of the head's ellipse."""
_RIM = 0.55
_SATURATED = 0.9
_THICK = 0.04
_NEAR = 7
"""Steps along a ray: a tenth of a half axis."""
_INSIDE = 0.6

_TEXT_SIDE = 256
_LIT = 0.25
_CLEAR = 0.4
_OUTSIDE = 1.15
_HEIGHTS = (3, 14)
_WIDTHS = (1, 16)
_SAME_LINE = 1.5
_SAME_HEIGHT = 2
_GAPS = (-1.0, 12.0)

Box = tuple[float, float, int, int]
"""Centre row, centre column, height and width, pixels."""


@dataclass(frozen=True, slots=True)
class Ring:
    """What 72 rays from the centre of the head meet.

    Args:
        cover: Share of rays that cross a run of nearly the largest value near the rim, at least 4 %
            of the head's half axis long. Bone in CT; in MR near the crown, fat.
        beyond: Median level in the tenth of a half axis outside of it. Bone, which the window of a
            CT cuts off, ends sharply; fat in MR fades.
        inside: Median level inside, 1 being nearly the largest value.
        inside_bright: Share of the inside that is as bright as the ring.
    """

    cover: float
    beyond: float
    inside: float
    inside_bright: float

    @property
    def is_bone(self) -> bool:
        """Whether it is probably the skull in a CT."""
        dim = self.inside <= 0.5 and self.inside_bright <= 0.05
        return self.cover >= 0.75 and self.beyond <= 1 / 3 and dim


@dataclass(frozen=True, slots=True)
class Rule:
    """When a slice has an issue, in words.

    The suggested manifest leaves such slices out where `leave_out`; others are only marked.
    """

    kind: str
    title: str
    words: str
    leave_out: bool


@dataclass(frozen=True, slots=True)
class Issue:
    """The indices of the slices for which one rule holds."""

    rule: Rule
    slices: list[int]


RULES = (
    Rule("synthetic", "drawn, not scanned", "the file says of itself that it was drawn", True),
    Rule("blank", "blank", "more than 95 % of the pixels have one level", True),
    Rule("ct", "probably CT, not MR",
         "a ring of nearly the largest value, at least 4 % of the head's half axis thick, on 75 % "
         "of the rays from the centre or more, which ends sharply (at most a third of it just "
         "outside), and a median level inside of at most half of it",
         True),
    Rule("small", "very small", "the shorter side has fewer than 96 pixels", True),
    Rule("colour", "coloured", "colour channels differ by more than 2 % of the range on average",
         False),
    Rule("bright_border", "bright border: inverted, framed or pasted on white",
         "the median along the edge is above the middle of the range", False),
    Rule("text", "burnt-in text",
         "three or more small bright marks of one height in a row, outside of the head", False),
    Rule("narrow", "odd shape", "one side is more than 1.6 times the other", False),
    Rule("unlike", "unlike the rest: not a head, or in an unusual frame",
         "in levels, shape, symmetry and sharpness its fifth nearest other slice is more than 4 "
         "times as far away as that of a typical slice", False),
)  # fmt: skip


def issues_of(slice_: Slice, look: Appearance) -> list[bool]:
    """Which of `RULES` hold for one slice, never `unlike`; `MissingExtraError` without SciPy."""
    ring = bright_ring(slice_.pixels)
    holds = {
        "synthetic": is_synthetic(slice_),
        "blank": look.top_level_share > 0.95,
        "ct": ring.is_bone,
        "small": min(slice_.shape) < 96,
        "colour": (slice_.colour or 0) > 0.02,
        "bright_border": look.border_level > 0.5,
        "text": letters_in_row(slice_.pixels) >= 3,
        "narrow": abs(look.log_aspect) > math.log(1.6),
        "unlike": False,
    }
    return [bool(holds[rule.kind]) for rule in RULES]


def find_issues(held: Bools, looks: Array, clusters: Sequence[int]) -> list[Issue]:
    """Slices by rule, in the order of `RULES`; rules that hold nowhere are left out.

    Takes (N, R) from `issues_of`, (N, A) appearance and (N) index of the first copy of each slice.
    """
    columns = [*held.T[:-1], unusual_appearance(looks, clusters)]  # of `unlike`, the last rule
    found = [np.flatnonzero(column).tolist() for column in columns]
    return [Issue(rule, own) for rule, own in zip(RULES, found, strict=True) if own]


def unusual_appearance(looks: Array, clusters: Sequence[int]) -> Bools:
    """(N,) which slices resemble no others in appearance.

    Statistics are centred by their median and divided by their interquartile range; the distance to
    the fifth nearest different slice is compared with its median over all slices. Copies share the
    answer of the first of them; of fewer than 50 different slices none. Arguments as `find_issues`.
    """
    first, place = np.unique(np.array(clusters, dtype=np.int64), return_inverse=True)
    if len(first) < _FEWEST:
        return np.zeros(len(clusters), dtype=bool)
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    chosen = looks[first].astype(np.float64)
    low, middle, high = np.percentile(chosen, (25, 50, 75), axis=0)
    spread = np.where(high > low, high - low, np.inf)
    scaled = np.clip((chosen - middle) / spread, -_MOST_RANGES, _MOST_RANGES)
    with threadpool_limits(1):
        nearest = NearestNeighbors(n_neighbors=_NEIGHBOURS + 1).fit(scaled)
        distance = nearest.kneighbors(scaled)[0][:, -1]
    return np.asarray((distance > UNUSUAL_LIMIT * np.median(distance))[place])


def bright_ring(pixels: Array) -> Ring:
    """Measure the ring around a head in (H, W) finite values of any scale."""
    levels = _levels(pixels, _RING_SIDE)
    rays, radii = _along_rays(levels)
    bright = (rays >= _SATURATED) & (radii > _RIM)
    thickness = _longest_runs(bright) / _STEPS * _REACH
    inside = rays[:, radii < _INSIDE]
    last = _STEPS - 1 - bright[:, ::-1].argmax(axis=1)  # of a ray that crosses none: its end
    outside = np.minimum(last[:, None] + np.arange(1, _NEAR + 1), _STEPS - 1)
    return Ring(
        cover=float((thickness >= _THICK).mean()),
        beyond=float(np.median(np.take_along_axis(rays, outside, axis=1).mean(axis=1))),
        inside=float(np.median(inside)),
        inside_bright=float((inside > _SATURATED).mean()),
    )


def letters_in_row(pixels: Array) -> int:
    """The longest row of small bright marks of one height outside of the head's ellipse.

    Takes (H, W) finite values of any scale; raises `MissingExtraError` without SciPy.
    """
    marks = _small_marks(_levels(pixels, _TEXT_SIDE))
    longest = 0
    for y, _, h, _ in marks:
        line = [m for m in marks if abs(m[0] - y) <= _SAME_LINE and abs(m[2] - h) <= _SAME_HEIGHT]
        longest = max(longest, _longest_chain(sorted(line, key=lambda mark: mark[1])))
    return longest


def _levels(pixels: Array, side: int) -> Array:
    """The picture shrunk to a longest side, from its 1st to its 99.5th percentile."""
    factor = side / max(pixels.shape)
    height, width = (max(8, round(length * factor)) for length in pixels.shape)
    picture = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    how = Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR
    small = np.asarray(picture.resize((width, height), how), dtype=np.float32)
    low, high = np.percentile(small, (1, 99.5))
    if high <= low:
        return np.zeros_like(small)
    return np.asarray(np.clip((small - low) / (high - low), 0, 1), dtype=np.float32)


def _ellipse(mask: Bools) -> tuple[float, float, float, float]:
    """Centre row and column, half axes; a full ellipse has half of each as deviation."""
    rows, columns = np.nonzero(mask if mask.any() else np.ones_like(mask))
    tall, wide = (max(2 * float(places.std()), 1.0) for places in (rows, columns))
    return float(rows.mean()), float(columns.mean()), tall, wide


def _along_rays(levels: Array) -> tuple[Array, Floats]:
    """(rays, steps) levels and (steps,) radii in half axes; 0 outside of the picture."""
    row, column, tall, wide = _ellipse(levels > _FOREGROUND)
    angles = np.arange(_RAYS)[:, None] / _RAYS * 2 * np.pi
    radii = (np.arange(_STEPS) + 0.5) / _STEPS * _REACH
    y = np.rint(row + tall * radii * np.sin(angles)).astype(int)
    x = np.rint(column + wide * radii * np.cos(angles)).astype(int)
    height, width = levels.shape
    there = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    found = levels[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return np.asarray(np.where(there, found, 0), dtype=np.float32), radii


def _longest_runs(bright: Bools) -> Floats:
    """(rays,) length of the longest run of True along each row."""
    run = longest = np.zeros(len(bright))
    for column in bright.T:
        run = np.where(column, run + 1, 0)
        longest = np.maximum(longest, run)
    return longest


def _small_marks(levels: Array) -> list[Box]:
    """Connected bright marks of the size of letters, outside of the largest one's ellipse."""
    try:
        from scipy import ndimage
    except ModuleNotFoundError:
        raise MissingExtraError("an audit", "evaluate") from None
    numbers, count = ndimage.label(levels > _LIT, structure=np.ones((3, 3)))
    if count < 2:
        return []
    sizes = np.bincount(numbers.ravel())
    sizes[0] = 0
    head = int(sizes.argmax())
    row, column, tall, wide = _ellipse(numbers == head)
    marks = []
    for number, (down, across) in enumerate(ndimage.find_objects(numbers), start=1):
        height, width = down.stop - down.start, across.stop - across.start
        y, x = (down.start + down.stop) / 2, (across.start + across.stop) / 2
        sized = _HEIGHTS[0] <= height <= _HEIGHTS[1] and _WIDTHS[0] <= width <= _WIDTHS[1]
        if number == head or not sized:
            continue
        own = levels[down, across][numbers[down, across] == number]
        if np.hypot((y - row) / tall, (x - column) / wide) >= _OUTSIDE and own.max() >= _CLEAR:
            marks.append((y, x, height, width))
    return marks


def _longest_chain(line: list[Box]) -> int:
    """How many marks of a line, from left to right, follow each other closely; 0 if none do."""
    longest = run = 1
    for left, right in pairwise(line):
        gap = (right[1] - right[3] / 2) - (left[1] + left[3] / 2)
        run = run + 1 if _GAPS[0] <= gap <= _GAPS[1] else 1
        longest = max(longest, run)
    return longest if longest > 1 else 0
