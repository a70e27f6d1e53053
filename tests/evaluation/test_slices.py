"""A sample is alike in classes and spread over groups; files are known by what they hold."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import ConfigError, EvaluationError, InputError
from slicewise.evaluation.slices import (
    content_key,
    require_places,
    require_unchanged,
    sample_rows,
)


def rows_of(sizes: dict[str, list[int]]) -> list[ManifestRow]:
    """Rows by class: one group of each size."""
    return [
        ManifestRow(f"{label}{g}_{i}.png", label, "s", "", f"{label}{g}", "test", "0" * 64, 9, 9)
        for label, groups in sizes.items()
        for g, size in enumerate(groups)
        for i in range(size)
    ]


def test_classes_share_the_places() -> None:
    rows = rows_of({"a": [40, 60], "b": [30] * 5, "c": [3, 2]})
    found = Counter(row.label for row in sample_rows(rows, 65, 0))
    assert found == {"c": 5, "a": 30, "b": 30}  # what the small class leaves goes to the others


def test_every_group_speaks_before_any_speaks_often() -> None:
    rows = rows_of({"a": [50, 2, 20, 1]})
    found = Counter(row.group for row in sample_rows(rows, 9, 1))
    assert found == {"a0": 3, "a1": 2, "a2": 3, "a3": 1}


def test_order_and_seed() -> None:
    rows = rows_of({"a": [9, 9], "b": [9]})
    first = sample_rows(rows, 8, 5)
    assert first == sample_rows(rows, 8, 5)
    assert first != sample_rows(rows, 8, 6)
    assert [rows.index(row) for row in first] == sorted(rows.index(row) for row in first)
    assert sample_rows(rows, 100, 0) == rows


def test_refuses_too_few_places() -> None:
    with pytest.raises(EvaluationError, match="limit of at least 2, one a class; got 3 rows and 1"):
        sample_rows(rows_of({"a": [1], "b": [2]}), 1, 0)
    with pytest.raises(EvaluationError, match="got 0 rows"):
        sample_rows([], 5, 0)


def test_fewer_places_than_classes_are_refused_with_their_names() -> None:
    rows = rows_of({"a": [1], "b": [1]})
    require_places(2, rows)
    with pytest.raises(ConfigError, match=r"--limit 1: expected at least 2, .* \(a, b\)"):
        require_places(1, rows)


def manifest_of(folder: Path, *entries: tuple[str, str]) -> Manifest:
    rows = (ManifestRow(p, "glioma", "s", "", "g", "", sha, 8, 8) for p, sha in entries)
    return Manifest(tuple(rows), folder)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_changed_file_is_told_from_one_that_is_not(tmp_path):
    (tmp_path / "a.png").write_bytes(b"one")
    manifest = manifest_of(tmp_path, ("a.png", sha(b"one")), ("a.png", ""))
    for row in manifest.rows:
        require_unchanged(manifest, row)
    (tmp_path / "a.png").write_bytes(b"another")
    with pytest.raises(InputError, match="changed since the manifest was written: expected SHA"):
        require_unchanged(manifest, manifest.rows[0])
    require_unchanged(manifest, manifest.rows[1])  # nothing to hold it to
    (tmp_path / "a.png").unlink()
    with pytest.raises(InputError, match="expected a file to read"):
        require_unchanged(manifest, manifest.rows[0])


def test_a_volume_is_hashed_once_for_all_its_slices(tmp_path, monkeypatch):
    (tmp_path / "v.nii").write_bytes(b"volume")
    entries = [(f"v.nii#{i}", sha(b"volume")) for i in range(5)]
    manifest, hashed = manifest_of(tmp_path, *entries), []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda f, name: hashed.append(1) or real(f, name))
    for row in manifest.rows:
        require_unchanged(manifest, row)
    assert len(hashed) == 1


def test_keys_follow_content_and_index(tmp_path):
    for name, content in (("p1/1.dcm", b"one"), ("p2/1.dcm", b"two"), ("p3/9.dcm", b"one")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(content)
    manifest = manifest_of(
        tmp_path, ("p1/1.dcm", sha(b"one")), ("p2/1.dcm", sha(b"two")), ("p3/9.dcm", ""),
        ("p1/1.dcm#0", sha(b"one")), ("p1/1.dcm#1", sha(b"one")),
    )  # fmt: skip
    one, two, copy, first, second = (content_key(manifest, row) for row in manifest.rows)
    assert one == copy == sha(b"one")
    assert len({one, two, first, second}) == 4
