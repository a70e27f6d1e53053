"""Pixels for `comparison_inputs.py`: synthetic heads and what is no head, each from its seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.float64]
"""(rows, columns) in [0, 1]."""


KINDS = ("glioma", "meningioma", "no_tumor", "pituitary")
"""What the lesions look like, by the class that they are drawn for."""


def head(seed: int, side: int = 192, kind: str = "glioma", level: float = 0.0) -> Pixels:
    """A head as MRI shows it: scalp, skull, brain with furrows and vessels, ventricles, lesion.

    Args:
        seed: Of shape, texture and place of the lesion.
        side: Rows and columns.
        kind: One of `KINDS`.
        level: Height of the slice in the head, -1 (neck) to 1 (crown).
    """
    rng = np.random.default_rng(seed)
    size = np.sqrt(1 - level**2)
    width, height = size * rng.uniform(0.64, 0.74), size * rng.uniform(0.82, 0.92)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    radius = np.hypot(x / width, y / height)
    tissue = _brain(seed, side, radius, x / width, y / height)
    tissue = _with_lesion(tissue, kind, x / size, y / size, rng)
    layers = [radius < 0.84, radius < 0.855, radius < 0.9, radius < 1]
    drawn = np.select(layers, [tissue, 0.12, 0.04, 0.75], 0.0)
    return _acquired(drawn, x, y, rng)


def _brain(seed: int, side: int, radius: Pixels, x: Pixels, y: Pixels) -> Pixels:
    """Grey and white matter; furrows, vessels and the middle line; two ventricles."""
    waves, branches = smooth_noise(seed, side, 11), smooth_noise(seed + 1, side, 9)
    tissue = 0.36 + 0.05 * smooth_noise(seed + 2, side, 40)
    tissue = np.where(radius < 0.6 + 0.3 * (waves - 0.5), tissue + 0.06, tissue)
    tissue = np.where((np.abs(waves - 0.5) < 0.03) & (radius > 0.5), 0.12, tissue)
    tissue = np.where((np.abs(branches - 0.5) < 0.015) & (radius > 0.35), 0.62, tissue)
    tissue = np.where((np.abs(x) < 0.015) & (np.abs(y) > 0.4), 0.15, tissue)
    for away in (-0.13, 0.13):
        ventricle = np.hypot((x - away * (1 + np.abs(y))) / 0.06, (y + 0.05) / 0.26) < 1
        tissue = np.where(ventricle, 0.1, tissue)
    return tissue


def _with_lesion(
    tissue: Pixels, kind: str, x: Pixels, y: Pixels, rng: np.random.Generator
) -> Pixels:
    """A ring in an oedema, a bright ball at the edge, a small one in the middle, or nothing."""
    if kind == "no_tumor":
        return tissue
    away, reach = {"glioma": (0.3, 0.15), "meningioma": (0.47, 0.14), "pituitary": (0, 0.08)}[kind]
    reach *= rng.uniform(0.7, 1.3)
    angle = rng.uniform(-0.9, 0.9) + np.pi * rng.integers(2)
    dx, dy = x - away * np.cos(angle), y - away * np.sin(angle)
    distance = np.hypot(dx, dy * rng.uniform(0.8, 1.25)) / reach
    if kind != "glioma":
        return np.where(distance < 1, 0.72, tissue)
    oedema = np.where(distance < 1.7, 0.28, tissue)
    return np.where(distance < 1, np.where(distance > 0.75, 0.8, 0.17), oedema)


def _acquired(drawn: Pixels, x: Pixels, y: Pixels, rng: np.random.Generator) -> Pixels:
    """With the blur, uneven field and Rician noise of a scanner."""
    field = 1 + rng.uniform(-0.15, 0.15) * x + rng.uniform(-0.15, 0.15) * y
    parts = rng.normal(0, 0.015, (2, *drawn.shape))
    return np.asarray(np.clip(np.hypot(_blurred(drawn) * field + parts[0], parts[1]), 0, 1))


def _blurred(pixels: Pixels) -> Pixels:
    for axis in (0, 1):
        pixels = (np.roll(pixels, 1, axis) + 2 * pixels + np.roll(pixels, -1, axis)) / 4
    return pixels


def smooth_noise(seed: int, side: int, cells: int) -> Pixels:
    """(side, side) in [0, 1] with about so many bumps along each side."""
    coarse = np.random.default_rng(seed).random((cells, cells)).astype(np.float32)
    drawn = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(drawn, dtype=np.float64), 0, 1)


def with_noise(pixels: Pixels, seed: int) -> Pixels:
    """A head with a little more noise in it; the dark around it stays dark."""
    noise = np.random.default_rng(seed).normal(0, 0.03, pixels.shape)
    return np.where(pixels > 0.05, np.clip(pixels + noise, 0, 1), pixels)


def volume(seed: int, slices: int = 7, side: int = 128, reach: float = 0.75) -> Pixels:
    """(slices, side, side): one head from below upwards, as far as `reach` from its middle."""
    levels = np.linspace(-reach, reach, slices)
    return np.stack([head(seed, side, "glioma" if abs(z) < 0.4 else "no_tumor", z) for z in levels])


def grey8(pixels: Pixels) -> NDArray[np.uint8]:
    """As 8-bit values."""
    return np.rint(pixels * 255).astype(np.uint8)


def grey16(pixels: Pixels, top: int = 4095, dtype: Any = np.uint16) -> NDArray[Any]:
    """As integers up to `top`."""
    return np.rint(pixels * top).astype(dtype)


def coloured(seed: int, side: int = 160, strength: float = 1.0) -> NDArray[np.uint8]:
    """(side, side, 3) smooth colours, as a photograph has them, over a grey picture."""
    grey = smooth_noise(seed, side, 9)[..., None]
    colours = np.stack([smooth_noise(seed + i, side, 5) for i in range(1, 4)], axis=-1)
    return grey8((1 - strength) * grey + strength * colours)


def strange(side: int = 160) -> dict[str, NDArray[np.uint8]]:
    """What is no slice, by name: blank, noise, patterns."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:side, 0:side]
    dot = np.zeros((side, side), np.uint8)
    dot[side // 2, side // 2] = 255
    return {
        "black": np.zeros((side, side), np.uint8),
        "white": np.full((side, side), 255, np.uint8),
        "grey": np.full((side, side), 100, np.uint8),
        "dot": dot,
        "noise": rng.integers(0, 256, (side, side), dtype=np.uint8),
        "bell_noise": np.clip(rng.normal(120, 40, (side, side)), 0, 255).astype(np.uint8),
        "clouds": grey8(smooth_noise(6, side, 8)),
        "gradient": (x * 255 // (side - 1)).astype(np.uint8),
        "checks": ((x // 8 + y // 8) % 2 * 255).astype(np.uint8),
        "stripes": (x // 6 % 2 * 200).astype(np.uint8),
        "disc": np.where(np.hypot(x - side / 2, y - side / 2) < side / 3, 200, 0).astype(np.uint8),
        "page": np.where((y // 6 % 2 == 1) & (rng.random((side, side)) < 0.4), 20, 240).astype(
            np.uint8
        ),
    }


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "dark": lambda p: p * 0.3,
    "bright": lambda p: np.clip(p * 1.8, 0, 1),
    "negative": lambda p: 1 - p,
    "turned": np.rot90,
    "upside_down": np.flipud,
    "mirrored": np.fliplr,
    "cropped": lambda p: p[40:-40, 30:-30],
    "half": lambda p: p[:, : p.shape[1] // 2],
    "framed": lambda p: np.pad(p, 30),
    "white_frame": lambda p: np.pad(p, 12, constant_values=1.0),
    "noisy": lambda p: np.clip(p + np.random.default_rng(1).normal(0, 0.2, p.shape), 0, 1),
    "blurred": lambda p: _blurred(_blurred(_blurred(_blurred(p)))),
    "coarse": lambda p: np.rint(p * 4) / 4,
    "tall": lambda p: np.repeat(p, 2, axis=0)[:256],
    "doubled": lambda p: np.hstack([p, p])[:, :256],
}
"""What is done to a head, by name."""
