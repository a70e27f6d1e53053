"""PNG, JPEG, TIFF, BMP and WebP pictures to slices."""

from __future__ import annotations

import math
from importlib import import_module
from itertools import count
from typing import BinaryIO, Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps

from slicewise.errors import InputError, LimitError, UnsupportedImageError
from slicewise.imaging.formats.decoding import decoding, quiet
from slicewise.imaging.formats.pixels import Values, colour_difference, require_finite
from slicewise.imaging.limits import Limits
from slicewise.imaging.slice import Slice

Picture = Literal["PNG", "JPEG", "TIFF", "BMP", "WEBP"]
_Page = tuple[Values, float | None]  # its pixels, and how much higher than wide each is

ANNOTATION_PREFIX = "slicewise:"
"""How the keys of PNG text begin that become annotations."""

_PLUGINS = {"PNG": "Png", "JPEG": "Jpeg", "TIFF": "Tiff", "BMP": "Bmp", "WEBP": "WebP"}
_DENSITIES = ("jfif_density", "aspect", "dpi", "resolution")  # in Pillow's words
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange rows and columns
_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_TIFF_SUBFILE, _TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 254, 258, 262, 339


@quiet()
def read_raster(stream: BinaryIO, kind: Picture, source: str, limits: Limits) -> list[Slice]:
    """Read a picture; a TIFF gives one slice for each full-resolution page.

    Colour becomes brightness (ITU-R BT.601), transparency is laid on black, the EXIF orientation is
    applied. Grey values keep their depth; 16-bit colour is read with 8 bits.

    Raises:
        LimitError: It is larger than the limits.
        UnsupportedImageError: It is an animation, or holds pixels of a kind that is not read.
        InputError: It is too small, broken, or holds a pixel that is no number.
    """
    with _opened(stream, kind) as image:
        pages = _tiff_pages(image, limits) if kind == "TIFF" else [_only_page(image, limits)]
        if not pages:
            raise UnsupportedImageError("expected a full-resolution page, got only thumbnails")
        colour, notes = _colour(image), _annotations(image)
        names = [source] if len(pages) == 1 else [f"{source}#{i}" for i in range(len(pages))]
        return [
            Slice(
                require_finite(page),
                name,
                pixel_aspect=aspect,
                colour=colour,
                annotations=dict(notes),
            )
            for (page, aspect), name in zip(pages, names, strict=True)
        ]


def _opened(stream: BinaryIO, kind: Picture) -> Image.Image:
    import_module(f"PIL.{_PLUGINS[kind]}ImagePlugin")  # Pillow would import all to find a rare one
    with decoding(f"{kind} picture"):
        try:
            return Image.open(stream, formats=(kind,))
        except Image.DecompressionBombError as error:
            raise LimitError("expected a picture of bounded size, got a larger one") from error


def _only_page(image: Image.Image, limits: Limits) -> _Page:
    limits.check_image(image.height, image.width)
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format in ("PNG", "WEBP"):
        raise UnsupportedImageError(f"expected a still picture, got {frames} animated frames")
    return _page(image)


def _tiff_pages(image: Image.Image, limits: Limits) -> list[_Page]:
    pages: list[_Page] = []
    total = 0
    for index in count():
        if not _found(image, index):
            return pages
        if _tag(image, _TIFF_SUBFILE, 0) & 1:  # a reduced copy of another page
            continue
        limits.check_image(image.height, image.width)
        total += image.height * image.width
        limits.check_stack(total, len(pages) + 1)
        pages.append(_page(image))
    return pages


def _found(image: Image.Image, index: int) -> bool:
    """Go to a page; False behind the last one."""
    with decoding("TIFF page"):
        try:
            image.seek(index)
        except EOFError:
            return False
    return True


def _page(image: Image.Image) -> _Page:
    aspect = _aspect(image)  # first, because decoding takes the tags away
    return _grey(image), aspect


def _aspect(image: Image.Image) -> float | None:
    """Height of a pixel over its width, None where they are equal or nothing is recorded.

    By the pixels along each unit of length: JFIF density, PNG pHYs, TIFF XResolution and
    YResolution, BMP pixels per metre.
    """
    found = (image.info[key] for key in _DENSITIES if key in image.info)
    across, down = (float(density) for density in next(found, (1, 1)))
    if across == down or not (0 < across < math.inf and 0 < down < math.inf):
        return None
    with decoding("EXIF orientation"):
        sideways = image.getexif().get(ExifTags.Base.Orientation, 1) in _SIDEWAYS
    return down / across if sideways else across / down


def _load(image: Image.Image) -> None:
    """Decode the page and turn it as its EXIF orientation says; its tags are gone after that."""
    with decoding(f"{image.format} picture"):
        image.load()
        ImageOps.exif_transpose(image, in_place=True)


def _grey(image: Image.Image) -> Values:
    """(H, W) brightness of the current page; larger is brighter."""
    if image.mode in _DEEP_MODES:
        return _deep(image)
    _load(image)
    if image.has_transparency_data:  # laid on black
        rgba = image.convert("RGBA")
        image = Image.new("RGB", rgba.size)
        image.paste(rgba, mask=rgba.getchannel("A"))
    elif image.mode == "P":
        image = image.convert("RGB")
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def _colour(image: Image.Image) -> float | None:
    """How far from grey the page is that was read last; None where it can only be grey."""
    if image.mode in (*_DEEP_MODES, "L", "LA", "1"):
        return None
    return colour_difference(image.convert("RGB"))


def _deep(image: Image.Image) -> Values:
    """(H, W) values of a page of more than 8 bits, which Pillow's own conversion would clip."""
    top = _white_is_zero(image)
    _load(image)
    values = np.asarray(image)
    return values if top is None else top - values.astype(np.int64)


def _white_is_zero(image: Image.Image) -> int | None:
    """Largest value of a TIFF page whose zero is white, None where zero is black."""
    if image.format != "TIFF" or _tag(image, _TIFF_PHOTOMETRIC, 1) != 0:
        return None
    if _tag(image, _TIFF_SAMPLE_FORMAT, 1) != 1:
        raise UnsupportedImageError("expected unsigned values where zero is white, got others")
    return (1 << _tag(image, _TIFF_BITS, 1)) - 1


def _tag(image: Image.Image, tag: int, default: int) -> int:
    value = image.tag_v2.get(tag, default)  # type: ignore[attr-defined]  # TIFF images have it
    first = value[0] if isinstance(value, tuple) and value else value
    if not isinstance(first, int):
        raise InputError(f"expected a whole number in TIFF tag {tag}, got another value")
    return first


def _annotations(image: Image.Image) -> dict[str, str]:
    with decoding("PNG text"):
        text: dict[str, str] = getattr(image, "text", {})
    return {
        key.removeprefix(ANNOTATION_PREFIX): str(value)
        for key, value in text.items()
        if isinstance(key, str) and key.startswith(ANNOTATION_PREFIX)
    }
