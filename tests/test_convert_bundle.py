"""A bundle of schema 1 in schema 2: the same files and answers, a new version, nothing invented."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from builders import head_pixels, make_slice, write_tiny_bundle
from builders_training import write_heads
from slicewise.data.duplicates.fingerprint import fingerprints
from slicewise.data.manifest import Manifest
from slicewise.errors import BundleError
from slicewise.evaluation.seen import find_seen, units_of
from slicewise.imaging.read import read_slice
from slicewise.inference.bundle import CARD_NAME, INFO_NAME, load_bundle
from slicewise.inference.classifier import Classifier

ROOT = Path(__file__).parents[1]


@pytest.fixture
def convert_bundle(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "tools")
    return importlib.import_module("convert_bundle")


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A bundle as schema 1 had it."""
    folder = tmp_path / "older"
    write_tiny_bundle(folder, extra={"seen.npz": b"prints"})
    content = json.loads((folder / INFO_NAME).read_text())
    del content["study"], content["preprocessing"]["channels"], content["origin"]["converted_from"]
    content |= {"schema_version": 1, "kind": "model"}
    (folder / INFO_NAME).write_text(json.dumps(content))
    return folder


def test_only_the_format_changes(convert_bundle, older, tmp_path):
    identity = convert_bundle.convert(older, tmp_path / "newer")
    before, after = load_bundle(older), load_bundle(tmp_path / "newer")
    assert after.identity == identity != before.identity
    assert (before.info.version, after.info.version) == ("0.1.0", "0.1.1")
    assert after.info.origin.converted_from == before.reference
    assert {n: c for n, c in after.files.items() if n != CARD_NAME} == {
        n: c for n, c in before.files.items() if n != CARD_NAME
    }
    slices = [make_slice(head_pixels(seed=seed)) for seed in range(3)]
    one, two = (Classifier(bundle).answers(slices) for bundle in (before, after))
    for old, new in zip(one, two, strict=True):
        np.testing.assert_array_equal(old.logits, new.logits)
        assert old.prediction.probabilities == new.prediction.probabilities
        assert old.prediction.decision == new.prediction.decision


def test_the_old_card_says_what_changed(convert_bundle, older, tmp_path):
    convert_bundle.convert(older, tmp_path / "newer")
    card = (tmp_path / "newer" / CARD_NAME).read_text()
    assert card.startswith("# tiny\n\n0.1.1 is 0.1.0 (`")
    assert "Only the format changed" in card


def test_the_same_bytes_again(convert_bundle, older, tmp_path):
    names = ("one", "two")
    assert len({convert_bundle.convert(older, tmp_path / name) for name in names}) == 1


def test_another_manifest_is_refused(convert_bundle, older, tmp_path):
    write_heads(tmp_path)
    with pytest.raises(BundleError, match="expected the manifest that the bundle was made from"):
        convert_bundle.convert(older, tmp_path / "newer", tmp_path / "manifest.csv")


def test_with_its_manifest_the_card_is_written_anew(convert_bundle, older, tmp_path):
    content = json.loads((older / INFO_NAME).read_text())
    manifest = write_heads(tmp_path)
    content["origin"]["manifest_sha256"] = Manifest.read(tmp_path / "manifest.csv").sha256
    figure = {"value": 0.5, "ci_low": None, "ci_high": None}
    binary = dict.fromkeys(("sensitivity", "specificity", "auroc"), figure)
    content["evaluation"] = {
        **{"description": "Made up.", "command": "slicewise train x.yaml", "n": 8, "groups": 4},
        **{"per_class": {name: {"n": 2, **binary} for name in content["task"]["classes"]}},
        **{"tumor": binary, "per_source": {"even": {"n": 8, "accuracy": figure}}},
    }
    (older / INFO_NAME).write_text(json.dumps(content))
    convert_bundle.convert(older, tmp_path / "newer", tmp_path / "manifest.csv")
    card = (tmp_path / "newer" / CARD_NAME).read_text()
    assert card.startswith("# tiny 0.1.1\n")
    assert "0.1.1 is 0.1.0 (`" in card
    assert "slicewise train x.yaml" in card
    count = sum((row.source, row.label) == ("even", "glioma") for row in manifest.rows)
    assert f"| even | glioma | {count} |" in card


@pytest.fixture
def seen(tmp_path):
    """A manifest, and a bundle that has its slices in `seen.npz` without their groups."""
    manifest = write_heads(tmp_path)
    slices = [read_slice(manifest.resolve(row)) for row in manifest.rows]
    prints = fingerprints([slice_.pixels for slice_ in slices])
    prints.save(tmp_path / "seen.npz")
    write_tiny_bundle(tmp_path / "bare", {"seen.npz": (tmp_path / "seen.npz").read_bytes()})
    return tmp_path / "bare", tmp_path / "manifest.csv", manifest, prints


def test_groups_of_the_slices_are_added(convert_bundle, seen, tmp_path):
    bare, path, manifest, prints = seen
    pseudonym = replace(manifest.rows[0], patient_id="dicom_0123456789ab")
    manifest = replace(manifest, rows=(pseudonym, *manifest.rows[1:]))
    manifest.write(path)
    convert_bundle.convert(bare, tmp_path / "grouped", seen=path)
    before, after = load_bundle(bare), load_bundle(tmp_path / "grouped")
    assert after.info.version == "0.1.1"
    kept = {"seen.npz", CARD_NAME}
    assert all(after.files[name] == before.files[name] for name in before.files if name not in kept)
    card = after.files[CARD_NAME].decode()
    assert "with the hashed groups of its slices in seen.npz. Nothing else changed" in card
    other = fingerprints([head_pixels(seed=99)])
    units = units_of(manifest.rows[:1])
    assert find_seen(before, other, units).patients.tolist() == [False]
    assert find_seen(after, other, units).patients.tolist() == [True]
    assert find_seen(after, prints).seen.all()


def test_groups_of_other_slices_are_refused(convert_bundle, seen, tmp_path):
    bare, path, manifest, _ = seen
    replace(manifest, rows=manifest.rows[1:]).write(path)
    with pytest.raises(
        BundleError, match=f"manifest of the {len(manifest.rows)} slices of seen.npz"
    ):
        convert_bundle.convert(bare, tmp_path / "grouped", seen=path)
