"""Slices and heat maps as pictures: the slice, the overlay, and both side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from slicewise.errors import ConfigError
from slicewise.explain.colormap import colours
from slicewise.explain.heatmap import HeatMap, heat_map_of
from slicewise.imaging.slice import Slice
from slicewise.inference.classifier import Answer
from slicewise.inference.decision import Prediction, Reason, Verdict, reasons_text
from slicewise.inference.results import DISCLAIMER
from slicewise.text import class_text, percent_text

NO_EVIDENCE = "no evidence map"
_PANEL_SIDES = (360, 640)
_GAP = 12
_SAMPLES = 65_536  # pixels that percentiles are taken from
_PAPER, _INK, _QUIET = (17, 24, 39), (243, 244, 246), (156, 163, 175)
_WARNING = (255, 200, 90)
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True, slots=True)
class OverlayStyle:
    """How overlays are drawn.

    Args:
        colormap: One of `slicewise.explain.colormap.COLORMAPS`.
        alpha: Opacity where the evidence is strongest, in (0, 1]; it fades with the evidence.
    """

    colormap: str = "ember"
    alpha: float = 0.6

    def __post_init__(self) -> None:
        colours(np.zeros(1, dtype=np.float32), self.colormap)
        if not 0 < self.alpha <= 1:
            raise ConfigError(f"overlay alpha: expected above 0, at most 1, got {self.alpha}")


DEFAULT_STYLE = OverlayStyle()


def display(slice_: Slice) -> NDArray[np.uint8]:
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
    grey: NDArray[np.uint8] = np.clip(np.rint(shades), 0, 255).astype(np.uint8)
    return grey


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
    _mark(picture, heat.peak)
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
    table: NDArray[np.uint32] = packed.reshape(-1).view(np.uint32)
    return table


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
        colour = _INK if number == 0 else _QUIET
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
    lines = [f"{answer}  |  decision: {prediction.decision}"]
    if withheld:
        lines.append(reasons_text(prediction.reasons))
    elif prediction.tumor_probability is not None and prediction.threshold is not None:
        lines.append(
            f"tumor probability {percent_text(prediction.tumor_probability)},"
            f" threshold {percent_text(prediction.threshold)}"
        )
    bundle = prediction.bundle
    lines.append(f"{bundle.name} {bundle.version} ({bundle.sha256[:12]})")
    return [*lines, DISCLAIMER]


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
    target = min(max(longer, _PANEL_SIDES[0]), _PANEL_SIDES[1])
    if target == longer:
        return picture
    side = [max(1, round(edge * target / longer)) for edge in picture.size]
    return picture.resize((side[0], side[1]), Image.Resampling.BICUBIC)


def _mark(picture: Image.Image, peak: tuple[int, int]) -> None:
    """A white ring with a dark edge round the peak, open in the middle to show what is there."""
    pen = ImageDraw.Draw(picture)
    row, column = peak
    radius = max(4, min(picture.size) // 36)
    for extra, colour, width in ((1, _BLACK, 3), (0, _WHITE, 1)):
        reach = radius + extra
        box = (column - reach, row - reach, column + reach, row + reach)
        pen.ellipse(box, outline=colour, width=width)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


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
