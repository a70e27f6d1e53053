from __future__ import annotations

import base64
import io
from dataclasses import astuple

import numpy as np
import pytest
from PIL import Image

from builders_explain import answer
from slicewise.explain.heatmap import heat_map_of
from slicewise.imaging.slice import Slice
from slicewise.service.prediction.pictures import LONGEST_SIDE, Drawing, draw, png, png_bytes


@pytest.mark.parametrize("shape", [(17, 23), (17, 23, 3), (1, 1), (1, 5, 3), (300, 2)])
def test_pillow_reads_the_same_pixels(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    read = Image.open(io.BytesIO(png_bytes(pixels)), formats=("PNG",))
    assert (np.asarray(read) == pixels).all()
    assert read.mode == ("RGB" if len(shape) == 3 else "L")


@pytest.mark.parametrize(("side", "scale"), [(512, 1), (2048, 2), (1024, 1)])
def test_a_box_is_in_pixels_of_the_picture(side, scale):
    slice_ = Slice(np.zeros((side, side), dtype=np.float32), "s")
    given = answer(slice_, (0.1, 0.7, 0.1, 0.1), (2, 5))
    drawn = draw(slice_, given, Drawing(box=True))
    whole = heat_map_of(slice_, given).box()
    assert astuple(drawn.box) == pytest.approx([v / scale for v in astuple(whole)], abs=1)
    assert draw(slice_, given, Drawing()).box is None
    width, height = Image.open(io.BytesIO(base64.b64decode(drawn.heatmap))).size
    assert 0 < drawn.box.x + drawn.box.width <= width == height


def test_a_large_picture_is_sent_smaller():
    sent = png(Image.new("L", (3000, 1500)))
    assert Image.open(io.BytesIO(base64.b64decode(sent))).size == (LONGEST_SIDE, 512)
