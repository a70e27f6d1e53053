"""Each rule holds for what it was written for, and for nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from builders_audit import ct_picture, dim_head
from builders_data import save
from slicewise.data.build.config import config_of
from slicewise.data.quality.reading import read, work_of_folders
from slicewise.data.quality.suspects import RULES, find_suspects, unlike_the_rest
from slicewise.data.tasks import FOUR_CLASS


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
    work, _ = work_of_folders(config_of([root]), FOUR_CLASS)
    material = read(work, [], 1, None)
    found: dict[str, set[str]] = {}
    for one in find_suspects(material):
        for index in one.slices:
            found.setdefault(material.items[index].found.file.stem, set()).add(one.rule.kind)
    return found


@pytest.mark.parametrize("kind", ODD)
def test_a_rule_finds_its_kind(kinds_by_name, kind):
    assert kind in kinds_by_name[kind]


def test_heads_are_not_suspect(kinds_by_name):
    assert not [name for name in kinds_by_name if name.startswith("head")]


def test_every_rule_has_words_and_its_own_kind():
    assert len({rule.kind for rule in RULES}) == len(RULES)
    assert all(len(rule.words) > 20 for rule in RULES)
    assert {rule.kind for rule in RULES if rule.leave_out} == {"synthetic", "blank", "ct", "small"}


def test_a_far_slice_and_its_copies_are_unlike_the_rest():
    looks = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
    looks[7] += 40
    looks[30] = looks[7]
    clusters = list(range(80))
    clusters[30] = 7
    assert np.flatnonzero(unlike_the_rest(looks, clusters)).tolist() == [7, 30]
    assert not unlike_the_rest(looks[:40], clusters[:40]).any()
