import zipfile

import numpy as np
import pytest

from builders_imaging import dicom_series, picture_bytes, ramp, zip_bytes
from slicewise.errors import InputError, LimitError
from slicewise.imaging.entry import bytes_entry
from slicewise.imaging.limits import Limits
from slicewise.imaging.read import read_inputs, read_slices
from slicewise.imaging.slice import Failure, Series

PNG = picture_bytes(ramp())


def answers(tmp_path, data, **limits):
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    found = list(read_inputs([path], Limits(**limits)))
    series = {a.source.removeprefix(str(path)): a for a in found if isinstance(a, Series)}
    failures = {a.source.removeprefix(str(path)): a.error for a in found if isinstance(a, Failure)}
    return series, failures


def test_members_are_read_by_name(tmp_path):
    series, failures = answers(tmp_path, zip_bytes({"b/x.png": PNG, "a.png": PNG}))
    assert list(series) == ["!a.png", "!b/x.png"]
    assert failures == {}
    assert series["!a.png"].slices[0].source.endswith("a.zip!a.png")


def test_nothing_is_written_beside_the_archive(tmp_path):
    answers(tmp_path, zip_bytes({"x.png": PNG}))
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_dicom_series_of_a_zip_is_one_volume(tmp_path):
    folder = dicom_series(tmp_path / "s", np.stack([ramp(scale=k) for k in (1, 2, 3)]), (2, 0, 1))
    members = {f"s/{p.name}": p.read_bytes() for p in folder.iterdir()}
    series, _ = answers(tmp_path, zip_bytes(members))
    (volume,) = series.values()
    assert volume.is_volume
    assert [s.pixels[0, 1] for s in volume.slices] == [1, 2, 3]


def test_names_outside_the_archive_are_refused_one_by_one(tmp_path):
    names = ["../x.png", "/etc/x.png", "C:\\x.png", "..\\x.png", "a/../../x.png"]
    series, failures = answers(tmp_path, zip_bytes({**dict.fromkeys(names, PNG), "good.png": PNG}))
    assert list(series) == ["!good.png"]
    assert len(failures) == len(names)
    assert all("points outside" in error for error in failures.values())


def test_macos_extras_and_hidden_files_are_ignored(tmp_path):
    extras = {"__MACOSX/._a.png": b"junk", ".DS_Store": b"junk", "b/.x.png": b"junk"}
    series, failures = answers(tmp_path, zip_bytes({**extras, "notes.txt": b"x", "a.png": PNG}))
    assert list(series) == ["!a.png"]
    assert failures == {}


def test_zip_in_a_zip_is_refused(tmp_path):
    inner = zip_bytes({"x.png": PNG})
    series, failures = answers(tmp_path, zip_bytes({"in.zip": inner, "a.png": PNG}))
    assert list(series) == ["!a.png"]
    assert "another zip" in failures["!in.zip"]


def test_encrypted_member_is_refused(tmp_path):
    data = bytearray(zip_bytes({"a.png": PNG}))
    directory = data.index(b"PK\x01\x02")
    data[directory + 8] |= 1
    _, failures = answers(tmp_path, bytes(data))
    assert "encrypted" in failures["!a.png"]


def test_declared_expansion_is_limited(tmp_path):
    bomb = zip_bytes({"a.dcm": bytes(20_000_000)})
    assert len(bomb) < 30_000
    _, failures = answers(tmp_path, bomb)
    assert "expand at most 200 times, got 20,000,000 bytes" in failures[""]
    _, failures = answers(tmp_path, bomb, max_zip_bytes=1_000_000)
    assert "1,000,000 expanded bytes, got 20,000,000" in failures[""]
    _, failures = answers(tmp_path, bomb, max_bytes=1_000_000, max_zip_ratio=1e6)
    assert "at most 1,000,000 bytes" in failures["!a.dcm"]


def test_member_that_lies_about_its_size_is_no_more_than_declared(tmp_path):
    data = bytearray(zip_bytes({"a.png": PNG + bytes(5_000_000)}))
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (len(PNG)).to_bytes(4, "little")
    series, failures = answers(tmp_path, bytes(data), max_bytes=1_000_000)
    assert series == {}
    assert list(failures) == ["!a.png"]


def test_members_are_counted(tmp_path):
    data = zip_bytes({f"{i}.png": PNG for i in range(5)}, zipfile.ZIP_STORED)
    _, failures = answers(tmp_path, data, max_zip_entries=4)
    assert "at most 4 zip members, got 5" in failures[""]


def test_broken_member_does_not_lose_the_others(tmp_path):
    data = bytearray(zip_bytes({"a.png": PNG, "b.png": PNG}, zipfile.ZIP_STORED))
    data[data.index(b"IDAT") + 6] ^= 0xFF
    series, failures = answers(tmp_path, bytes(data))
    assert list(series) == ["!b.png"]
    assert list(failures) == ["!a.png"]


def test_zip_without_images_says_so(tmp_path):
    for members in ({}, {"readme.txt": b"hello"}):
        _, failures = answers(tmp_path, zip_bytes(members))
        assert "at least one image, got none" in failures[""]


def test_truncated_zip_says_so(tmp_path):
    _, failures = answers(tmp_path, zip_bytes({"a.png": PNG})[:-30])
    assert "truncated" in failures[""]


def test_slices_of_zip_bytes():
    slices = read_slices(zip_bytes({"b.png": PNG, "a.png": PNG}), name="up.zip")
    assert [s.source for s in slices] == ["up.zip!a.png", "up.zip!b.png"]


def test_first_bad_member_is_raised():
    with pytest.raises(InputError, match=r"^up\.zip!b\.png: expected a readable PNG"):
        read_slices(zip_bytes({"a.png": PNG, "b.png": PNG[:60]}), name="up.zip")
    with pytest.raises(LimitError):
        read_slices(zip_bytes({"a.png": bytes(20_000_000)}))


def test_entry_head_is_short():
    assert len(bytes_entry(bytes(5_000), "x").head()) == 1024


def test_names_of_members_can_be_printed_anywhere(tmp_path):
    names = ["d1/a\x1b[31m\nred.png", "a!b#1.png", "x" * 400 + ".png"]
    _, failures = answers(tmp_path, zip_bytes(dict.fromkeys(names, b"x")))
    shown = sorted(name.removeprefix("!") for name in failures)
    assert shown == ["a_b_1.png", "d1/a\ufffd[31m\ufffdred.png", "x" * 196 + ".png"]
