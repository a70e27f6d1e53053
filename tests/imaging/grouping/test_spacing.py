import numpy as np
import pytest

from slicewise.imaging.grouping.spacing import distance_notes, levels_of


@pytest.mark.parametrize(
    ("heights", "notes"),
    [
        ([0, 5, 10, 15], []),
        ([15, 0, 10, 5], []),
        ([0, 5.01, 9.99, 15.01, 20], []),
        ([0, 0.7, 1.4, 2.1], []),
        ([0, 5, 15, 20], ["1 gap of 10.0 mm where slices lie 5.0 mm apart"]),
        ([0, 5, 15], ["1 gap of 10.0 mm where slices lie 5.0 mm apart"]),
        ([0, 3, 9, 12, 21], ["2 gaps of 6.0 to 9.0 mm where slices lie 3.0 mm apart"]),
        ([0, 5, 10, 15, 27], ["1 gap of 12.0 mm where slices lie 5.0 mm apart"]),
        ([0, 3, 7, 12, 18.5], ["distances between slices vary from 3.0 to 6.5 mm"]),
        ([0, 3, 9.5, 12.5, 19], ["distances between slices vary from 3.0 to 6.5 mm"]),
        ([0, 5, 10, 13], ["distances between slices vary from 3.0 to 5.0 mm"]),
        ([0, 5, 5, 10], ["2 slices share one position"]),
        ([0, 5, 5.01, 10, 10, 10], ["5 slices share 2 positions"]),
        ([0, 0, 5, 15, 20], ["2 slices share one position", "1 gap of 10.0 mm where"]),
        ([7], []),
        ([7, 9], []),
        ([7, 7], ["2 slices share one position"]),
    ],
)
def test_what_is_unusual_is_told(heights, notes):
    found = distance_notes(levels_of(heights))
    assert len(found) == len(notes)
    assert all(one.startswith(other) for one, other in zip(found, notes, strict=True))


def test_every_slice_has_the_level_of_its_height():
    levels = levels_of([10, 0, 5, 10.02])
    assert (levels.of, levels.counts, levels.most, levels.repeated) == (
        [2, 0, 1, 2],
        [1, 1, 2],
        2,
        1,
    )
    np.testing.assert_allclose(levels.heights, [0, 5, 10])


@pytest.mark.parametrize(
    ("heights", "even"),
    [([0, 5, 10], True), ([0, 5, 11], False), ([0, 5], False), ([0, 5, 5, 10], False)],
)
def test_even_stacks(heights, even):
    assert levels_of(heights).is_even is even
