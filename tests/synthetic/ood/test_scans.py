"""Drawn scans: rows lie where they say, and a section looks like a scan of its kind."""

from __future__ import annotations

import numpy as np
import pytest

from slicewise.arrays import Array
from slicewise.synthetic.ood import scans
from slicewise.synthetic.ood.kinds import KINDS
from slicewise.synthetic.ood.scans import Row


@pytest.fixture
def _flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plane that is not bent, so that places are exact."""
    monkeypatch.setattr(scans, "_bent", lambda rng, image: np.asarray(image)[::2, ::2])


def section(*rows: Row) -> Array:
    signals = dict.fromkeys(scans._TISSUES, 0.0) | {"fat": 0.7}
    return scans._section(np.random.default_rng(0), 1.0, rows, signals)


def at(values: Array, x: float, y: float) -> float:
    return float(values[round((y + 1) * 112), round((x + 1) * 112)])


@pytest.mark.usefixtures("_flat")
def test_an_ellipse_is_where_it_says() -> None:
    values = section(("fat", 0.2, -0.1, 0.5, 0.25))
    assert values.shape == (224, 224)
    assert [at(values, 0.2 + dx, -0.1) for dx in (0.46, 0.54)] == pytest.approx([0.7, 0])
    assert [at(values, 0.2, -0.1 + dy) for dy in (-0.22, -0.28)] == pytest.approx([0.7, 0])


@pytest.mark.usefixtures("_flat")
def test_a_rod_runs_through_its_stations_and_later_rows_cover_earlier_ones() -> None:
    values = section((0.3, 0.1, -0.5, 0.0, 0.0, 0.0, 0.0, 0.6), ("fat", 0.0, 0.0, 0.02, 0.02))
    assert at(values, -0.25, 0.05) == pytest.approx(0.3)
    assert at(values, 0.05, 0.3) == pytest.approx(0.3)
    assert at(values, -0.25, 0.15) == at(values, -0.25, 0.4) == 0
    assert at(values, 0.0, 0.0) == pytest.approx(0.7)


def test_a_bone_is_marrow_in_a_rind_in_cartilage() -> None:
    rows = scans._bones((0.0, 0.0, 0.3, 0.2), (0.1, -0.5, 0.0, 0.5, 0.0))
    assert [row[0] for row in rows] == ["cartilage"] * 2 + ["cortex"] * 2 + ["marrow"] * 2
    assert rows[0][1:] == pytest.approx((0.0, 0.0, 0.325, 0.225))
    assert rows[-1][1:] == pytest.approx((0.075, -0.5, 0.0, 0.5, 0.0))


def test_bending_moves_a_border_by_a_little() -> None:
    rows: list[Row] = [("fat", 0.0, 0.0, 0.5, 0.5)]
    one, other = (
        scans._section(np.random.default_rng(seed), 1.0, rows, {"fat": 0.7}) for seed in (0, 1)
    )
    assert one.shape == other.shape == (224, 224)
    assert not np.array_equal(one, other)
    for values in (one, other):
        radius = np.sqrt(np.mean(values > 0.35) * 4 / np.pi)
        assert 0.42 < radius < 0.58


@pytest.mark.parametrize("name", ["abdomen_ct", "head_ct", "head_ct_bone"])
def test_ct_has_white_bone_and_black_air(name: str) -> None:
    values = KINDS[name].make(np.random.default_rng(3))
    assert np.mean(values > 0.8) > 0.005
    assert np.mean(values[0]) < 0.05
    assert np.mean(values < 0.05) > 0.15


def test_an_abdomen_is_the_same_section_as_mr_and_as_ct() -> None:
    signals = dict.fromkeys(("air", "fat"), 0.0)
    assert {row[0] for row in scans._abdomen(np.random.default_rng(0))} <= set(scans._TISSUES)
    assert not signals.keys() - set(scans._TISSUES)
    mr, ct = (KINDS[name].make(np.random.default_rng(2)) for name in ("abdomen_mr", "abdomen_ct"))
    assert mr.shape[1] / mr.shape[0] == pytest.approx(1.4, abs=0.02)
    assert ct.shape[1] / ct.shape[0] == pytest.approx(1.4, abs=0.02)


def test_ultrasound_is_a_fan_of_speckle() -> None:
    values = KINDS["ultrasound"].make(np.random.default_rng(0))
    rows = values[:, values.shape[1] // 8 : -values.shape[1] // 8]
    lit = (rows > 0.05).mean(axis=1)
    assert lit[len(lit) // 8] < lit[3 * len(lit) // 4]
    assert values.std() > 0.05
