"""Folders of slices: which files there are, what their folders say, and what is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from slicewise.data.build.masks import MaskedSlice, MaskSpec, TumorMask, read_mask
from slicewise.data.tasks import Task, normal_name
from slicewise.errors import InputError, ManifestError
from slicewise.imaging.discovery import walk
from slicewise.imaging.read import read_slices
from slicewise.imaging.slice import Failure, Slice

PUBLISHED_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Folder names that publishers use for splits."""


@dataclass(frozen=True, slots=True)
class FolderRules:
    """How folder names are read.

    Args:
        task: Its classes.
        aliases: Further names, from folder name to class.
        skip: Names of class folders to leave out.
        masks: Labels by tumor masks instead of by class folders; None for class folders.
        untyped: Whether folders may say `tumor` where the task tells several tumors apart.
    """

    task: Task
    aliases: Mapping[str, str] = field(default_factory=dict)
    skip: Collection[str] = ()
    masks: MaskSpec | None = None
    untyped: bool = False

    def skips(self, folder: str) -> bool:
        """Whether a class folder is to be left out."""
        return normal_name(folder) in {normal_name(name) for name in self.skip}


@dataclass(frozen=True, slots=True)
class Found:
    """One slice in a folder, before it is a manifest row.

    Args:
        file: Where it lies.
        inner: The file's path relative to its root.
        index: Which slice of the file; None where the file holds one.
        label: Class, from the folder.
        source: Name of the data set.
        published_split: `train`, `val` or `test` as its publisher's folder says, or empty.
        patient: A pseudonym of the DICOM patient or study; empty where there is none.
        sha256: Of the file.
        width: Pixels.
        height: Pixels.
        mask: Reference of its tumor mask; empty where there is none.
        unfit: Why the slice can have no label; empty where it has one.
    """

    file: Path
    inner: PurePath
    index: int | None
    label: str
    source: str
    published_split: str
    patient: str
    sha256: str
    width: int
    height: int
    mask: str = ""
    unfit: str = ""

    @property
    def reference(self) -> str:
        """`file`, or `file#index`."""
        return str(self.file) if self.index is None else f"{self.file}#{self.index}"


@dataclass(frozen=True, slots=True)
class File:
    """A file and what its folders say of it.

    Args:
        path: Where it lies.
        inner: Relative to its root.
        label: Class, from the folder.
        published_split: `train`, `val` or `test` as its publisher's folder says, or empty.
        mask: The mask that says what its slices show; None where the folder says it.
    """

    path: Path
    inner: PurePath
    label: str
    published_split: str
    mask: TumorMask | None = None


def list_files(root: Path, rules: FolderRules) -> list[File | Failure]:
    """Every file below a root with its class, in sorted order; nothing is decoded.

    Layouts: `<root>/<class>/...`, `<root>/<split>/<class>/...`, or a root that is itself named
    like a class. Folders below the class folder are free. Where masks give the labels, every
    layout is free; files that are neither volume nor mask are told as failures.

    Args:
        root: A folder.
        rules: How names are read.

    Raises:
        ManifestError: If the root is no folder, or a folder's name means no class of the task.
    """
    if not root.is_dir():
        got = "a file" if root.exists() else "none: it does not exist"
        raise ManifestError(f"{root}: expected a folder of class folders; got {got}")
    if rules.masks is not None:
        return _masked_files(root, rules, rules.masks)
    files: list[File | Failure] = []
    for entry in walk(root):
        if isinstance(entry, Failure):
            files.append(entry)
            continue
        path = Path(entry.source)
        file = _classified(path, path.relative_to(root), root, rules)
        if file is not None:
            files.append(file)
    return files


def read_file(file: File, source: str) -> Iterator[tuple[Found, Slice]]:
    """The slices of one file with all that is known of them.

    Args:
        file: From `list_files`.
        source: Name of the data set.

    Raises:
        InputError: If it cannot be read.
    """
    slices = read_slices(file.path)
    digest = _sha256(file.path)
    said = _said(file, slices)
    for index, slice_ in enumerate(slices):
        height, width = slice_.shape
        yield (
            Found(
                file=file.path,
                inner=file.inner,
                index=index if len(slices) > 1 else None,
                label=said[index].label,
                source=source,
                published_split=file.published_split,
                patient=_pseudonym(slice_),
                sha256=digest,
                width=width,
                height=height,
                mask=said[index].reference,
                unfit=said[index].unfit,
            ),
            slice_,
        )


def source_name(root: Path, task: Task) -> str:
    """Name of a data set: its folder's, or the parent's where the root is a class folder."""
    resolved = root.resolve()
    return resolved.parent.name if _is_class(resolved.name, task) else resolved.name


def _said(file: File, slices: Sequence[Slice]) -> list[MaskedSlice]:
    """What mask or folder says of each slice."""
    if file.mask is None:
        return [MaskedSlice(file.label, "")] * len(slices)
    return read_mask(file.mask, slices)


def _masked_files(root: Path, rules: FolderRules, spec: MaskSpec) -> list[File | Failure]:
    """Volumes with their masks; a mask is no volume itself."""
    found = list(walk(root))
    files: list[File | Failure] = [entry for entry in found if isinstance(entry, Failure)]
    paths = [Path(entry.source) for entry in found if not isinstance(entry, Failure)]
    inner: dict[PurePath, Path] = {path.relative_to(root): path for path in paths}
    mask_of = {path: mask for path in inner if (mask := spec.mask_of(path)) is not None}
    masks = set(mask_of.values())
    if not set(mask_of) - masks:
        raise ManifestError(f"{root}: expected volumes named {spec.volume}; got none")
    label = rules.task.label_of(spec.label, rules.aliases)
    for path in sorted(set(inner) - masks):
        wanted = mask_of.get(path)
        if wanted is None:
            files.append(Failure(str(inner[path]), f"neither a volume {spec.volume} nor its mask"))
        elif wanted not in inner:
            files.append(Failure(str(inner[path]), f"expected its mask {spec.mask}; got none"))
        else:
            own = TumorMask(inner[wanted], label, rules.task.negative_class, spec.minimum_voxels)
            files.append(File(inner[path], path, label, "", own))
    return files


def _classified(path: Path, inner: PurePath, root: Path, rules: FolderRules) -> File | None:
    folders = list(inner.parts[:-1])
    published = PUBLISHED_SPLITS.get(normal_name(folders[0]), "") if folders else ""
    if published:
        folders = folders[1:]
    if folders:
        name = folders[0]
    elif _is_class(root.resolve().name, rules.task):
        name = root.resolve().name
    else:
        raise ManifestError(
            f"{path}: expected it in a class folder ({', '.join(rules.task.classes)}) below {root}"
        )
    if rules.skips(name):
        return None
    label = rules.task.label_of(name, rules.aliases, untyped=rules.untyped)
    return File(path, inner, label, published)


def _is_class(name: str, task: Task) -> bool:
    try:
        task.label_of(name)
    except ManifestError:
        return False
    return True


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: expected a readable file; {error.strerror}") from error


def _pseudonym(slice_: Slice) -> str:
    """Tells patients apart without naming them."""
    known = slice_.patient_id or slice_.study_uid or slice_.series_uid
    return f"dicom_{hashlib.sha256(known.encode()).hexdigest()[:12]}" if known else ""
