"""Overlays: what is drawn where, and what is left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from builders_explain import answer, prediction
from slicewise.errors import ConfigError
from slicewise.explain.heatmap import HeatMap, heat_map
from slicewise.explain.overlay import (
    COLORMAPS,
    OverlayStyle,
    caption_of,
    colours,
    display,
    draw_answer,
    overlay,
    side_by_side,
)
from slicewise.imaging.preprocess import Placement
from slicewise.imaging.slice import Slice, Window
from slicewise.inference.decision import Reason, Verdict

SHARES = (0.7, 0.1, 0.15, 0.05)


def ramp_slice(window: Window | None = None) -> Slice:
    return Slice(np.tile(np.arange(128, dtype=np.float32), (128, 1)), "s.png", window=window)


def map_at(row: int, column: int) -> HeatMap:
    cam = np.zeros((8, 8), dtype=np.float32)
    cam[row, column] = 1
    return heat_map(cam, Placement(0, 0, 128), (128, 128))


class TestDisplay:
    def test_window_as_the_standard_says(self) -> None:
        shown = display(ramp_slice(Window(center=50.5, width=21)))
        assert shown[0, :41].max() == 0
        assert shown[0, 60:].min() == 255
        assert shown[0, 50] == 128

    def test_percentiles_without_a_window(self) -> None:
        shown = display(ramp_slice())
        assert (shown.min(), shown.max()) == (0, 255)
        assert np.all(np.diff(shown[0].astype(int)) >= 0)

    def test_a_flat_slice_is_black(self) -> None:
        flat = Slice(np.full((8, 8), 7, dtype=np.float32), "s.png")
        assert not display(flat).any()


class TestOverlay:
    def test_colour_where_the_evidence_is_and_grey_elsewhere(self) -> None:
        picture = np.asarray(overlay(ramp_slice(), map_at(2, 5))).astype(int)
        spread = picture.max(axis=2) - picture.min(axis=2)
        assert spread[36:45, 84:93].max() > 60
        assert spread[80:, :].max() == 0

    def test_colours_are_mixed_by_the_strength_of_the_evidence(self) -> None:
        slice_ = ramp_slice()
        values = np.random.default_rng(0).random(slice_.shape, dtype=np.float32)
        found = np.asarray(overlay(slice_, HeatMap(values, (0, 0)))).astype(float)
        weight = 0.6 * values[..., None]
        expected = display(slice_)[..., None] * (1 - weight) + colours(values, "ember") * weight
        far = np.hypot(*np.indices(slice_.shape)) > 0.75 * max(slice_.shape)  # from the ring
        assert far.sum() > 50
        assert np.abs(found - expected)[far].max() <= 1.0

    def test_the_ring_is_centred_on_the_peak(self) -> None:
        heat = map_at(2, 5)
        with_ring = np.asarray(overlay(ramp_slice(), heat)).astype(int)
        rows, columns = np.nonzero((with_ring == 255).all(axis=2) & (heat.values > 0))
        assert heat.peak is not None
        assert (rows.mean(), columns.mean()) == pytest.approx(heat.peak, abs=0.5)

    def test_no_evidence_leaves_no_tint(self) -> None:
        slice_ = ramp_slice()
        empty = HeatMap(np.zeros((128, 128), dtype=np.float32), None)
        picture = np.asarray(overlay(slice_, empty))
        assert np.array_equal(picture[..., 0], picture[..., 1])
        assert np.array_equal(picture[:96, :, 0], display(slice_)[:96])
        assert not np.array_equal(picture[96:, :, 0], display(slice_)[96:])  # the words

    def test_alpha_and_colormap_are_obeyed(self) -> None:
        heat = map_at(4, 4)
        plain = np.asarray(overlay(ramp_slice(), heat, OverlayStyle("lagoon", 0.05))).astype(int)
        strong = np.asarray(overlay(ramp_slice(), heat, OverlayStyle("ember", 1.0))).astype(int)
        assert np.ptp(plain[72, 72]) < 15
        assert np.ptp(strong[72, 72]) > 60

    @pytest.mark.parametrize(("colormap", "alpha"), [("jet", 0.5), ("ember", 0.0), ("ember", 1.5)])
    def test_a_style_out_of_range_is_refused(self, colormap: str, alpha: float) -> None:
        with pytest.raises(ConfigError, match="expected"):
            OverlayStyle(colormap, alpha)


class TestSideBySide:
    def test_both_pictures_stand_beside_each_other(self) -> None:
        left, right = (Image.new("RGB", (400, 300), colour) for colour in ("#ff0000", "#0000ff"))
        sheet = np.asarray(side_by_side(left, right, ["caption"]))
        assert sheet.shape[1] == 2 * 400 + 3 * 12
        assert sheet[150, 200].tolist() == [255, 0, 0]
        assert sheet[150, 620].tolist() == [0, 0, 255]

    def test_small_pictures_are_enlarged(self) -> None:
        tiny = Image.new("RGB", (40, 20))
        assert side_by_side(tiny, tiny, []).width == 2 * 360 + 3 * 12

    def test_the_caption_holds_the_answer_and_the_disclaimer(self) -> None:
        text = " ".join(caption_of(prediction("s.png", SHARES)))
        for part in ("glioma", "70.0 %", "review", "85.0 %", "40.0 %", "Not a medical device"):
            assert part in text

    def test_the_caption_never_claims_certainty(self) -> None:
        caption = caption_of(prediction("s.png", (0.9997, 0.0001, 0.0001, 0.0001)))
        assert caption[0].startswith("glioma  >99.9 %")
        assert ">99.9 %" in caption[1]
        assert "100" not in "".join(caption[:2])

    def test_the_caption_of_a_rejected_slice_names_no_class(self) -> None:
        reasons = [Reason.OUT_OF_DISTRIBUTION, Reason.COLOUR_PICTURE]
        rejected = replace(prediction("s.png", SHARES), decision=Verdict.REJECT, reasons=reasons)
        lines = caption_of(rejected)
        assert lines[0] == "answer withheld  |  decision: reject"
        assert lines[1].startswith("Withheld: out of distribution: no training slice is like it")
        assert lines[1].endswith("; the picture is in colour; MR slices are grey")
        assert not any("glioma" in line or "probability" in line for line in lines)

    def test_the_caption_of_a_label_below_the_threshold_is_no_contradiction(self) -> None:
        unsure = replace(prediction("s.png", SHARES), tumor_flag=False, threshold=0.95)
        caption = caption_of(unsure)
        assert caption[0] == "unsure: most like glioma  70.0 %  |  decision: review"
        assert caption[1].startswith("Most like glioma (70.0 %), but not sure enough that there")
        assert "85.0 %, below the threshold of 95.0 %" in caption[1]

    def test_a_blank_slice_has_no_map(self) -> None:
        found = answer(ramp_slice(), SHARES, hot=(1, 1))
        rejected = replace(found.prediction, decision=Verdict.REJECT, reasons=[Reason.BLANK_IMAGE])
        blank, seen = (
            np.asarray(draw_answer(ramp_slice(), one))
            for one in (replace(found, prediction=rejected), found)
        )
        left, right = (slice(12, 372), slice(12, 372)), (slice(12, 372), slice(384, 744))
        assert np.array_equal(blank[left], blank[right])
        assert not np.array_equal(seen[left], seen[right])

    def test_an_answer_is_drawn_whole(self) -> None:
        slice_ = ramp_slice()
        sheet = draw_answer(slice_, answer(slice_, SHARES, (2, 2)))
        assert sheet.mode == "RGB"
        assert sheet.width == 2 * 360 + 3 * 12


def lightness(rgb: np.ndarray) -> np.ndarray:
    """CIELAB L* of sRGB colours (IEC 61966-2-1, D65)."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    root = np.where(luminance > 0.008856, np.cbrt(luminance), 7.787 * luminance + 16 / 116)
    return 116 * root - 16


@pytest.mark.parametrize("name", ["ember", "lagoon"])
def test_lightness_rises_in_a_straight_line(name: str) -> None:
    levels = np.linspace(0, 1, 256, dtype=np.float32)
    light = lightness(colours(levels, name))
    line = np.linspace(light[0], light[-1], 256)
    assert np.abs(light - line).max() < 3
    assert light[-1] - light[0] > 80


def test_grey_is_grey() -> None:
    assert colours(np.array([0, 1], dtype=np.float32), "grey").tolist() == [[0] * 3, [255] * 3]


def test_unknown_names_are_refused_with_the_known() -> None:
    with pytest.raises(ConfigError, match=f"{', '.join(COLORMAPS)}, got 'jet'"):
        OverlayStyle("jet")
