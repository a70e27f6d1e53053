"""Slices and heat maps as pictures: the slice, the overlay, and both side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from slicewise.arrays import Array, Bytes
from slicewise.errors import ConfigError
from slicewise.explain.heatmap import HeatMap, heat_map_of
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Answer
from slicewise.inference.decision import Prediction, Reason, Verdict
from slicewise.inference.results import DISCLAIMER
from slicewise.inference.words import finding_text, unsure
from slicewise.text import class_text

# Thirteen anchors each. CIELAB lightness rises in a straight line, so that equal steps look equal,
# while the hue turns; the chroma is the largest that sRGB holds up to a limit. Nothing is lost in
# print or to colour blindness.
_ANCHORS = {
    "ember": "000f3c 200076 58006c 7e006b a10269 c60164 e5215a f84950 ff714d ff9657 ffb56a ffd286"
    "ffedb1",
    "lagoon": "000f4d 002550 00375b 034a67 015c74 077080 02848a 0a998f 01b08b 39c57b 81d472 b9e26f"
    "efee75",
    "grey": "000000 ffffff",
}
COLORMAPS = tuple(_ANCHORS)
NO_EVIDENCE = "no evidence map"
_GAP = 12
_SAMPLES = 65_536  # pixels that percentiles are taken from
_font = ImageFont.load_default
_PAPER, _INK, _QUIET = (17, 24, 39), (243, 244, 246), (156, 163, 175)
_WARNING = (255, 200, 90)
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True, slots=True)
class OverlayStyle:
    """How overlays are drawn."""

    colormap: str = "ember"  # one of `COLORMAPS`
    alpha: float = 0.6  # opacity of the strongest evidence, in (0, 1]; it fades with the evidence

    def __post_init__(self) -> None:
        if self.colormap not in COLORMAPS:
            known = ", ".join(COLORMAPS)
            raise ConfigError(f"colormap: expected one of {known}, got {self.colormap!r}")
        if not 0 < self.alpha <= 1:
            raise ConfigError(f"overlay alpha: expected above 0, at most 1, got {self.alpha}")


DEFAULT_STYLE = OverlayStyle()


def colours(values: Array, colormap: str) -> Bytes:
    """RGB colours (..., 3) of values (...) in [0, 1]."""
    anchors = np.frombuffer(bytes.fromhex(_ANCHORS[colormap]), dtype=np.uint8).reshape(-1, 3)
    stops, levels = np.linspace(0, 1, len(anchors)), np.linspace(0, 1, 256)
    table = np.stack([np.interp(levels, stops, channel) for channel in anchors.T], axis=1)
    index = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return np.asarray(np.rint(table).astype(np.uint8)[index])


def display(slice_: Slice) -> Bytes:
    """The slice as a reader sees it: (H, W) uint8, its own window or robust percentiles."""
    if (window := slice_.window) is not None and window.width > 1:
        low = window.center - 0.5 - (window.width - 1) / 2
        high = low + window.width - 1
    else:
        stride = max(1, int(np.sqrt(slice_.pixels.size / _SAMPLES)))
        some = slice_.pixels[::stride, ::stride]
        low, high = (float(v) for v in np.percentile(some, (0.5, 99.7)))
    if high <= low:
        low, high = float(slice_.pixels.min()), float(slice_.pixels.max())
    scale = 255 / (high - low) if high > low else 0.0
    shades = (slice_.pixels - np.float32(low)) * np.float32(scale)
    return np.asarray(np.clip(np.rint(shades), 0, 255), dtype=np.uint8)


def overlay(slice_: Slice, heat: HeatMap, style: OverlayStyle = DEFAULT_STYLE) -> Image.Image:
    """The slice with its heat map in colour and the peak ringed, at slice size, RGB.

    A map without evidence leaves the slice grey and says so, since a uniform tint would look like
    a finding.
    """
    grey = display(slice_)
    if heat.peak is None:
        picture = Image.fromarray(grey).convert("RGB")
        letters = max(10, picture.height // 24)
        corner = (6, picture.height - letters - 8)  # captions burnt in stand at the top
        pen = ImageDraw.Draw(picture)
        pen.text(corner, NO_EVIDENCE, _WHITE, _font(letters), stroke_width=2, stroke_fill=_BLACK)
        return picture
    levels = np.rint(heat.values * np.float32(255)).astype(np.uint16)
    mixed = _blends(style)[(levels << 8) | grey]
    picture = Image.frombuffer("RGBX", grey.shape[::-1], mixed.tobytes()).convert("RGB")
    (row, column), radius = heat.peak, max(4, min(picture.size) // 36)
    # A white ring with a dark edge, open in the middle to show what is there.
    for reach, colour, width in ((radius + 1, _BLACK, 3), (radius, _WHITE, 1)):
        box = (column - reach, row - reach, column + reach, row + reach)
        ImageDraw.Draw(picture).ellipse(box, outline=colour, width=width)
    return picture


@lru_cache(maxsize=8)
def _blends(style: OverlayStyle) -> NDArray[np.uint32]:
    """(65,536) packed colours: 256 levels of heat, the slower index, over 256 shades of grey.

    A look-up takes an eighth of the time of mixing every pixel.
    """
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    weight = (np.float32(style.alpha) * levels)[:, None, None]
    grey = np.arange(256, dtype=np.float32)[None, :, None]
    packed = np.zeros((256, 256, 4), dtype=np.uint8)
    mixed = grey * (1 - weight) + colours(levels, style.colormap)[:, None] * weight
    packed[..., :3] = np.rint(mixed)
    return packed.reshape(-1).view(np.uint32)


def side_by_side(left: Image.Image, right: Image.Image, caption: Sequence[str]) -> Image.Image:
    """Slice and overlay beside each other over a caption of several lines, RGB.

    Small pictures are enlarged and large ones reduced, so that the caption stays readable.
    """
    panels = [panel_sized(picture.convert("RGB")) for picture in (left, right)]
    width = sum(panel.width for panel in panels) + 3 * _GAP
    lines, font = [line for text in caption for line in _wrapped(text, width)], _font(15)
    top = max(panel.height for panel in panels) + 2 * _GAP
    sheet = Image.new("RGB", (width, top + 21 * len(lines) + _GAP), _PAPER)
    sheet.paste(panels[0], (_GAP, _GAP))
    sheet.paste(panels[1], (panels[0].width + 2 * _GAP, _GAP))
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        colour = _QUIET if number else _INK
        pen.text((_GAP, top + 21 * number), line, fill=colour, font=font)
    return sheet


def stamped(sheet: Image.Image, notice: str | None) -> Image.Image:
    """A picture under a line of warning, where there is one; RGB."""
    if notice is None:
        return sheet
    taller = Image.new("RGB", (sheet.width, sheet.height + 26), _PAPER)
    ImageDraw.Draw(taller).text((12, 6), notice, fill=_WARNING, font=_font(14))
    taller.paste(sheet, (0, 26))
    return taller


def caption_of(prediction: Prediction) -> list[str]:
    """What stands below the picture of an answer."""
    withheld = prediction.decision is Verdict.REJECT
    answer = "answer withheld" if withheld else "  ".join(prediction.answer())
    if unsure(prediction):
        answer = f"unsure: most like {answer}"
    bundle = prediction.bundle
    return [
        f"{answer}  |  decision: {prediction.decision}",
        finding_text(prediction),
        f"{bundle.name} {bundle.version} ({bundle.sha256[:12]})",
        DISCLAIMER,
    ]


def draw_answer(
    slice_: Slice, answer: Answer, style: OverlayStyle = DEFAULT_STYLE, target: str | None = None
) -> Image.Image:
    """Slice and heat map side by side with the answer below, RGB; a blank slice has no map.

    Raises:
        ConfigError: The model has no such class.
    """
    plain = Image.fromarray(display(slice_))
    heat = heat_map_of(slice_, answer, target)
    blank = Reason.BLANK_IMAGE in answer.prediction.reasons
    drawn = plain if blank else overlay(slice_, heat, style)
    caption = caption_of(answer.prediction)
    if target is not None:
        caption.insert(1, f"heat map of {class_text(target)}")
    return side_by_side(plain, drawn, caption)


def panel_sized(picture: Image.Image) -> Image.Image:
    """The picture with its longer side between 360 and 640 pixels."""
    longer = max(picture.size)
    target = min(max(longer, 360), 640)
    if target == longer:
        return picture
    width, height = (max(1, round(edge * target / longer)) for edge in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of whole words that fit the sheet."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip() if lines[-1] else word
        if lines[-1] and _font(15).getlength(longer) > width - 2 * _GAP:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
