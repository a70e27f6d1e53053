"""Heat maps: the peak must be where the evidence was put."""

from __future__ import annotations

import numpy as np
import pytest

from builders_explain import answer
from slicewise.errors import BundleError
from slicewise.explain.heatmap import Box, HeatMap, heat_map, heat_map_of
from slicewise.imaging.preprocess import Placement, PreprocessSpec, preprocess
from slicewise.imaging.slice import Slice


def hot(cells: tuple[int, int], row: int, column: int, value: float = 2.0) -> np.ndarray:
    cam = np.zeros(cells, dtype=np.float32)
    cam[row, column] = value
    return cam


class TestHeatMap:
    @pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (6, 1), (6, 6)])
    def test_peak_lies_where_placement_says(self, row: int, column: int) -> None:
        placement = Placement(top=20, left=-15, side=210)
        heat = heat_map(hot((7, 7), row, column), placement, (260, 190))
        wanted = placement.to_slice(row, column, 7)
        assert heat.peak is not None
        if 0 <= wanted[1] < 190:
            assert heat.peak == pytest.approx(wanted, abs=16)  # edge cells are flat to the border
            if 0 < row < 6 and 0 < column < 6:
                assert heat.peak == pytest.approx(wanted, abs=1)

    def test_values_are_relative_to_the_strongest(self) -> None:
        heat = heat_map(hot((7, 7), 3, 3, value=40.0), Placement(0, 0, 70), (70, 70))
        assert heat.values.dtype == np.float32
        assert heat.values.max() == 1.0
        assert heat.values.min() == 0.0

    def test_a_cubic_spline_between_cells(self) -> None:
        """A single hot cell: 4/6 in its middle, 1/6 in the middle of its neighbours (de Boor)."""
        heat = heat_map(hot((7, 7), 3, 3), Placement(0, 0, 7), (7, 7))
        assert heat.values[3] == pytest.approx([0, 0, 0.25, 1, 0.25, 0, 0])
        even = heat_map(np.full((5, 5), 3.0, dtype=np.float32), Placement(0, 0, 40), (40, 40))
        assert even.values == pytest.approx(np.ones((40, 40)))

    def test_the_peak_lies_between_cells_where_neighbours_pull(self) -> None:
        cam = hot((7, 7), 3, 3, value=1.0)
        cam[3, 4] = 0.8
        heat = heat_map(cam, Placement(0, 0, 112), (112, 112))
        assert heat.peak is not None
        assert heat.peak[0] == pytest.approx(55.5, abs=1)
        assert 58 < heat.peak[1] < 64  # the cells' middles are at 55.5 and 71.5

    def test_nothing_outside_the_square(self) -> None:
        heat = heat_map(np.ones((3, 3), dtype=np.float32), Placement(10, 5, 20), (40, 40))
        inside = np.zeros((40, 40), dtype=bool)
        inside[10:30, 5:25] = True
        assert np.array_equal(heat.values > 0, inside)

    def test_no_evidence_is_no_map(self) -> None:
        heat = heat_map(np.zeros((7, 7), dtype=np.float32), Placement(0, 0, 32), (32, 32))
        assert heat.peak is None
        assert not heat.values.any()

    @pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
    def test_values_that_are_no_map_are_refused(self, bad: float) -> None:
        with pytest.raises(BundleError, match="finite values of at least 0"):
            heat_map(hot((2, 2), 0, 0, bad), Placement(0, 0, 8), (8, 8))

    def test_a_bright_spot_is_found_through_the_pixel_pipeline(self) -> None:
        pixels = np.zeros((300, 220), dtype=np.float32)
        pixels[60:280, 30:190] = 100
        rows, columns = np.mgrid[:300, :220]
        pixels += 200 * np.exp(-((rows - 155) ** 2 + (columns - 125) ** 2) / 800)
        ready = preprocess(pixels, PreprocessSpec(size=112))
        cells = ready.image.reshape(28, 4, 28, 4).mean(axis=(1, 3)).astype(np.float32)
        heat = heat_map(cells, ready.placement, (300, 220))
        assert heat.peak == pytest.approx((155, 125), abs=6)


def of_values(values: list[list[float]]) -> HeatMap:
    array = np.array(values, dtype=np.float32)
    row, column = np.unravel_index(int(array.argmax()), array.shape)
    return HeatMap(array, (int(row), int(column)))


class TestBox:
    def test_it_holds_what_hangs_together_with_the_peak(self) -> None:
        heat = of_values(
            [
                [0.0, 0.0, 0.0, 0.0, 0.0, 0.9],
                [0.0, 0.6, 0.0, 0.0, 0.0, 0.0],
                [0.0, 0.7, 1.0, 0.5, 0.4, 0.0],
                [0.0, 0.0, 0.0, 0.5, 0.0, 0.0],
            ]
        )
        assert heat.box() == Box(x=1, y=1, width=3, height=3)

    def test_one_pixel(self) -> None:
        assert of_values([[0.0, 0.4], [0.49, 1.0]]).box() == Box(1, 1, 1, 1)

    def test_all_of_it_up_to_the_borders(self) -> None:
        assert of_values([[0.5, 0.6, 0.7], [1.0, 0.8, 0.9]]).box() == Box(0, 0, 3, 2)

    def test_a_bend_is_followed(self) -> None:
        heat = of_values([[1.0, 0.5, 0.5], [0.0, 0.0, 0.5], [0.5, 0.5, 0.5], [0.0, 0.0, 0.0]])
        assert heat.box() == Box(0, 0, 3, 3)

    @pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 3), (6, 2)])
    def test_it_lies_round_the_hot_cell(self, row: int, column: int) -> None:
        heat = heat_map(hot((7, 7), row, column), Placement(10, 20, 70), (100, 120))
        box = heat.box()
        assert box is not None
        assert heat.peak is not None
        assert box.y <= heat.peak[0] < box.y + box.height
        assert box.x <= heat.peak[1] < box.x + box.width
        inside = np.zeros((100, 120), dtype=bool)
        inside[box.y : box.y + box.height, box.x : box.x + box.width] = True
        assert not (heat.values[~inside] >= 0.5).any()
        assert box.width * box.height < 400

    def test_without_evidence_there_is_none(self) -> None:
        assert HeatMap(np.zeros((4, 4), dtype=np.float32), None).box() is None

    @pytest.mark.parametrize(
        ("size", "expected"),
        [
            ((200, 100), Box(21, 10, 31, 20)),
            ((100, 50), Box(10, 5, 16, 10)),
            ((20, 10), Box(2, 1, 4, 2)),
        ],
    )
    def test_on_a_smaller_picture_it_covers_the_same(
        self, size: tuple[int, int], expected: Box
    ) -> None:
        assert Box(21, 10, 31, 20).scaled((100, 200), size) == expected


def test_the_map_is_that_of_the_answered_class() -> None:
    slice_ = Slice(np.zeros((70, 70), dtype=np.float32), "s")
    given = answer(slice_, (0.1, 0.7, 0.1, 0.1), (2, 5))
    given.cam[0, 6, 6] = 99.0
    assert heat_map_of(slice_, given).peak == pytest.approx((24.5, 54.5), abs=1)
