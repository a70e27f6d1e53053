"""Names for the arrays that the rooms hand to each other, and how a bundle stores arrays."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.errors import BundleError

Array = NDArray[np.float32]  # pixels, embeddings and what else is computed in single precision
Bytes = NDArray[np.uint8]  # pixels after preprocessing
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Strings = NDArray[np.str_]
Names = NDArray[Any]  # names or numbers of groups and classes
MOST_BYTES = 256 * 2**20  # of all arrays of an `.npz` together, as they lie in memory


def read_arrays(content: bytes, kinds: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """Named arrays of finite numbers out of an `.npz`, which may hold anything; never unpickled.

    Args:
        content: Of the `.npz`.
        kinds: Which arrays it must hold, and the `dtype.kind` of each; others are not read.

    Raises:
        BundleError: It is no such file, lacks an array, would fill the memory, or holds others.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > MOST_BYTES:
            raise BundleError(f"expected {MOST_BYTES} bytes or fewer; got {size}")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: np.asarray(stored[name]) for name in kinds}
    except BundleError:
        raise
    except Exception as error:  # zipfile and NumPy raise whatever their parsers do
        raise BundleError(f"expected arrays {', '.join(kinds)}; {error}") from error
    for name, array in arrays.items():
        if array.dtype.kind != kinds[name] or not np.isfinite(array).all():
            raise BundleError(f"{name}: expected finite numbers of kind {kinds[name]}; got others")
    return arrays


def write_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Content of an `.npz`."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # names of ours
    return stream.getvalue()
