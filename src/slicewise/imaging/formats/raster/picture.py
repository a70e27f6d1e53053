"""PNG, JPEG, TIFF, BMP and WebP pictures to slices."""

from __future__ import annotations

import math
from contextlib import nullcontext, suppress
from dataclasses import replace
from importlib import import_module
from itertools import count
from typing import BinaryIO, Literal

import numpy as np
from PIL import ExifTags, Image
from PIL.Image import Transpose

from slicewise.errors import InputError, LimitError, UnsupportedImageError
from slicewise.imaging.formats.decoding import captured_stderr, decoding, quiet
from slicewise.imaging.formats.pixels import Values, colour_difference, require_finite
from slicewise.imaging.formats.raster import tiff
from slicewise.imaging.formats.raster.jpeg import jpeg_error
from slicewise.imaging.formats.raster.png import ANNOTATION_PREFIX, bare_png
from slicewise.imaging.limits import Limits
from slicewise.imaging.slice import Slice

Picture = Literal["PNG", "JPEG", "TIFF", "BMP", "WEBP"]
_Page = tuple[Values, float | None]  # its pixels, and how much higher than wide each is

_PLUGINS = {"PNG": "Png", "JPEG": "Jpeg", "TIFF": "Tiff", "BMP": "Bmp", "WEBP": "WebP"}
_DENSITIES = ("jfif_density", "aspect", "dpi", "resolution")  # in Pillow's words
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange rows and columns
_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_MODES = (*_DEEP_MODES, "1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_RUN_LENGTH_PIXELS = 8_000_000  # of a run-length BMP: Pillow takes a second for them
_TURNED = {
    2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}  # fmt: skip


@quiet()
def read_raster(stream: BinaryIO, kind: Picture, source: str, limits: Limits) -> list[Slice]:
    """Read a picture; a TIFF gives one slice for each full-resolution page.

    Colour becomes brightness (ITU-R BT.601), transparency is laid on black, the EXIF orientation is
    applied. Grey values keep their depth; 16-bit colour, and 16-bit grey with transparency, are
    read with 8 bits. What else a file holds (text, profiles, EXIF) may be broken.

    Raises:
        LimitError: It is larger than the limits.
        UnsupportedImageError: It is an animation, or holds pixels of a kind that is not read.
        InputError: It is too small, broken, or holds no finite pixel.
    """
    with _opened(bare_png(stream) if kind == "PNG" else stream, kind) as image:
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
    try:
        with decoding(f"{kind} picture"):
            try:
                return Image.open(stream, formats=(kind,))
            except Image.DecompressionBombError as error:
                raise LimitError("expected a picture of bounded size, got a larger one") from error
    except LimitError:
        raise
    except InputError as error:
        raise (_reason(stream, kind) or error) from error


def _reason(stream: BinaryIO, kind: Picture) -> InputError | None:
    """Why Pillow could not open a picture that may be whole."""
    if kind == "JPEG":
        stream.seek(0)
        return jpeg_error(stream)
    if kind == "TIFF":
        return tiff.opening_error(stream)
    return None


def _only_page(image: Image.Image, limits: Limits) -> _Page:
    limits.check_image(image.height, image.width)
    if image.format == "BMP" and image.info.get("compression") in (1, 2):
        replace(limits, max_pixels=min(limits.max_pixels, _RUN_LENGTH_PIXELS)).check_image(
            image.height, image.width
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format == "WEBP":
        raise UnsupportedImageError(f"expected a still picture, got {frames} animated frames")
    return _page(image)


def _tiff_pages(image: Image.Image, limits: Limits) -> list[_Page]:
    pages: list[_Page] = []
    total = 0
    for index in count():
        if not _found(image, index):
            return pages
        limits.check_stack(total, index + 1)  # those that are left out cost time as well
        # Before the page is decoded, because its tags are gone after that.
        tags = tiff.known_tags(image.tag_v2)  # type: ignore[attr-defined]  # TIFF images have it
        if tiff.is_extra(tags):
            continue
        limits.check_image(image.height, image.width)
        total += image.height * image.width
        limits.check_stack(total, len(pages) + 1)
        swapped = image.tag_v2.prefix == b"MM"  # type: ignore[attr-defined]
        if image.mode not in _MODES or tiff.is_misread(tags, swapped):
            raise tiff.pixels_error(tags)
        try:
            page, aspect = _page(image)
        except InputError as error:
            raise (tiff.compression_error(tags) or error) from error
        if image.mode in (*_DEEP_MODES, "L"):
            page = tiff.as_tagged(page, tags)
        pages.append((page, aspect))
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
    return down / across if _orientation(image) in _SIDEWAYS else across / down


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, which turns nothing, where none can be read."""
    with suppress(Exception):  # whatever a parser of broken EXIF raises
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
        return found if isinstance(found, int) else 1
    return 1


def _grey(image: Image.Image) -> Values:
    """(H, W) brightness of the current page, upright; TIFF values as they are stored."""
    library = captured_stderr() if image.format == "TIFF" else nullcontext()  # libtiff prints
    with decoding(f"{image.format} picture"), library:
        image.load()
    upright = _upright(image)
    if image.mode in _DEEP_MODES:
        values = np.asarray(upright)
        clear = image.info.get("transparency")  # of PNG: one value of all
        return np.where(values == clear, 0, values) if isinstance(clear, int) else values
    with decoding(f"{image.format} picture"):  # whose palette or transparency may be broken
        return np.asarray(_on_black(upright))


def _on_black(image: Image.Image) -> Image.Image:
    """The picture in grey, transparency laid on black."""
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.new("RGB", rgba.size)
        image.paste(rgba, mask=rgba.getchannel("A"))
    elif image.mode in ("P", "CMYK"):
        image = image.convert("RGB")
    return image if image.mode == "L" else image.convert("L")


def _upright(image: Image.Image) -> Image.Image:
    """The picture as its EXIF orientation says."""
    turned = _TURNED.get(_orientation(image))
    return image if turned is None else image.transpose(turned)


def _colour(image: Image.Image) -> float | None:
    """How far from grey the page is that was read last; None where it can only be grey."""
    if image.mode in (*_DEEP_MODES, "L", "LA", "La", "1"):
        return None
    with decoding(f"{image.format} picture"):
        rgb = image.convert("RGB")
    return colour_difference(rgb)


def _annotations(image: Image.Image) -> dict[str, str]:
    with decoding("PNG text"):
        text: dict[str, str] = getattr(image, "text", {})
    return {
        key.removeprefix(ANNOTATION_PREFIX): str(value)
        for key, value in text.items()
        if isinstance(key, str) and key.startswith(ANNOTATION_PREFIX)
    }
