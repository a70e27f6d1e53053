"""The closing line, and files that are done."""

from __future__ import annotations

import numpy as np
import pytest

from builders_explain import single, volume
from slicewise.imaging.slice import Failure, Slice
from slicewise.output.tally import Tally

SHARES = (0.7, 0.1, 0.15, 0.05)


def picture(source: str) -> Slice:
    return Slice(np.zeros((16, 16), dtype=np.float32), source)


def test_everything_is_counted():
    tally = Tally()
    series = volume([picture(f"v#{k}") for k in range(3)], [0.1, 0.9, 0.2], [1])
    for item in (single(picture("a"), SHARES), Failure("b", "why"), series):
        tally.write(item)
    assert (tally.slices, tally.series, tally.errors, tally.files) == (4, 1, 1, 3)
    assert tally.text(2.44) == (
        "4 slices, 1 series: 0 accepted, 4 for review, 0 rejected; 1 error; 2.4 s"
    )


def test_without_a_series_none_is_told():
    assert Tally().text(0) == "0 slices: 0 accepted, 0 for review, 0 rejected; 0 errors; 0.0 s"


@pytest.mark.parametrize(
    ("sources", "files"),
    [
        (["a.zip!x", "a.zip!y", "b.zip!x"], 2),
        (["a.png", "b.png"], 2),
        (["a.tif#0", "a.tif#1"], 1),
    ],
    ids=["zips", "pictures", "pages"],
)
def test_a_file_is_done_once(sources, files):
    tally = Tally()
    for source in sources:
        tally.write(single(picture(source), SHARES))
    assert tally.files == files
