"""What a NIfTI header says: where its voxels lie in the file and in the patient, and their scale.

Fields have the names of nifti1.h; what it leaves open is settled as its reference library does.
Header extensions are passed over, whatever they hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.formats.decoding import decoding
from slicewise.imaging.limits import MIN_SIDE

HEAD_BYTES = 544
"""Of the longer of the two headers, with the flag of its extensions."""

_REAL = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
_NOT_REAL = {
    1: "1-bit", 32: "complex", 128: "colour", 1536: "128-bit", 1792: "complex", 2048: "complex",
    2304: "colour",
}  # fmt: skip
_MM = {1: 1000.0, 3: 0.001}  # of xyzt_units: metre, micron
_CLEARLY = 1.25  # times as far apart: slices, and not the rounding of a volume of cubes
_FLAT = 1e-3  # volume that three unit vectors span: less is a plane
_TOO_LONG = 0.01  # how much of a quaternion's squared length above 1 is still carelessness
_ROUNDING = 4e-7  # of that length, summed from three 32-bit floats
_rotation: Any = nibabel.quaternions.quat2mat  # only some of nibabel is annotated
_LPS = np.array([[-1.0], [-1.0], [1.0]])  # NIfTI's world is RAS, DICOM's is LPS


@dataclass(frozen=True, slots=True, eq=False)
class NiftiHeader:
    """One volume of real voxels.

    Args:
        shape: Voxels along the stored axes; a flat image has one along the third.
        dtype: Of a stored voxel, in the byte order of the file.
        offset: First byte of the voxels.
        scale: Slope and intercept from stored to real values.
        affine: (3, 4) stored voxel index to LPS mm; None where the file does not say.
        spacing_mm: Between voxels along the stored axes; NaN where it is not known.
        slice_axis: The stored axis from one acquired slice to the next.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    offset: int
    scale: tuple[float, float]
    affine: NDArray[np.float64] | None
    spacing_mm: NDArray[np.float64]
    slice_axis: int

    @property
    def voxel_bytes(self) -> int:
        """Of all voxels together."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def in_plane(self) -> tuple[int, int]:
        """The stored axes along the columns and along the rows of a slice."""
        first, second = (axis for axis in range(3) if axis != self.slice_axis)
        return first, second


def parse_header(head: bytes) -> NiftiHeader:
    """Read the header of a single file.

    Args:
        head: Its first `HEAD_BYTES` bytes.

    Raises:
        UnsupportedImageError: It is of a pair, of several volumes, or of voxels that are no number.
        InputError: It contradicts itself.
    """
    if b"ni1\x00" in (head[344:348], head[4:8]) or head[4:8] == b"ni2\x00":
        raise UnsupportedImageError(
            "expected a single .nii file, got half of a .hdr/.img pair; save both as one .nii file"
        )
    second = head[4:8] == b"n+2\x00"
    kind: Any = nibabel.Nifti2Header if second else nibabel.Nifti1Header
    size = 540 if second else 348
    if len(head) < size + 4:
        raise InputError(f"expected {size + 4} bytes of NIfTI, got {len(head)} (truncated)")
    with decoding("NIfTI header"):
        fields = kind(head[:size], check=False)
    code = int(fields["datatype"])
    if code not in _REAL:
        got = f"{_NOT_REAL[code]} ones" if code in _NOT_REAL else "others"
        raise UnsupportedImageError(
            f"expected real voxels of 8 to 64 bits, got {got} (datatype {code})"
        )
    shape = _shape([int(count) for count in fields["dim"]])
    with np.errstate(all="ignore"):  # what overflows is not finite, and found so
        affine, spacing = _placed(fields)
    return NiftiHeader(
        shape=shape,
        dtype=np.dtype(_REAL[code]).newbyteorder(fields.endianness),
        offset=_offset(fields["vox_offset"].item(), size, extended=head[size] != 0),
        scale=_scale(float(fields["scl_slope"]), float(fields["scl_inter"])),
        affine=affine,
        spacing_mm=spacing,
        slice_axis=_slice_axis(shape, spacing, int(fields["dim_info"]) >> 4 & 3, affine),
    )


def _shape(dim: list[int]) -> tuple[int, int, int]:
    """Three sizes from `dim`: as in the reference library, 0 is 1 behind the second."""
    if not 2 <= dim[0] <= 7:
        raise InputError(f"expected 2 to 7 axes in dim[0], got {dim[0]}")
    sizes = [*dim[1:3], *(size or 1 for size in dim[3 : dim[0] + 1])]
    told = " x ".join(map(str, sizes))
    if min(sizes) < 1:
        raise InputError(f"expected dim of 1 or more along every axis, got {told}")
    if (volumes := math.prod(sizes[3:])) > 1:
        raise UnsupportedImageError(f"expected one volume, got {volumes} (dim is {told})")
    return sizes[0], sizes[1], (sizes[2] if len(sizes) > 2 else 1)


def _offset(vox_offset: float, size: int, *, extended: bool) -> int:
    """`vox_offset`, where 0 is the first byte behind the header and its flag of extensions."""
    if vox_offset == 0:
        if extended:
            raise InputError("expected vox_offset behind the header extension, got 0")
        return size + 4
    if not (vox_offset >= size and float(vox_offset).is_integer()):
        raise InputError(f"expected a whole vox_offset of {size} or more, got {vox_offset:g}")
    return int(vox_offset)


def _scale(slope: float, intercept: float) -> tuple[float, float]:
    """`scl_slope` and `scl_inter`; a slope of 0, or that is no number, says that there are none."""
    if slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    return slope, intercept if math.isfinite(intercept) else 0.0


def _placed(fields: Any) -> tuple[NDArray[np.float64] | None, NDArray[np.float64]]:
    """The first of sform and qform that can be used, and the spacing; both in mm."""
    unit = _MM.get(int(fields["xyzt_units"]) & 7, 1.0)
    sizes = np.abs(fields["pixdim"][1:4].astype(np.float64))
    spacing = np.where(np.isfinite(sizes) & (sizes > 0), sizes, np.nan) * unit
    forms = {"sform": _sform, "qform": _qform}
    coded = [name for name in forms if fields[f"{name}_code"] > 0]
    for name in coded:
        affine = forms[name](fields) * unit
        if _is_invertible(affine):
            if name == "sform":
                spacing = np.linalg.norm(affine[:, :3], axis=0)
            return affine * _LPS, spacing
    if coded:
        raise InputError(
            "expected an invertible sform (srow_x, srow_y, srow_z) or qform (quatern_b, quatern_c, "
            "quatern_d), got neither"
        )
    return None, spacing


def _sform(fields: Any) -> NDArray[np.float64]:
    return np.stack([fields[f"srow_{axis}"] for axis in "xyz"]).astype(np.float64)


def _qform(fields: Any) -> NDArray[np.float64]:
    """The quaternion as a matrix; a pixdim that is no length is 1, a qfac other than -1 too."""
    b, c, d = (float(fields[f"quatern_{part}"]) for part in "bcd")
    left = 1 - (b * b + c * c + d * d)
    if not left >= -_TOO_LONG:
        return np.zeros((3, 4))
    sizes = np.abs(fields["pixdim"][1:4].astype(np.float64))
    sizes[~(np.isfinite(sizes) & (sizes > 0))] = 1
    if fields["pixdim"][0] < 0:
        sizes[2] *= -1
    place = [[float(fields[f"qoffset_{axis}"])] for axis in "xyz"]
    rotation = _rotation([math.sqrt(left) if left > _ROUNDING else 0.0, b, c, d])
    return np.hstack([rotation * sizes, place])


def _is_invertible(affine: NDArray[np.float64]) -> bool:
    lengths = np.linalg.norm(affine[:, :3], axis=0)
    if not (np.isfinite(affine).all() and np.isfinite(lengths).all() and lengths.all()):
        return False
    return bool(abs(np.linalg.det(affine[:, :3] / lengths)) > _FLAT)


def _slice_axis(
    shape: tuple[int, int, int],
    spacing: NDArray[np.float64],
    named: int,
    affine: NDArray[np.float64] | None,
) -> int:
    """The axis along which the scanner moved from slice to slice.

    The only axis of one voxel; else the only one of fewer than 16, without which a slice would be a
    strip; else the slice axis of `dim_info`, unless voxels are clearly coarser along another; else
    the axis of clearly the coarsest; else the axis nearest to the patient's, from feet to head.

    Args:
        named: Slice axis of `dim_info`, from 1; 0 where it names none.
    """
    single, thin = ([a for a in range(3) if shape[a] < least] for least in (2, MIN_SIDE))
    for few in (single, thin):
        if len(few) == 1:
            return few[0]
    known = bool(np.isfinite(spacing).all())
    if 1 <= named <= 3 and not (known and spacing.max() >= _CLEARLY * spacing[named - 1]):
        return named - 1
    coarsest, second = np.argsort(-spacing, kind="stable")[:2]
    if known and spacing[coarsest] >= _CLEARLY * spacing[second]:
        return int(coarsest)
    if affine is None:
        return 2
    return int(np.argmax(np.abs(affine[2, :3]) / np.linalg.norm(affine[:, :3], axis=0)))
