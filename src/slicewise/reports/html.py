"""HTML pages that look alike: one frame, one style, escaped, nothing fetched and no script."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path

import jinja2
from PIL import Image

from slicewise.reports.blocks import Page

FRAME = "slicewise.reports.templates"
_JPEG_QUALITY = 84
_COUNT = re.compile(r"[\d,]+")


def render_html(page: Page) -> str:
    """A report as one self-contained page: no script, readable on a phone and on paper."""
    environment = templates()
    environment.filters |= {
        "kind": lambda block: type(block).__name__,
        "address": lambda content: data_address(_read(content)),
        "size": _size,
        "counts": _counts,
    }
    return environment.get_template("page.html.j2").render(page=page)


def templates(package: str = FRAME) -> jinja2.Environment:
    """Templates of a package, such as `slicewise.output`, which may extend `base.html.j2`.

    An unknown variable is an error.
    """
    places = [jinja2.PackageLoader(name, ".") for name in dict.fromkeys((package, FRAME))]
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(places),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def data_address(content: bytes) -> str:
    """A picture as a `data:` address: as JPEG where that is smaller, as of slices, not drawings."""
    with Image.open(io.BytesIO(content)) as opened:
        kind = str(opened.format).lower()
        smaller = content if kind == "jpeg" else jpeg(opened)
    if len(smaller) < len(content):
        kind, content = "jpeg", smaller
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def jpeg(picture: Image.Image) -> bytes:
    """A picture as JPEG; a grey one stays grey."""
    buffer = io.BytesIO()
    plain = picture if picture.mode in {"L", "RGB"} else picture.convert("RGB")
    plain.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _read(content: Path | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def _size(content: Path | bytes) -> tuple[int, int]:
    """Width and height in pixels."""
    with Image.open(io.BytesIO(_read(content))) as opened:
        return opened.size


def _counts(rows: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns hold counts alone."""
    return [all(map(_COUNT.fullmatch, column)) for column in zip(*rows, strict=True)]
