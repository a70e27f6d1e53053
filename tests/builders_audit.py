"""A small data set with everything that an audit should find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from builders_data import COPIES, head, save


def ct_picture(side: int = 200) -> Image.Image:
    """Bone all around a dim brain."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    radius = np.hypot(x / 0.75, y / 0.9)
    noise = np.random.default_rng(0).normal(0, 6, (side, side))
    pixels = np.where(radius < 1, np.where(radius < 0.88, 80 + noise, 250), 0)
    return Image.fromarray(pixels.astype(np.uint8))


def dim_head(seed: int, side: int = 256) -> Image.Image:
    """A head whose rim is no brighter than its inside, as bone in CT would be."""
    return head(seed, side).point(lambda value: min(value, 140))


def leaky_folder(root: Path) -> Path:
    """24 heads in published splits: glioma as small JPEGs, no tumor as larger PNGs.

    Four test slices are copies of training slices, one picture has two labels, one file is CT, one
    is broken and one lies about its name.
    """
    for number in range(12):
        split = "Training" if number < 9 else "Testing"
        save(dim_head(number, 200), root / split / "glioma" / f"g{number}.jpg")
        save(dim_head(50 + number, 256), root / split / "notumor" / f"n{number}.png")
    for number in range(2):
        save(
            COPIES["mirrored"](dim_head(number, 200)),
            root / "Testing" / "glioma" / f"m{number}.jpg",
        )
        save(
            COPIES["small"](dim_head(50 + number)), root / "Testing" / "notumor" / f"s{number}.png"
        )
    save(dim_head(60, 256), root / "Training" / "glioma" / "conflict.png")
    save(ct_picture(), root / "Training" / "notumor" / "ct.png")
    (root / "Training" / "glioma" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    return root
