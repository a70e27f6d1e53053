"""Slices of a manifest as one uint8 array in memory, and batches of it.

Pixels are decoded and preprocessed once, then cached on disk, so that a training step waits for
nothing but the network itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import InputError, SliceWiseError, TrainingError
from slicewise.evaluation.content import require_unchanged
from slicewise.files import whole
from slicewise.imaging.preprocess import PIPELINE_VERSION, PreprocessSpec, preprocess
from slicewise.imaging.read import read_slice
from slicewise.imaging.slice import Slice, is_synthetic
from slicewise.progress import track

Images = NDArray[np.uint8]
Possible = NDArray[np.bool_]
_SHOWN_FAILURES = 5


def load_images(manifest: Manifest, spec: PreprocessSpec, cache: Path) -> Images:
    """(N, size, size) uint8 preprocessed slices, in the order of the manifest's rows.

    Args:
        manifest: Rows whose files are read where the cache does not hold them.
        cache: Folder for `.npy` files named by the hash of what is in them.

    Raises:
        TrainingError: Some files cannot be read, are not those the manifest was made of, or are
            synthetic; the first few are named.
    """
    return cached(cache / f"{cache_key(manifest.rows, spec)}.npy", lambda: _decode(manifest, spec))


def cached(path: Path, make: Callable[[], Images]) -> Images:
    """An array from its file, or made and kept there.

    Args:
        make: Makes the array where there is no such file.
    """
    if path.is_file():
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(made, path)
    return made


def _save(images: Images, path: Path) -> None:
    """Under a name of its own first: two runs may decode the same slices at once."""
    with whole(path) as draft, draft.open("wb") as file:
        np.save(file, images, allow_pickle=False)


def _decode(manifest: Manifest, spec: PreprocessSpec) -> Images:
    images = np.zeros((len(manifest.rows), spec.size, spec.size), dtype=np.uint8)
    failures: list[str] = []
    for i, row in enumerate(track(manifest.rows, "Decoding slices")):
        try:
            slice_ = read_slice(manifest.resolve(row))
            _require_allowed(manifest, row, slice_)
            images[i] = preprocess(slice_.pixels, spec).image
        except SliceWiseError as error:
            failures.append(str(error))
    if failures:
        shown = "; ".join(failures[:_SHOWN_FAILURES])
        raise TrainingError(f"{len(failures)} of {len(images)} slices cannot be used: {shown}")
    return images


def _require_allowed(manifest: Manifest, row: ManifestRow, slice_: Slice) -> None:
    try:
        require_unchanged(manifest, row)
    except InputError as error:
        raise TrainingError(f"{row.path}: {error}") from None
    if is_synthetic(slice_):
        raise TrainingError(f"{row.path}: expected a real slice; got a synthetic one")


def cache_key(rows: Sequence[ManifestRow], spec: PreprocessSpec, kind: str = "") -> str:
    """Name of what is computed from slices.

    Args:
        rows: The slices, in order.
        kind: What is computed, with all else that it depends on; empty for the pixels themselves.
    """
    digest = hashlib.sha256(f"{PIPELINE_VERSION} {spec.model_dump_json()}{kind}".encode())
    for row in rows:
        index = row.path.rpartition("#")[2] if "#" in row.path else ""
        digest.update(f"{row.sha256}#{index}\n".encode())
    return digest.hexdigest()[:32]


class SliceDataset(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Batches by a list of indices: images (N, 1, S, S) uint8, which of K classes a label leaves
    open (N, K) bool, positions (N,)."""

    def __init__(self, images: Images, possible: Possible) -> None:
        """Keep the arrays; nothing is copied until a batch is asked for."""
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
        """Batches of `batch_size` out of `count` indices; a rest of one is left out."""
        self._count, self._batch_size, self._seed = count, batch_size, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(self._count, self._batch_size)
        return whole + (rest > 1)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng((self._seed, self.epoch)).permutation(self._count).tolist()
        for batch in range(len(self)):
            yield order[batch * self._batch_size : (batch + 1) * self._batch_size]


Loader = DataLoader[tuple[Tensor, Tensor, Tensor]]


def training_loader(images: Images, possible: Possible, batch_size: int, seed: int) -> Loader:
    """Shuffled batches for training."""
    sampler = EpochSampler(len(images), batch_size, seed)
    return DataLoader(SliceDataset(images, possible), sampler=sampler, batch_size=None)


def ordered_loader(images: Images, possible: Possible, batch_size: int) -> Loader:
    """Batches in order, for validation."""
    count = len(images)
    batches = [
        list(range(start, min(start + batch_size, count))) for start in range(0, count, batch_size)
    ]
    return DataLoader(SliceDataset(images, possible), sampler=batches, batch_size=None)
