"""Volumes of neuroimaging that are not read here, told by their first bytes or their names."""

from __future__ import annotations

import re

_SAVE = "save it as NIfTI (.nii)"
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"NRRD000", f"an NRRD volume; {_SAVE}"),
    (b"CDF\x01", f"a NetCDF file, as MINC 1 is; {_SAVE}"),
    (b"CDF\x02", f"a NetCDF file, as MINC 1 is; {_SAVE}"),
    (b"\x89HDF\r\n\x1a\n", f"an HDF5 file, as MINC 2 is; {_SAVE}"),
    (b"MATRIX7", f"an ECAT volume; {_SAVE}"),
    (b"mrtrix image", f"an MRtrix image; {_SAVE}"),
    (b"!INTERFILE", f"an Interfile header; {_SAVE}"),
    (b"ObjectType = Image", f"a MetaImage; {_SAVE}"),
    (b"NDims = ", f"a MetaImage; {_SAVE}"),
    (b"# === DATA DESCRIPTION FILE", "half of a Philips PAR/REC pair; save both as one .nii file"),
    (b"mrtrix tracks", "streamlines, which are no image"),
    (b"TRACK\x00", "streamlines, which are no image"),
    (b"\xff\xff\xfe", "a FreeSurfer surface, which is no image"),
)
_AFNI = re.compile(rb"\s*type\s*=\s*(string|integer|float)-attribute")
_PAIRS = (
    ((".hdr", ".img"), "a .hdr/.img pair; save both as one .nii file"),
    ((".head", ".brik"), "an AFNI .HEAD/.BRIK pair; save both as one .nii file"),
    ((".par", ".rec"), "a Philips PAR/REC pair; save both as one .nii file"),
    ((".mhd", ".raw"), "a .mhd/.raw pair; save both as one .nii file"),
)
_ANALYZE_BYTES, _MGH_BYTES = 348, 284
_MGH_TYPES = (0, 1, 3, 4, 10)


def known_volume(head: bytes) -> str | None:
    """What a file is called, with an article and with advice; None where it is not known.

    Args:
        head: Its first bytes.
    """
    if _is_analyze(head):
        return "half of an Analyze .hdr/.img pair; save both as one .nii file"
    if _is_mgh(head):
        return f"an MGH volume of FreeSurfer; {_SAVE}"
    if _AFNI.match(head):
        return "half of an AFNI .HEAD/.BRIK pair; save both as one .nii file"
    return next((words for magic, words in _MAGIC if head.startswith(magic)), None)


def pair_of(name: str) -> tuple[str, str] | None:
    """What both files of a pair share, and the pair in words; None where it is no half by name."""
    stem, dot, suffix = name.lower().removesuffix(".gz").rpartition(".")
    found = (words for suffixes, words in _PAIRS if dot + suffix in suffixes)
    return next(((stem, words) for words in found), None)


def _is_analyze(head: bytes) -> bool:
    """Whether it is a header of Analyze 7.5: its own size, and from 1 to 7 axes."""
    order = {_ANALYZE_BYTES.to_bytes(4, o): o for o in ("little", "big")}.get(head[:4])
    axes = head[40:42] if order == "little" else head[41:39:-1]
    return order is not None and len(head) >= _ANALYZE_BYTES and 1 <= axes[0] <= 7 and not axes[1]


def _is_mgh(head: bytes) -> bool:
    """Whether it is version 1 of MGH, with sizes and a type of voxels that can be."""
    fields = [int.from_bytes(head[at : at + 4], "big", signed=True) for at in range(0, 24, 4)]
    return (
        len(head) >= _MGH_BYTES
        and fields[0] == 1
        and all(0 < size < 1 << 24 for size in fields[1:5])
        and fields[5] in _MGH_TYPES
    )
