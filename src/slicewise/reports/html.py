"""HTML pages that look alike: one frame, one style, escaped, nothing fetched and no script."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import jinja2
from PIL import Image

from slicewise.reports.blocks import Page, Picture

FRAME = "slicewise.reports.templates"
_TEMPLATE = "page.html.j2"
_JPEG_QUALITY = 84
_WIDE, _ROW = 1.3, 2.2
"""Width over height from which on a lone picture is shown larger, and any one takes a row."""
_COUNT = re.compile(r"[\d,]+")


def render_html(page: Page) -> str:
    """A report as one self-contained page: no script, readable on a phone and on paper."""
    environment = templates()
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["shown"] = _shown
    environment.filters["numeric"] = _numeric
    return environment.get_template(_TEMPLATE).render(page=page)


def templates(package: str = FRAME) -> jinja2.Environment:
    """Templates of a package, which may extend `base.html.j2`; an unknown variable is an error.

    Args:
        package: With the templates, such as `slicewise.output`.
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


@dataclass(frozen=True, slots=True)
class _Shown:
    address: str
    wide: bool
    row: bool


def _shown(picture: Picture) -> _Shown | None:
    if picture.content is None:
        return None
    content = picture.content
    content = content if isinstance(content, bytes) else content.read_bytes()
    with Image.open(io.BytesIO(content)) as opened:
        shape = opened.width / opened.height
    return _Shown(data_address(content), wide=shape > _WIDE, row=shape > _ROW)


def _numeric(rows: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns hold counts alone."""
    return [all(_COUNT.fullmatch(cell) for cell in column) for column in zip(*rows, strict=True)]
