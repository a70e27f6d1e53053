"""Files are known by what they hold, not by where they lie."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import InputError
from slicewise.evaluation.content import content_key, require_unchanged


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
