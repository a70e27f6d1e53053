"""Each rule holds for what it was written for, and for nothing else."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from builders_audit import ct_picture, dim_head
from builders_data import as_pixels, head, save
from slicewise.data.build.config import config_of
from slicewise.data.build.plan import plan
from slicewise.data.quality.dataset import read_dataset
from slicewise.data.quality.issues import (
    RULES,
    Ring,
    bright_ring,
    find_issues,
    letters_in_row,
    unusual_appearance,
)
from slicewise.data.tasks import FOUR_CLASS
from slicewise.imaging.read import read_slice


def lettered():
    picture = dim_head(3).copy()
    ImageDraw.Draw(picture).text((4, 4), "R 25 Mar 1999", fill=255)
    return picture


def tinted():
    grey = dim_head(4)
    dark = grey.point(lambda value: value // 2)
    return Image.merge("RGB", (grey, dark, dark))


ODD = {
    "ct": ct_picture,
    "text": lettered,
    "colour": tinted,
    "blank": lambda: Image.fromarray(np.full((200, 200), 40, np.uint8)),
    "bright_border": lambda: ImageOps.invert(dim_head(5)),
    "small": lambda: dim_head(6, 80),
    "narrow": lambda: ImageOps.pad(dim_head(7), (400, 200)),
}


@pytest.fixture(scope="module")
def kinds_by_name(tmp_path_factory):
    root: Path = tmp_path_factory.mktemp("odd") / "set"
    for seed in range(8):
        save(dim_head(100 + seed), root / "glioma" / f"head{seed}.png")
    for kind, draw in ODD.items():
        save(draw(), root / "glioma" / f"{kind}.png")
    files, _ = plan(config_of([root]), FOUR_CLASS)
    dataset = read_dataset(files)
    found: dict[str, set[str]] = {}
    for one in find_issues(dataset.issues, dataset.looks, range(len(dataset.items))):
        for index in one.slices:
            found.setdefault(dataset.items[index].file.stem, set()).add(one.rule.kind)
    return found


@pytest.mark.parametrize("kind", ODD)
def test_a_rule_finds_its_kind(kinds_by_name, kind):
    assert kind in kinds_by_name[kind]


def test_heads_have_no_issue(kinds_by_name):
    assert not [name for name in kinds_by_name if name.startswith("head")]


def test_every_rule_has_words_and_its_own_kind():
    assert len({rule.kind for rule in RULES}) == len(RULES)
    assert all(len(rule.words) > 20 for rule in RULES)
    assert {rule.kind for rule in RULES if rule.leave_out} == {"synthetic", "blank", "ct", "small"}


def test_a_far_slice_and_its_copies_are_unusual_appearance():
    looks = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
    looks[7] += 40
    looks[30] = looks[7]
    clusters = list(range(80))
    clusters[30] = 7
    assert np.flatnonzero(unusual_appearance(looks, clusters)).tolist() == [7, 30]
    assert not unusual_appearance(looks[:40], clusters[:40]).any()


def ct(side=256, thick=0.12, brain=80):
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    radius = np.hypot(x / 0.75, y / 0.9)
    noise = np.random.default_rng(0).normal(0, 6, (side, side))
    inside = np.where(radius < 1 - thick, brain + noise, 250)
    return np.where(radius < 1, inside, 0).astype(np.float32)


def test_bone_all_around_a_dim_brain_is_a_ring():
    ring = bright_ring(ct())
    assert ring.cover == 1
    assert ring.inside == pytest.approx(80 / 250, abs=0.03)
    assert ring.inside_bright == 0


def test_brightness_and_size_make_no_difference():
    one = bright_ring(ct())
    two = bright_ring(ct(side=512) * 3 + 100)
    assert (two.cover, two.inside) == (one.cover, pytest.approx(one.inside, abs=0.02))


def test_a_broken_ring_covers_less_and_a_bright_brain_is_seen():
    half = ct()
    half[:, :128][half[:, :128] > 200] = 80
    assert bright_ring(half).cover < 0.6
    assert bright_ring(ct(brain=240)).inside > 0.9


@pytest.mark.parametrize("fading", [0.08, 0.12])
def test_a_ring_that_fades_as_fat_near_the_crown_in_mr_is_no_bone(fading):
    """The scalp as a Gaussian of the distance, all around a dim brain; bone is a plateau."""
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    radius = np.hypot(x / 0.5, y / 0.6)
    fat = 250 * np.exp(-0.5 * ((radius - 0.85) / fading) ** 2)
    crown = bright_ring(np.maximum(fat, 80 * (radius < 0.8)).astype(np.float32))
    assert crown.cover > 0.9
    assert crown.inside < 0.5
    assert crown.inside_bright == 0
    assert crown.beyond > 0.45
    assert not crown.is_bone
    skin = ct()
    skin[(skin == 0) & (np.roll(skin, 3, 0) + np.roll(skin, -3, 0) > 0)] = 70
    assert bright_ring(skin).beyond < 0.25
    assert bright_ring(skin).is_bone


def test_a_blank_picture_has_neither():
    blank = np.full((64, 64), 3, np.float32)
    assert bright_ring(blank) == Ring(0, 0, 0, 0)
    assert letters_in_row(blank) == 0


def written(text, place, image=None):
    picture = (image or head(1)).copy()
    ImageDraw.Draw(picture).text(place, text, fill=255)
    return as_pixels(picture)


def test_letters_beside_the_head_are_counted():
    assert letters_in_row(written("R 25 Mar", (4, 4))) >= 3
    assert letters_in_row(written("AXIAL", (200, 240))) >= 3


def test_letters_upon_the_head_single_ones_and_none_are_not():
    assert letters_in_row(as_pixels(head(1))) == 0
    assert letters_in_row(written("R", (4, 4))) == 0
    specks = as_pixels(head(1))
    specks[[5, 60, 120, 240], [5, 250, 4, 250]] = 255
    assert letters_in_row(specks) < 3


@pytest.mark.realdata
def test_the_rule_finds_the_ct_slices_that_were_seen_by_eye(real_data):
    table = Path(__file__).parents[3] / "models" / "four_class" / "curation.csv"
    with table.open() as file:
        rows = [row for row in csv.DictReader(file) if not row["reason"].startswith("duplicate")]
    flagged = {True: 0, False: 0}
    counts = {True: 0, False: 0}
    for row in rows:
        is_ct = row["reason"] == "ct"
        counts[is_ct] += 1
        flagged[is_ct] += bright_ring(read_slice(str(real_data / row["path"])).pixels).is_bone
    assert counts[True] == 18
    assert flagged[True] >= 17
    assert flagged[False] <= 2
