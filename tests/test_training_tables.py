"""The tables of the slices that train: what is kept, whole groups in folds, copies in one fold."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml
from PIL import Image

from builders_data import COPIES, head, save
from slicewise.data.build.build import build
from slicewise.data.build.config import read_build_config

ROOT = Path(__file__).parents[1]
PLANES = ("axial", "sagittal", "coronal")


@pytest.fixture(scope="module")
def split_channels() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        yield importlib.import_module("split_channels")


@pytest.fixture
def training_tables(monkeypatch: pytest.MonkeyPatch, split_channels: ModuleType) -> ModuleType:
    module = importlib.import_module("training_tables")
    monkeypatch.setattr(module, "STRIPPED", dict.fromkeys(PLANES, 1))
    return module


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory, split_channels: ModuleType) -> Path:
    """Small collections laid out as the public ones; one slice of feltrin44 is one of figshare."""
    base = tmp_path_factory.mktemp("data")
    figshare(base / "figshare")
    kinds = ("glioma", "glioma", "meningioma", "germinoma")
    rows = []
    for number, kind in enumerate(kinds):
        folder = "other_tumor" if kind == "germinoma" else kind
        picture = COPIES["mirrored"](head(3)) if number == 1 else head(100 + number)
        save(picture, base / "feltrin44" / folder / f"{number}.png")
        rows.append([f"{folder}/{number}.png", kind, f"fe_{number}", "axial", "", "", "", ""])
    with_boxes(base / "feltrin44", rows)
    rows = []
    for number, plane in enumerate([*PLANES, "axial"]):
        save(head(200 + number), base / "rsna_t1ce" / "glioma" / f"{number}.png")
        box = ["0.5", "0.25", "0.125", "0.5"]
        rows.append([f"glioma/{number}.png", "glioma", f"rsna_{number}", plane, *box])
    with_boxes(base / "rsna_t1ce", rows)
    save(head(300), base / "ds002748" / "no_tumor" / "0.png")
    with_boxes(base / "ds002748", [["no_tumor/0.png", "no_tumor", "sub-0", "axial", *[""] * 4]])
    lgg(base / "tcga_lgg")
    split_channels.split(base / "tcga_lgg", base / "tcga_lgg_channels")
    return base


def figshare(folder: Path) -> None:
    """Twelve slices, each a group of its own, three a fold, with a box each."""
    kinds = ("glioma", "meningioma", "pituitary")
    rows = [[i, kinds[i % 3], ("1", "2", "4", "5")[i // 3], f"g{i}"] for i in range(12)]
    for number, label, *_ in rows:
        save(head(number), folder / label / f"{number}.jpg")
    table(folder / "folds.csv", ["number", "label", "fold", "group"], rows)
    boxes = [[number, 0.5, 0.5, 0.25, 0.25] for number, *_ in rows]
    table(folder / "boxes.csv", ["number", "x_center", "y_center", "width", "height"], boxes)


def lgg(folder: Path) -> None:
    """Four patients with a tumor in the first of two slices; one FLAIR slice has no head."""
    rows = []
    for patient in range(4):
        for index in range(2):
            seeds = [1000 + 10 * patient + 3 * index + channel for channel in range(3)]
            red, green, blue = (np.asarray(head(seed)) for seed in seeds)
            if (patient, index) == (0, 1):
                green = np.full_like(green, 7)
            mask = np.zeros(red.shape, np.uint8)
            mask[64:128, 32:160] = 255 * (index == 0)
            name = f"p{patient}/{index}"
            save(Image.fromarray(np.dstack([red, green, blue])), folder / f"{name}.png")
            save(Image.fromarray(mask), folder / f"{name}_mask.png")
            size, whole = int((mask > 0).sum()), int(patient < 2)
            rows.append([f"{name}.png", f"{name}_mask.png", f"p{patient}", index, size, whole])
    columns = ["path", "mask", "patient_id", "slice_index", "tumor_pixels", "whole_series"]
    table(folder / "slices.csv", columns, rows)


def with_boxes(folder: Path, rows: list[list[str]]) -> None:
    columns = ["path", "label", "group", "plane", "box_x", "box_y", "box_width", "box_height"]
    table(folder / "slices.csv", columns, rows)


def table(path: Path, columns: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A recipe with the shipped sources that are made here."""
    folder = tmp_path / "recipe"
    folder.mkdir()
    recipe = yaml.safe_load((ROOT / "models/four_class/data.yaml").read_text())
    absent = {"nickparvar", "navoneel", "br35h", "btp"}
    recipe["sources"] = [one for one in recipe["sources"] if one["root"] not in absent]
    (folder / "data.yaml").write_text(yaml.safe_dump(recipe))
    return folder


def test_channels_are_written_without_loss_and_without_the_empty_ones(collections):
    source, channels = collections / "tcga_lgg", collections / "tcga_lgg_channels"
    rows = rows_of(channels / "slices.csv")
    assert len(rows) == 4 * 2 * 3 - 1
    assert "FLAIR/p0/1.png" not in {row["path"] for row in rows}
    for row in rows:
        whole = np.asarray(Image.open(source / row["patient"] / f"{row['slice_index']}.png"))
        channel = ("T1", "FLAIR", "T1c").index(row["mr_sequence"])
        np.testing.assert_array_equal(
            np.asarray(Image.open(channels / row["path"])), whole[..., channel]
        )
        mask = np.asarray(Image.open(channels / row["mask"]))
        assert np.count_nonzero(mask) == int(row["tumor_pixels"])


def test_a_manifest_can_be_built_from_the_tables(training_tables, collections, out, tmp_path):
    training_tables.main(collections, out, tmp_path / "boxes")
    built = build(read_build_config(out / "data.yaml", collections))
    rows = built.manifest.rows
    counts = {name: sum(row.source == name for row in rows) for name in {r.source for r in rows}}
    assert counts == {"figshare": 12, "feltrin44": 3, "tcga_lgg": 23, "rsna_t1ce": 3, "ds002748": 1}
    assert built.report.moved == 0
    copy = next(row for row in rows if row.path.endswith("feltrin44/glioma/1.png"))
    older = next(row for row in rows if row.path.endswith("figshare/glioma/3.jpg"))
    assert copy.extra["fold"] == older.extra["fold"] == "2"


def test_what_is_left_out_says_why(training_tables, collections, out):
    training_tables.main(collections, out, None)
    other = next(r for r in rows_of(out / "feltrin44.csv") if "other_tumor" in r["path"])
    assert (other["kept"], other["fold"]) == ("no", "")
    assert "germinoma" in other["reason"]
    stripped = rows_of(out / "rsna_t1ce.csv")
    assert sorted(row["kept"] for row in stripped) == ["no", "yes", "yes", "yes"]
    lgg_rows = {row["path"]: row for row in rows_of(out / "tcga_lgg.csv")}
    empty = lgg_rows["FLAIR/p0/1.png"]
    assert (empty["kept"], empty["whole_series"]) == ("no", "no")
    assert lgg_rows["T1/p0/1.png"]["whole_series"] == "yes"
    patients = {(row["patient"], row["fold"]) for row in lgg_rows.values() if row["kept"] == "yes"}
    assert sorted(fold for _, fold in patients) == ["1", "2", "4", "5"]


def test_the_same_tables_again(training_tables, collections, out):
    written = []
    for _ in range(2):
        training_tables.main(collections, out, None)
        written.append({path.name: path.read_bytes() for path in sorted(out.glob("*.csv"))})
    assert written[0] == written[1]


def test_boxes_of_all_collections_stand_in_one_table(training_tables, collections, tmp_path, out):
    training_tables.main(collections, out, tmp_path / "boxes")
    boxes = {row["path"]: row for row in rows_of(tmp_path / "boxes" / "boxes.csv")}
    assert len(boxes) == 12 + 4 + 4 * 3
    assert boxes["figshare/glioma/0.jpg"]["width"] == "0.25"
    assert boxes["rsna_t1ce/glioma/0.png"]["y_center"] == "0.25"
    names = ("x_center", "y_center", "width", "height")
    found = [float(boxes["T1c/p1/0.png"][name]) for name in names]
    assert found == [0.375, 0.375, 0.5, 0.25]


def test_too_few_groups_are_an_error(training_tables):
    rows = [{"path": "a", "plane": "axial", "group": "one"}]
    with pytest.raises(ValueError, match="more slices of other groups"):
        training_tables.drawn(rows, {"axial": 2})


def test_groups_of_one_person_get_one_name(training_tables):
    names = training_tables.one_name(["gli 17 19", "men 2 54"])
    assert names == {
        "fe_gli_17": "fe_gli_17",
        "fe_gli_19": "fe_gli_17",
        "fe_men_2": "fe_men_2",
        "fe_men_54": "fe_men_2",
    }
    everyone = [group for one in training_tables.SAME_PERSON for group in one.split()[1:]]
    kinds = [one.split()[0] for one in training_tables.SAME_PERSON for _ in one.split()[1:]]
    assert len(set(zip(kinds, everyone, strict=True))) == len(everyone)
