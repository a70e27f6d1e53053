import io
import struct
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
END = b"PK\x05\x06"


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
    with pytest.raises(InputError, match=r"^up\.zip!b\.png: expected a complete PNG"):
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


def zip64(data):
    """The same zip with sentinels at its end, and the truth in a record before it."""
    at = data.rindex(END)
    count, size, offset = struct.unpack_from("<HII", data, at + 10)
    record = struct.pack("<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    end = struct.pack("<4s4H2LH", END, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:at] + record + locator + end


def streamed(name, content):
    """As a program writes that cannot seek: sizes behind the data, zip64 extra fields."""

    class Pipe(io.BytesIO):
        def tell(self):
            raise OSError("a pipe")

    pipe = Pipe()
    with (
        zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(name, "w", force_zip64=True) as member,
    ):
        member.write(content)
    return pipe.getvalue()


def with_comment(data, comment):
    return data[:-2] + struct.pack("<H", len(comment)) + comment


MEMBERS = zip_bytes({"a.png": PNG})


@pytest.mark.parametrize(
    "data",
    [
        zip64(MEMBERS),
        zip64(MEMBERS) + b"trailing",
        streamed("a.png", PNG),
        b"MZ a program that unpacks itself\0" + MEMBERS,
        b"#!/bin/sh\n" + zip64(MEMBERS),
        b"PK\x07\x08" + MEMBERS,
        with_comment(MEMBERS, b"of a scanner"),
        with_comment(MEMBERS, b"a comment with " + END),
        with_comment(MEMBERS, b"a comment with " + END + bytes(18)),
        with_comment(zip64(MEMBERS), MEMBERS[-22:-4] * 2),
        zip_bytes({"a.png": PNG}, zipfile.ZIP_BZIP2),
        zip_bytes({"a.png": PNG}, zipfile.ZIP_LZMA),
        zip_bytes({"a.png": PNG}, zipfile.ZIP_STORED) + bytes(300),
    ],
)
def test_any_way_to_write_a_zip_is_read(tmp_path, data):
    series, failures = answers(tmp_path, data)
    assert failures == {}
    assert list(series) == ["!a.png"]


def test_members_of_a_zip64_are_counted_before_they_are_parsed(tmp_path):
    data = zip64(zip_bytes({f"{i}.png": PNG for i in range(5)}, zipfile.ZIP_STORED))
    _, failures = answers(tmp_path, data, max_zip_entries=4)
    assert "at most 4 zip members, got 5" in failures[""]
    at = data.rindex(b"PK\6\6")
    lying = data[: at + 32] + (7_000_000).to_bytes(8, "little") + data[at + 40 :]
    _, failures = answers(tmp_path, lying)
    assert "at most 20,000 zip members, got 7,000,000" in failures[""]


def test_a_zip64_record_elsewhere_is_refused(tmp_path):
    data = zip64(MEMBERS)
    at = data.rindex(b"PK\6\7")
    _, failures = answers(tmp_path, data[:at] + bytes(9) + data[at:])
    assert "expected a zip64 record before the end of the zip, got none there" in failures[""]


def test_a_directory_that_is_not_where_it_should_be_is_told(tmp_path):
    at = MEMBERS.rindex(END)
    _, failures = answers(tmp_path, MEMBERS[: at + 12] + b"\xff" * 4 + MEMBERS[at + 16 :])
    assert "directory is not before its end (broken)" in failures[""]


def test_a_part_of_a_split_zip_is_named(tmp_path):
    data = bytearray(MEMBERS)
    at = data.rindex(END)
    data[at + 4] = 2
    _, failures = answers(tmp_path, bytes(data[at - 20 :]))
    assert "a whole zip, got the last part of a split one" in failures[""]
    _, failures = answers(tmp_path, b"PK\x07\x08" + MEMBERS[:60])
    assert "got the first part of a split zip; join its parts" in failures[""]


def test_names_in_utf8_are_shown_as_they_are_whether_or_not_the_zip_says_so(tmp_path):
    told = zip_bytes({"Käse/é.png": PNG, "ü.png": PNG})
    ignore_skip = told.replace(b"\0\x08", b"\0\0")
    assert ignore_skip != told
    for data in (told, ignore_skip):
        series, failures = answers(tmp_path, data)
        assert (sorted(series), failures) == (["!Käse/é.png", "!ü.png"], {})


def test_names_in_the_code_page_of_ms_dos_are_shown(tmp_path):
    data = zip_bytes({"\x81x.png": PNG})
    cp437 = data.replace("\x81x.png".encode(), b"\x81\x81x.png").replace(b"\0\x08", b"\0\0")
    series, _ = answers(tmp_path, cp437)
    assert list(series) == ["!üüx.png"]


def test_folders_as_members_and_windows_names_are_understood(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, attributes in (("a/", 0), ("b\\", 0), ("c", 0x10), ("d", 0o40755 << 16)):
            folder = zipfile.ZipInfo(name)
            folder.external_attr = attributes
            archive.writestr(folder, b"")
        archive.writestr("b\\Thumbs.db", b"x")
        archive.writestr("b\\x.png", PNG)
    series, failures = answers(tmp_path, stream.getvalue())
    assert (list(series), failures) == (["!b\\x.png"], {})


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_are_both_read(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.png", PNG)
        archive.writestr("a.png", picture_bytes(ramp(scale=2)))
    path = tmp_path / "a.zip"
    path.write_bytes(stream.getvalue())
    found = [answer.slices[0].pixels.max() for answer in read_inputs([path])]
    assert found == [479, 958]


@pytest.mark.parametrize(
    ("method", "name"), [(9, "Deflate64"), (98, "PPMd"), (93, "Zstandard"), (77, "unknown")]
)
def test_a_compression_that_is_not_read_is_named(tmp_path, method, name):
    data = bytearray(zip_bytes({"a.png": PNG, "b.png": PNG}))
    data[data.index(b"PK\x01\x02") + 10] = method
    series, failures = answers(tmp_path, bytes(data))
    assert list(series) == ["!b.png"]
    assert "compressed with Deflate, BZip2 or LZMA, got" in failures["!a.png"]
    assert f"{name}" in failures["!a.png"]
    assert f"({method})" in failures["!a.png"]


def test_a_link_as_a_member_is_named(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo("a.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    _, failures = answers(tmp_path, stream.getvalue())
    assert "expected a file in the zip, got a link" in failures["!a.png"]


def test_what_is_left_out_of_a_zip_is_told(tmp_path):
    members = {"__MACOSX/._a.png": b"x", "notes.txt": b"x", "CHANGES": b"words", "a.png": PNG}
    path = tmp_path / "a.zip"
    path.write_bytes(zip_bytes(members))
    skipped = []
    assert len(list(read_inputs([path], skip=skipped.append))) == 1
    names = [name.removeprefix(f"{path}!") for name in skipped]
    assert sorted(names) == ["CHANGES", "__MACOSX/._a.png", "notes.txt"]
