"""Phantoms as files, PNG by label and a DICOM series; each says that it is synthetic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from slicewise.errors import InputError
from slicewise.files import whole
from slicewise.synthetic.phantom.drawing import FULL_SIGNAL, Phantom, render
from slicewise.synthetic.phantom.parameters import (
    LABELS,
    PLANES,
    Label,
    draw_parameters,
    draw_series,
)

SERIES_SLICES = 12
SERIES_LABEL: Label = "glioma"
MANUFACTURER = "SliceWise phantom"
SMALLEST_SIDE, LARGEST_SIDE = 64, 2048


def write_phantoms(
    out: Path, count: int, seed: int, size: int = 512, *, dicom_series: bool = True
) -> list[Path]:
    """Draw phantoms into OUT/<label>/<label>_<k>.png and OUT/series/*.dcm.

    The planes take turns: axial, coronal, sagittal.

    Args:
        out: Folder to write to; made where it does not exist, files of the same name replaced.
        count: Pictures of each label, at least 1.
        seed: The same seed and size give the same pictures.
        size: Pixels a side.
        dicom_series: Whether to draw an axial DICOM series through one head with a glioma too.

    Returns:
        The files written, pictures first, the series in order from bottom to top.

    Raises:
        InputError: `count` or `size` is out of range, or `out` cannot be written to.
    """
    if count < 1 or seed < 0:
        raise InputError(f"phantoms: expected count >= 1 and seed >= 0, got {count} and {seed}")
    if not SMALLEST_SIDE <= size <= LARGEST_SIDE:
        raise InputError(
            f"phantoms: expected a size of {SMALLEST_SIDE} to {LARGEST_SIDE}, got {size}"
        )
    try:
        written = _write_pictures(out, count, seed, size)
        return [*written, *(_write_series(out / "series", seed, size) if dicom_series else [])]
    except OSError as error:
        raise InputError(f"{out}: cannot write phantoms there: {error.strerror}") from error


def _write_pictures(out: Path, count: int, seed: int, size: int) -> list[Path]:
    written = []
    for number, label in enumerate(LABELS):
        (out / label).mkdir(parents=True, exist_ok=True)
        for k in range(count):
            rng = np.random.default_rng((seed, number, k))
            phantom = render(draw_parameters(rng, label, PLANES[k % len(PLANES)]), size)
            path = out / label / f"{label}_{k}.png"
            with whole(path) as draft:
                write_png(phantom, draft)
            written.append(path)
    return written


def _write_series(folder: Path, seed: int, size: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng((seed, len(LABELS)))
    cuts = draw_series(rng, SERIES_LABEL, SERIES_SLICES)
    phantoms = [render(parameters, size) for parameters in cuts]
    paths = [folder / f"slice_{number:02d}.dcm" for number in range(1, len(phantoms) + 1)]
    for dataset, path in zip(series_datasets(phantoms, seed), paths, strict=True):
        with whole(path) as draft:
            dataset.save_as(draft, enforce_file_format=True)
    return paths


def write_png(phantom: Phantom, to: Path | BinaryIO) -> None:
    """Write an 8-bit grey PNG whose text chunks tell what was drawn."""
    notes = PngInfo()
    for key, value in notes_of(phantom).items():
        notes.add_text(f"slicewise:{key}", value)
    grey = np.clip(np.rint(phantom.pixels * (255 / FULL_SIGNAL)), 0, 255).astype(np.uint8)
    Image.fromarray(grey).save(to, "PNG", pnginfo=notes)


def notes_of(phantom: Phantom) -> dict[str, str]:
    """What a phantom says of itself: `synthetic`, `drawn`, and `tumor_box` where there is one."""
    notes = {"synthetic": "true", "drawn": phantom.parameters.label}
    box = phantom.tumor_box
    if box is not None:
        notes["tumor_box"] = " ".join(f"{share:.4f}" for share in box)
    return notes


def series_datasets(phantoms: Sequence[Phantom], seed: int) -> list[FileDataset]:
    """MR Image Storage datasets of one series (PS3.3 A.4), explicit VR little endian.

    Args:
        phantoms: Cuts of one head, evenly spaced, in order.
        seed: Makes the identifiers, so that equal seeds give equal files.
    """
    offsets = [phantom.parameters.offset_mm for phantom in phantoms]
    gap = float(np.mean(np.diff(offsets))) if len(offsets) > 1 else 1.0
    return [_dataset(phantom, index, gap, seed) for index, phantom in enumerate(phantoms)]


def _dataset(phantom: Phantom, index: int, gap_mm: float, seed: int) -> FileDataset:
    uid = _uid(seed, "instance", index)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    # pydicom takes None for a dataset that has no file yet; its annotation does not say so.
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)  # type: ignore[arg-type]
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = uid
    dataset.InstanceNumber = index + 1
    _describe_study(dataset, seed)
    _describe_scan(dataset, gap_mm)
    _describe_place(dataset, phantom)
    _describe_pixels(dataset, phantom)
    notes = ";".join(f"{key}={value}" for key, value in notes_of(phantom).items())
    dataset.ImageComments = f"slicewise:{notes}"
    return dataset


def _uid(seed: int, *parts: object) -> UID:
    return generate_uid(entropy_srcs=["slicewise-phantom", str(seed), *map(str, parts)])


def _describe_study(dataset: Dataset, seed: int) -> None:
    dataset.PatientName = "SYNTHETIC^PHANTOM"
    dataset.PatientID = f"PHANTOM-{seed}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.StudyDate = dataset.SeriesDate = "20000101"
    dataset.StudyTime = dataset.SeriesTime = "000000"
    dataset.StudyID = "1"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyInstanceUID = _uid(seed, "study")
    dataset.SeriesInstanceUID = _uid(seed, "series")
    dataset.FrameOfReferenceUID = _uid(seed, "frame")
    dataset.PositionReferenceIndicator = ""
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = "SYNTHETIC T1 after contrast"


def _describe_scan(dataset: Dataset, gap_mm: float) -> None:
    dataset.Modality = "MR"
    dataset.Manufacturer = MANUFACTURER
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    dataset.BurnedInAnnotation = "YES"
    dataset.ScanningSequence = "SE"
    dataset.SequenceVariant = "NONE"
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = "2D"
    dataset.EchoTime = None
    dataset.EchoTrainLength = None
    dataset.RepetitionTime = None
    dataset.SpacingBetweenSlices = round(gap_mm, 4)
    dataset.SliceThickness = round(gap_mm, 4)


def _describe_place(dataset: Dataset, phantom: Phantom) -> None:
    cut = phantom.parameters.cut(phantom.pixels.shape[0])
    corner, across, down = (axis.astype(np.float64) for axis in cut.frame())
    directions = [*(across / cut.spacing_mm), *(down / cut.spacing_mm)]
    normal = np.cross(directions[:3], directions[3:])
    dataset.ImagePositionPatient = [round(float(value), 4) for value in corner]
    dataset.ImageOrientationPatient = [round(float(value), 8) for value in directions]
    dataset.PixelSpacing = [round(cut.spacing_mm, 6)] * 2
    dataset.SliceLocation = round(float(np.dot(corner, normal)), 4)
    dataset.PatientPosition = "HFS"


def _describe_pixels(dataset: Dataset, phantom: Phantom) -> None:
    stored = np.clip(np.rint(phantom.pixels), 0, 4095).astype("<u2")
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12
    dataset.HighBit = 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter = FULL_SIGNAL / 2
    dataset.WindowWidth = FULL_SIGNAL
    dataset.PixelData = stored.tobytes()
