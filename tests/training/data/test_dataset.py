from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from builders_training import head_image, write_heads
from slicewise.data.duplicates.fingerprint import concatenate, fingerprint
from slicewise.data.manifest import Manifest
from slicewise.data.tasks import FOUR_CLASS
from slicewise.errors import ManifestError, TrainingError
from slicewise.imaging.formats.raster.picture import ANNOTATION_PREFIX
from slicewise.imaging.preprocess import Placement, PreprocessSpec, preprocess
from slicewise.imaging.read import read_slice
from slicewise.inference.ood import appearances_of
from slicewise.training.data.dataset import (
    EpochSampler,
    load_regions,
    load_slices,
    loader,
    placed,
)

SPEC = PreprocessSpec(size=32)
WHOLE = PreprocessSpec(size=32, crop="none")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return write_heads(tmp_path / "heads", groups=1)


def test_images_are_preprocessed_in_the_order_of_the_rows(tmp_path, manifest):
    images = load_slices(manifest, SPEC, tmp_path / "cache").images
    assert (images.shape, images.dtype) == ((8, 32, 32), np.uint8)
    expected = preprocess(head_image(0, 1).astype(np.float32), SPEC).image
    np.testing.assert_array_equal(images[1], expected)


def test_decoded_pixels_are_read_from_the_cache(tmp_path, manifest):
    first = load_slices(manifest, SPEC, tmp_path / "cache")
    shutil.rmtree(tmp_path / "heads")
    again = load_slices(manifest, SPEC, tmp_path / "cache")
    np.testing.assert_array_equal(again.records, first.records)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".npy"]


def test_one_pass_gives_all_that_is_kept_of_a_slice(tmp_path, manifest):
    slices = load_slices(manifest, SPEC, tmp_path / "cache")
    read = [read_slice(manifest.resolve(row)) for row in manifest.rows]
    np.testing.assert_array_equal(slices.appearances, appearances_of(read))
    prints = concatenate([fingerprint(slice_.pixels) for slice_ in read])
    for name in ("codes", "boxes", "digests"):
        found, expected = getattr(slices.fingerprints, name), getattr(prints, name)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype
    assert slices.shape(3) == (64, 64)
    assert slices.placement(3) == preprocess(read[3].pixels, SPEC).placement
    assert slices.groups.tolist() == [row.group for row in manifest.rows]


def test_every_number_of_threads_decodes_the_same(tmp_path, manifest):
    pages = [Image.fromarray(head_image(1, seed)) for seed in range(5)]
    pages[0].save(manifest.folder / "stack.tif", save_all=True, append_images=pages[1:])
    volume = [replace(manifest.rows[0], path=f"stack.tif#{i}", sha256="") for i in range(5)]
    mixed = replace(manifest, rows=(*manifest.rows[:4], *volume, *manifest.rows[4:]))
    one, many = (load_slices(mixed, SPEC, tmp_path / str(n), n).records for n in (1, 4))
    np.testing.assert_array_equal(one, many)


@pytest.mark.parametrize("change", ["spec", "content", "order", "pipeline"])
def test_the_cache_is_not_used_for_anything_else(tmp_path, manifest, change, monkeypatch):
    load_slices(manifest, SPEC, tmp_path / "cache")
    spec, rows = SPEC, manifest.rows
    if change == "spec":
        spec = PreprocessSpec(size=32, crop="none")
    elif change == "content":
        path = Path(manifest.resolve(rows[0]))
        Image.fromarray(head_image(1, 99)).save(path)
        changed = hashlib.sha256(path.read_bytes()).hexdigest()
        rows = (replace(rows[0], sha256=changed), *rows[1:])
    elif change == "pipeline":
        monkeypatch.setattr("slicewise.training.data.dataset.PIPELINE_VERSION", 2)
    else:
        rows = rows[::-1]
    load_slices(replace(manifest, rows=rows), spec, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_changed_file_is_refused_and_named(tmp_path, manifest):
    row = manifest.rows[2]
    Image.fromarray(head_image(3, 99)).save(manifest.resolve(row))
    with pytest.raises(TrainingError, match=f"1 of 8 .*{row.path}: .* {row.sha256[:12]}"):
        load_slices(manifest, SPEC, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_volume_is_held_to_the_hash_of_its_file(tmp_path):
    path = tmp_path / "stack.tif"
    pages = [Image.fromarray(head_image(0, seed)) for seed in (1, 2)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    row = replace(
        write_heads(tmp_path / "heads", groups=1).rows[0],
        path="stack.tif#1",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    (image,) = load_slices(Manifest((row,), tmp_path), SPEC, tmp_path / "cache").images
    expected = preprocess(head_image(0, 2).astype(np.float32), SPEC).image
    np.testing.assert_array_equal(image, expected)
    wrong = Manifest((replace(row, sha256="0" * 64),), tmp_path)
    with pytest.raises(TrainingError, match="changed since"):
        load_slices(wrong, SPEC, tmp_path / "cache")


def test_a_synthetic_slice_is_refused(tmp_path, manifest):
    row = manifest.rows[0]
    text = PngInfo()
    text.add_text(f"{ANNOTATION_PREFIX}synthetic", "true")
    Image.fromarray(head_image(0, 0)).save(manifest.resolve(row), pnginfo=text)
    content = Path(manifest.resolve(row)).read_bytes()
    rows = (replace(row, sha256=hashlib.sha256(content).hexdigest()), *manifest.rows[1:])
    with pytest.raises(TrainingError, match=f"1 of 8 .*{row.path}: .*got a synthetic one"):
        load_slices(replace(manifest, rows=rows), SPEC, tmp_path / "cache")


def test_two_runs_that_decode_the_same_slices_do_not_share_a_file(tmp_path, manifest, monkeypatch):
    cache, names, save = tmp_path / "cache", [], np.save

    def noted(file, images, **options) -> None:
        names.append(file.name)
        if len(names) == 1:
            load_slices(manifest, SPEC, cache)
        save(file, images, **options)

    monkeypatch.setattr(np, "save", noted)
    load_slices(manifest, SPEC, cache)
    assert len(set(names)) == 2
    assert [path.suffix for path in cache.iterdir()] == [".npy"]


def test_every_unreadable_slice_is_named_and_nothing_is_cached(tmp_path, manifest):
    named = [Path(manifest.resolve(row)) for row in manifest.rows[:3]]
    named[0].write_bytes(b"")
    named[1].write_bytes(b"text")
    named[2].unlink()
    with pytest.raises(TrainingError, match="3 of 8 slices cannot be used") as caught:
        load_slices(manifest, SPEC, tmp_path / "cache")
    assert all(str(path) in str(caught.value) for path in named)
    assert not (tmp_path / "cache").exists()


def test_many_unreadable_slices_are_counted(tmp_path, manifest):
    for row in manifest.rows:
        Path(manifest.resolve(row)).write_bytes(b"")
    with pytest.raises(TrainingError, match="8 of 8 slices cannot be used") as caught:
        load_slices(manifest, SPEC, tmp_path / "cache")
    assert str(caught.value).count("got an empty file") == 5


def test_the_order_depends_on_seed_and_epoch_alone():
    def orders(seed: int, epochs: list[int]) -> list[list[list[int]]]:
        sampler = EpochSampler(10, 4, seed)
        found = []
        for epoch in epochs:
            sampler.set_epoch(epoch)
            found.append(list(sampler))
        return found

    first = orders(3, [0, 1, 2])
    assert orders(3, [2, 0, 1]) == [first[2], first[0], first[1]]
    assert first[0] != first[1]
    assert orders(4, [0]) != first[:1]
    assert [len(batch) for batch in first[0]] == [4, 4, 2]
    assert sorted(index for batch in first[0] for index in batch) == list(range(10))


def test_a_rest_of_one_is_left_out():
    """Batch norm has no statistics of a single slice."""
    sampler = EpochSampler(9, 4, 0)
    assert [len(batch) for batch in sampler] == [4, 4]
    assert len(sampler) == 2


def test_loaders_give_images_labels_and_positions():
    images = np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2)
    possible = np.eye(4, dtype=bool)[[3, 2, 1, 0, 3]]
    batches = list(loader(images, possible, [[0, 1], [2, 3], [4]]))
    assert [batch[2].tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
    assert batches[1][0].shape == (2, 1, 2, 2)
    assert batches[1][0][0, 0].tolist() == images[2].tolist()
    for pixels, labels, positions in loader(images, possible, EpochSampler(5, 2, seed=0)):
        assert labels.tolist() == possible[positions].tolist()
        assert pixels[:, 0].tolist() == images[positions].tolist()


def regions_of(manifest: Manifest, table: Path, cache: Path) -> np.ndarray:
    slices = load_slices(manifest, WHOLE, cache.with_name("slices"))
    return load_regions(slices, FOUR_CLASS, WHOLE, table, cache)


def boxes(manifest: Manifest, text: str = "0.5,0.25,0.5,0.25"):
    path = manifest.folder / "boxes.csv"
    lines = [f"{row.path},{text}" for row in manifest.rows if row.label != "meningioma"]
    path.write_text("\n".join(["path,x_center,y_center,width,height", *lines]) + "\n")
    return path


def test_a_box_lies_on_the_square_where_it_lies_on_the_slice(tmp_path, manifest):
    regions = regions_of(manifest, boxes(manifest), tmp_path / "cache")
    assert regions.shape == (len(manifest.rows), 32, 32)
    expected = np.zeros((32, 32), dtype=bool)
    expected[4:12, 8:24] = True
    for row, region in zip(manifest.rows, regions, strict=True):
        if row.label in {"glioma", "pituitary"}:
            assert ((region > 127) == expected).all()
        else:
            assert not region.any()  # no tumor, or no box


def test_regions_are_kept_and_made_anew_for_another_table(tmp_path, manifest):
    cache = tmp_path / "cache"
    first = regions_of(manifest, boxes(manifest), cache)
    again = regions_of(manifest, boxes(manifest), cache)
    assert len(list(cache.iterdir())) == 1
    assert (first == again).all()
    other = regions_of(manifest, boxes(manifest, "0.5,0.5,0.2,0.2"), cache)
    assert len(list(cache.iterdir())) == 2
    assert (first != other).any()


def test_masks_come_before_boxes(tmp_path, manifest):
    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[40:60, 40:60] = 255
    Image.fromarray(mask).save(manifest.folder / "mask.png")
    rows = tuple(replace(row, extra={**row.extra, "mask": "mask.png"}) for row in manifest.rows)
    regions = regions_of(replace(manifest, rows=rows), boxes(manifest), tmp_path / "cache")
    for row, region in zip(rows, regions, strict=True):
        if row.label == "no_tumor":
            assert not region.any()
        else:
            assert (region[21:29, 21:29] > 127).all()
            assert not region[:19].any()


def test_what_lies_outside_of_the_slice_is_no_region():
    region = np.ones((10, 20), dtype=bool)
    square = placed(region, Placement(top=-5, left=0, side=20), 20)
    assert (square[5:15] == 255).all()
    assert not square[:5].any()
    assert not square[15:].any()


def test_a_table_that_is_none_is_refused(tmp_path, manifest):
    (tmp_path / "bad.csv").write_text("path,x\na,1\n")
    with pytest.raises(ManifestError, match="x_center"):
        regions_of(manifest, tmp_path / "bad.csv", tmp_path / "cache")
