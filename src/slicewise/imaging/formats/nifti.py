"""NIfTI volumes to axial slices in radiological display: patient right on the left, nose up."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import nibabel
import numpy as np
from numpy.typing import NDArray

from slicewise.arrays import Array
from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.formats.content import is_gzip
from slicewise.imaging.formats.decoding import decoding
from slicewise.imaging.formats.pixels import fill_non_finite
from slicewise.imaging.limits import Limits
from slicewise.imaging.slice import Orientation, Position, Slice

_orientations: Any = nibabel.orientations  # only some of nibabel is annotated
_LPS = np.array([-1.0, -1.0, 1.0])  # NIfTI's world is RAS, DICOM's is LPS
_NIFTI2_BYTES = 540
_DEFLATE_AT_MOST = 1032  # bytes from one, by the format


def read_nifti(stream: BinaryIO, source: str, limits: Limits) -> list[Slice]:
    """Read a three-dimensional volume as axial slices, from inferior to superior.

    Voxel axes are permuted and flipped to the nearest patient axes; nothing is interpolated.

    Args:
        stream: The file, plain or gzip, seekable, at its start.

    Raises:
        LimitError: It is larger than the limits.
        UnsupportedImageError: It has several volumes, no real numbers, or no voxels itself.
        InputError: It is broken, too small, or has no finite voxel.
    """
    plain, available = _plain(stream)
    image = _load(plain, available, limits)
    grid = _grid(image.header)
    with np.errstate(all="ignore"), decoding("NIfTI volume"):
        stored = image.get_fdata(dtype=np.float32).reshape(grid.shape)
    voxels = fill_non_finite(_orientations.apply_orientation(stored, grid.orientation))
    count = voxels.shape[2]
    names = [source] if count == 1 else [f"{source}#{i}" for i in range(count)]
    return [_slice(voxels, index, name, grid.affine) for index, name in enumerate(names)]


def _plain(stream: BinaryIO) -> tuple[BinaryIO, int]:
    """The uncompressed stream, expanded only as far as it is read, and the most it can hold."""
    packed = is_gzip(stream.read(2))
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    if not packed:
        return stream, size
    return cast(BinaryIO, gzip.open(stream)), size * _DEFLATE_AT_MOST


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """How the stored voxels lie in the patient.

    Args:
        orientation: (3, 2) what nibabel needs to turn the stored axes right, anterior, superior.
        affine: (4, 4) turned voxel index to RAS mm, None where the file does not say.
    """

    shape: tuple[int, int, int]
    orientation: NDArray[Any]
    affine: NDArray[Any] | None

    @property
    def turned_shape(self) -> tuple[int, int, int]:
        """Extent along right, anterior, superior."""
        turned = dict(zip(self.orientation[:, 0].astype(int), self.shape, strict=True))
        return turned[0], turned[1], turned[2]


def _grid(header: Any) -> _Grid:
    with decoding("NIfTI header"):
        shape = _three(header.get_data_shape())
        if not (header["sform_code"] or header["qform_code"]):
            return _Grid(shape, np.array([[0, 1], [1, 1], [2, 1]]), None)
        affine = header.get_best_affine()
        orientation = _orientations.io_orientation(affine)
    if not np.isfinite(affine).all() or not np.isfinite(orientation).all():
        raise InputError("expected an invertible NIfTI affine (sform or qform), got another")
    return _Grid(shape, orientation, affine @ _orientations.inv_ornt_aff(orientation, shape))


def _three(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """A shape as three axes; a flat image is one slice, several volumes are an error."""
    sizes = [int(size) for size in shape]
    if any(size < 1 for size in sizes) or len(sizes) < 2:
        raise InputError(f"expected two or three NIfTI axes, got the shape {tuple(sizes)}")
    if any(size > 1 for size in sizes[3:]):
        raise UnsupportedImageError(f"expected one volume, got the shape {tuple(sizes)}")
    return sizes[0], sizes[1], (sizes[2] if len(sizes) > 2 else 1)


def _load(stream: BinaryIO, available: int, limits: Limits) -> Any:
    """The image, its voxels in memory but not converted; only what its header declares is read.

    Args:
        available: The most bytes that the stream can hold, so that a lie is told without reading.
    """
    with decoding("NIfTI file"):
        head = stream.read(_NIFTI2_BYTES)
    kind = _image_class(head)
    with decoding("NIfTI header"):
        header = kind.header_class.from_fileobj(io.BytesIO(head), check=True)
        voxel_kind = header.get_data_dtype().kind
    if voxel_kind not in "iuf":
        raise UnsupportedImageError("expected real voxels, got colour or complex ones")
    columns, rows, count = _grid(header).turned_shape
    limits.check_image(rows, columns, count)
    voxel_bytes = int(header["bitpix"]) // 8 * rows * columns * count
    with decoding("NIfTI header"):
        wanted = int(header.get_data_offset()) + voxel_bytes
    limits.check_bytes(wanted)
    data = b""
    if wanted <= available:
        with decoding("NIfTI file"):
            data = head + stream.read(max(0, wanted - len(head)))
    if len(data) < wanted:
        got = len(data) or f"at most {available:,}"
        raise InputError(f"expected {wanted:,} bytes of NIfTI, got {got} (truncated)")
    with decoding("NIfTI volume"):
        return kind.from_bytes(data)


def _image_class(head: bytes) -> Any:
    if b"ni1\x00" in (head[344:348], head[4:8]) or head[4:8] == b"ni2\x00":
        raise UnsupportedImageError(
            "expected a single .nii file, got the header of a .hdr/.img pair"
        )
    return nibabel.Nifti2Image if head[4:8] == b"n+2\x00" else nibabel.Nifti1Image


def _slice(voxels: Array, index: int, source: str, affine: NDArray[Any] | None) -> Slice:
    """One axial slice: columns run from right to left, rows from anterior to posterior."""
    pixels = np.ascontiguousarray(voxels[::-1, ::-1, index].T)
    if affine is None:
        return Slice(pixels, source)
    corner = np.array([voxels.shape[0] - 1, voxels.shape[1] - 1, index, 1])
    position = _LPS * (affine @ corner)[:3] + 0.0  # no negative zero
    along_row, along_column = (-_LPS * affine[:3, axis] + 0.0 for axis in (0, 1))
    column_mm, row_mm = (float(np.linalg.norm(along)) for along in (along_row, along_column))
    cosines = [*(along_row / column_mm), *(along_column / row_mm)]
    return Slice(
        pixels,
        source,
        position_mm=cast(Position, tuple(position.tolist())),
        orientation=cast(Orientation, tuple(float(part) for part in cosines)),
        pixel_spacing_mm=(row_mm, column_mm),
    )
