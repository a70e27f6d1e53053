"""The bundle: a trained model with everything its answers depend on, checked byte by byte.

A bundle is a folder, or the same folder as one `.zip`. `bundle.json` describes it and holds the
SHA-256 of every other file; its own SHA-256 is the identity of the bundle.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from slicewise.errors import BundleError
from slicewise.files import whole, write_whole
from slicewise.imaging.preprocess import PreprocessSpec
from slicewise.inference.decision import BundleReference
from slicewise.inference.rule import DecisionRule

INFO_NAME = "bundle.json"
MODEL_NAME = "model.onnx"
SEEN_NAME = "seen.npz"
OOD_NAME = "outliers.npz"
NEIGHBOURS_NAME = "neighbours.npz"
CARD_NAME = "MODEL_CARD.md"
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
    EOFError,
)
_MAX_BYTES = 2 * 2**30
_MAX_FILES = 64


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TaskInfo(_Strict):
    """What a model distinguishes."""

    name: str
    classes: tuple[str, ...] = Field(min_length=2)
    negative_class: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> TaskInfo:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes repeat: {', '.join(self.classes)}")
        if self.negative_class is not None and self.negative_class not in self.classes:
            raise ValueError(
                f"negative_class {self.negative_class!r} is none of {', '.join(self.classes)}"
            )
        return self


class Origin(_Strict):
    """Where a model comes from."""

    run_id: str
    architecture: str
    started_from: str = Field(description="Start weights, in words, with their licence.")
    manifest_sha256: str
    training_slices: int
    training_groups: int
    created: str = Field(description="UTC date and time, ISO 8601.")
    slicewise_version: str


class BundleInfo(_Strict):
    """The content of `bundle.json`."""

    schema_version: Literal[1] = 1
    kind: Literal["model"] = "model"
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    task: TaskInfo
    preprocessing: PreprocessSpec
    decision: DecisionRule
    evaluation: dict[str, Any] = Field(description="Measured figures with intervals.")
    origin: Origin
    weight_storage: Literal["float32", "float16", "int8"]
    licences: dict[str, str] = Field(description="What each licence covers, by part.")
    intended_use: str
    files: dict[str, str] = Field(description="SHA-256 of every other file, by name.")

    @model_validator(mode="after")
    def _rule_knows_the_classes(self) -> BundleInfo:
        rule = self.decision
        named = {
            "class_bias": rule.class_bias,
            "conformal.smallest": None if rule.conformal is None else rule.conformal.smallest,
        }
        for name, numbers in named.items():
            if numbers is not None and set(numbers) != set(self.task.classes):
                raise ValueError(
                    f"decision.{name}: expected one number for each of "
                    f"{', '.join(self.task.classes)}; got {', '.join(numbers)}"
                )
        return self


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle in memory. Build it with `load_bundle`."""

    info: BundleInfo
    identity: str
    files: Mapping[str, bytes]

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


def load_bundle(path: str | Path) -> Bundle:
    """Read a bundle folder or zip and check every file of it.

    Args:
        path: Folder, or `.zip` with the same files at its top.

    Raises:
        BundleError: A file is missing, changed, not listed, or the description is not valid.
    """
    location = Path(path)
    contents = _read_folder(location) if location.is_dir() else _read_zip(location)
    if INFO_NAME not in contents:
        raise BundleError(f"{location}: no {INFO_NAME} in it; expected a SliceWise bundle")
    raw = contents.pop(INFO_NAME)
    info = _parse(raw, location)
    _verify(info.files, contents, location)
    return Bundle(info, hashlib.sha256(raw).hexdigest(), contents)


def write_bundle(folder: Path, info: BundleInfo, files: Mapping[str, bytes]) -> str:
    """Write a bundle folder; `info.files` is filled in here.

    Args:
        folder: Must not exist yet, or be empty.
        info: Description; its `files` is replaced by the hashes of what is written.
        files: Content by name; `model.onnx` and `MODEL_CARD.md` have to be among them.

    Returns:
        The identity: the SHA-256 of the written `bundle.json`.

    Raises:
        BundleError: The folder holds something already, or a file is missing.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BundleError(f"{folder}: expected a new or empty folder for the bundle")
    _require(files, folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content)
    hashes = {name: _sha256(files[name]) for name in sorted(files)}
    complete = info.model_copy(update={"files": hashes})
    text = json.dumps(complete.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / INFO_NAME, text.encode())
    return _sha256(text.encode())


def pack_bundle(folder: Path, archive: Path) -> None:
    """Write the same bundle as one zip; its identity stays the same."""
    bundle = load_bundle(folder)
    with whole(archive) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as out:
        for name in (INFO_NAME, *sorted(bundle.files)):
            out.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes())


def bundled_model() -> Path:
    """The model that ships with SliceWise.

    Raises:
        BundleError: This installation holds none.
    """
    folder = Path(__file__).parent.parent / "models" / "four_class"
    if not (folder / INFO_NAME).is_file():
        raise BundleError("this installation has no bundled model; name one with --bundle")
    return folder


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
            _require_unique([entry.filename for entry in entries], archive)
            return {entry.filename: _read_entry(opened, entry) for entry in entries}
    except (*_ZIP_ERRORS, OSError) as error:
        raise BundleError(f"{archive}: expected a folder or a readable .zip ({error})") from error


def _require_unique(names: Sequence[str], archive: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BundleError(f"{archive}: expected every file once, got {', '.join(twice)} twice")


def _read_entry(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with opened.open(entry) as stream:
        return stream.read(entry.file_size + 1)


def _limit(location: Path, count: int, size: int) -> None:
    if count > _MAX_FILES or size > _MAX_BYTES:
        raise BundleError(
            f"{location}: {count} files of {size} bytes; a bundle has at most "
            f"{_MAX_FILES} files of {_MAX_BYTES} bytes together"
        )


def _parse(raw: bytes, location: Path) -> BundleInfo:
    try:
        return BundleInfo.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or INFO_NAME
        raise BundleError(f"{location}: {INFO_NAME}: {where}: {first['msg']}") from error


def _verify(expected: Mapping[str, str], contents: Mapping[str, bytes], location: Path) -> None:
    _require(expected, location)
    unlisted = sorted(set(contents) - set(expected))
    if unlisted:
        raise BundleError(f"{location}: files that {INFO_NAME} does not list: {unlisted}")
    for name, digest in expected.items():
        if name not in contents:
            raise BundleError(f"{location}: {name} is missing")
        if _sha256(contents[name]) != digest:
            raise BundleError(f"{location}: {name} has been changed: its SHA-256 does not match")


def _require(names: Mapping[str, Any], location: Path) -> None:
    missing = {MODEL_NAME, CARD_NAME} - set(names)
    if missing:
        raise BundleError(f"{location}: a bundle needs {' and '.join(sorted(missing))}")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
