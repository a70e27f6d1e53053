"""Arrays of a bundle out of an `.npz`, which may hold anything: read within limits, or refused."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicewise.errors import BundleError

MOST_BYTES = 256 * 2**20
"""Of all arrays of a file together, as they lie in memory."""

_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


def read_arrays(file: str, content: bytes, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Named arrays of numbers; nothing is unpickled.

    Args:
        file: What to call the content in errors.
        content: Of the `.npz`.
        names: Which arrays it must hold; others are not read.

    Raises:
        BundleError: It is no such file, lacks an array, would fill the memory, or holds numbers
            that are not finite.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > MOST_BYTES:
            raise BundleError(f"{file}: expected {MOST_BYTES} bytes or fewer; got {size}")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in names}
    except _ERRORS as error:
        raise BundleError(f"{file}: expected arrays {', '.join(names)}; {error}") from error
    for name, array in arrays.items():
        if array.dtype.kind not in "fi" or not np.isfinite(array).all():
            raise BundleError(f"{file}: {name}: expected finite numbers; got others")
    return arrays
