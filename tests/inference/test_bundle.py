from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from builders import bundle_info, write_tiny_bundle
from slicewise.errors import BundleError
from slicewise.inference.bundle import INFO_NAME, load_bundle, pack_bundle, write_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_bundle(tmp_path / "bundle", extra={"seen.npz": b"prints"})
    return tmp_path / "bundle"


def test_identity_is_the_hash_of_the_description(folder: Path) -> None:
    expected = hashlib.sha256((folder / INFO_NAME).read_bytes()).hexdigest()
    assert load_bundle(folder).identity == expected


def test_zip_is_the_same_bundle(folder: Path, tmp_path: Path) -> None:
    pack_bundle(folder, tmp_path / "b.zip")
    one, two = load_bundle(folder), load_bundle(tmp_path / "b.zip")
    assert one.identity == two.identity
    assert one.files == two.files


def flip_byte(folder: Path) -> None:
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)


def edit_description(folder: Path) -> None:
    text = (folder / INFO_NAME).read_text()
    (folder / INFO_NAME).write_text(text.replace('"schema_version": 1', '"schema_version": 2'))


def rename_class(folder: Path) -> None:
    text = (folder / INFO_NAME).read_text()
    (folder / INFO_NAME).write_text(text.replace('"negative_class": "no', '"negative_class": "on'))


DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (flip_byte, "model.onnx has been changed"),
    (lambda f: (f / "model.onnx").unlink(), "model.onnx is missing"),
    (lambda f: (f / "seen.npz").unlink(), "seen.npz is missing"),
    (lambda f: (f / "extra.txt").write_text("x"), "does not list.*extra.txt"),
    (lambda f: (f / "sub").mkdir(), "plain files only, got sub"),
    (lambda f: (f / "link").symlink_to(f / "model.onnx"), "plain files only, got link"),
    (lambda f: (f / INFO_NAME).unlink(), "no bundle.json"),
    (lambda f: (f / INFO_NAME).write_text("{"), "bundle.json"),
    (edit_description, "schema_version"),
    (rename_class, "negative_class"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE)
def test_damage_is_refused(folder: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(folder)
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


def test_changed_byte_in_a_zip_is_refused(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as out:
        for path in folder.iterdir():
            content = path.read_bytes()
            out.writestr(path.name, b"other" if path.name == "seen.npz" else content)
    with pytest.raises(BundleError, match=r"seen\.npz has been changed"):
        load_bundle(tmp_path / "b.zip")


def test_no_bundle_at_all(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such bundle"):
        load_bundle(tmp_path / "nothing")
    (tmp_path / "x.zip").write_text("no zip")
    with pytest.raises(BundleError, match="expected a folder or a readable"):
        load_bundle(tmp_path / "x.zip")


def test_writing_refuses_a_used_folder_and_missing_parts(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(BundleError, match="new or empty"):
        write_tiny_bundle(folder)
    with pytest.raises(BundleError, match=r"needs MODEL_CARD\.md"):
        write_bundle(tmp_path / "new", bundle_info(), {"model.onnx": b""})


def test_description_holds_no_surprises(folder: Path) -> None:
    content = json.loads((folder / INFO_NAME).read_text())
    assert set(content["files"]) == {"model.onnx", "MODEL_CARD.md", "seen.npz"}
    assert content["task"]["classes"] == ["glioma", "meningioma", "no_tumor", "pituitary"]


def test_a_file_twice_in_a_zip_is_refused(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as out:
        for path in [*folder.iterdir(), folder / "seen.npz"]:
            out.writestr(zipfile.ZipInfo(path.name), path.read_bytes())
    with pytest.raises(BundleError, match=r"seen\.npz twice"):
        load_bundle(tmp_path / "b.zip")


def test_a_zip_that_does_not_decompress_is_refused(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as out:
        for path in folder.iterdir():
            out.write(path, path.name)
    content = bytearray((tmp_path / "b.zip").read_bytes())
    for index in range(200, 260):
        content[index] ^= 0xFF
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(BundleError, match=r"b\.zip"):
        load_bundle(tmp_path / "b.zip")
