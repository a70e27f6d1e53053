from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from builders import bundle_info, write_tiny_bundle
from slicewise.errors import BundleError
from slicewise.inference.bundle import INFO_NAME, load_bundle, pack_bundle, write_bundle
from slicewise.inference.measured import Evaluation, Measured


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_bundle(tmp_path / "bundle", extra={"seen.npz": b"prints"})
    return tmp_path / "bundle"


def test_identity_is_the_hash_of_the_description(folder: Path) -> None:
    expected = hashlib.sha256((folder / INFO_NAME).read_bytes()).hexdigest()
    assert load_bundle(folder).identity == expected


def test_zip_is_the_same_bundle(folder: Path, tmp_path: Path) -> None:
    pack_bundle(folder, tmp_path / "b.zip")
    one, two = load_bundle(folder), load_bundle(tmp_path / "b.zip")
    assert one.identity == two.identity
    assert one.files == two.files


def flip_byte(folder: Path) -> None:
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)


def edit(folder: Path, *keys: str, to: object) -> None:
    """Put another value into the description."""
    content = part = json.loads((folder / INFO_NAME).read_text())
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = to
    (folder / INFO_NAME).write_text(json.dumps(content))


def leave_out(folder: Path, *keys: str) -> None:
    content = part = json.loads((folder / INFO_NAME).read_text())
    for key in keys[:-1]:
        part = part[key]
    del part[keys[-1]]
    (folder / INFO_NAME).write_text(json.dumps(content))


DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (flip_byte, "model.onnx has been changed"),
    (lambda f: (f / "model.onnx").unlink(), "model.onnx is missing"),
    (lambda f: (f / "seen.npz").unlink(), "seen.npz is missing"),
    (lambda f: (f / "extra.txt").write_text("x"), "does not list.*extra.txt"),
    (lambda f: (f / "sub").mkdir(), "plain files only, got sub"),
    (lambda f: (f / "link").symlink_to(f / "model.onnx"), "plain files only, got link"),
    (lambda f: (f / INFO_NAME).unlink(), "no bundle.json"),
    (lambda f: (f / INFO_NAME).write_text("{"), "bundle.json"),
    (lambda f: (f / INFO_NAME).write_text("[" * 100_000), "bundle.json"),
    (lambda f: (f / INFO_NAME).write_text("[]"), "bundle.json"),
    (lambda f: edit(f, "schema_version", to=3), "schema_version"),
    (lambda f: edit(f, "kind", to="ensemble"), "kind: .*ensemble bundles are not supported yet"),
    (lambda f: edit(f, "kind", to="segmentation"), "segmentation bundles are not supported yet"),
    (lambda f: edit(f, "kind", to="model"), "kind: .*classification"),
    (lambda f: edit(f, "task", "negative_class", to="nothing"), "negative_class"),
    (lambda f: edit(f, "task", "colour", to="red"), "task.colour: Extra inputs"),
    (lambda f: edit(f, "evaluation", "acuracy", to={}), "evaluation.acuracy: Extra inputs"),
    (lambda f: edit(f, "preprocessing", "channels", to=["flair"]), "channels.0: .*'grey'"),
    (lambda f: edit(f, "preprocessing", "channels", to=["grey", "t2"]), "channels: .*at most 1"),
    (
        lambda f: edit(f, "preprocessing", "channels", to=[]),
        "channels.0: expected a value; got none",
    ),
    (
        lambda f: leave_out(f, "preprocessing", "channels"),
        "channels: expected a value; got none",
    ),
    (lambda f: leave_out(f, "study"), "study: expected a value; got none"),
    (
        lambda f: leave_out(f, "study", "end_share"),
        "study.end_share: expected a value; got none",
    ),
    (lambda f: edit(f, "study", "end_share", to=0.5), "study.end_share: expected less"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE)
def test_damage_is_refused(folder: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(folder)
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


def test_changed_byte_in_a_zip_is_refused(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as out:
        for path in folder.iterdir():
            content = path.read_bytes()
            out.writestr(path.name, b"other" if path.name == "seen.npz" else content)
    with pytest.raises(BundleError, match=r"seen\.npz has been changed"):
        load_bundle(tmp_path / "b.zip")


def test_no_bundle_at_all(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such bundle"):
        load_bundle(tmp_path / "nothing")
    (tmp_path / "x.zip").write_text("no zip")
    with pytest.raises(BundleError, match="expected a folder or a readable"):
        load_bundle(tmp_path / "x.zip")


def test_writing_refuses_a_used_folder_and_missing_parts(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(BundleError, match="new or empty"):
        write_tiny_bundle(folder)
    with pytest.raises(BundleError, match=r"needs MODEL_CARD\.md"):
        write_bundle(tmp_path / "new", bundle_info(), {"model.onnx": b""})


def test_description_holds_no_surprises(folder: Path) -> None:
    content = json.loads((folder / INFO_NAME).read_text())
    assert set(content["files"]) == {"model.onnx", "MODEL_CARD.md", "seen.npz"}
    assert content["task"]["classes"] == ["glioma", "meningioma", "no_tumor", "pituitary"]


def test_a_file_twice_in_a_zip_is_refused(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as out:
        for path in [*folder.iterdir(), folder / "seen.npz"]:
            out.writestr(zipfile.ZipInfo(path.name), path.read_bytes())
    with pytest.raises(BundleError, match=r"seen\.npz twice"):
        load_bundle(tmp_path / "b.zip")


def test_a_zip_that_does_not_decompress_is_refused(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as out:
        for path in folder.iterdir():
            out.write(path, path.name)
    content = bytearray((tmp_path / "b.zip").read_bytes())
    for index in range(200, 260):
        content[index] ^= 0xFF
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(BundleError, match=r"b\.zip"):
        load_bundle(tmp_path / "b.zip")


def to_schema_1(folder: Path) -> None:
    """The bundle as schema 1 had it."""
    content = json.loads((folder / INFO_NAME).read_text())
    del content["study"], content["preprocessing"]["channels"], content["origin"]["converted_from"]
    content |= {"schema_version": 1, "kind": "model"}
    for new, old in (("ood.npz", "outliers.npz"), ("trust.npz", "neighbours.npz")):
        content["files"][old] = content["files"].pop(new)
        (folder / new).rename(folder / old)
    (folder / INFO_NAME).write_text(json.dumps(content))


class TestSchema1:
    @pytest.fixture
    def older(self, tmp_path: Path) -> Path:
        arrays = {"ood.npz": b"detector", "trust.npz": b"places"}
        evaluation = {
            "decisions": {
                "reasons": {"unlike_training": 3, "far_from_known": 1, "not_a_head_slice": 2}
            }
        }
        write_tiny_bundle(tmp_path / "older", extra=arrays, evaluation=evaluation)
        to_schema_1(tmp_path / "older")
        return tmp_path / "older"

    def test_it_says_what_schema_1_meant(self, older: Path) -> None:
        bundle = load_bundle(older)
        assert bundle.identity == hashlib.sha256((older / INFO_NAME).read_bytes()).hexdigest()
        assert (bundle.info.schema_version, bundle.info.kind) == (2, "classification")
        assert bundle.info.preprocessing.channels == ("grey",)
        assert bundle.info.study.model_dump() == {
            **{"end_share": 0.15, "run_share": 0.25, "shortest_run": 3, "key_slices": 3},
            "colour_limit": 0.06,
        }
        assert (bundle.files["ood.npz"], bundle.files["trust.npz"]) == (b"detector", b"places")
        assert bundle.info.evaluation.decisions.reasons == {
            "possibly_out_of_distribution": 3,
            "out_of_distribution": 1,
            "not_a_head_slice": 2,
        }

    def test_it_packs_as_it_is(self, older: Path, tmp_path: Path) -> None:
        pack_bundle(older, tmp_path / "older.zip")
        assert load_bundle(tmp_path / "older.zip").identity == load_bundle(older).identity

    def test_it_is_written_as_schema_2(self, older: Path, tmp_path: Path) -> None:
        bundle = load_bundle(older)
        write_bundle(tmp_path / "newer", bundle.info, bundle.files)
        newer = load_bundle(tmp_path / "newer")
        assert json.loads((tmp_path / "newer" / INFO_NAME).read_text())["schema_version"] == 2
        assert newer.files == bundle.files
        assert newer.info.model_copy(update={"files": {}}) == bundle.info.model_copy(
            update={"files": {}}
        )

    def test_damage_is_refused(self, older: Path) -> None:
        (older / "ood.npz").write_bytes(b"other")
        with pytest.raises(BundleError, match="both its name in schema 1 and that in schema 2"):
            load_bundle(older)
        (older / "ood.npz").unlink()
        (older / "outliers.npz").write_bytes(b"other")
        with pytest.raises(BundleError, match=r"ood\.npz has been changed"):
            load_bundle(older)

    @pytest.mark.parametrize("key", ["preprocessing", "files", "kind"])
    def test_nonsense_is_refused(self, older: Path, key: str) -> None:
        edit(older, key, to=["x"])
        with pytest.raises(BundleError, match=f"bundle.json: {key}"):
            load_bundle(older)


def test_metrics_are_kept_as_they_were_given(tmp_path: Path) -> None:
    given = {
        "description": "Here.",
        "n": 8,
        "labels": None,
        "accuracy": {"value": 0.5, "ci_low": None, "ci_high": None, "reason": "one group"},
        "per_class": {"glioma": {"n": 4, "groups": 2, "auroc": {"value": 1.0, "skipped": 3}}},
        "over_folds": {
            "description": "Two.",
            "brier": {"mean": 0.1, "sd": None, "ci_low": None, "ci_high": None, "folds": 1},
        },
        "error_analysis": {"mistakes": [{"true": "glioma", "sources": {"a": 1}}]},
    }
    write_tiny_bundle(tmp_path / "b", evaluation=given)
    assert json.loads((tmp_path / "b" / INFO_NAME).read_text())["evaluation"] == given
    assert load_bundle(tmp_path / "b").info.evaluation.as_json() == given


def test_metrics_under_their_older_names_are_read() -> None:
    given = {"patterns": {"mistakes": []}, "per_source": {"a": {"refused_as_unlike": {"value": 1}}}}
    read = Evaluation.model_validate(given)
    assert read.error_analysis == {"mistakes": []}
    assert read.per_source["a"].refused_as_ood == Measured(value=1)
    assert Evaluation.model_validate(given | {"error_analysis": {"mistakes": []}}) == read
