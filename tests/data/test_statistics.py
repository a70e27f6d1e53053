"""Statistics of the training split: known answers, and doubts that are checked."""

from dataclasses import replace

import numpy as np
import pytest

from builders_data import head, save
from slicewise.data.build.build import build
from slicewise.data.build.config import config_of
from slicewise.data.statistics import (
    compute_statistics,
    load_statistics,
    save_statistics,
    verify_statistics,
)
from slicewise.errors import ManifestError
from slicewise.imaging.preprocess import PreprocessSpec, preprocess
from slicewise.imaging.read import read_slice

SPEC = PreprocessSpec(size=48)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    for i in range(14):
        save(head(i, side=64), root / "glioma" / f"{i}.png")
    return build(config_of([root])).manifest


def test_mean_and_deviation_are_those_of_the_training_pixels(manifest):
    rows = manifest.subset("train").rows
    assert 0 < len(rows) < len(manifest.rows)
    images = [preprocess(read_slice(manifest.resolve(row)).pixels, SPEC).image for row in rows]
    pixels = np.stack(images) / 255
    statistics = compute_statistics(manifest, SPEC)
    assert statistics.mean == pytest.approx(pixels.mean(), abs=1e-12)
    assert statistics.std == pytest.approx(pixels.std(), abs=1e-12)
    assert statistics.slices == len(rows)
    assert f"mean {pixels.mean():.6f}" in statistics.summary()


def test_what_was_saved_is_verified(manifest, tmp_path):
    statistics = compute_statistics(manifest, SPEC)
    save_statistics(statistics, tmp_path / "s.json")
    assert verify_statistics(load_statistics(tmp_path / "s.json"), manifest) == statistics


def test_changed_numbers_and_other_manifests_are_found(manifest):
    statistics = compute_statistics(manifest, SPEC)
    wrong = statistics.model_copy(update={"mean": statistics.mean + 1e-4})
    with pytest.raises(ManifestError, match="expected mean"):
        verify_statistics(wrong, manifest)
    other = replace(manifest, rows=manifest.rows[1:])
    with pytest.raises(ManifestError, match="expected those of manifest"):
        verify_statistics(statistics, other)


def test_an_empty_training_split_is_refused(manifest):
    nothing = replace(manifest, rows=manifest.subset("val").rows)
    with pytest.raises(ManifestError, match="training split; got none"):
        compute_statistics(nothing, SPEC)


@pytest.mark.parametrize("content", ["", "{}", '{"mean": 2}', "[1]"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(ManifestError, match="expected saved statistics"):
        load_statistics(tmp_path / "s.json")
