"""One thing is spoken of in the singular."""

from __future__ import annotations

import pytest

from slicewise.data.counts import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 slices"), (1, "1 slice"), (2, "2 slices"), (2000, "2,000 slices")]
)
def test_a_number_with_its_noun(number, text):
    assert counted(number, "slice") == text
