"""The model that ships: there, whole, small, and what its card says of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from slicewise.imaging.read import read_slices
from slicewise.inference.bundle import CARD_NAME, SEEN_NAME, bundled_model, load_bundle
from slicewise.inference.classifier import Classifier
from slicewise.synthetic.phantom_files import write_phantoms


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


def test_fits_into_25_megabytes() -> None:
    assert sum(path.stat().st_size for path in bundled_model().iterdir()) <= 25_000_000


def test_describes_itself(classifier: Classifier) -> None:
    info = classifier.bundle.info
    assert info.task.classes == ("glioma", "meningioma", "no_tumor", "pituitary")
    assert info.task.negative_class == "no_tumor"
    assert info.decision.temperature is not None
    assert info.decision.operating_point is not None
    assert SEEN_NAME in classifier.bundle.files


def test_card_holds_the_figures_of_the_description(classifier: Classifier) -> None:
    card = classifier.bundle.files[CARD_NAME].decode()
    accuracy = classifier.bundle.info.evaluation.accuracy
    expected = f"{accuracy.value:.3f} ({accuracy.ci_low:.3f}-{accuracy.ci_high:.3f})"
    assert f"| Accuracy | {expected} |" in card
    assert "Not a medical device" in card


def test_answers_for_a_phantom_with_a_heat_map(classifier: Classifier, tmp_path: Path) -> None:
    paths = [path for path in write_phantoms(tmp_path, 1, 3, 256) if path.suffix == ".png"]
    slices = [slice_ for path in paths for slice_ in read_slices(path)]
    for answer in classifier.answers(slices):
        assert sum(answer.prediction.probabilities.values()) == pytest.approx(1)
        assert np.isfinite(answer.cam).all()
        assert answer.cam.min() >= 0
        assert answer.cam.max() > 0


@pytest.mark.realdata
def test_knows_the_slices_it_was_trained_on(real_data: Path) -> None:
    from slicewise.data.duplicates.fingerprint import fingerprints
    from slicewise.evaluation.seen import find_seen

    path = sorted((real_data / "figshare" / "pituitary").iterdir())[0]
    pixels = read_slices(path)[0].pixels
    mirrored = np.ascontiguousarray(pixels[:, ::-1])
    check = find_seen(load_bundle(bundled_model()), fingerprints([pixels, mirrored]))
    assert check.seen.all()


def test_it_knows_the_patients_that_trained_it_by_any_of_their_public_slices() -> None:
    """Of the 66 groups of Figshare patients 13 were held back, and are not refused."""
    from slicewise.arrays import read_arrays
    from slicewise.data.duplicates.fingerprint import fingerprints
    from slicewise.data.manifest import ManifestRow
    from slicewise.data.public.index import INDEX_PATH, KINDS, public_index
    from slicewise.evaluation.seen import find_seen, units_of

    files = read_arrays(INDEX_PATH.read_bytes(), KINDS)["files"].tolist()
    hashes = [f"{prefix:016x}{'0' * 48}" for prefix in files]
    found = public_index().find(hashes, [""] * len(hashes))
    one_of = {one.patients: text for text, one in zip(hashes, found, strict=True) if one.patients}
    rows = [ManifestRow(f"{n}.png", "glioma", "s", "", f"g{n}", "", text, 9, 9)
            for n, text in enumerate(one_of.values())]  # fmt: skip
    blank = fingerprints([np.zeros((32, 32), np.float32)] * len(rows))
    check = find_seen(load_bundle(bundled_model()), blank, units_of(rows))
    assert (len(rows), int(check.patients.sum()), int(check.seen.sum())) == (66, 53, 0)
