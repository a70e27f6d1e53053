from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from slicewise.service.prediction.pictures import LONGEST_SIDE, png, png_bytes


@pytest.mark.parametrize("shape", [(17, 23), (17, 23, 3), (1, 1), (1, 5, 3), (300, 2)])
def test_pillow_reads_the_same_pixels(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    read = Image.open(io.BytesIO(png_bytes(pixels)), formats=("PNG",))
    assert (np.asarray(read) == pixels).all()
    assert read.mode == ("RGB" if len(shape) == 3 else "L")


def test_a_large_picture_is_sent_smaller():
    sent = png(Image.new("L", (3000, 1500)))
    assert Image.open(io.BytesIO(base64.b64decode(sent))).size == (LONGEST_SIDE, 512)
