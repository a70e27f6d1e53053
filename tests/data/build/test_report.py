import pytest

from slicewise.data.build.report import BuildReport, Excluded
from slicewise.data.manifest import SPLITS, ManifestRow


def row(label: str, group: str, split: str) -> ManifestRow:
    return ManifestRow("p", label, "made", "", group, split, "0" * 64, 1, 1)


def test_the_summary_counts_slices_groups_and_reasons():
    rows = (row("glioma", "a", "train"), row("glioma", "a", "train"), row("no_tumor", "b", "test"))
    excluded = (
        Excluded("x", "glioma", "made", "copy of a.png", "copy of"),
        Excluded("y", "glioma", "made", "copy of b.png", "copy of"),
        Excluded("z", "", "made", "synthetic"),
        Excluded("u", "glioma", "made", "duplicate of a/1.png"),
        Excluded("v", "glioma", "made", "duplicate of a/no 2.png (seen twice)"),
        Excluded("w", "glioma", "made", "a/3.png again"),
    )
    text = BuildReport(rows, excluded, 1, 2, 5, "by fold").summary().splitlines()
    assert text[0] == "3 slices in 2 groups; 6 left out"
    assert text[1].startswith("copies found: 1 exact, 2 near")
    assert text[2:4] == ["splits: by fold", "moved to another fold: 5 slices"]
    assert text[5].split() == ["source", "class", "train", "val", "test", "groups"]
    assert ["made", "glioma", "2", "0", "0", "1"] in [line.split() for line in text]
    assert ["all", "2", "0", "1", "2"] in [line.split() for line in text]
    assert text[-8:-4] == [
        "       2  copy of",
        "       2  duplicate of",
        "       1  synthetic",
        "       1  a/3.png again",
    ]


def test_one_of_each_is_in_the_singular():
    text = BuildReport((row("glioma", "a", "train"),), (), 0, 0, 1, "x").summary().splitlines()
    assert text[0] == "1 slice in 1 group; 0 left out"
    assert text[3] == "moved to another fold: 1 slice"


def test_sources_without_patients_are_named():
    known = [row("glioma", "patient:a", split) for split in SPLITS]
    unknown = row("glioma", "copies:ab", "test")
    assert "caution" not in BuildReport((*known,), (), 0, 0, 0, "x").summary()
    assert "caution: no patients or groups are known in made." in (
        BuildReport((unknown, unknown), (), 0, 0, 0, "x").summary()
    )
    assert "caution: no patients or groups are known in 1 slice of made." in (
        BuildReport((*known, unknown), (), 0, 0, 0, "x").summary()
    )


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({"test": "g m", "val": "g m", "train": "g m"}, None),
        ({"test": "g", "val": "g m", "train": "g m"}, "no m in test."),
        ({"test": "", "val": "g m p", "train": "g m p"}, "no slice at all in test."),
        ({"test": "g", "val": "", "train": "g m p"}, "no slice at all in val; no m and p in test."),
        ({"test": "p", "val": "g m", "train": "g m"},
         "no p in train; no p in val; no g and m in test."),
    ],
)  # fmt: skip
def test_classes_that_a_split_lacks_are_a_caution(held, told):
    rows = tuple(
        row(label, f"patient:{label}{split}", split)
        for split, labels in held.items()
        for label in labels.split()
    )
    text = BuildReport(rows, (), 0, 0, 0, "x").summary()
    assert ("caution" in text) == bool(told)
    assert told is None or f"caution: {told}\n" in text
