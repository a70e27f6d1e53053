"""Volumes of other formats are refused by name, and their pairs of files once."""

import struct

import nibabel
import numpy as np
import pytest

from builders_imaging import dicom_bytes, gzip_bytes, ramp, zip_bytes
from slicewise.errors import UnsupportedImageError
from slicewise.imaging.formats.neuroimaging import known_volume, pair_of
from slicewise.imaging.read import read_inputs, read_slices

VOXELS = np.zeros((20, 24, 17), np.int16)
AFNI = b"\ntype  = string-attribute\nname  = TYPESTRING\ncount = 15\n'3DIM_HEAD_ANAT~\n"
PAR = b"# === DATA DESCRIPTION FILE ====\r\n# Patient name : Secret^Name\r\n"
META = b"ObjectType = Image\nNDims = 3\nDimSize = 20 24 17\nElementDataFile = a.raw\n"


def mgh(kind=0, sizes=(20, 24, 17, 1)):
    return struct.pack(">6i", 1, *sizes, kind).ljust(284, b"\0") + VOXELS.tobytes()


def analyze(order):
    header = nibabel.AnalyzeHeader(endianness=order)
    header.set_data_shape(VOXELS.shape)
    return header.binaryblock


KNOWN = {
    "an MGH volume of FreeSurfer": [mgh(), mgh(3), mgh(4), gzip_bytes(mgh())],
    "half of an Analyze .hdr/.img pair": [analyze("<"), analyze(">"), gzip_bytes(analyze("<"))],
    "half of an AFNI .HEAD/.BRIK pair": [AFNI, AFNI.lstrip(), b"type=integer-attribute\nname=X"],
    "half of a Philips PAR/REC pair": [PAR],
    "a NetCDF file, as MINC 1 is": [b"CDF\x01" + bytes(99), b"CDF\x02", gzip_bytes(b"CDF\x01")],
    "an HDF5 file, as MINC 2 is": [b"\x89HDF\r\n\x1a\n" + bytes(99)],
    "an NRRD volume": [b"NRRD0004\ntype: short\n", b"NRRD0001\n", gzip_bytes(b"NRRD0005\n")],
    "a MetaImage": [META, b"NDims = 3\n", META + bytes(99)],
    "an ECAT volume": [b"MATRIX72v" + bytes(99)],
    "an MRtrix image": [b"mrtrix image\ndim: 20,24,17\n"],
    "an Interfile header": [b"!INTERFILE :=\n"],
    "streamlines": [b"TRACK\0" + bytes(99), b"mrtrix tracks\n"],
}


@pytest.mark.parametrize(
    ("words", "data"), [(words, data) for words, files in KNOWN.items() for data in files]
)
def test_refused_by_name(words, data):
    with pytest.raises(UnsupportedImageError) as told:
        read_slices(data, name="x")
    assert f"NIfTI or zip, got {words}" in str(told.value)
    assert "Secret" not in str(told.value)


@pytest.mark.parametrize(
    "data",
    [
        bytes(400),
        b"text",
        mgh(kind=2),
        mgh(sizes=(20, 24, 0, 1)),
        mgh(sizes=(20, 24, -1, 1)),
        mgh()[:200],
        struct.pack("<i", 348) + bytes(344),
        struct.pack(">i", 348) + bytes(344),
        analyze("<")[:300],
        b"type of file",
        b"CDF\x07",
    ],
)
def test_others_are_not_mistaken(data):
    assert known_volume(data) is None


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a/b.hdr", "a/b"),
        ("a/B.IMG", "a/b"),
        ("a/b.img.gz", "a/b"),
        ("z.zip!c+orig.BRIK.gz", "z.zip!c+orig"),
        ("c.REC", "c"),
        ("c.raw", "c"),
    ],
)
def test_halves_by_name(name, stem):
    assert pair_of(name)[0] == stem


@pytest.mark.parametrize("name", ["a", "img", "a.nii", "a.hdr.txt", "folder.img/a", ""])
def test_other_names_are_no_halves(name):
    assert pair_of(name) is None


PAIRS = {
    "a.hdr": (analyze("<"), "a.img"),
    "a.HEAD": (AFNI, "a.BRIK"),
    "a.PAR": (PAR, "a.REC"),
    "a.mhd": (META, "a.raw"),
}


@pytest.mark.parametrize("header", PAIRS)
@pytest.mark.parametrize("as_zip", [False, True])
def test_a_pair_has_one_answer_beside_others(tmp_path, header, as_zip):
    text, voxels = PAIRS[header]
    members = {header: text, voxels: VOXELS.tobytes(), "b.dcm": dicom_bytes(ramp())}
    for name, data in members.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "all.zip").write_bytes(zip_bytes(members))
    found = tmp_path / "all.zip"
    if not as_zip:
        found.unlink()
        found = tmp_path
    told, read = read_inputs([found])
    assert len(read.slices) == 1
    assert "save" in told.error
    assert ".nii" in told.error


@pytest.mark.parametrize("name", ["a.img", "a.BRIK", "a.REC.gz", "a.raw"])
def test_voxels_alone_say_what_they_are(tmp_path, name):
    (tmp_path / name).write_bytes(VOXELS.tobytes())
    (told,) = read_inputs([tmp_path / name])
    assert "got half of" in told.error


def test_surfaces_in_words_are_left_out_of_a_folder(tmp_path):
    (tmp_path / "lh.gii").write_text('<?xml version="1.0"?>\n<GIFTI Version="1.0">')
    (tmp_path / "b.dcm").write_bytes(dicom_bytes(ramp()))
    (read,) = read_inputs([tmp_path])
    assert len(read.slices) == 1


def test_pairs_of_two_folders_are_two(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.img").write_bytes(VOXELS.tobytes())
    assert len(list(read_inputs([tmp_path]))) == 2


def test_text_that_is_named_like_a_half_is_text(tmp_path):
    (tmp_path / "a.img").write_text("hello")
    (told,) = read_inputs([tmp_path / "a.img"])
    assert told.error.endswith("got text")
