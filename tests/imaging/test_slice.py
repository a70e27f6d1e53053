"""What a slice says of itself."""

import numpy as np
import pytest

from slicewise.imaging.slice import Slice, is_synthetic


@pytest.mark.parametrize(
    ("notes", "answer"), [({}, False), ({"synthetic": "true"}, True), ({"drawn": "glioma"}, False)]
)
def test_a_drawn_slice_says_so(notes, answer):
    assert is_synthetic(Slice(np.zeros((16, 16), np.float32), "x", annotations=notes)) is answer
