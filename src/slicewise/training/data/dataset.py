"""Slices of a manifest, decoded once for a whole run and cached, and batches of their pixels.

One pass over the files gives all that training and the bundle need of a slice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from slicewise.arrays import Floats, Strings
from slicewise.data.duplicates.fingerprint import FORMAT, SIDE, Fingerprints, fingerprint
from slicewise.data.manifest import MASK_COLUMN, Manifest, ManifestRow
from slicewise.data.public.index import pixels_sha256
from slicewise.data.tasks import Task
from slicewise.errors import InputError, SliceWiseError, TrainingError
from slicewise.evaluation.explanations.regions import Boxes, read_boxes, tumor_region
from slicewise.evaluation.slices import require_unchanged
from slicewise.files import whole
from slicewise.imaging.appearance import APPEARANCE_NAMES, appearance
from slicewise.imaging.preprocess import PIPELINE_VERSION, Placement, PreprocessSpec, preprocess
from slicewise.imaging.read import file_and_index, read_slice
from slicewise.imaging.slice import Slice, is_synthetic
from slicewise.progress import track
from slicewise.training.config import RunConfig

Images = NDArray[np.uint8]
Possible = NDArray[np.bool_]
_SHOWN_FAILURES = 5
_one_volume = Lock()
"""`read_slice` remembers one file: the slices of a volume are read by one thread."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class DecodedSlices:
    """What is kept of the N slices of a manifest.

    Args:
        records: (N,) structured, see `_record`, in the order of the rows.
    """

    manifest: Manifest
    records: NDArray[np.void]

    @property
    def images(self) -> Images:
        """(N, S, S) preprocessed pixels."""
        return np.asarray(self.records["image"])

    @property
    def appearances(self) -> Floats:
        """(N, F) appearance numbers."""
        return np.asarray(self.records["appearance"])

    @property
    def fingerprints(self) -> Fingerprints:
        """Of the pixels as they were decoded."""
        return Fingerprints(*(self.records[name] for name in ("codes", "box", "digest")))

    @property
    def pixels(self) -> list[str]:
        """`pixels_sha256` of each, as it was decoded."""
        return [text.decode() for text in self.records["pixels_sha256"].tolist()]

    @property
    def groups(self) -> Strings:
        """(N,) leak-free unit of each."""
        return np.array([row.group for row in self.manifest.rows])

    def shape(self, index: int) -> tuple[int, int]:
        """Height and width of one slice as it was decoded, pixels."""
        height, width = self.records["shape"][index].tolist()
        return height, width

    def placement(self, index: int) -> Placement:
        """Where the preprocessed square of one slice lies on it."""
        return Placement(*self.records["placement"][index].tolist())


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSlices(DecodedSlices):
    """What a network is trained or validated on.

    Args:
        possible: (N, K) bool, which classes a label leaves open.
        regions: (N, S, S) uint8, 255 inside of a tumor; None where the loss does not use them.
    """

    possible: Possible
    regions: Images | None = None


def load_split(config: RunConfig, manifest: Manifest, split: str) -> DecodedSlices:
    """The slices of one split of a run, decoded or from its cache; see `load_slices`."""
    rows, workers = manifest.subset(split), config.trainer.workers
    return load_slices(rows, config.preprocessing, config.cache, workers)


def load_slices(
    manifest: Manifest, spec: PreprocessSpec, cache: Path, workers: int = 1
) -> DecodedSlices:
    """The slices of a manifest, from the cache or decoded and kept there.

    Args:
        cache: Folder for `.npy` files named by the hash of what is in them.
        workers: Threads that decode; the result does not depend on it.

    Raises:
        TrainingError: Some files cannot be read, are not those the manifest was made of, or are
            synthetic; the first few are named.
    """
    kind = f"slices with hashes {FORMAT} {' '.join(APPEARANCE_NAMES)}"
    path = cache / f"{cache_key(manifest.rows, spec, kind)}.npy"
    return DecodedSlices(manifest, cached(path, lambda: _decode(manifest, spec, workers)))


def cached(path: Path, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """An array from its file, or made and kept there."""
    if path.is_file():
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Under a name of its own first: two runs may decode the same slices at once.
    with whole(path) as draft, draft.open("wb") as file:
        np.save(file, made, allow_pickle=False)
    return made


def in_parallel(
    work: Callable[[Item], Result], items: Sequence[Item], what: str, workers: int
) -> Iterator[Result]:
    """What becomes of each item, in order, worked on by several threads, with progress shown."""
    pool = ThreadPoolExecutor(workers)
    try:
        results = pool.map(work, items)
        for _ in track(items, what):
            yield next(results)
    finally:
        pool.shutdown(cancel_futures=True)


def _record(spec: PreprocessSpec) -> np.dtype[np.void]:
    """One slice: preprocessed pixels and their place on it, appearance, fingerprint."""
    return np.dtype(
        [
            ("image", "u1", (spec.size, spec.size)),
            ("placement", "i4", (3,)),
            ("shape", "i4", (2,)),
            ("appearance", "f8", (len(APPEARANCE_NAMES),)),
            ("codes", "u1", (SIDE, SIDE)),
            ("box", "f2", (4,)),
            ("digest", "u1", (16,)),
            ("pixels_sha256", "S64"),
        ]
    )


def _decode(manifest: Manifest, spec: PreprocessSpec, workers: int) -> NDArray[np.void]:
    record = _record(spec)

    def of_file(rows: Sequence[ManifestRow]) -> list[NDArray[np.void] | str]:
        """A record of each row, or what is wrong with it."""
        with nullcontext() if len(rows) == 1 else _one_volume:
            read = [_read(manifest, row) for row in rows]
        return [one if isinstance(one, str) else _recorded(one, spec, record) for one in read]

    by_file = groupby(manifest.rows, lambda row: file_and_index(manifest.resolve(row))[0])
    files = [list(rows) for _, rows in by_file]
    parts = in_parallel(of_file, files, "Decoding slices", workers)
    records = np.zeros(len(manifest.rows), record)
    failures: list[str] = []
    for index, one in enumerate(one for part in parts for one in part):
        if isinstance(one, str):
            failures.append(one)
        else:
            records[index] = one
    if failures:
        shown = "; ".join(failures[:_SHOWN_FAILURES])
        raise TrainingError(f"{len(failures)} of {len(records)} slices cannot be used: {shown}")
    return records


def _read(manifest: Manifest, row: ManifestRow) -> Slice | str:
    """A slice that may be trained on, or why there is none."""
    try:
        slice_ = read_slice(manifest.resolve(row))
    except SliceWiseError as error:
        return str(error)
    try:
        require_unchanged(manifest, row)
    except InputError as error:
        return f"{row.path}: {error}"
    if is_synthetic(slice_):
        return f"{row.path}: expected a real slice; got a synthetic one"
    return slice_


def _recorded(slice_: Slice, spec: PreprocessSpec, record: np.dtype[np.void]) -> NDArray[np.void]:
    prepared, prints = preprocess(slice_.pixels, spec), fingerprint(slice_.pixels)
    place = prepared.placement
    return np.array(
        (
            prepared.image,
            (place.top, place.left, place.side),
            slice_.pixels.shape[:2],
            appearance(slice_.pixels).vector(),
            prints.codes[0],
            prints.boxes[0],
            prints.digests[0],
            pixels_sha256(slice_).encode(),
        ),
        dtype=record,
    )


def cache_key(rows: Iterable[ManifestRow], spec: PreprocessSpec, kind: str) -> str:
    """Name of what is computed from slices, in their order; `kind` is all else it depends on."""
    digest = hashlib.sha256(f"{PIPELINE_VERSION} {spec.model_dump_json()}{kind}".encode())
    for row in rows:
        index = row.path.rpartition("#")[2] if "#" in row.path else ""
        digest.update(f"{row.sha256}#{index}\n".encode())
    return digest.hexdigest()[:32]


def load_regions(
    slices: DecodedSlices, task: Task, spec: PreprocessSpec, boxes: Path | None, cache: Path
) -> Images:
    """(N, size, size) uint8, 255 inside of a tumor and 0 elsewhere, one for each slice.

    A slice without a tumor, and one whose tumor has neither mask nor box, is 0 all over.

    Args:
        spec: The pixel pipeline, which says where the square lies.
        boxes: Table of boxes for slices without a mask; None where there is none.
        cache: Folder for `.npy` files named by the hash of what is in them.

    Raises:
        ManifestError: If the table is not as expected.
        InputError: If a mask cannot be read.
    """
    table = None if boxes is None else read_boxes(boxes)
    known = hashlib.sha256(b"" if boxes is None else boxes.read_bytes()).hexdigest()
    rows = slices.manifest.rows
    masks = " ".join(row.extra.get(MASK_COLUMN, "").rpartition("/")[2] for row in rows)
    key = cache_key(rows, spec, f"regions {known} {masks}")
    return cached(cache / f"{key}.npy", lambda: _drawn(slices, task, spec.size, table))


def _drawn(slices: DecodedSlices, task: Task, size: int, boxes: Boxes | None) -> Images:
    manifest = slices.manifest
    regions = np.zeros((len(manifest.rows), size, size), dtype=np.uint8)
    for index, row in enumerate(track(manifest.rows, "Drawing tumor regions")):
        tumor = row.label != task.negative_class
        region = tumor_region(manifest, row, slices.shape(index), boxes) if tumor else None
        if region is not None:
            regions[index] = placed(region, slices.placement(index), size)
    return regions


def placed(region: NDArray[np.bool_], placement: Placement, size: int) -> NDArray[np.uint8]:
    """The (H, W) region of a slice on its preprocessed square.

    Returns:
        (size, size), 255 inside; in between along the rim.
    """
    picture = Image.fromarray(region.astype(np.uint8) * 255)
    top, left, side = placement.top, placement.left, placement.side
    square = picture.crop((left, top, left + side, top + side))  # 0 where it lies outside
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR), dtype=np.uint8)


class SliceDataset(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Batches by a list of indices: images (N, 1, S, S) uint8, which of K classes a label leaves
    open (N, K) bool, positions (N,)."""

    def __init__(self, images: Images, possible: Possible) -> None:
        self._images = images
        self._possible = possible

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        chosen = np.asarray(indices)
        images = torch.from_numpy(np.array(self._images[chosen]))[:, None]
        return images, torch.from_numpy(self._possible[chosen]), torch.from_numpy(chosen)


class EpochSampler(Sampler[list[int]]):
    """Shuffled batches whose order depends on seed and epoch alone, so that a resumed run agrees.

    Lightning calls `set_epoch` before every epoch.
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        """A remainder of one is left out."""
        self._count, self._batch_size, self._seed = count, batch_size, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(self._count, self._batch_size)
        return whole + (rest > 1)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng((self._seed, self.epoch)).permutation(self._count).tolist()
        for batch in range(len(self)):
            yield order[batch * self._batch_size : (batch + 1) * self._batch_size]


Loader = DataLoader[tuple[Tensor, Tensor, Tensor]]


def loader(images: Images, possible: Possible, batches: Iterable[list[int]]) -> Loader:
    """Batches of indices to batches of slices."""
    return DataLoader(SliceDataset(images, possible), sampler=batches, batch_size=None)
