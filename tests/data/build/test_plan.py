"""What a build will read: links, files that are no images, tables in other dialects."""

from pathlib import Path

import pytest

from builders_data import head, save
from slicewise.data.build.build import build
from slicewise.data.build.config import config_of
from slicewise.data.manifest import Manifest


@pytest.fixture
def folder(tmp_path_factory) -> Path:
    """Six heads of two classes."""
    root = tmp_path_factory.mktemp("made")
    for i in range(6):
        save(head(i, side=64), root / ("glioma", "notumor")[i % 2] / f"{i}.png")
    return root


class TestLinks:
    @pytest.fixture
    def root(self, tmp_path):
        for i in range(4):
            save(head(i, side=64), tmp_path / "root" / "glioma" / f"{i}.png")
            save(head(i + 9, side=64), tmp_path / "store" / f"{i}.png")
        return tmp_path / "root"

    def test_a_class_folder_may_be_a_link(self, root, tmp_path):
        (root / "notumor").symlink_to(tmp_path / "store", target_is_directory=True)
        (root / "loop").symlink_to(root, target_is_directory=True)
        built = build(config_of([root]))
        assert sorted(r.label for r in built.manifest.rows) == ["glioma"] * 4 + ["no_tumor"] * 4
        built.write(tmp_path / "m.csv")
        manifest = Manifest.read(tmp_path / "m.csv")
        assert all(Path(manifest.resolve(r)).is_file() for r in manifest.rows)

    def test_a_link_to_a_file_of_the_root_is_that_file(self, root):
        (root / "glioma" / "z.png").symlink_to(root / "glioma" / "0.png")
        built = build(config_of([root]))
        assert len(built.manifest.rows) == 4
        (left_out,) = built.report.excluded
        assert left_out.reason == f"the same file: glioma in {root / 'glioma' / '0.png'}"

    def test_one_file_under_two_classes_is_a_label_conflict(self, root, tmp_path):
        (root / "notumor").mkdir()
        for folder in ("glioma", "notumor"):
            (root / folder / "z.png").symlink_to(tmp_path / "store" / "0.png")
        built = build(config_of([root]))
        assert len(built.manifest.rows) == 4
        assert [one.kind for one in built.report.excluded] == ["label conflict"] * 2


def test_files_that_are_no_images_are_counted(folder, tmp_path):
    save(head(1, side=64), tmp_path / "glioma" / "a.png")
    for name in ("Thumbs.db", "glioma/.DS_Store", "glioma/notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert "skipped: 3 files not meant as images" in build(config_of([tmp_path])).report.summary()
    assert "skipped" not in build(config_of([folder])).report.summary()


def test_a_table_in_another_dialect_is_read_and_told(folder, tmp_path):
    path = tmp_path / "folds.csv"
    lines = ["\ufeffname;fold;patient"]
    for image in sorted(folder.rglob("*.png")):
        number = int(image.stem)
        lines.append(f"{image.relative_to(folder)};{number % 3};p{number}".replace("/", "\\"))
    path.write_text("\r\n".join(lines), encoding="utf-8", newline="")
    table = {"path": str(path), "key": "name", "patient_column": "patient", "fold_column": "fold"}
    built = build(config_of([folder], table=table))
    assert {row.patient_id for row in built.manifest.rows} == {f"p{i}" for i in range(6)}
    assert f"{path}: read as a table in semicolons" in built.report.summary()
