"""The index: what is known by bytes and by pixels, nothing else, and the file that holds it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from builders import make_slice
from builders_data import COPIES, head, save
from builders_public import index_of, known_slices, row_of
from slicewise.arrays import read_arrays, write_arrays
from slicewise.data.public.index import (
    INDEX_PATH,
    KINDS,
    PublicIndex,
    pixels_sha256,
    prefix_of,
    public_index,
)
from slicewise.errors import ManifestError
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Window


@pytest.fixture
def files(tmp_path):
    return [save(head(seed, side=96), tmp_path / f"{seed}.jpg") for seed in range(6)]


@pytest.fixture
def rows(files):
    """Six files: three of one group of patients, two of them copies; one published twice."""
    return [
        row_of(files[0], 4, "figshare:gli_1", figshare_number="11"),
        row_of(files[1], 4, "figshare:gli_1", figshare_number="11", mirrored="1"),
        row_of(files[2], 9, "figshare:gli_1", figshare_number="12"),
        row_of(files[3], 0, published_label="pituitary", label_conflict="1"),
        row_of(files[4], 0, published_label="meningioma", label_conflict="1"),
        row_of(files[5], 2, published_label="no_tumor"),
        row_of(files[5], 2, published_label="no_tumor", collection="br35h"),
    ]


@pytest.fixture
def index(tmp_path, rows):
    return PublicIndex.load(index_of(tmp_path / "index.npz", rows))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_file_is_known_by_its_bytes(index, files):
    found = index.find([sha256(path) for path in files], [""] * 6)
    assert [one.match for one in found] == ["bytes"] * 6
    assert [one.cluster for one in found] == [4, 4, 9, 0, 0, 2]
    groups = ["figshare:gli_1"] * 3 + ["cluster:0"] * 2 + ["cluster:2"]
    assert [one.group for one in found] == groups
    assert [bool(one.patients) for one in found] == [True] * 3 + [False] * 3
    assert [one.figshare for one in found] == [(11,), (11,), (12,), (), (), ()]
    assert [one.mirrored for one in found] == [False, True] + [False] * 4
    assert [one.contradicting for one in found][3:] == [("meningioma", "pituitary")] * 2 + [()]
    assert found[5].published == (("br35h", "no_tumor"), ("nickparvar", "no_tumor"))
    assert found[5].collections == ("br35h", "nickparvar")
    assert found[5].elsewhere == ()


def test_copies_in_other_collections_are_told(tmp_path, rows):
    rows[1] |= {"collection": "sartaj"}
    index = PublicIndex.load(index_of(tmp_path / "more.npz", rows))
    found = index.find([row["file_sha256"] for row in rows[:3]], [""] * 3)
    assert [one.collections for one in found] == [("nickparvar", "sartaj")] * 2 + [("nickparvar",)]
    assert [one.elsewhere for one in found] == [("sartaj",), ("nickparvar",), ()]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_file_saved_again_without_loss_is_known_by_its_pixels(
    index, files, tmp_path, suffix, mode
):
    with Image.open(files[1]) as picture:
        again = save(picture.convert(mode), tmp_path / f"again{suffix}")
    [found] = index.find([sha256(again)], [pixels_sha256(read_slice(str(again)))])
    assert (found.match, found.cluster, found.group) == ("pixels", 4, "figshare:gli_1")


@pytest.mark.parametrize("way", ["mirrored", "small", "jpeg", "bright", "cropped"])
def test_a_changed_file_is_unknown(index, files, tmp_path, way):
    with Image.open(files[1]) as picture:
        changed = save(COPIES[way](picture), tmp_path / f"{way}.png")
    assert index.find([sha256(changed)], [pixels_sha256(read_slice(str(changed)))]) == [None]


def test_the_shape_of_a_picture_is_part_of_its_hash():
    flat = np.zeros((8, 32), np.float32)
    assert pixels_sha256(make_slice(flat)) != pixels_sha256(make_slice(flat.reshape(16, 16)))
    wanted = hashlib.sha256(b"32x8:" + bytes(8 * 32)).hexdigest()
    assert pixels_sha256(make_slice(flat)) == wanted


@pytest.mark.parametrize(
    ("low", "high", "more"),
    [
        (0, 256, {}),
        (-1, 255, {}),
        (0, 4095, {}),
        (0, 0.5, {}),
        (0.25, 200, {}),
        (0, 255, {"modality": "MR"}),
        (0, 255, {"pixel_spacing_mm": (1.0, 1.0), "window": Window(40, 80)}),
    ],
)
def test_what_is_no_grey_picture_of_eight_bits_has_no_hash(low, high, more):
    pixels = np.full((16, 16), low, np.float32)
    pixels[3, 4] = high
    assert pixels_sha256(make_slice(pixels, **more)) == ""


def test_a_hash_that_shares_fewer_bits_than_the_index_holds_is_another(index, files):
    whole = sha256(files[0])
    near = whole[:15] + ("0" if whole[15] != "0" else "1") + whole[16:]
    assert index.find([near, "f" * 64, "0" * 64, ""], [""] * 4) == [None] * 4
    assert index.find([whole[:16] + "0" * 48], [""]) != [None]


def test_of_nothing_nothing_is_known(index):
    assert index.find([], []) == []


def test_the_same_table_gives_the_same_bytes(tmp_path, rows):
    one, two = (index_of(tmp_path / name, rows) for name in ("a.npz", "b.npz"))
    assert one.read_bytes() == two.read_bytes()
    assert index_of(tmp_path / "c.npz", rows[::-1]).read_bytes() == one.read_bytes()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"cluster": "5"}, "expected one cluster, mirrored"),
        ({"published_label": "cyst"}, "expected a label of"),
        ({"group": "figshare:gli_2"}, "expected one group, label_conflict"),
        ({"pixel_sha256": "0" * 64}, "expected one pixel_sha256"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(rows, changes, told):
    with pytest.raises(ValueError, match=told):
        known_slices().index_bytes([*rows, rows[0] | changes])


def test_hashes_that_differ_too_late_are_refused(rows):
    twin = {name: rows[0][name][:16] + "0" * 48 for name in ("file_sha256", "pixel_sha256")}
    with pytest.raises(ValueError, match="first 64 bits"):
        known_slices().index_bytes([*rows, rows[0] | twin])


@pytest.mark.parametrize("content", [b"", b"no archive", write_arrays({"format": np.array(1)})])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "index.npz"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match="expected an index of public slices"):
        PublicIndex.load(path)


def test_another_format_is_refused(tmp_path, rows):
    arrays = read_arrays(index_of(tmp_path / "index.npz", rows).read_bytes(), KINDS)
    (tmp_path / "next.npz").write_bytes(write_arrays(arrays | {"format": np.array(2, np.uint8)}))
    with pytest.raises(ManifestError, match="expected an index of format 1; got 2"):
        PublicIndex.load(tmp_path / "next.npz")


def test_the_index_that_ships_is_small_and_sound():
    assert INDEX_PATH.stat().st_size <= 400_000
    arrays = read_arrays(INDEX_PATH.read_bytes(), KINDS)
    for name in ("files", "pictures"):
        assert arrays[name].dtype == np.uint64
        assert (np.diff(arrays[name].astype(object)) > 0).all()
    assert arrays["picture_of_file"].max() < len(arrays["pictures"])
    assert arrays["cluster"].max() < len(arrays["group_of_cluster"])
    assert public_index().described.startswith("version 1: 17,346 files, 17,189 pictures, 3,795")


@pytest.mark.realdata
def test_the_index_that_ships_says_what_its_table_says(real_data):
    module = known_slices()
    rows = module.read_table(real_data / "known_slices.csv.gz")
    assert module.index_bytes(rows) == INDEX_PATH.read_bytes()
    for kind in ("file_sha256", "pixel_sha256"):
        hashes = [row[kind] for row in rows]
        asked = (hashes, [""] * len(rows)) if kind == "file_sha256" else ([""] * len(rows), hashes)
        for row, found in zip(rows, public_index().find(*asked), strict=True):
            assert (found.group, str(found.cluster)) == (row["group"], row["cluster"])
            assert (row["collection"], row["published_label"]) in found.published
            assert found.mirrored == (row["mirrored"] == "1")
            assert bool(found.contradicting) == (row["label_conflict"] == "1")
            number = row["figshare_number"]
            assert int(number) in found.figshare if number else not found.figshare


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("collection", "unlike"), [("nickparvar", 0), ("figshare", 0), ("br35h", 0), ("navoneel", 1)]
)
def test_real_pixels_are_known_without_their_bytes(real_data, collection, unlike):
    """Of one file of Navoneel Pillow's grey picture is not the one that is read."""
    paths = [p for p in sorted((real_data / collection).rglob("*.*")) if p.suffix != ".csv"]
    paths = paths[:: max(1, len(paths) // 300)]
    slices = [read_slice(str(path)) for path in paths]
    found = public_index().find([""] * len(paths), [pixels_sha256(one) for one in slices])
    assert found.count(None) <= unlike


def test_a_prefix_is_the_first_sixty_four_bits():
    assert prefix_of("00000000000000ff" + "a" * 48) == 255
