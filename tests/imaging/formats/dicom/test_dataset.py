"""What is no image, or in a transfer syntax that is not read, says what it is."""

import pydicom.uid as uid
import pytest
from pydicom.encaps import encapsulate

from builders_imaging import around, dicom_dataset, ramp, written
from slicewise.errors import InputError, UnsupportedImageError
from slicewise.imaging.read import read_slices


def refusal(data, kind=InputError):
    with pytest.raises(kind) as caught:
        read_slices(data)
    message = str(caught.value)
    assert "Error" not in message
    assert "broken" not in message
    return message


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        ("1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level"),
        ("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
        ("1.2.840.10008.1.2.4.107", "HEVC/H.265 Main Profile / Level 5.1"),
        ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless"),
        ("1.2.840.10008.1.2.4.112", "JPEG XL"),
        ("1.2.840.10008.1.2.4.94", "JPIP Referenced"),
        ("1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2 Multi-component"),
        ("1.2.840.10008.1.2.4.52", "JPEG Extended"),
        ("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression"),
        ("1.2.826.0.1.3680043.9.1", "the private 1.2.826"),
        ("1.2.840.10008.1.2.4.999", "the unknown 1.2.840"),
    ],
)
def test_a_transfer_syntax_that_is_not_read(syntax, name):
    data = around(dicom_dataset(ramp()), encapsulate([b"anything"]), uid.UID(syntax))
    message = refusal(data, UnsupportedImageError)
    assert f"TransferSyntaxUID (0002,0010) of a kind that is read, got {name}" in message
    assert syntax in message


@pytest.mark.parametrize(
    ("sop_class", "name"),
    [
        (uid.BasicTextSRStorage, "Basic Text SR Storage"),
        (uid.RTStructureSetStorage, "RT Structure Set Storage"),
        (uid.EncapsulatedPDFStorage, "Encapsulated PDF Storage"),
        (uid.GeneralECGWaveformStorage, "General ECG Waveform Storage"),
        (uid.MediaStorageDirectoryStorage, "Media Storage Directory Storage"),
        (uid.MRImageStorage, "MR Image Storage"),
        (uid.UID("1.2.826.0.1.3680043.9.1"), "1.2.826"),
    ],
)
def test_what_has_no_pixels(sop_class, name):
    dataset = dicom_dataset(ramp())
    for keyword in ("PixelData", "Rows", "Columns", "PhotometricInterpretation"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = sop_class
    message = refusal(written(dataset))
    assert f"expected a DICOM image, got an object of SOP class {name}" in message
    assert "without Pixel Data (7FE0,0010)" in message


def test_the_class_of_a_directory_stands_before_the_data_set():
    dataset = dicom_dataset(ramp())
    for keyword in ("PixelData", "Rows", "Columns", "PhotometricInterpretation"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = uid.MediaStorageDirectoryStorage
    data = written(dataset)
    at = data.index(b"\x08\x00\x16\x00")
    assert "Media Storage Directory" in refusal(data[:at] + data[data.index(b"\x08\x00\x18\x00") :])


@pytest.mark.parametrize("number", ["66.4", "66.7"])
def test_marks_on_an_image_are_none(number):
    dataset = dicom_dataset(ramp())
    dataset.SOPClassUID = uid.UID(f"1.2.840.10008.5.1.4.1.1.{number}")
    assert "Segmentation Storage, which is none" in refusal(written(dataset), UnsupportedImageError)


def test_text_in_place_of_a_class_is_not_repeated():
    dataset = dicom_dataset(ramp())
    data = written(dataset).replace(b"1.2.840.10008.5.1.4.1.1.4\0", b"Jane Doe was here. Really.")
    data = data.replace(b"\x28\x00\x10\x00", b"\x28\x00\x13\x00").replace(
        b"\x28\x00\x04\x00", b"\x28\x00\x05\x00"
    )
    assert "Jane" not in refusal(data)
