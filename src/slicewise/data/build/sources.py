"""Folders of slices: which files there are, what their folders say, and what is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from slicewise.data.annotations import NOTHING_KNOWN, Known
from slicewise.data.build.config import MaskSpec, SourceConfig
from slicewise.data.build.report import Excluded
from slicewise.data.groups import Bond, Key
from slicewise.data.public.index import PublicSlice, pixels_sha256
from slicewise.data.tasks import Task, normal_name
from slicewise.errors import InputError, ManifestError
from slicewise.imaging.discovery import Skip, ignore_skip, walk
from slicewise.imaging.entry import Entry
from slicewise.imaging.read import read_slices
from slicewise.imaging.slice import Failure, Slice

PUBLISHED_SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Folder names that publishers use for splits."""
_SAME_DIRECTION = 0.02  # of a direction cosine, about one degree
_SAME_PLACE = 0.5  # of a pixel


@dataclass(frozen=True, slots=True)
class TumorMask:
    """The mask of one volume, with as many slices; voxels above 0 are tumor.

    A slice with tumor has the label, one without the negative class; None where the task has none.
    """

    path: Path
    label: str
    negative: str | None
    minimum_voxels: int


@dataclass(frozen=True, slots=True)
class File:
    """A file, its path from the root, what its folders, its mask and the user say of it."""

    path: Path
    inner: PurePath
    source: str
    label: str
    published_split: str = ""
    mask: TumorMask | None = None
    known: Known = NOTHING_KNOWN


@dataclass(frozen=True, slots=True)
class Item:
    """One slice on its way into a manifest; what there is none of is empty.

    Args:
        index: Which slice of the file; None where the file holds one.
        patient: A pseudonym of the DICOM patient or study.
        unfit: Why the slice can have no label.
        fold: The fold or published split that is kept as a boundary.
        pixels_sha256: As `data.public` defines it.
        public: What the index of public slices knows of it.
        cluster: Index of the first of its copies; -1 before copies were looked for.
        inherited: What slices that were left out shared with it and with others.
    """

    file: Path
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
    known: Known = NOTHING_KNOWN
    fold: str = ""
    pixels_sha256: str = ""
    public: PublicSlice | None = None
    cluster: int = -1
    cluster_name: str = ""
    inherited: tuple[Key, ...] = ()

    @property
    def reference(self) -> str:
        """The slice by its file as given."""
        return referred(self.file, self.index)

    @property
    def written(self) -> str:
        """The slice by its file resolved, as a built manifest has it before it has a place."""
        return referred(self.file.resolve(), self.index)

    @property
    def keys(self) -> list[Key]:
        """What it shares with other slices; always its copies, at least with itself."""
        known, keys = self.known, [Key(Bond.COPIES, self.cluster_name)]
        if known.patient or self.patient:
            named = f"{self.source}:{known.patient}" if known.patient else self.patient
            keys.append(Key(Bond.PATIENT, named))
        if known.group:
            keys.append(Key(Bond.GROUP, f"{self.source}:{known.group}"))
        if self.public and self.public.patients:
            keys.append(Key(Bond.PUBLIC, self.public.patients))
        if self.index is not None:
            keys.append(Key(Bond.VOLUME, self.sha256[:12]))
        if known.fold and len(keys) == 1:
            keys.append(Key(Bond.FOLD, self.fold))
        return [*keys, *self.inherited]

    @property
    def ties(self) -> list[Key]:
        """Its keys but for the fold, which is a boundary and no bond."""
        return [key for key in self.keys if key.bond != Bond.FOLD]

    @property
    def trained_as(self) -> str:
        """The class that training takes it for."""
        return self.known.taken or self.label

    def excluded(self, reason: str, kind: str = "") -> Excluded:
        """The record of leaving it out."""
        return Excluded(self.reference, self.label, self.source, reason, kind)


def list_files(
    source: SourceConfig,
    task: Task,
    aliases: Mapping[str, str],
    folders: set[str],
    skip: Skip = ignore_skip,
) -> list[File | Failure]:
    """Every file below a root with its class, in sorted order; nothing is decoded.

    Layouts: `<root>/<class>/...`, `<root>/<split>/<class>/...`, or a root that is itself named
    like a class. Folders below the class folder are free. Where masks give the labels, every
    layout is free; files that are neither volume nor mask are failures. The names of all class
    folders, those that are skipped among them, are added to `folders`; `skip` is told of files that
    are no images. `ManifestError` where the root is no folder, or a folder's name means no class of
    the task.
    """
    root = source.root
    if not root.is_dir():
        got = "a file" if root.exists() else "none: it does not exist"
        raise ManifestError(f"{root}: expected a folder of class folders; got {got}")
    name = source.name or source_name(root, task)
    if source.masks is not None:
        folders.add(source.masks.label)
        label = task.label_of(source.masks.label, aliases)
        found = list(walk(root, skip=skip))
        return _masked_files(found, root, name, source.masks, label, task.negative_class)
    skipped = {normal_name(folder) for folder in source.skip}
    files: list[File | Failure] = []
    for entry in walk(root, skip=skip):
        if isinstance(entry, Failure):
            files.append(entry)
            continue
        path, inner = Path(entry.source), Path(entry.source).relative_to(root)
        published, folder = _class_folder(path, inner, root, task)
        folders.add(folder)
        if normal_name(folder) not in skipped:
            label = task.label_of(folder, aliases, untyped=source.untyped)
            files.append(File(path, inner, name, label, published))
    return files


def read_file(file: File) -> Iterator[tuple[Item, Slice]]:
    """The slices of one file with all that is known of them; raises what `read_slices` does."""
    slices = read_slices(file.path)
    try:
        with file.path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{file.path}: expected a readable file; {error.strerror}") from error
    labels = _read_mask(file.mask, slices) if file.mask else [(file.label, "", "")] * len(slices)
    for index, (slice_, (label, mask, unfit)) in enumerate(zip(slices, labels, strict=True)):
        height, width = slice_.shape
        item = Item(
            file=file.path,
            index=index if len(slices) > 1 else None,
            label=label,
            source=file.source,
            published_split=file.published_split,
            patient=_pseudonym(slice_),
            sha256=digest,
            width=width,
            height=height,
            mask=mask,
            unfit=unfit,
            known=file.known,
            fold=file.known.fold,
            pixels_sha256=pixels_sha256(slice_),
        )
        yield item, slice_


def source_name(root: Path, task: Task) -> str:
    """Name of a data set: its folder's, or the parent's where the root is a class folder."""
    resolved = root.resolve()
    return resolved.parent.name if _is_class(resolved.name, task) else resolved.name


def referred(file: Path, index: int | None) -> str:
    """A slice as manifests and answers name it: `file`, or `file#index`."""
    return str(file) if index is None else f"{file}#{index}"


def _read_mask(mask: TumorMask, slices: Sequence[Slice]) -> list[tuple[str, str, str]]:
    """Of every slice of a volume its class, its mask's reference and why it can have no class."""
    masks = read_slices(mask.path, labels=True)  # turned as the volume was
    if len(masks) != len(slices):
        raise InputError(f"{mask.path}: expected {len(slices)} mask slices; got {len(masks)}")
    found = []
    for index, (slice_, own) in enumerate(zip(slices, masks, strict=True)):
        _require_same_grid(slice_, own)
        voxels, unfit = int(np.count_nonzero(own.pixels > 0)), ""
        if slice_.pixels.min() == slice_.pixels.max():
            unfit = "blank slice of a volume"  # a copy of every other one, so it would tie patients
        elif 0 < voxels < mask.minimum_voxels:
            unfit = f"tumor of fewer than {mask.minimum_voxels} voxels"
        elif not voxels and mask.negative is None:
            unfit = "no tumor, and the task has no class for that"
        reference = str(mask.path) if len(masks) == 1 else f"{mask.path}#{index}"
        found.append((mask.label if voxels else mask.negative or "", reference, unfit))
    return found


def _require_same_grid(slice_: Slice, mask: Slice) -> None:
    """That a mask's voxels are the slice's: extent, orientation and place where both know them."""
    if slice_.shape != mask.shape:
        raise InputError(f"{mask.source}: expected a mask of {slice_.shape}; got {mask.shape}")
    if (slice_.orientation is None) != (mask.orientation is None):
        raise InputError(
            f"{mask.source}: expected the slice's orientation; only one of them is known"
        )
    if slice_.orientation is None or mask.orientation is None:
        return
    turned = np.abs(np.subtract(slice_.orientation, mask.orientation)).max()
    moved = np.abs(np.subtract(slice_.position_mm or 0, mask.position_mm or 0)).max()
    pixel = min(slice_.pixel_spacing_mm or (1.0, 1.0))
    if turned > _SAME_DIRECTION or moved > _SAME_PLACE * pixel:
        raise InputError(
            f"{mask.source}: expected the mask on the grid of {slice_.source}; it differs by "
            f"{turned:.3f} in direction and {moved:.2f} mm in place"
        )


def _masked_files(
    found: Sequence[Entry | Failure],
    root: Path,
    source: str,
    spec: MaskSpec,
    label: str,
    negative: str | None,
) -> list[File | Failure]:
    """Volumes with their masks; a mask is no volume itself."""
    files: list[File | Failure] = [entry for entry in found if isinstance(entry, Failure)]
    paths = [Path(entry.source) for entry in found if not isinstance(entry, Failure)]
    inner: dict[PurePath, Path] = {path.relative_to(root): path for path in paths}
    mask_of = {path: mask for path in inner if (mask := spec.mask_of(path)) is not None}
    masks = set(mask_of.values())
    if not set(mask_of) - masks:
        raise ManifestError(f"{root}: expected volumes named {spec.volume}; got none")
    for path in sorted(set(inner) - masks):
        wanted = mask_of.get(path)
        if wanted is None:
            files.append(Failure(str(inner[path]), f"neither a volume {spec.volume} nor its mask"))
        elif wanted not in inner:
            files.append(Failure(str(inner[path]), f"expected its mask {spec.mask}; got none"))
        else:
            own = TumorMask(inner[wanted], label, negative, spec.minimum_voxels)
            files.append(File(inner[path], path, source, label, mask=own))
    return files


def _class_folder(path: Path, inner: PurePath, root: Path, task: Task) -> tuple[str, str]:
    """The published split that a file stands in, or an empty name, and its class folder."""
    folders = inner.parts[:-1]
    published = PUBLISHED_SPLITS.get(normal_name(folders[0]), "") if folders else ""
    below = folders[1:] if published else folders
    folder = below[0] if below else root.resolve().name
    if below or _is_class(folder, task):
        return published, folder
    raise ManifestError(
        f"{path}: expected it in a class folder ({', '.join(task.classes)}) below {root}"
    )


def _is_class(name: str, task: Task) -> bool:
    try:
        task.label_of(name)
    except ManifestError:
        return False
    return True


def _pseudonym(slice_: Slice) -> str:
    """Distinguishes patients without naming them."""
    known = slice_.patient_id or slice_.study_uid or slice_.series_uid
    return f"dicom_{hashlib.sha256(known.encode()).hexdigest()[:12]}" if known else ""
