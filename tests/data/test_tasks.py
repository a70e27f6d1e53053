"""Class names: aliases, presets, own classes, and clear refusals."""

import pytest

from slicewise.data.tasks import (
    BINARY,
    FOUR_CLASS,
    THREE_CLASS,
    Task,
    contradict,
    contradicted,
    normal_name,
    parse_task,
)
from slicewise.errors import ConfigError, ManifestError


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("notumor", "no_tumor"),
        ("No Tumor", "no_tumor"),
        ("no-tumour", "no_tumor"),
        ("no", "no_tumor"),
        ("healthy", "no_tumor"),
        ("Glioma_Tumor", "glioma"),
        ("brain_glioma", "glioma"),
        ("brain_menin", "meningioma"),
        ("MENINGIOMA", "meningioma"),
        ("pituitary tumor", "pituitary"),
    ],
)
def test_folder_names_are_folded(folder, label):
    assert FOUR_CLASS.label_of(folder) == label


@pytest.mark.parametrize("folder", ["yes", "tumor", "brain_tumor", "glioma", "Meningioma_tumor"])
def test_binary_folds_every_kind_into_tumor(folder):
    assert BINARY.label_of(folder) == "tumor"


def test_a_kind_the_task_does_not_have_is_named():
    with pytest.raises(ManifestError, match="'yes' means tumor; expected one of glioma"):
        FOUR_CLASS.label_of("yes")
    with pytest.raises(ManifestError, match=r"--task binary .* tells tumor from no tumor"):
        FOUR_CLASS.label_of("yes")
    with pytest.raises(ManifestError, match="'healthy' means no_tumor"):
        THREE_CLASS.label_of("healthy")


def test_an_unknown_folder_names_the_nearest():
    with pytest.raises(ManifestError, match=r"'gliom' means no known class.*nearest: glioma"):
        FOUR_CLASS.label_of("gliom")


def test_a_folder_that_is_near_no_class_names_none_and_says_what_to_do():
    with pytest.raises(ManifestError) as refused:
        FOUR_CLASS.label_of("series")
    assert str(refused.value) == (
        "folder 'series' means no known class; expected one of glioma, meningioma, no_tumor, "
        "pituitary; --alias FOLDER=CLASS says which class it holds, --skip FOLDER leaves it out, "
        "--task names other classes (in a YAML file: aliases, skip, task)"
    )


def test_own_aliases_come_first():
    assert FOUR_CLASS.label_of("brain_tumor", {"Brain Tumor": "pituitary"}) == "pituitary"


def test_own_classes_are_parsed_and_folded():
    task = parse_task("Glioma, metastasis, healthy")
    assert task == Task("custom", ("glioma", "metastasis", "no_tumor"), "no_tumor")
    assert task.label_of("Metastasis") == "metastasis"
    assert parse_task("glioma,pituitary").negative_class is None


def test_presets_are_found_by_name():
    assert parse_task("four-class") is FOUR_CLASS
    assert THREE_CLASS.negative_class is None
    with pytest.raises(ConfigError, match=r"nearest: binary"):
        parse_task("binari")
    with pytest.raises(ConfigError, match=r"or class names separated by commas$"):
        parse_task("glioma")


@pytest.mark.parametrize("classes", [("a",), ("a", "a"), ()])
def test_a_task_needs_two_different_classes(classes):
    with pytest.raises(ConfigError, match="at least two different classes"):
        Task("t", classes, None)


def test_the_negative_class_is_one_of_the_classes():
    with pytest.raises(ConfigError, match="none of a, b"):
        Task("t", ("a", "b"), "c")


def test_a_tumor_of_an_untold_type_leaves_its_types_open():
    assert FOUR_CLASS.possible("glioma") == ("glioma",)
    assert FOUR_CLASS.possible("tumor") == ("glioma", "meningioma", "pituitary")
    assert FOUR_CLASS.possible("abscess") == ()
    assert BINARY.possible("tumor") == ("tumor",)
    assert THREE_CLASS.possible("tumor") == ()  # without a negative class it would say nothing


def test_an_untold_type_is_a_label_only_where_it_is_asked_for():
    assert FOUR_CLASS.label_of("yes", untyped=True) == "tumor"
    assert FOUR_CLASS.label_of("no", untyped=True) == "no_tumor"
    with pytest.raises(ManifestError, match="means tumor"):
        FOUR_CLASS.label_of("yes")
    with pytest.raises(ManifestError, match="means tumor"):
        THREE_CLASS.label_of("yes", untyped=True)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("glioma", "glioma", False),
        ("glioma", "meningioma", True),
        ("tumor", "glioma", False),
        ("tumor", "no_tumor", True),
        ("no_tumor", "glioma", True),
    ],
)
def test_which_labels_contradict(one, other, expected):
    assert contradict(one, other) is expected
    assert contradict(other, one) is expected


def test_which_of_several_labels_are_contradicted():
    assert contradicted({"tumor", "glioma"}) == set()
    assert contradicted({"tumor", "glioma", "meningioma"}) == {"glioma", "meningioma"}
    assert contradicted({"tumor", "no_tumor"}) == {"tumor", "no_tumor"}


def test_normal_name():
    assert normal_name(" No - Tumour_") == "no_tumor"
