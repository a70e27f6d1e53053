"""A report as one HTML page: self-contained, no script, readable on a phone and on paper."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from slicewise.evaluation.gate import PASSED
from slicewise.evaluation.sections.advice import advice
from slicewise.evaluation.sections.headlines import headlines
from slicewise.evaluation.sections.text import model_text, refused_text
from slicewise.inference.results import DISCLAIMER
from slicewise.reports.blocks import Section
from slicewise.reports.html import templates

_TEMPLATE = "page.html.j2"
_JPEG_QUALITY = 82
_WIDE = 1.3
"""Pictures wider than this, by height, are shown larger."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture on the page.

    Args:
        address: Data address.
        name: File name in the report's folder.
        wide: Whether it is much wider than high.
    """

    address: str
    name: str
    wide: bool


def render_page(report: Mapping[str, Any], parts: Sequence[Section], standing: str | None) -> str:
    """The page.

    Args:
        report: As in `metrics.json`.
        parts: In the order in which they stand; their pictures must exist.
        standing: Whether a gate was passed, in its words; None where none was asked.
    """
    return (
        templates("slicewise.evaluation.sections")
        .get_template(_TEMPLATE)
        .render(
            report=report,
            headlines=[(h.title, h.text(report), h.meaning) for h in headlines(report)],
            refused=refused_text(report),
            model=None if report["bundle"] is None else model_text(report["bundle"]),
            standing=standing,
            passed=standing == PASSED,
            parts=[(part, [_picture(path) for path in part.pictures]) for part in parts],
            advice=advice(report),
            disclaimer=DISCLAIMER,
        )
    )


def _picture(path: Path) -> Picture:
    """A picture as it is, or as JPEG where that is smaller: slices are, drawings are not."""
    content = path.read_bytes()
    with Image.open(io.BytesIO(content)) as opened:
        wide = opened.width > _WIDE * opened.height
        buffer = io.BytesIO()
        opened.convert("RGB").save(buffer, "JPEG", quality=_JPEG_QUALITY)
    kind, smaller = min(("png", content), ("jpeg", buffer.getvalue()), key=lambda one: len(one[1]))
    encoded = base64.b64encode(smaller).decode("ascii")
    return Picture(f"data:image/{kind};base64,{encoded}", path.name, wide)
