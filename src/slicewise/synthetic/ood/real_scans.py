"""Real scans of other parts and by other machines, from the test files that pydicom installs.

pydicom is under the MIT licence; its readme of the files says that there is no known restriction on
their use. They are few, so that pictures of one kind are views of the same one to thirty images:
windowed, cut, mirrored, turned a little and resized at random. No gate is fitted on them.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image

from slicewise.arrays import Array
from slicewise.errors import InputError
from slicewise.imaging.read import read_slices
from slicewise.synthetic.ood.picture import Picture, draw_side, fitted, saved

_LARGEST_TURN = 8.0
"""Degrees."""


def real_head_ct(rng: Generator) -> Picture:
    """A CT of the base of a skull, in a bone, a wide or a brain window."""
    values = _view(_pixels("J2K_pixelrep_mismatch.dcm"), rng)
    width = float(rng.choice([90, 200, 400, 1500, 2500]) * np.exp(rng.normal(0, 0.1)))
    center = float(rng.uniform(30, 60) if width < 1000 else rng.uniform(200, 600))
    return _shown((values - center) / width + 0.5, rng)


def real_spine_ct(rng: Generator) -> Picture:
    """A CT of a vertebra and what is beside it."""
    return _shown(_stretched(_view(_pixels("CT_small.dcm"), rng), rng), rng)


def real_abdomen_mr(rng: Generator) -> Picture:
    """An axial MR of an abdomen."""
    return _shown(_stretched(_view(_pixels("examples_overlay.dcm"), rng), rng), rng)


def real_ultrasound(rng: Generator) -> Picture:
    """A heart or a lymph node by ultrasound, with what the machine writes round it."""
    frames = [*_frames("examples_ybr_color.dcm"), *_frames("examples_rgb_color.dcm") * 5]
    frame = frames[int(rng.integers(len(frames)))]
    return _shown(_stretched(_view(frame, rng, turn=0.0), rng), rng)


def _pixels(name: str) -> Array:
    return _frames(name)[0]


@lru_cache(maxsize=8)
def _frames(name: str) -> tuple[Array, ...]:
    """Every frame of a test file, (H, W) float32 each."""
    found = find_spec("pydicom")
    if found is None or found.origin is None:
        raise InputError(f"{name}: expected pydicom to be installed; it is not")
    path = Path(found.origin).parent / "data" / "test_files" / name
    return tuple(slice_.pixels for slice_ in read_slices(path))


def _view(pixels: Array, rng: Generator, turn: float = _LARGEST_TURN) -> Array:
    """A random part of at least 70 % of each side, mirrored or not, turned by up to `turn`."""
    picture = Image.fromarray(pixels).rotate(
        float(rng.uniform(-turn, turn)), Image.Resampling.BILINEAR, fillcolor=float(pixels.min())
    )
    turned = np.asarray(picture, dtype=np.float32)
    tall, wide = (round(side * float(rng.uniform(0.7, 1.0))) for side in turned.shape)
    top = int(rng.integers(turned.shape[0] - tall + 1))
    left = int(rng.integers(turned.shape[1] - wide + 1))
    return turned[top : top + tall, left : left + wide][:, :: int(rng.choice([-1, 1]))]


def _stretched(values: Array, rng: Generator) -> Array:
    """A window between random low and high percentiles as 0 to 1."""
    low, high = np.percentile(values, (rng.uniform(0.2, 3), rng.uniform(98, 99.9)))
    return np.asarray((values - low) / max(float(high - low), 1e-6), dtype=np.float32)


def _shown(values: Array, rng: Generator) -> Picture:
    share = np.clip(fitted(np.clip(values, 0, 1), draw_side(rng)), 0, 1)
    return saved(share ** float(np.exp(rng.normal(0, 0.1))), rng)
