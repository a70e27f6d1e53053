"""DICOM files for `comparison_inputs.py`: syntaxes, photometry, headers, series, broken files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEG2000,
    MPEG2MPML,
    UID,
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    MRImageStorage,
    RLELossless,
    generate_uid,
)

from comparison_drawing import coloured, grey8, grey16, head, volume

Files = dict[str, bytes]
PLANES = {
    "axial": ((1, 0, 0, 0, 1, 0), (0, 0, 1)),
    "coronal": ((1, 0, 0, 0, 0, -1), (0, 1, 0)),
    "sagittal": ((0, 1, 0, 0, 0, -1), (1, 0, 0)),
}
"""Image Orientation (Patient) and the direction from slice to slice, by name."""

_SPACING_MM = 5


def dataset(pixels: NDArray[Any], **tags: Any) -> Dataset:
    """An MR image; (frames, rows, columns) makes it multi-frame, a last axis of 3 RGB.

    Args:
        pixels: Stored values.
        tags: Further attributes by keyword; None removes one.
    """
    made = Dataset()
    made.SOPClassUID, made.Modality = MRImageStorage, "MR"
    made.PatientID, made.StudyInstanceUID = "MADE-UP", "1.2.3"
    rgb = pixels.shape[-1] == 3
    if pixels.ndim - rgb == 3:
        made.NumberOfFrames = len(pixels)
    made.Rows, made.Columns = pixels.shape[-3:-1] if rgb else pixels.shape[-2:]
    made.SamplesPerPixel = 3 if rgb else 1
    made.PhotometricInterpretation = "RGB" if rgb else "MONOCHROME2"
    if rgb:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = pixels.dtype.itemsize * 8
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PixelData = pixels.tobytes()
    for keyword, value in tags.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    # The same content has the same identity in every run, other content another one.
    seed = [f"{pixels.sum()} {pixels.shape} {sorted(map(str, tags.items()))}"]
    made.SOPInstanceUID = tags.get("SOPInstanceUID") or generate_uid(entropy_srcs=seed)
    if "SeriesInstanceUID" not in tags:
        made.SeriesInstanceUID = generate_uid(entropy_srcs=[*seed, "series"])
    return made


def written(
    made: Dataset, syntax: UID = ExplicitVRLittleEndian, *, encode: bool = True, **how: Any
) -> bytes:
    """A data set as a file; pydicom encodes the pixels, unless something else did."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = made.SOPClassUID
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(
        "",
        made,
        file_meta=meta,
        preamble=bytes(128),
        is_implicit_VR=syntax.is_implicit_VR,
        is_little_endian=syntax.is_little_endian,
    )
    if syntax.is_encapsulated and encode:
        file.compress(syntax, generate_instance_uid=False, **how)
    meta.TransferSyntaxUID = syntax
    if not syntax.is_little_endian:
        file.PixelData = np.frombuffer(file.PixelData, "<u2").astype(">u2").tobytes()
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some values are wrong on purpose
        file.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def dicom(pixels: NDArray[Any], **tags: Any) -> bytes:
    """An uncompressed file."""
    return written(dataset(pixels, **tags))


def item(**tags: Any) -> Dataset:
    """One item of a sequence."""
    made = Dataset()
    for keyword, value in tags.items():
        setattr(made, keyword, value)
    return made


def dicom_files() -> Files:
    """Single files, each a series of its own."""
    return {**_syntaxes(), **_photometry(), **_headers(), **_several_frames(), **_faults()}


def _syntaxes() -> Files:
    pixels, small = grey16(head(4, 160)), grey8(head(4, 160))
    ways: Mapping[str, tuple[UID, dict[str, Any]]] = {
        "implicit": (ImplicitVRLittleEndian, {}),
        "explicit": (ExplicitVRLittleEndian, {}),
        "big_endian": (ExplicitVRBigEndian, {}),
        "deflated": (DeflatedExplicitVRLittleEndian, {}),
        "rle": (RLELossless, {}),
        "jpeg_2000": (JPEG2000Lossless, {}),
        "jpeg_2000_lossy": (JPEG2000, {"j2k_cr": [8]}),
        "jpeg_ls": (JPEGLSLossless, {}),
        "jpeg_ls_near": (JPEGLSNearLossless, {"jls_error": 3}),
    }
    found = {
        f"syntax_{name}.dcm": written(dataset(pixels, SeriesNumber=number), syntax, **how)
        for number, (name, (syntax, how)) in enumerate(ways.items(), start=1)
    }
    stream = io.BytesIO()
    Image.fromarray(small).save(stream, "JPEG", quality=90)
    jpeg = _around(stream.getvalue(), small)
    found["syntax_jpeg.dcm"] = written(jpeg, JPEGBaseline8Bit, encode=False)
    video = _around(bytes(200), pixels, SeriesNumber=89)
    found["syntax_video.dcm"] = written(video, MPEG2MPML, encode=False)
    found["syntax_none.dcm"] = dicom(pixels, SeriesNumber=90)[132:]
    found["no_suffix"] = dicom(pixels, SeriesNumber=91)
    found["named.png"] = dicom(pixels, SeriesNumber=92)
    return found


def _around(codestream: bytes, pixels: NDArray[Any], **tags: Any) -> Dataset:
    """The data set of an image that something other than pydicom compressed."""
    made = dataset(pixels, PixelData=encapsulate([codestream]), **tags)
    made["PixelData"].is_undefined_length = True
    return made


def _photometry() -> Files:
    pixels = head(8, 160)
    twelve, eight = grey16(pixels), grey8(pixels)
    signed = grey16(pixels, 2000, np.int16) - np.int16(500)
    padded = np.pad(twelve, 20, constant_values=5000)
    colours = grey8(np.random.default_rng(2).random((3, 256)))
    palette = {
        "PhotometricInterpretation": "PALETTE COLOR",
        **{
            f"{name}PaletteColorLookupTable{part}": value
            for name, table in zip(("Red", "Green", "Blue"), colours, strict=True)
            for part, value in (("Descriptor", [256, 0, 8]), ("Data", table.tobytes()))
        },
    }
    window = {"WindowCenter": 900, "WindowWidth": 1200}
    ramp = np.linspace(0, 255, 4096).astype("<u2")
    table = item(LUTDescriptor=[4096, 0, 16], LUTData=ramp.tobytes(), ModalityLUTType="US")
    rgb = coloured(30)
    files: Mapping[str, tuple[NDArray[Any], dict[str, Any]]] = {
        "8_bit": (eight, {}),
        "12_bit": (twelve, {"BitsStored": 12, "HighBit": 11}),
        "32_bit": (twelve.astype(np.uint32), {}),
        "signed": (signed, {}),
        "inverted": (twelve, {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12}),
        "inverted_window": (twelve, {"PhotometricInterpretation": "MONOCHROME1", **window}),
        "window": (twelve, window),
        "narrow_window": (twelve, {"WindowCenter": 1800, "WindowWidth": 300}),
        "two_windows": (twelve, {"WindowCenter": [900, 100], "WindowWidth": [1200, 50]}),
        "exact_window": (twelve, {**window, "VOILUTFunction": "LINEAR_EXACT"}),
        "sigmoid_window": (twelve, {**window, "VOILUTFunction": "SIGMOID"}),
        "no_window_width": (twelve, {"WindowCenter": 900, "WindowWidth": 0}),
        "rescale": (twelve, {"RescaleSlope": 0.25, "RescaleIntercept": -100, **window}),
        "negative_slope": (twelve, {"RescaleSlope": -1, "RescaleIntercept": 4095}),
        "zero_slope": (twelve, {"RescaleSlope": 0, "RescaleIntercept": 0}),
        "padding": (padded, {"PixelPaddingValue": 5000}),
        "padding_range": (padded, {"PixelPaddingValue": 4990, "PixelPaddingRangeLimit": 5001}),
        "modality_table": (twelve, {"ModalityLUTSequence": Sequence([table])}),
        "display_table": (twelve, {"VOILUTSequence": Sequence([table])}),
        "rgb": (rgb, {}),
        "rgb_by_plane": (rgb, {"PlanarConfiguration": 1}),
        "grey_rgb": (np.repeat(eight[..., None], 3, axis=2), {}),
        "palette": (eight, palette),
        "blank": (np.full((64, 64), 300, np.uint16), {}),
    }
    return {f"{name}.dcm": dicom(values, **tags) for name, (values, tags) in files.items()}


def _headers() -> Files:
    pixels = grey16(head(12, 160))
    files: Mapping[str, dict[str, Any]] = {
        "ct": {"Modality": "CT"},
        "converted": {"Modality": "OT"},
        "no_modality": {"Modality": None},
        "no_patient": {"PatientID": None},
        "no_series": {"SeriesInstanceUID": ""},
        "umlaut": {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Müller^Jörg"},
        "oblong": {"PixelSpacing": [1, 2]},
        "bad_spacing": {"PixelSpacing": [0, 0]},
        "bad_orientation": {"ImageOrientationPatient": [1, 1, 1, 1, 1, 1]},
    }
    return {f"{name}.dcm": dicom(pixels, **tags) for name, tags in files.items()}


def _several_frames() -> Files:
    frames = grey16(volume(5, 6, 96))
    orientation, step = PLANES["axial"]
    places = [
        item(
            PlanePositionSequence=Sequence([item(ImagePositionPatient=_place(step, index))]),
            PixelValueTransformationSequence=Sequence(
                [item(RescaleSlope=1 + index, RescaleIntercept=0)]
            ),
        )
        for index in range(len(frames))
    ]
    shared = item(
        PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=list(orientation))]),
        PixelMeasuresSequence=Sequence([item(PixelSpacing=[1, 1], SliceThickness=4)]),
    )
    groups = {
        "PerFrameFunctionalGroupsSequence": Sequence(places),
        "SharedFunctionalGroupsSequence": Sequence([shared]),
    }
    return {
        "frames.dcm": dicom(frames),
        "frames_rle.dcm": written(dataset(frames, SeriesNumber=2), RLELossless),
        "enhanced.dcm": dicom(frames, **groups),
        "too_many_frames.dcm": dicom(frames, NumberOfFrames=5000),
        "no_frames.dcm": dicom(frames[0], NumberOfFrames=0),
    }


def _faults() -> Files:
    pixels = grey16(head(16, 128))
    report = dataset(
        pixels, PixelData=None, Rows=None, Columns=None, SOPClassUID=BasicTextSRStorage
    )
    del report.PhotometricInterpretation
    packed = written(dataset(pixels, SeriesNumber=6), JPEG2000Lossless)
    smaller = written(dataset(pixels, SeriesNumber=7), JPEG2000Lossless)
    wrong_size = smaller.replace(
        b"\x28\x00\x10\x00US\x02\x00\x80\x00", b"\x28\x00\x10\x00US\x02\x00\x40\x00"
    )
    return {
        "no_pixels.dcm": dicom(pixels, PixelData=None),
        "no_rows.dcm": dicom(pixels, Rows=None),
        "no_photometry.dcm": dicom(pixels, PhotometricInterpretation=None),
        "report.dcm": written(report),
        "few_pixels.dcm": dicom(pixels, PixelData=pixels.tobytes()[:1000]),
        "tiny.dcm": dicom(pixels[:8, :8]),
        "cut_2000.dcm": packed[: len(packed) // 2],
        "wrong_size.dcm": wrong_size,
    }


def series() -> Files:
    """Folders of a series each, in three planes, and what goes wrong in folders."""
    found: Files = {}
    for number, plane in enumerate(PLANES):
        found |= {f"{plane}/{name}": data for name, data in _one(plane, seed=40 + number)}
    found |= {f"backwards/{name}": data for name, data in _one("axial", 44, backwards=True)}
    found |= {f"two/{name}": data for name, data in _one("axial", 45)}
    found |= {f"two/other_{name}": data for name, data in _one("coronal", 46)}
    found |= {f"twice/{name}": data for name, data in _one("axial", 47)}
    found["twice/again.dcm"] = found["twice/003.dcm"]
    found |= {f"one_cut/{name}": data for name, data in _one("axial", 48)}
    found["one_cut/003.dcm"] = found["one_cut/003.dcm"][:4000]
    found |= {f"pair/{name}": data for name, data in list(_one("axial", 49))[2:4]}
    found |= {
        f"no_places/{name}": data for name, data in _one("axial", 50, backwards=True, placed=False)
    }
    found |= {f"long/{name}": data for name, data in _one("axial", 52, slices=14, reach=0.4)}
    found |= {f"ct/{name}": data for name, data in _one("axial", 51, Modality="CT")}
    return found


def _one(
    plane: str,
    seed: int,
    *,
    slices: int = 7,
    reach: float = 0.75,
    backwards: bool = False,
    placed: bool = True,
    **tags: Any,
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files of one series."""
    orientation, step = PLANES[plane]
    frames = grey16(volume(seed, slices, 112, reach))
    for index, pixels in enumerate(frames):
        where = {
            "ImageOrientationPatient": list(orientation),
            "ImagePositionPatient": _place(step, index),
        }
        number = len(frames) - index if backwards else index + 1
        yield (
            f"{index + 1:03}.dcm",
            dicom(
                pixels,
                SeriesInstanceUID=f"1.2.3.{seed}",
                InstanceNumber=number,
                PixelSpacing=[1.5, 1.5],
                SliceThickness=_SPACING_MM,
                **(where if placed else {}),
                **tags,
            ),
        )


def _place(step: tuple[int, int, int], index: int) -> list[int]:
    return [_SPACING_MM * index * part for part in step]
