"""Phantoms as pictures and files, PNG and a DICOM series; each says that it is synthetic."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from slicewise.arrays import Array, Bools
from slicewise.errors import InputError
from slicewise.files import whole
from slicewise.imaging.formats.dicom.image import PHANTOM_MANUFACTURER
from slicewise.synthetic.phantom import (
    LABELS,
    PLANES,
    PhantomParameters,
    draw_parameters,
    draw_series,
    paint,
)

SERIES_SLICES, SERIES_GAP_MM = 12, 8.75
FULL_SIGNAL = 1000.0
"""Modality value of signal 1: what a display shows as white."""

_ATTRIBUTES: dict[str, Any] = {
    **dict.fromkeys(("PatientBirthDate", "PatientSex", "AccessionNumber", "ScanOptions",
                     "ReferringPhysicianName", "PositionReferenceIndicator"), ""),
    **dict.fromkeys(("EchoTime", "EchoTrainLength", "RepetitionTime")),
    **dict.fromkeys(("SliceThickness", "SpacingBetweenSlices"), SERIES_GAP_MM), "StudyID": "1",
    "PatientName": "SYNTHETIC^PHANTOM", "StudyDate": "20000101", "SeriesDate": "20000101",
    "StudyTime": "000000", "SeriesTime": "000000", "SeriesNumber": 1, "Modality": "MR",
    "SeriesDescription": "SYNTHETIC T1 after contrast", "SOPClassUID": MRImageStorage,
    "Manufacturer": PHANTOM_MANUFACTURER, "PatientPosition": "HFS", "WindowWidth": FULL_SIGNAL,
    "ImageType": ["DERIVED", "SECONDARY", "OTHER"], "BurnedInAnnotation": "YES",
    "ScanningSequence": "SE", "SequenceVariant": "NONE", "MRAcquisitionType": "2D",
    "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16,
    "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0, "WindowCenter": FULL_SIGNAL / 2,
}  # fmt: skip
"""What every slice of a series says, by DICOM keyword (PS3.6)."""


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A drawn slice, (H, W) float32 modality values about 0 to 1000, and where its tumor is."""

    pixels: Array
    mask: Bools
    parameters: PhantomParameters

    @property
    def tumor_box(self) -> tuple[float, float, float, float] | None:
        """Centre x, centre y, width and height of the tumor as shares of the picture, if any."""
        if not self.mask.any():
            return None
        rows, columns = (np.flatnonzero(self.mask.any(axis=axis))[[0, -1]] for axis in (1, 0))
        edges = np.add([columns, rows], (0, 1))
        size = np.array(self.mask.shape[::-1])
        (x, y), (width, height) = edges.mean(axis=1) / size, np.ptp(edges, axis=1) / size
        return float(x), float(y), float(width), float(height)


def write_phantoms(out: Path, count: int, seed: int, size: int = 512) -> list[Path]:
    """Draw OUT/<label>/<label>_<k>.png, axial, coronal and sagittal in turn, and OUT/series/*.dcm.

    The same seed and size (pixels a side) give the same pictures, `count` of each label; files of
    the same name are replaced. The DICOM series is axial, through one head with a glioma. Returns
    the files written, pictures first, the series in order from bottom to top.

    Raises:
        InputError: `count` or `size` is out of range, or `out` cannot be written to.
    """
    if count < 1 or seed < 0:
        raise InputError(f"phantoms: expected count >= 1 and seed >= 0, got {count} and {seed}")
    if not 64 <= size <= 2048:
        raise InputError(f"phantoms: expected a size of 64 to 2048, got {size}")
    written = []
    try:
        for number, label in enumerate(LABELS):
            (out / label).mkdir(parents=True, exist_ok=True)
            for k in range(count):
                rng, plane = np.random.default_rng((seed, number, k)), PLANES[k % len(PLANES)]
                written.append(out / label / f"{label}_{k}.png")
                with whole(written[-1]) as draft:
                    write_png(render(draw_parameters(rng, label, plane), size), draft)
        (out / "series").mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng((seed, len(LABELS)))
        cuts = draw_series(rng, "glioma", SERIES_SLICES, SERIES_GAP_MM)
        for number, parameters in enumerate(cuts, start=1):
            written.append(out / "series" / f"slice_{number:02d}.dcm")
            dataset = _dataset(render(parameters, size), number, seed)
            with whole(written[-1]) as draft:
                dataset.save_as(draft, enforce_file_format=True)
        return written
    except OSError as error:
        raise InputError(f"{out}: cannot write phantoms there: {error.strerror}") from error


def render(parameters: PhantomParameters, size: int = 512) -> Phantom:
    """Draw a phantom slice, `size` (at least 64) pixels a side; equal arguments, equal pixels."""
    drawn = replace(parameters, cut=replace(parameters.cut, size=size))
    signal, tumor = paint(drawn)
    # Shading of the coil, noise, and the blur of the finite sampling of k-space.
    rng = np.random.default_rng(drawn.noise_seed)
    shading, sigma = float(rng.uniform(0.04, 0.12)), float(rng.uniform(0.012, 0.03))
    shade = shading * np.clip(drawn.cut.field(rng, 320), -2, 2)
    real, imaginary = sigma * rng.standard_normal((2, *signal.shape), dtype=np.float32)
    # Magnitude of a complex signal with Gaussian noise (Gudbjartsson and Patz 1995).
    image = np.hypot(signal * (1 + shade) + real, imaginary)
    for _ in range(2):  # rows, then columns
        padded = np.pad(image, ((1, 1), (0, 0)), mode="edge")
        image = (0.5 * image + 0.25 * (padded[:-2] + padded[2:])).T
    pixels = np.asarray(image, dtype=np.float32)
    # The darker upper corner says that it is synthetic.
    band, margin, quarter = pixels[: size // 16], size // 64, size // 4
    left = band[:, :quarter].mean() <= band[:, -quarter:].mean()
    ink, font = Image.new("F", band.shape[::-1]), ImageFont.load_default(max(7, size // 42))
    place, anchor = ((margin, margin), "lt") if left else ((size - margin, margin), "rt")
    ImageDraw.Draw(ink).text(place, "SYNTHETIC", fill=0.55, font=font, anchor=anchor)
    np.maximum(band, np.asarray(ink), out=band)
    return Phantom(pixels * np.float32(FULL_SIGNAL), tumor > 0.5, drawn)


def write_png(phantom: Phantom, to: Path | BinaryIO) -> None:
    """Write an 8-bit grey PNG whose text chunks hold what was drawn."""
    notes = PngInfo()
    for key, value in notes_of(phantom).items():
        notes.add_text(f"slicewise:{key}", value)
    grey = np.clip(np.rint(phantom.pixels * (255 / FULL_SIGNAL)), 0, 255).astype(np.uint8)
    Image.fromarray(grey).save(to, "PNG", pnginfo=notes)


def notes_of(phantom: Phantom) -> dict[str, str]:
    """Annotations of a phantom: `synthetic`, `drawn`, and `tumor_box` where there is a tumor."""
    notes = {"synthetic": "true", "drawn": phantom.parameters.label}
    if (box := phantom.tumor_box) is not None:
        notes["tumor_box"] = " ".join(f"{share:.4f}" for share in box)
    return notes


def _dataset(phantom: Phantom, number: int, seed: int) -> FileDataset:
    """MR Image Storage (PS3.3 A.4), explicit VR little endian; `number` counts from 1."""

    def uid(*parts: object) -> UID:
        return generate_uid(entropy_srcs=["slicewise-phantom", str(seed), *map(str, parts)])

    meta, instance = FileMetaDataset(), uid("instance", number - 1)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    # pydicom takes None for a dataset that has no file yet; its annotation does not say so.
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)  # type: ignore[arg-type]
    stored = np.clip(np.rint(phantom.pixels), 0, 4095).astype("<u2")
    notes = ";".join(f"{key}={value}" for key, value in notes_of(phantom).items())
    cut = phantom.parameters.cut
    corner, across, down = cut.frame().astype(np.float64)
    directions = across / cut.spacing_mm, down / cut.spacing_mm
    changing = {
        "SOPInstanceUID": instance, "InstanceNumber": number, "PatientID": f"PHANTOM-{seed}",
        "StudyInstanceUID": uid("study"), "SeriesInstanceUID": uid("series"),
        "FrameOfReferenceUID": uid("frame"), "ImageComments": f"slicewise:{notes}",
        "Rows": stored.shape[0], "Columns": stored.shape[1], "PixelData": stored.tobytes(),
        "ImagePositionPatient": corner.round(4).tolist(),
        "ImageOrientationPatient": np.concatenate(directions).round(8).tolist(),
        "PixelSpacing": [round(cut.spacing_mm, 6)] * 2,
        "SliceLocation": round(float(np.dot(corner, np.cross(*directions))), 4),
    }  # fmt: skip
    for keyword, value in (_ATTRIBUTES | changing).items():
        setattr(dataset, keyword, value)
    return dataset
