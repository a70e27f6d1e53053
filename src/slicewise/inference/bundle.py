"""The bundle: a trained model with everything its answers depend on, checked byte by byte.

A folder, or the same folder as one `.zip`. `bundle.json` holds the SHA-256 of every other file; its
own is the bundle's identity. Schema 2 is written, schema 1 read as what it meant in schema 2.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from slicewise.config import expected
from slicewise.errors import BundleError
from slicewise.files import json_text, whole, write_whole
from slicewise.imaging.preprocess import PreprocessSpec
from slicewise.inference.decision import BundleReference
from slicewise.inference.measured import Evaluation
from slicewise.inference.rule import STUDY_RULES, DecisionRule, Record, StudyRules

INFO_NAME, MODEL_NAME, CARD_NAME = "bundle.json", "model.onnx", "MODEL_CARD.md"
SEEN_NAME, OOD_NAME, TRUST_NAME = "seen.npz", "ood.npz", "trust.npz"
WEIGHTS_NAME = "weights.safetensors"
_SCHEMA_1_FILES = {"outliers.npz": OOD_NAME, "neighbours.npz": TRUST_NAME}
_MAX_BYTES = 2 * 2**30
_MAX_FILES = 64
Part = TypeVar("Part")


class TaskInfo(Record):
    """What a model distinguishes."""

    name: str
    classes: tuple[str, ...] = Field(min_length=2)
    negative_class: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> TaskInfo:
        names = ", ".join(self.classes)
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes repeat: {names}")
        if self.negative_class is not None and self.negative_class not in self.classes:
            raise ValueError(f"negative_class {self.negative_class!r} is none of {names}")
        return self


class Preprocessing(PreprocessSpec):
    """The pixel pipeline, and what each channel of the input (N, C, H, W) holds."""

    channels: tuple[Literal["grey"]]


class Origin(Record):
    """Where a model comes from."""

    run_id: str
    architecture: str
    started_from: str = Field(description="Start weights, in words, with their licence.")
    manifest_sha256: str
    training_slices: int
    training_groups: int
    created: str = Field(description="UTC date and time, ISO 8601.")
    slicewise_version: str
    converted_from: BundleReference | None = Field(None, description="The same in an earlier form.")


class BundleInfo(Record):
    """The content of `bundle.json`."""

    schema_version: Literal[2] = 2
    kind: Literal["classification"] = "classification"
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    task: TaskInfo
    preprocessing: Preprocessing
    study: StudyRules
    decision: DecisionRule
    evaluation: Evaluation
    origin: Origin
    weight_storage: Literal["float32", "float16", "int8"]
    licences: dict[str, str] = Field(description="What each licence covers, by part.")
    intended_use: str
    files: dict[str, str] = Field(description="SHA-256 of every other file, by name.")

    @field_validator("kind", mode="before")
    @classmethod
    def _built(cls, kind: object) -> object:
        if kind in ("ensemble", "segmentation"):
            raise ValueError(f"{kind} bundles are not supported yet; expected classification")
        return kind

    @model_validator(mode="after")
    def _rule_knows_the_classes(self) -> BundleInfo:
        sets = self.decision.conformal
        smallest = None if sets is None else sets.smallest
        named = {"class_bias": self.decision.class_bias, "conformal.smallest": smallest}
        for name, numbers in named.items():
            if numbers is not None and set(numbers) != set(self.task.classes):
                wanted = f"one number for each of {', '.join(self.task.classes)}"
                raise ValueError(f"decision.{name}: expected {wanted}; got {', '.join(numbers)}")
        return self


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle in memory, its files by their names in schema 2; see `load_bundle`."""

    info: BundleInfo
    identity: str
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the logits."""
        return self.info.task.classes

    @property
    def negative_class(self) -> str | None:
        """The class without a tumor, if the task has one."""
        return self.info.task.negative_class

    @property
    def reference(self) -> BundleReference:
        """Name, version and identity, as every prediction carries them."""
        return BundleReference(self.info.name, self.info.version, self.identity)


def load_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read a bundle folder, or a `.zip` with the same files at its top, and check every file of it.

    Raises:
        TypeError: It is no path.
        BundleError: A file is missing, changed, not listed, or the description is not valid.
    """
    if not isinstance(path, str | os.PathLike):
        got = type(path).__name__
        raise TypeError(f"bundle: expected the path of a folder or a .zip; got {got}")
    if not os.fspath(path):
        raise BundleError("bundle: expected the path of a folder or a .zip; got an empty one")
    location = Path(path)
    contents = _read_folder(location) if location.is_dir() else _read_zip(location)
    if INFO_NAME not in contents:
        raise BundleError(f"{location}: no {INFO_NAME} in it; expected a SliceWise bundle")
    raw = contents.pop(INFO_NAME)
    try:
        described = json.loads(raw)
        if isinstance(described, dict) and described.get("schema_version") == 1:
            described, contents = _upgraded(described), _renamed(contents)
        info = BundleInfo.model_validate(described)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or INFO_NAME
        raise BundleError(f"{location}: {INFO_NAME}: {where}: {expected(first)}") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{location}: {INFO_NAME}: expected JSON of a bundle; {error}") from error
    _verify(info.files, contents, location)
    return Bundle(info, sha256(raw).hexdigest(), contents)


def write_bundle(folder: Path, info: BundleInfo, files: Mapping[str, bytes]) -> str:
    """Write a bundle of schema 2 into a new or empty folder, and return its identity.

    Args:
        info: Its `files` is replaced by the hashes of what is written.
        files: Content by name; `model.onnx` and `MODEL_CARD.md` have to be among them.

    Raises:
        BundleError: The folder holds something already, or a file is missing.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BundleError(f"{folder}: expected a new or empty folder for the bundle")
    _require(files, folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content)
    measured = {"evaluation": info.evaluation.as_json()}
    hashes = {"files": {name: sha256(files[name]).hexdigest() for name in sorted(files)}}
    described = json_text(info.model_dump(mode="json") | measured | hashes, indent=2) + "\n"
    write_whole(folder / INFO_NAME, described)
    return sha256(described.encode()).hexdigest()


def pack_bundle(folder: Path, archive: Path) -> None:
    """Write the same bundle as one zip; its identity stays the same."""
    load_bundle(folder)
    contents = _read_folder(folder)
    with whole(archive) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as out:
        for name in (INFO_NAME, *sorted(contents.keys() - {INFO_NAME})):
            out.writestr(zipfile.ZipInfo(name), contents[name])


def bundled_model() -> Path:
    """The model that ships with SliceWise.

    Raises:
        BundleError: This installation holds none.
    """
    folder = Path(__file__).parent.parent / "models" / "four_class"
    if not (folder / INFO_NAME).is_file():
        raise BundleError("this installation has no bundled model; name one with --bundle")
    return folder


def _upgraded(described: dict[str, Any]) -> dict[str, Any]:
    """A description of schema 1 in schema 2, which says what the code of schema 1 did."""
    upgraded = {"study": STUDY_RULES.model_dump(), **described, "schema_version": 2}
    if described.get("kind", "model") == "model":
        upgraded["kind"] = "classification"
    if isinstance(described.get("preprocessing"), dict):
        upgraded["preprocessing"] = {"channels": ("grey",), **described["preprocessing"]}
    if isinstance(described.get("files"), dict):
        upgraded["files"] = _renamed(described["files"])
    return upgraded


def _renamed(files: Mapping[str, Part]) -> dict[str, Part]:
    """Files of schema 1 by their names in schema 2."""
    renamed = {_SCHEMA_1_FILES.get(name, name): part for name, part in files.items()}
    if len(renamed) < len(files):
        raise ValueError("a file has both its name in schema 1 and that in schema 2")
    return renamed


def _read_folder(folder: Path) -> dict[str, bytes]:
    entries = sorted(folder.iterdir())
    odd = [entry.name for entry in entries if not entry.is_file() or entry.is_symlink()]
    if odd:
        raise BundleError(f"{folder}: expected plain files only, got {', '.join(odd)}")
    _limit(folder, len(entries), sum(entry.stat().st_size for entry in entries))
    return {entry.name: entry.read_bytes() for entry in entries}


def _read_zip(archive: Path) -> dict[str, bytes]:
    if not archive.is_file():
        raise BundleError(f"{archive}: no such bundle; expected a folder or a .zip")
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _limit(archive, len(entries), sum(entry.file_size for entry in entries))
            counts = Counter(entry.filename for entry in entries)
            if twice := ", ".join(sorted(name for name, n in counts.items() if n > 1)):
                raise BundleError(f"{archive}: expected every file once, got {twice} twice")
            contents = {}
            for entry in entries:
                with opened.open(entry) as stream:  # read whole, an entry that lies would expand
                    contents[entry.filename] = stream.read(entry.file_size + 1)
            return contents
    except BundleError:
        raise
    except Exception as error:  # zipfile raises whatever its decompressors do
        raise BundleError(f"{archive}: expected a folder or a readable .zip ({error})") from error


def _limit(location: Path, count: int, size: int) -> None:
    if count > _MAX_FILES or size > _MAX_BYTES:
        most = f"{_MAX_FILES} files of {_MAX_BYTES} bytes together"
        raise BundleError(f"{location}: {count} files of {size} bytes; a bundle has at most {most}")


def _verify(listed: Mapping[str, str], contents: Mapping[str, bytes], location: Path) -> None:
    _require(listed, location)
    if unlisted := sorted(contents.keys() - listed.keys()):
        raise BundleError(f"{location}: files that {INFO_NAME} does not list: {unlisted}")
    for name, digest in listed.items():
        if name not in contents:
            raise BundleError(f"{location}: {name} is missing")
        if sha256(contents[name]).hexdigest() != digest:
            raise BundleError(f"{location}: {name} has been changed: its SHA-256 does not match")


def _require(names: Collection[str], location: Path) -> None:
    if missing := sorted({MODEL_NAME, CARD_NAME} - set(names)):
        raise BundleError(f"{location}: a bundle needs {' and '.join(missing)}")
