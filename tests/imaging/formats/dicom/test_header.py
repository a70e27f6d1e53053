import io
import struct
from dataclasses import astuple

import numpy as np
import pytest
from pydicom.datadict import tag_for_keyword

from builders_imaging import AXIAL, dicom_bytes, dicom_dataset, enhanced_bytes, ramp, written
from slicewise.errors import LimitError, UnsupportedImageError
from slicewise.imaging.formats.dicom.header import Person, read_header
from slicewise.imaging.limits import DEFAULT_LIMITS, Limits


def header_of(data, limits=DEFAULT_LIMITS):
    return read_header(io.BytesIO(data), limits)


def traits_of(**tags):
    return header_of(dicom_bytes(ramp(), **tags)).frames[0].traits


def test_what_a_file_says():
    data = dicom_bytes(
        ramp(),
        InstanceNumber=7,
        ImagePositionPatient=[1, 2, 3],
        ImageOrientationPatient=list(AXIAL),
        EchoTime="4.5",
        EchoNumbers=2,
        ImageType=["ORIGINAL", "PRIMARY", "M"],
        PixelSpacing=[0.5, 0.25],
    )
    header = header_of(data)
    assert (header.series_uid, header.study_uid, header.instance_number) == ("1.2.3.4", "1.2.3", 7)
    assert (header.size, header.pixels) == ((20, 24), 480)
    (frame,) = header.frames
    assert (frame.position, frame.orientation) == ((1, 2, 3), AXIAL)
    assert (frame.traits.echo_time, frame.traits.echo_number) == ((4.5,), (2.0,))
    assert frame.traits.image_type == ("ORIGINAL", "PRIMARY", "M")
    assert frame.traits.spacing == (0.5, 0.25)
    assert frame.traits.time is None


def test_functional_groups_say_it_of_each_frame():
    data = enhanced_bytes(np.stack([ramp(), ramp()]), [(0, 0, 1), (0, 0, 2)], [1, 1])
    header = header_of(data)
    assert [frame.position for frame in header.frames] == [(0, 0, 1), (0, 0, 2)]
    assert {frame.traits.spacing for frame in header.frames} == {(0.5, 0.5)}


def test_frames_without_groups_say_the_same_and_have_no_position():
    data = dicom_bytes(np.stack([ramp()] * 3), EchoTime=5, ImagePositionPatient=[1, 2, 3])
    header = header_of(data)
    assert (len(header.frames), len(set(header.frames))) == (3, 1)
    assert header.frames[0].position is None


@pytest.mark.parametrize(
    ("stored", "value"),
    [(b"10.50", (10.5,)), (b"10\\20", (10.0, 20.0)), (b"abcde", None), (b"     ", None)],
)
def test_a_value_that_cannot_be_read_is_none(stored, value):
    data = dicom_bytes(ramp(), EchoTime="33.25").replace(b"33.25", stored)
    assert header_of(data).frames[0].traits.echo_time == value


@pytest.mark.parametrize("stored", [b"inf  ", b"nan  ", b"x    ", b"     "])
def test_what_is_no_number_is_none(stored):
    data = dicom_bytes(ramp(), InstanceNumber=33333).replace(b"33333", stored)
    assert header_of(data).instance_number is None


@pytest.mark.parametrize(
    ("tags", "person"),
    [
        ({}, ("PATIENT-1", "SECRET^NAME", "")),
        ({"PatientID": " A ", "PatientName": "Doe^Jane^^"}, ("A", "DOE^JANE", "")),
        ({"PatientID": "", "PatientBirthDate": "19500101"}, ("", "SECRET^NAME", "19500101")),
    ],
)
def test_persons(tags, person):
    found = header_of(dicom_bytes(ramp(), **tags)).person
    assert astuple(found) == person
    assert not any(said and said in repr(found) for said in person)


@pytest.mark.parametrize(
    ("one", "other", "may_be"),
    [
        (("", "A", ""), ("", "A", "1950"), True),
        (("", "A", ""), ("", "B", ""), False),
        (("", "", "1950"), ("1", "B", "1960"), False),
        (("", "", ""), ("1", "B", "1960"), True),
    ],
)
def test_who_may_be_one(one, other, may_be):
    assert Person(*one).may_be(Person(*other)) is may_be


@pytest.mark.parametrize(
    ("word", "what"), [("MOSAIC", "Siemens mosaic"), ("SCREEN SAVE", "saved screen")]
)
def test_what_is_no_slice_is_refused(word, what):
    with pytest.raises(UnsupportedImageError, match=f"got a {what}"):
        header_of(dicom_bytes(ramp(), ImageType=["DERIVED", "SECONDARY", word]))


def test_many_frames_are_refused_before_they_are_counted_out():
    data = written(dicom_dataset(ramp(), NumberOfFrames=10**9))
    with pytest.raises(LimitError, match="at most 4,096 images"):
        header_of(data)
    with pytest.raises(LimitError, match="at most 900 pixels in 2 images"):
        header_of(dicom_bytes(np.stack([ramp()] * 2)), Limits(max_volume_pixels=900))


@pytest.mark.parametrize("keyword", ["InstanceNumber", "EchoTime", "AcquisitionNumber"])
def test_a_number_of_no_known_representation_is_absent(keyword):
    data = dicom_bytes(ramp(), **{keyword: 1})
    tag = tag_for_keyword(keyword)
    at = data.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF)) + 4
    header = header_of(data[:at] + b"D\x11" + data[at + 2 :])
    traits = header.frames[0].traits
    assert (header.instance_number, traits.echo_time, traits.acquisition) == (None, None, None)


@pytest.mark.parametrize("absent", ["Rows", "Columns"])
def test_many_frames_of_no_size_are_refused_too(absent):
    dataset = dicom_dataset(ramp(), NumberOfFrames=10**7)
    del dataset[absent]
    with pytest.raises(LimitError, match="at most 4,096 images"):
        header_of(written(dataset))


def test_persons_of_one_id_are_others_where_name_and_birth_date_both_differ():
    one = Person("ANON", "DOE", "19500101")
    assert one.is_other(Person("ANON", "ROE", "19600101"))
    assert not one.is_other(Person("ANON", "ROE", "19500101"))
    assert not one.is_other(Person("ANON", "ROE", ""))
