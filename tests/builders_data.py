"""Heads with folds and vessels made of noise, their copies and their neighbours."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from slicewise.data.annotations import Known
from slicewise.data.build.sources import Item

Pixels = NDArray[np.float32]


def noise(seed: int, side: int, cells: int) -> Pixels:
    """(side, side) smooth noise in [0, 1] with about `cells` bumps along each side."""
    coarse = np.random.default_rng(seed).random((cells, cells)).astype(np.float32)
    picture = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(picture), 0, 1)


def head(seed: int, side: int = 256, twin: int | None = None, share: float = 0.0) -> Image.Image:
    """A head seen as by MRI: bright rim, textured inside, black around.

    Args:
        seed: Of shape and texture.
        side: Pixels.
        twin: Seed of a second texture that is mixed in, as in the next slice of one head.
        share: How much of it.
    """
    rng = np.random.default_rng(seed)
    height, width = 0.75 + 0.15 * rng.random(), 0.6 + 0.15 * rng.random()
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    radius = np.hypot(x / width, y / height)
    texture = _texture(seed, side)
    if twin is not None:
        texture = (1 - share) * texture + share * _texture(twin, side)
    inside = 60 + 110 * texture
    rim = (radius > 0.92) & (radius < 1)
    pixels = np.where(radius < 1, np.where(rim, 220, inside), 0)
    return Image.fromarray(pixels.astype(np.uint8))


def _texture(seed: int, side: int) -> Pixels:
    return 0.5 * noise(seed, side, 14) + 0.5 * noise(seed + 10_000, side, 26)


def as_pixels(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("L"), dtype=np.float32)


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def cropped(image: Image.Image) -> Image.Image:
    w, h = image.size
    return image.crop((w // 16, h // 24, w - w // 16, h - h // 24))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirrored": ImageOps.mirror,
    "turned": lambda image: image.rotate(180),
    "turned and mirrored": ImageOps.flip,
    "small": lambda image: image.resize((112, 112), Image.Resampling.BILINEAR),
    "stretched": lambda image: image.resize((200, 260), Image.Resampling.BICUBIC),
    "jpeg": lambda image: jpeg(image, 60),
    "bright": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "dark": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.2),
    "flat": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
    "sharp": lambda image: image.filter(ImageFilter.UnsharpMask(2, 120, 2)),
    "cropped": cropped,
    "everything": lambda image: jpeg(
        ImageEnhance.Brightness(ImageOps.mirror(image).resize((224, 224))).enhance(1.15), 60
    ),
}


def save(image: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def item(number: int, label: str = "glioma", **known: str) -> Item:
    """An item whose file name and hash are its number."""
    known.setdefault("source", "made")
    source, cluster = known.pop("source"), known.pop("cluster", str(number))
    patient, index = known.pop("dicom", ""), known.pop("index", None)
    path = Path(f"{number}.png")
    return Item(
        file=path,
        index=None if index is None else int(index),
        label=label,
        source=source,
        published_split="",
        patient=patient,
        sha256=f"{number:064x}",
        width=10,
        height=10,
        known=Known(**known),
        fold=known.get("fold", ""),
        cluster=int(cluster),
        cluster_name=cluster,
    )
