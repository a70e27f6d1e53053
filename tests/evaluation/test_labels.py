"""What the labels of other people's manifests mean to a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from builders_evaluation import FOUR
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import ConfigError, EvaluationError
from slicewise.evaluation.labels import read_labels, require_labels
from slicewise.inference.bundle import TaskInfo


@dataclass(frozen=True)
class SimpleRow:
    label: str


FOUR_TASK = TaskInfo(name="four_class", classes=FOUR, negative_class="no_tumor")
BINARY = TaskInfo(name="binary", classes=("no_tumor", "tumor"), negative_class="no_tumor")
THREE = TaskInfo(name="three_class", classes=("glioma", "meningioma", "pituitary"))


def test_the_models_own_classes_stay():
    labels = read_labels(["glioma", "no_tumor"], FOUR_TASK, {})
    assert labels.classes == FOUR
    assert labels.as_json() == {"classes": list(FOUR), "collapsed": False, "read_as": {}}


def test_other_names_are_read_and_told():
    labels = read_labels(["Glioma_Tumor", "healthy", "no_tumor"], FOUR_TASK, {})
    assert labels.as_json()["read_as"] == {"Glioma_Tumor": "glioma", "healthy": "no_tumor"}


def test_given_names_come_first():
    labels = read_labels(["astro", "no_tumor"], FOUR_TASK, {"astro": "glioma"})
    assert labels.meant == {"astro": "glioma", "no_tumor": "no_tumor"}


def test_tumor_alone_joins_the_models_tumors():
    labels = read_labels(["no_tumor", "yes", "tumor"], FOUR_TASK, {})
    assert labels.collapsed
    assert (labels.classes, labels.negative_class) == (("no_tumor", "tumor"), "no_tumor")
    assert labels.meant == {"tumor": "tumor", "no_tumor": "no_tumor", "yes": "tumor"}
    given = read_labels(["mass", "no"], FOUR_TASK, {"mass": "tumor"})
    assert given.meant == {"mass": "tumor", "no": "no_tumor"}


def test_a_tumor_without_its_kind_does_not_join_those_that_tell_it():
    labels = read_labels(["no_tumor", "yes", "glioma", "mass"], FOUR_TASK, {"mass": "tumor"})
    assert not labels.collapsed
    assert labels.classes == FOUR
    assert labels.untyped == {"yes", "mass"}
    assert labels.meant == {"glioma": "glioma", "no_tumor": "no_tumor"}


def test_kinds_are_joined_where_every_one_is_called_tumor():
    given = {"glioma": "tumor", "pituitary": "tumor"}
    labels = read_labels(["no_tumor", "tumor", "glioma", "pituitary"], FOUR_TASK, given)
    assert labels.collapsed
    assert not labels.untyped
    assert set(labels.meant.values()) == {"no_tumor", "tumor"}


def test_a_binary_model_takes_every_kind_as_tumor():
    labels = read_labels(["glioma", "pituitary", "notumor"], BINARY, {})
    assert not labels.collapsed
    assert set(labels.meant.values()) == {"tumor", "no_tumor"}


def test_labels_to_compare_with_are_read_in_the_same_way_and_never_decide():
    rows = [SimpleRow(name) for name in ("glioma", "pituitary", "tumor", "abscess")]
    labels = read_labels(["glioma"], FOUR_TASK, {}, beside=[row.label for row in rows])
    assert not labels.collapsed
    assert [row.label for row in labels.read(rows)] == ["glioma", "pituitary", "tumor", "abscess"]
    joined = read_labels(["yes", "no"], FOUR_TASK, {}, beside=["pituitary", "healthy", "abscess"])
    assert joined.meant["pituitary"] == "tumor"
    assert joined.meant["healthy"] == "no_tumor"
    assert "abscess" not in joined.meant


def test_unknown_labels_are_refused():
    with pytest.raises(EvaluationError, match=r"the model knows glioma.*got \['abscess'\]; --map"):
        read_labels(["glioma", "abscess"], FOUR_TASK, {})
    with pytest.raises(EvaluationError, match=r"the model knows glioma.*got \['tumor'\]"):
        read_labels(["glioma", "tumor"], THREE, {})
    asked = "--map x=abscess: expected a class of the model, one of glioma, meningioma, no_tumor, "
    with pytest.raises(ConfigError, match=f"{asked}pituitary, tumor$"):
        read_labels(["glioma"], FOUR_TASK, {"x": "abscess"})


def test_a_name_that_no_row_has_is_refused():
    row = ManifestRow("a.png", "Glioma_Tumor", "s", "", "g", "test", "0" * 64, 9, 9)
    manifest = Manifest((row,), Path())
    require_labels(["glioma tumor"], manifest)
    with pytest.raises(ConfigError, match=r"--map astro: .* one of Glioma_Tumor"):
        require_labels(["astro"], manifest)
