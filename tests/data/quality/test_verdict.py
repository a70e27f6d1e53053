"""Shares are written honestly, and the page escapes what files are called."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from builders_audit import dim_head
from builders_data import item, save
from slicewise.data.build.config import config_of
from slicewise.data.duplicates.fingerprint import Fingerprints
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.data.quality.audit import audit_folders, audit_manifest
from slicewise.data.quality.leakage import Sides, find_copies
from slicewise.data.quality.page import render_page
from slicewise.data.quality.shortcuts import FamilyScore, Probe
from slicewise.data.quality.verdict import _memory, _shortcut, _slices, _splits, percent
from slicewise.stats.intervals import Share


@pytest.mark.parametrize(
    ("accuracy", "severity", "meaning"),
    [
        (0.5, "note", "Put this score beside every other on this split."),
        (0.95, "severe", "has to beat the first score before its own means anything."),
    ],
)
def test_what_memory_scores_is_called_a_score(accuracy, severity, meaning):
    shares = [Share(value, None, None) for value in (accuracy, 0.4, 0.3)]
    names = ("accuracy", "grouped", "majority")
    memory = SimpleNamespace(
        split="a random split", test=[0], **dict(zip(names, shares, strict=True))
    )
    [found] = _memory(SimpleNamespace(memory=memory))
    assert found.severity == severity
    assert found.text.endswith(meaning)


def test_without_patients_metrics_stay_too_good():
    excluded = SimpleNamespace(excluded=[])
    [found] = _slices(SimpleNamespace(issues=[], dataset=excluded, known_patients=False))
    assert "so metrics stay too good" in found.text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.5, "50.0 %"),
        (1.0, "100.0 %"),
        (0.9996, ">99.9 %"),
        (0.0001, "<0.1 %"),
        (Share(0.25, 0.1, 0.4), "25.0 % (10.0-40.0)"),
        (Share(0.25, None, None), "25.0 %"),
        (Share(0.9993, 0.9984, 0.9998), "99.9 % (99.8->99.9)"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_none(share, text):
    assert percent(share) == text


def said(splits, clusters):
    """Severity and sentence on slices in these splits; equal numbers are copies."""
    items = [item(i, cluster=str(cluster)) for i, cluster in enumerate(clusters)]
    n = len(items)
    digests = np.arange(n, dtype=np.uint64).repeat(2).view(np.uint8).reshape(n, 16)
    prints = Fingerprints(np.zeros((n, 1, 1), np.uint8), np.zeros((n, 4), np.float16), digests)
    sides = Sides(tuple(splits), "the manifest's splits")
    results = SimpleNamespace(sides=sides, copies=find_copies(items, prints, sides))
    return [(one.severity, one.text) for one in _splits(results)]


def test_copies_between_validation_and_test_are_told():
    splits = ["train"] * 10 + ["val"] * 10 + ["test"] * 10
    clusters = [*range(20), 10, 11, 12, 13, *range(24, 30)]
    ((severity, text),) = said(splits, clusters)
    assert severity == "severe"
    assert re.match(r"40\.0 % \(.*\) of the 10 test slices \(4\) have a copy in val, ", text)
    assert "and 40.0 % of the 10 val slices (4) have one in test (the manifest's splits)." in text


def test_one_copy_among_thousands_is_no_all_clear():
    n = 2000
    splits = ["train"] * n + ["test"] * n
    ((severity, text),) = said(splits, [*range(2 * n - 1), 0])
    assert severity == "warning"
    assert text.startswith("0.1 % (0.0-0.2) of the 2,000 test slices (1) have a copy in train")


def test_every_two_splits_with_copies_have_one_sentence():
    splits = ["train"] * 4 + ["val"] * 4 + ["test"] * 4
    found = said(splits, [0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 6, 11])
    told = [re.search(r"of the (4 .*), and .* slices \((\d)\) have one", text) for _, text in found]
    assert sorted(one.groups() for one in told) == [
        ("4 test slices (1) have a copy in train", "1"),
        ("4 test slices (2) have a copy in val", "2"),
        ("4 val slices (1) have a copy in train", "1"),
    ]


def test_of_two_folds_the_one_with_the_larger_share_is_told():
    ((_, text),) = said(["1"] * 8 + ["2"] * 2, [*range(8), 0, 9])
    assert "of the 2 fold 2 slices (1) have a copy in fold 1" in text


def test_no_copies_is_good_and_says_what_was_not_looked_at():
    assert said(["train", "test", ""], [0, 1, 2]) == [
        (
            "good",
            "No copies cross the manifest's splits. 1 slice without a split was not looked at.",
        )
    ]
    assert said(["train", "test"], [0, 1])[0][1] == "No copies cross the manifest's splits."


def test_rows_that_name_no_slice_are_told(tmp_path):
    file = save(dim_head(1, 96), tmp_path / "1.png")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    one = ManifestRow("1.png", "glioma", "s", "", "g", "train", digest, 96, 96)
    Manifest((one, replace(one, path="1.png#7")), tmp_path).write(tmp_path / "m.csv")
    written = audit_manifest(tmp_path / "m.csv").as_json()["verdict"]
    (files,) = [finding for finding in written if finding["topic"] == "files"]
    assert list(files) == ["severity", "topic", "text"]
    assert files["text"].startswith("1 file or slice could not be read, or was left out")


def test_names_of_files_and_folders_are_escaped(tmp_path):
    for number in range(4):
        root = tmp_path / "<b>set"
        save(dim_head(number // 2, 96), root / "glioma" / f"<i>{number}.png")
    audit = audit_folders(config_of([tmp_path / "<b>set"]))
    page = render_page(audit.results, audit.verdict, audit.pairs, audit.audited)
    assert "<i>" not in page
    assert "<b>set" not in page
    assert "&lt;i&gt;0.png" in page
    assert "not probed" in page


def shortcut(value, low, high, groups=60, folds=5):
    """Severity and sentence of a probe of two classes with this balanced accuracy."""
    share = Share(value, low, high)
    score = FamilyScore("all", share, share)
    found = Probe("class", 300, groups, folds, 0.5, 0.5, (score,), (("width", 0.1),))
    (sentence,) = _shortcut(found)
    return sentence.severity, sentence.text


@pytest.mark.parametrize(
    ("asked", "severity", "ending"),
    [
        ((0.562, 0.231, 0.821, 3, 3), "note", "From 3 groups, the rarest class in 3: it cannot"),
        ((0.52, 0.5, 0.54, 8), "note", "From 8 groups: it cannot be told whether"),
        ((0.52, None, None, 20), "note", "The interval is too wide to tell whether"),
        ((0.55, 0.4, 0.7), "note", "The interval is too wide to tell whether"),
        ((0.7, 0.45, 0.9), "warning", "The interval is too wide to tell whether"),
        ((0.9, 0.8, 1.0, 4, 2), "warning", "From 4 groups, the rarest class in 2: it cannot"),
    ],
)
def test_a_probe_that_cannot_tell_says_so(asked, severity, ending):
    found, text = shortcut(*asked)
    assert found == severity
    assert ending in text
    assert "What tells most" not in text


@pytest.mark.parametrize(
    ("asked", "severity", "ending"),
    [
        ((0.52, 0.48, 0.58), "good", "What tells most: width."),
        ((0.7, 0.6, 0.8), "warning", "A model can read the class off the file"),
        ((0.9, 0.85, 0.95), "severe", "A model can read the class off the file"),
    ],
)
def test_a_probe_that_can_tell_is_judged(asked, severity, ending):
    found, text = shortcut(*asked)
    assert found == severity
    assert ending in text


def test_one_slice_is_spoken_of_in_the_singular():
    ((_, text),) = said(["train", "test"], [0, 0])
    assert "of the 1 test slice (1) has a copy in train" in text
    assert "of the 1 train slice (1) has one in test" in text
