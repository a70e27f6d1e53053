"""Heat maps against regions: measures with known answers, guesses, and means by class."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial import cKDTree

from builders import CLASSES
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import EvaluationError
from slicewise.evaluation.explanations.localisation import (
    ALL,
    METHOD_TITLES,
    METHODS,
    NO_EVIDENCE,
    Measures,
    Scored,
    centre_map,
    chance,
    draw_bars,
    localisation,
    localised,
    measure,
    tile,
)
from slicewise.evaluation.explanations.regions import read_boxes
from slicewise.imaging.preprocess import Placement
from slicewise.stats.bootstrap import Bootstrap

REGION = np.zeros((40, 40), bool)
REGION[10:14, 20:28] = True


def test_a_map_that_is_the_region() -> None:
    assert measure(REGION.astype(np.float32), REGION) == Measures(1.0, 1.0, 1.0, 1.0)


def test_shares_and_overlap_by_hand() -> None:
    heat = np.zeros((40, 40), np.float32)
    heat[10, 20] = 4.0  # the peak, inside
    heat[11, 20:24] = 1.0  # inside, below half of the peak
    heat[30, 30:34] = 2.0  # outside, half of the peak
    found = measure(heat, REGION)
    assert found.pointing == found.near == 1.0
    assert found.energy == pytest.approx(8 / 16)
    assert found.iou == pytest.approx(1 / (32 + 4))


@pytest.mark.parametrize(("column", "near"), [(29, 1.0), (30, 0.0)])
def test_near_is_a_twentieth_of_the_longer_side(column, near) -> None:
    heat = np.zeros((40, 40), np.float32)
    heat[12, column] = 1.0  # the region ends at column 27; 2 pixels are the tolerance
    assert measure(heat, REGION)[:2] == (0.0, near)


def test_a_map_without_evidence_points_nowhere() -> None:
    assert measure(np.zeros((40, 40), np.float32), REGION) == NO_EVIDENCE


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"expected shape \(3, 3\)"):
        measure(np.ones((3, 3), np.float32), REGION)
    with pytest.raises(EvaluationError, match="with 0"):
        measure(np.ones((40, 40), np.float32), np.zeros((40, 40), bool))


def test_chance_against_every_point_of_the_head() -> None:
    y, x = np.mgrid[0:200, 0:200]
    head = np.hypot(y - 100, x - 100) < 80
    region = np.zeros_like(head)
    region[90:130, 60:90] = True
    region[20:40, 100:110] = True  # partly outside of the head
    found = chance(region, head)
    points = np.argwhere(head)
    near = (cKDTree(np.argwhere(region)).query(points)[0] <= 10).mean()
    assert found.pointing == found.energy == pytest.approx((region & head).sum() / head.sum())
    assert found.near == pytest.approx(near, abs=0.01)
    assert found.iou == pytest.approx((region & head).sum() / (region | head).sum())


def test_the_central_map_peaks_in_the_middle_of_the_square() -> None:
    heat = centre_map(Placement(top=-4, left=10, side=40), (50, 60))
    assert np.unravel_index(heat.argmax(), heat.shape) in [(15, 29), (15, 30), (16, 29), (16, 30)]
    spread = heat[:, 30] > np.exp(-0.5) * heat.max()
    assert spread.sum() == pytest.approx(2 * 0.25 * 40, abs=1)


def scored(label: str, group: str, hit: float, answered: bool = True) -> Scored:
    own = Measures(hit, 1.0, 0.5, 0.25)
    guesses = dict.fromkeys(METHODS[1:], Measures(0.5, 0.5, 0.5, 0.5))
    target = {"heat_map": own, **guesses}
    empty = {"heat_map": NO_EVIDENCE, **guesses}
    measures = {"true": target, **({"answered": empty} if answered else {})}
    return Scored(label, group, measures, frozenset({"answered"} if answered else ()))


def test_means_by_class_and_target() -> None:
    found = localisation(
        [
            scored("glioma", "a", 1.0),
            scored("glioma", "b", 0.0, answered=False),
            scored("pituitary", "c", 1.0),
            scored("pituitary", "d", 1.0),
        ],
        Bootstrap(resamples=200),
    )
    value = {key: estimate.value for key, estimate in found.estimates.items()}
    assert value["true", ALL, "heat_map", "pointing"] == 0.75
    assert value["true", "glioma", "heat_map", "pointing"] == 0.5
    assert value["true", ALL, "gain", "pointing"] == 0.25
    assert value["answered", ALL, "heat_map", "near"] == 0.0
    assert found.counts["answered", ALL] == {"n": 3, "groups": 3, "without_evidence": 3}
    assert found.counts["true", "glioma"] == {"n": 2, "groups": 2, "without_evidence": 0}
    low = found.estimates["true", ALL, "heat_map", "pointing"]
    assert 0 <= low.ci_low < 0.75 < low.ci_high <= 1


@pytest.mark.parametrize("heat", [0.0, 1.0])
def test_a_hot_map_that_misses_is_not_an_empty_one(tmp_path, heat) -> None:
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(tmp_path / "0.png")
    row = ManifestRow("0.png", "glioma", "made", "", "g", "test", "0" * 64, 64, 64)
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("number,x_center,y_center,width,height\n0,0.2,0.2,0.1,0.1\n")
    (found,) = localised(
        Manifest((row,), tmp_path), [row], CornerClassifier(heat), read_boxes(boxes), lambda: None
    )
    assert found.scored.measures["true"]["heat_map"] == NO_EVIDENCE  # both miss by all measures
    counts = localisation([found.scored], Bootstrap(20)).counts
    for target in ("true", "answered"):
        assert counts[target, ALL]["without_evidence"] == int(heat == 0)


class CornerClassifier:
    """Answers glioma, with all heat in the corner at the bottom right."""

    def __init__(self, heat: float) -> None:
        self.bundle = SimpleNamespace(negative_class="no_tumor")
        self.heat = heat

    def answers(self, slices):
        cam = np.zeros((4, 8, 8), np.float32)
        cam[:, 7, 7] = self.heat
        prediction = SimpleNamespace(label="glioma", probabilities=dict.fromkeys(CLASSES, 0.25))
        return [
            SimpleNamespace(prediction=prediction, cam=cam, placement=Placement(0, 0, 64))
            for _ in slices
        ]


def test_nothing_answered_is_told() -> None:
    found = localisation([scored("glioma", g, 1.0, answered=False) for g in "ab"], Bootstrap(20))
    estimate = found.estimates["answered", ALL, "heat_map", "pointing"]
    assert estimate.value is None
    assert "slice of this kind with a region" in estimate.reason


def test_the_legend_covers_no_bar(tmp_path, monkeypatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, _, format: drawn.append(figure))
    every = [scored(name, f"{name}{k}", 1.0) for name in ("glioma", "pituitary") for k in "ab"]
    draw_bars(localisation(every, Bootstrap(20)), tmp_path / "bars.png")
    [figure] = drawn
    figure.draw_without_rendering()
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(METHOD_TITLES.values())
    place = legend.get_window_extent()
    assert not any(place.overlaps(axes.get_window_extent()) for axes in figure.axes)
    assert all(axes.get_legend() is None for axes in figure.axes)


def test_the_rim_of_the_region_is_drawn(tmp_path) -> None:
    Image.fromarray(np.full((240, 240), 90, np.uint8)).save(tmp_path / "0.png")
    row = ManifestRow("0.png", "glioma", "made", "", "g", "test", "0" * 64, 240, 240)
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("number,x_center,y_center,width,height\n0,0.25,0.25,0.125,0.125\n")
    (found,) = localised(
        Manifest((row,), tmp_path), [row], CornerClassifier(0.0), read_boxes(boxes), lambda: None
    )
    rim = (np.asarray(tile(found))[:240, :240] == (0, 230, 255)).all(axis=2)
    rows, columns = np.nonzero(rim)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (45, 74, 45, 74)
    assert rim.sum() == 30**2 - 28**2
