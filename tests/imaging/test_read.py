import os
import subprocess
import sys

import numpy as np
import pytest
from pydicom.uid import RLELossless

from builders_imaging import (
    CORONAL,
    dicom_bytes,
    dicom_dataset,
    dicom_series,
    nifti_bytes,
    picture_bytes,
    ramp,
    written,
    zip_bytes,
)
from slicewise.errors import InputError, LimitError, SliceWiseError, UnsupportedImageError
from slicewise.imaging.entry import bytes_entry
from slicewise.imaging.limits import Limits
from slicewise.imaging.read import read_inputs, read_slice, read_slices
from slicewise.imaging.slice import Failure, InternalFailure, Series

PNG = picture_bytes(ramp())
VOLUME = nifti_bytes(np.arange(20 * 24 * 17, dtype=np.int16).reshape(20, 24, 17))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b.png").write_bytes(PNG)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "c.jpg").write_bytes(picture_bytes(ramp().astype("u1"), "JPEG"))
    return tmp_path


def split(answers):
    answers = list(answers)
    return (
        [a for a in answers if isinstance(a, Series)],
        [a for a in answers if isinstance(a, Failure)],
    )


class TestReadInputs:
    def test_a_picture_is_a_series_of_one(self, folder):
        (series,), failures = split(read_inputs([folder / "b.png"]))
        assert failures == []
        assert (series.source, series.is_volume, series.plane) == (
            str(folder / "b.png"),
            False,
            None,
        )
        assert len(series.slices) == 1

    def test_a_folder_is_searched_to_any_depth(self, folder):
        series, failures = split(read_inputs([str(folder)]))
        assert [s.source for s in series] == [str(folder / "b.png"), str(folder / "a" / "c.jpg")]
        assert failures == []

    def test_foreign_and_hidden_files_are_skipped(self, folder):
        for name in ("labels.csv", "LICENSE", "README", "x.npz", ".hidden.png", "CHANGES"):
            (folder / name).write_text("plain text")
        (folder / ".git").mkdir()
        (folder / ".git" / "x.png").write_bytes(PNG)
        series, failures = split(read_inputs([folder]))
        assert len(series) == 2
        assert failures == []

    def test_a_foreign_file_that_is_named_is_a_failure(self, folder):
        (folder / "labels.csv").write_text("a,b")
        _, (failure,) = split(read_inputs([folder / "labels.csv"]))
        assert "got text" in failure.error

    def test_bad_files_are_failures_beside_the_good(self, folder):
        (folder / "bad.jpg").write_text("not a picture")
        (folder / "cut.png").write_bytes(PNG[:70])
        (folder / "empty.dcm").touch()
        (folder / "noise").write_bytes(bytes(range(256)))
        series, failures = split(read_inputs([folder]))
        assert len(series) == 2
        assert {os.path.basename(f.source): f.error for f in failures} == {  # noqa: PTH119
            "bad.jpg": "expected PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI or zip, got text",
            "cut.png": failures[1].error,
            "empty.dcm": "expected an image, got an empty file",
            "noise": failures[3].error,
        }
        assert failures[3].error.endswith("got unknown content")
        assert failures[1].error.startswith("expected a complete PNG picture")

    def test_missing_path(self, folder):
        series, (failure,) = split(read_inputs([folder / "none.png", folder / "b.png"]))
        assert len(series) == 1
        assert "No such file" in failure.error
        assert failure.source == str(folder / "none.png")

    def test_impossible_path(self):
        _, (failure,) = split(read_inputs(["a\0b.png"]))
        assert "path" in failure.error

    def test_device(self):
        _, (failure,) = split(read_inputs([os.devnull]))
        assert "regular file" in failure.error

    def test_folder_without_images(self, tmp_path):
        (tmp_path / "notes.txt").write_text("x")
        _, (failure,) = split(read_inputs([tmp_path]))
        assert failure.source == str(tmp_path)
        assert failure.error.startswith("expected at least one image, got none; an image is PNG,")

    def test_unreadable_file(self, folder, monkeypatch):
        def refuse(self, *args, **options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.open", refuse)
        _, (failure,) = split(read_inputs([folder / "b.png"]))
        assert "Permission denied" in failure.error

    def test_extensionless_dicom_is_found(self, tmp_path):
        (tmp_path / "IM0001").write_bytes(dicom_bytes(ramp()))
        (series,), _ = split(read_inputs([tmp_path]))
        assert series.slices[0].modality == "MR"

    def test_size_is_checked_before_reading(self, tmp_path):
        path = tmp_path / "huge.png"
        with path.open("wb") as stream:
            stream.truncate(10**12)
        _, (failure,) = split(read_inputs([path]))
        assert "at most 536,870,912 bytes, unpacked; got 1,000,000,000,000" in failure.error

    def test_reading_is_lazy(self, folder):
        answers = read_inputs([folder / "b.png", folder / "gone.png"])
        next(answers)
        (folder / "gone.png").write_bytes(PNG)
        assert isinstance(next(answers), Series)

    def test_a_volume_is_a_series(self, tmp_path):
        (tmp_path / "v.nii").write_bytes(VOLUME)
        (series,), _ = split(read_inputs([tmp_path / "v.nii"]))
        assert (series.is_volume, series.plane, len(series.slices)) == (True, "axial", 17)

    def test_a_tiff_of_pages_is_no_volume(self, tmp_path):
        from PIL import Image

        pages = [Image.fromarray(ramp())] * 3
        data = picture_bytes(pages[0], "TIFF", save_all=True, append_images=pages[1:])
        (tmp_path / "p.tif").write_bytes(data)
        (series,), _ = split(read_inputs([tmp_path / "p.tif"]))
        assert (series.is_volume, len(series.slices)) == (False, 3)


class TestDicomSeries:
    def volume(self, count=4):
        return np.stack([np.full((16, 16), k, np.uint16) for k in range(count)])

    def test_files_are_ordered_along_the_normal(self, tmp_path):
        dicom_series(tmp_path, self.volume(), order=(2, 0, 3, 1))
        (series,), _ = split(read_inputs([tmp_path]))
        assert [s.pixels[0, 0] for s in series.slices] == [0, 1, 2, 3]
        assert (series.is_volume, series.plane, series.source) == (True, "axial", str(tmp_path))

    def test_named_files_are_grouped_too(self, tmp_path):
        dicom_series(tmp_path, self.volume())
        files = sorted(tmp_path.iterdir(), reverse=True)
        (series,), _ = split(read_inputs(files))
        assert series.source == f"{files[0]} (+3 more)"
        assert [s.pixels[0, 0] for s in series.slices] == [0, 1, 2, 3]

    def test_two_series_of_a_folder_stay_two(self, tmp_path):
        dicom_series(tmp_path, self.volume(), prefix="a", SeriesInstanceUID="1.1")
        dicom_series(tmp_path, self.volume(3), prefix="b", SeriesInstanceUID="1.2")
        series, _ = split(read_inputs([tmp_path]))
        assert [len(s.slices) for s in series] == [4, 3]
        assert [s.source for s in series] == [f"{tmp_path} [series {n}]" for n in (1, 2)]

    def test_mixed_orientations_stay_apart(self, tmp_path):
        dicom_series(tmp_path, self.volume(3), prefix="a")
        dicom_series(tmp_path, self.volume(2), prefix="b", ImageOrientationPatient=list(CORONAL))
        series, _ = split(read_inputs([tmp_path]))
        assert sorted((s.plane, len(s.slices)) for s in series) == [("axial", 3), ("coronal", 2)]

    def test_files_without_a_series_stay_alone(self, tmp_path):
        for name in ("a", "b"):
            (tmp_path / name).write_bytes(dicom_bytes(ramp(), SeriesInstanceUID=""))
        series, _ = split(read_inputs([tmp_path]))
        assert [s.source for s in series] == [str(tmp_path / name) for name in ("a", "b")]

    def test_a_bad_file_does_not_lose_its_series(self, tmp_path):
        dicom_series(tmp_path, self.volume())
        bad = tmp_path / "slice001.dcm"
        bad.write_bytes(bad.read_bytes()[:-10])
        (series,), (failure,) = split(read_inputs([tmp_path]))
        assert len(series.slices) == 3
        assert failure.source == str(bad)
        assert "truncated" in failure.error

    def test_series_size_is_limited_before_decoding(self, tmp_path):
        dicom_series(tmp_path, self.volume())
        _, (failure,) = split(read_inputs([tmp_path], Limits(max_frames=3)))
        assert "at most 3 images, got 4" in failure.error

    def test_time_points_keep_the_order_of_their_instances(self, tmp_path):
        for instance, value in ((3, 30), (1, 10), (2, 20)):
            data = dicom_bytes(
                np.full((16, 16), value, np.uint16),
                InstanceNumber=instance,
                ImagePositionPatient=[0, 0, 0],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            )
            (tmp_path / f"{3 - instance}.dcm").write_bytes(data)
        (series,), _ = split(read_inputs([tmp_path]))
        assert [s.pixels[0, 0] for s in series.slices] == [10, 20, 30]

    def test_an_instance_is_counted_once(self, tmp_path):
        path = tmp_path / "a.dcm"
        path.write_bytes(dicom_bytes(ramp()))
        (series,), (failure,) = split(read_inputs([path, path]))
        assert (len(series.slices), series.is_volume, series.source) == (1, False, str(path))
        assert failure.error == f"expected each instance once, got a copy of {path}"

    def test_a_copied_file_is_named_beside_its_series(self, tmp_path):
        dicom_series(tmp_path, self.volume())
        copy = tmp_path / "z.dcm"
        copy.write_bytes((tmp_path / "slice001.dcm").read_bytes())
        (series,), (failure,) = split(read_inputs([tmp_path]))
        assert [s.pixels[0, 0] for s in series.slices] == [0, 1, 2, 3]
        assert failure.source == str(copy)

    def test_a_good_copy_stands_in_for_a_bad_one(self, tmp_path):
        data = dicom_bytes(ramp())
        (tmp_path / "a.dcm").write_bytes(data[:-10])
        (tmp_path / "b.dcm").write_bytes(data)
        (series,), (failure,) = split(read_inputs([tmp_path]))
        assert len(series.slices) == 1
        assert "truncated" in failure.error

    def test_frames_of_one_instance_are_no_repetition(self, tmp_path):
        (tmp_path / "a.dcm").write_bytes(dicom_bytes(np.stack([ramp(), ramp()])))
        (series,), failures = split(read_inputs([tmp_path]))
        assert (len(series.slices), failures) == (2, [])

    def test_without_an_instance_uid_the_file_tells(self, tmp_path):
        for name in ("a.dcm", "b.dcm"):
            dataset = dicom_dataset(ramp())
            data = written(dataset)
            uid = str(dataset.SOPInstanceUID).encode()
            (tmp_path / name).write_bytes(data.replace(uid, bytes(len(uid))))
        (series,), failures = split(read_inputs([tmp_path]))
        assert (len(series.slices), failures) == (2, [])


class TestReadSlices:
    def test_errors_name_the_input_once(self, tmp_path):
        path = tmp_path / "x.jpg"
        path.write_text("hello")
        with pytest.raises(UnsupportedImageError) as caught:
            read_slices(path)
        assert str(caught.value).count(str(path)) == 1
        with pytest.raises(InputError, match=r"^bytes: "):
            read_slices(b"")
        with pytest.raises(InputError, match=r"^upload\.png: "):
            read_slices(b"x", name="upload.png")

    def test_name_stands_for_the_path(self, folder):
        assert read_slices(folder / "b.png", name="scan")[0].source == "scan"

    def test_folder_is_refused(self, folder):
        with pytest.raises(InputError, match="got a folder"):
            read_slices(folder)

    def test_bytes_are_limited(self):
        with pytest.raises(LimitError):
            read_slices(PNG, limits=Limits(max_bytes=50))


class TestReadSlice:
    def test_plain_file(self, folder):
        np.testing.assert_array_equal(read_slice(str(folder / "b.png")).pixels, ramp())

    def test_index(self, tmp_path):
        path = tmp_path / "v.nii"
        path.write_bytes(VOLUME)
        expected = read_slices(path)[5]
        found = read_slice(f"{path}#5")
        np.testing.assert_array_equal(found.pixels, expected.pixels)
        assert found.source == f"{path}#5"

    def test_slices_of_one_file_are_decoded_once_until_it_changes(self, tmp_path, monkeypatch):
        decoded = []

        def counted(path, **how):
            decoded.append(path)
            return read_slices(path, **how)

        monkeypatch.setattr("slicewise.imaging.read.read_slices", counted)
        path = tmp_path / "v.nii"
        path.write_bytes(VOLUME)
        first = [read_slice(f"{path}#{index}").pixels for index in range(3)]
        assert decoded == [str(path)]
        path.write_bytes(VOLUME[:352] + VOLUME[352:][::-1])
        os.utime(path, ns=(1, 1))
        assert not np.array_equal(read_slice(f"{path}#0").pixels, first[0])
        assert len(decoded) == 2

    def test_missing_and_excessive_index(self, tmp_path):
        path = tmp_path / "v.nii"
        path.write_bytes(VOLUME)
        with pytest.raises(InputError, match="expected one slice, got 17"):
            read_slice(str(path))
        with pytest.raises(InputError, match="index below 17, got 17"):
            read_slice(f"{path}#17")

    def test_file_whose_name_ends_like_an_index(self, tmp_path):
        (tmp_path / "a#1").write_bytes(PNG)
        assert read_slice(str(tmp_path / "a#1")).shape == (20, 24)


FUZZED = {
    "png": PNG,
    "jpeg": picture_bytes(ramp().astype("u1"), "JPEG"),
    "tiff": picture_bytes(ramp(), "TIFF", compression="tiff_lzw"),
    "bmp": picture_bytes(ramp().astype("u1"), "BMP"),
    "webp": picture_bytes(ramp().astype("u1"), "WEBP"),
    "dicom": dicom_bytes(ramp()),
    "rle": dicom_bytes(ramp(), RLELossless),
    "nifti": VOLUME,
    "zip": zip_bytes({"a.png": PNG, "b.dcm": dicom_bytes(ramp())}),
}


@pytest.mark.parametrize("data", FUZZED.values(), ids=FUZZED.keys())
def test_truncation_never_raises_anything_else(data):
    for end in np.linspace(0, len(data) - 1, 50).astype(int):
        try:
            read_slices(data[:end])
        except SliceWiseError:
            continue


@pytest.mark.parametrize("data", FUZZED.values(), ids=FUZZED.keys())
def test_changed_bytes_never_raise_anything_else(data):
    random = np.random.default_rng(7)
    for _ in range(50):
        changed = bytearray(data)
        for at in random.integers(0, len(data), 4):
            changed[at] = random.integers(0, 256)
        try:
            read_slices(bytes(changed))
        except SliceWiseError:
            continue


def test_bytes_are_read_as_files_are(tmp_path):
    dicom_series(tmp_path / "scan", np.arange(4 * 32 * 32).reshape(4, 32, 32))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    named = [*sorted((tmp_path / "scan").iterdir()), tmp_path / "broken.png"]
    entries = [bytes_entry(path.read_bytes(), str(path)) for path in named]
    found, expected = list(read_inputs(entries)), list(read_inputs(named))
    assert [type(one) for one in found] == [type(one) for one in expected] == [Failure, Series]
    assert found[0] == expected[0]
    assert found[1].source == expected[1].source
    assert [s.source for s in found[1].slices] == [s.source for s in expected[1].slices]


def test_import_leaves_heavy_readers_alone():
    code = (
        "import sys, slicewise.imaging.read;"
        "print(sorted({'pydicom', 'nibabel', 'torch', 'scipy'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_fault_of_our_own_loses_no_other_input(tmp_path, monkeypatch):
    (tmp_path / "a.dcm").write_bytes(dicom_bytes(ramp()))
    (tmp_path / "b.png").write_bytes(picture_bytes(ramp(dtype=np.uint8)))

    def broken(self):
        raise AttributeError("thickness")

    monkeypatch.setattr("slicewise.imaging.formats.dicom.frame.FrameHeader.slice_thickness", broken)
    read = list(read_inputs([tmp_path / "a.dcm", tmp_path / "b.png"]))
    assert [type(one) for one in read] == [Series, InternalFailure]
    assert "SliceWise failed (AttributeError in _slice" in read[1].error
