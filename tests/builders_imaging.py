"""Pictures, DICOM files, NIfTI volumes and archives built from arrays."""

import gzip
import io
import itertools
import struct
import zipfile
import zlib
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
_INSTANCES = itertools.count(1_000_000)  # all of one length, so that files are too


def ramp(rows=20, columns=24, dtype=np.uint16, scale=1):
    """Every pixel differs from every other, so that a turned or shifted image is seen."""
    return (np.arange(rows * columns).reshape(rows, columns) * scale).astype(dtype)


def picture_bytes(pixels, kind="PNG", mode=None, **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    if mode:
        image = image.convert(mode)
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def png_header(width, height):
    """A PNG that declares an extent and holds nearly nothing."""

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(width + 1) * height, 9)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def png_with(data, *chunks, behind=False):
    """A PNG with further chunks, (type, data) or (type, data, False) for a wrong check sum."""
    extra = b""
    for kind, content, *right in chunks:
        chunk = _chunk(kind, content)
        extra += chunk if right != [False] else chunk[:-4] + b"\xde\xad\xbe\xef"
    at = len(data) - 12 if behind else 33  # before the end, or behind the header
    return data[:at] + extra + data[at:]


def tiff_bytes(*pages, order="<", big=False, tile=False, **tags):
    """A TIFF of arrays (rows, columns) or (planes, rows, columns), not compressed.

    Args:
        tags: Numbers by `t` and the number of the tag, such as `t262=0`; for every page.
    """
    offset, width, head = ("Q", 8, 16) if big else ("I", 4, 8)
    mark = {"<": b"II", ">": b"MM"}[order]
    body = mark + struct.pack(f"{order}H", 43 if big else 42)
    body += struct.pack(f"{order}HH", 8, 0) if big else b""
    links = [len(body)]
    body += bytes(head - len(body))
    for array in pages:
        planes = array.reshape(-1, *array.shape[-2:])
        kind = {"u": 1, "i": 2, "f": 3, "b": 1}[array.dtype.kind]
        starts = [len(body) + plane.nbytes * i for i, plane in enumerate(planes)]
        body += planes.astype(array.dtype.newbyteorder(order)).tobytes()
        rows, columns = array.shape[-2:]
        sizes = [planes[0].nbytes] * len(planes)
        known = {256: columns, 257: rows, 258: array.dtype.itemsize * 8, 259: 1, 262: 1}
        if tile:
            known |= {322: columns, 323: rows, 324: starts, 325: sizes}
        else:
            known |= {273: starts, 278: rows, 279: sizes}
        known |= {277: len(planes), 284: 2 if len(planes) > 1 else 1, 339: kind}
        known |= {int(name[1:]): value for name, value in tags.items()}
        fields = []
        for tag, value in sorted(known.items()):
            values = value if isinstance(value, list | tuple) else [value]
            packed = struct.pack(f"{order}{len(values)}I", *values)
            if len(packed) > width:
                packed, body = struct.pack(f"{order}{offset}", len(body)), body + packed
            fields.append(struct.pack(f"{order}HH{offset}", tag, 4, len(values)))
            fields.append(packed.ljust(width, b"\0"))
        here = struct.pack(f"{order}{offset}", len(body))
        body = body[: links[-1]] + here + body[links[-1] + width :]
        body += struct.pack(f"{order}{'Q' if big else 'H'}", len(known)) + b"".join(fields)
        links.append(len(body))
        body += bytes(width)
    return body


def _chunk(kind, data):
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def dicom_dataset(array, **tags):
    """A single-frame MR image, (frames, rows, columns) for a multi-frame one."""
    dataset = Dataset()
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = f"1.2.3.5.{next(_INSTANCES)}"
    dataset.StudyInstanceUID = "1.2.3"
    dataset.SeriesInstanceUID = "1.2.3.4"
    dataset.Modality = "MR"
    dataset.PatientID = "PATIENT-1"
    dataset.PatientName = "Secret^Name"
    colour = array.ndim >= 3 and array.shape[-1] == 3
    frames = array.ndim - 2 - colour
    if frames:
        dataset.NumberOfFrames = array.shape[0]
    dataset.Rows, dataset.Columns = array.shape[frames : frames + 2]
    dataset.SamplesPerPixel = 3 if colour else 1
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = array.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    dataset.PixelData = array.tobytes()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


def written(dataset, syntax=ExplicitVRLittleEndian):
    """The bytes of a data set in a DICOM file; pixel data are encoded where pydicom can."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(
        None,
        dataset,
        file_meta=meta,
        preamble=bytes(128),
        is_implicit_VR=syntax.is_implicit_VR,
        is_little_endian=syntax.is_little_endian,
    )
    if syntax.is_encapsulated:
        file.compress(syntax, generate_instance_uid=False)
    meta.TransferSyntaxUID = syntax
    if not syntax.is_little_endian:
        swapped = np.frombuffer(file.PixelData, "<u2").astype(">u2")
        file.PixelData = swapped.tobytes()
    stream = io.BytesIO()
    file.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def dicom_bytes(array, syntax=ExplicitVRLittleEndian, **tags):
    return written(dicom_dataset(array, **tags), syntax)


def encapsulated_bytes(array, codestream, syntax, **tags):
    """A DICOM file around an image that something other than pydicom compressed."""
    return around(dicom_dataset(array, **tags), encapsulate([codestream]), syntax)


def around(dataset, pixel_data, syntax, undefined_length=True):
    """A DICOM file around pixel data that are in their transfer syntax already."""
    dataset.PixelData = pixel_data
    dataset["PixelData"].is_undefined_length = undefined_length
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    file = FileDataset(None, dataset, file_meta=meta, preamble=bytes(128))
    file.save_as(stream, implicit_vr=False, little_endian=True, force_encoding=True)
    return stream.getvalue()


def group(**tags):
    """One item of a sequence."""
    item = Dataset()
    for keyword, value in tags.items():
        setattr(item, keyword, value)
    return item


def enhanced_bytes(volume, positions, slopes, orientation=AXIAL, spacing=(0.5, 0.5), **tags):
    """An enhanced multi-frame MR image with the geometry and the rescale of each frame."""
    per_frame = [
        group(
            PlanePositionSequence=Sequence([group(ImagePositionPatient=list(position))]),
            PixelValueTransformationSequence=Sequence(
                [group(RescaleSlope=slope, RescaleIntercept=0)]
            ),
        )
        for position, slope in zip(positions, slopes, strict=True)
    ]
    shared = group(
        PlaneOrientationSequence=Sequence([group(ImageOrientationPatient=list(orientation))]),
        PixelMeasuresSequence=Sequence([group(PixelSpacing=list(spacing), SliceThickness=3)]),
        FrameVOILUTSequence=Sequence([group(WindowCenter=100, WindowWidth=200)]),
    )
    return dicom_bytes(
        volume,
        PerFrameFunctionalGroupsSequence=Sequence(per_frame),
        SharedFunctionalGroupsSequence=Sequence([shared]),
        **tags,
    )


def dicom_series(folder: Path, volume, order=None, prefix="slice", **tags):
    """One file a slice, 3 mm apart along z; `order` numbers the files."""
    folder.mkdir(parents=True, exist_ok=True)
    tags = {"ImageOrientationPatient": list(AXIAL), "PixelSpacing": [1, 1], **tags}
    for file, index in enumerate(order if order is not None else range(len(volume))):
        position = [0, 0, 3 * index]
        data = dicom_bytes(
            volume[index], ImagePositionPatient=position, InstanceNumber=file + 1, **tags
        )
        (folder / f"{prefix}{file:03}.dcm").write_bytes(data)
    return folder


def nifti_bytes(voxels, affine=None, code=2, kind=nibabel.Nifti1Image, **fields):
    """A volume by its sform; `fields` are put into the header whatever they say."""
    image = kind(voxels, np.eye(4) if affine is None else affine)
    data = image.to_bytes()
    header, size = image.header, image.header.sizeof_hdr
    changed = type(header)(data[:size], check=False)
    for name, value in {"qform_code": 0, "sform_code": code, **fields}.items():
        changed[name] = value
    return changed.binaryblock + data[size:]


def gzip_bytes(data):
    """Always the same bytes: with the time in it, gzip makes others each second."""
    return gzip.compress(data, mtime=0)


def zip_bytes(members, compression=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return stream.getvalue()
