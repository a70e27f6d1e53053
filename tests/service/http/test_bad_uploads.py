"""Everything that is not a slice ends as a problem document, quickly, and leaves nothing behind."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from builders_imaging import dicom_bytes, nifti_bytes, picture_bytes, png_header, zip_bytes
from builders_service import files, png, problem, running, service_settings

PIXELS = np.arange(1600, dtype=np.uint16).reshape(40, 40)


def encrypted_zip() -> bytes:
    data = bytearray(zip_bytes({"a.png": png(0)}))
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.index(magic) + at
        data[start : start + 2] = struct.pack("<H", 1)
    return bytes(data)


def many_members() -> bytes:
    return zip_bytes({f"{i}.png": b"x" for i in range(3000)})


BAD = {
    "empty": b"",
    "text": b"patient: Jane Doe",
    "html": b"<html><script>alert(1)</script></html>",
    "random": np.random.default_rng(0).bytes(4096),
    "truncated png": png(0)[:200],
    "broken png": png(0)[:300] + b"\0" * 300,
    "huge png": png_header(60_000, 60_000),
    "tiny png": picture_bytes(np.zeros((2, 2), np.uint8)),
    "truncated jpeg": picture_bytes(np.zeros((64, 64), np.uint8), "JPEG")[:40],
    "truncated tiff": picture_bytes(np.zeros((64, 64), np.uint8), "TIFF")[:60],
    "truncated dicom": dicom_bytes(PIXELS)[:-500],
    "dicom without pixels": dicom_bytes(PIXELS)[:132],
    "dicom of a lie": dicom_bytes(PIXELS, Rows=60_000, Columns=60_000),
    "truncated nifti": nifti_bytes(np.zeros((20, 20, 4), np.int16))[:400],
    "gzip of nothing": zlib.compress(b"nothing", wbits=31),
    "zip bomb": zip_bytes({"a.png": b"\0" * 40_000_000}),
    "zip of many": many_members(),
    "zip with a way out": zip_bytes({"../../etc/passwd.png": png(0)}),
    "zip in a zip": zip_bytes({"inner.zip": zip_bytes({"a.png": png(0)})}),
    "encrypted zip": encrypted_zip(),
    "zip without directory": zip_bytes({"a.png": png(0)})[:-30],
    "empty zip": zip_bytes({}),
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94",
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_a_problem(client, kind):
    problem(client.post("/v1/predict", files={"file": ("scan.png", BAD[kind])}), 422)


@pytest.mark.parametrize("kind", ["huge png", "zip bomb", "zip of many", "dicom of a lie"])
def test_it_takes_little_memory(client, kind):
    client.post("/v1/predict", files=files(BAD[kind]))  # loads the decoder
    tracemalloc.start()
    client.post("/v1/predict", files=files(BAD[kind]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "..\\..\\windows\\system32",
        "nul\0byte.png",
        "x" * 300 + ".png",
        "hirnscan_äöü_脳.png",
        "page.html",
        "<script>alert(1)</script>.png",
        "..",
        "",
        "a\r\nSet-Cookie: b.png",
    ],
)
def test_any_name_is_taken_for_a_good_file_and_told_for_a_bad_one(client, name):
    # written by hand: a client library would not send some of these names
    def body(content: bytes) -> bytes:
        head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        return head.encode() + content + b"\r\n--b--\r\n"

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    response = client.post("/v1/predict", content=body(png(0)), headers=kind)
    assert response.status_code == 200
    source = response.json()["source"]
    assert source.isprintable()
    assert len(source) <= 100
    assert not set(source) & set("/\\!#")
    problem(client.post("/v1/predict", content=body(b"no picture"), headers=kind), 422)


def test_a_compressed_body_is_a_problem(client):
    asked = {"files": files(png(0)), "headers": {"Content-Encoding": "gzip"}}
    assert "Content-Encoding" in problem(client.post("/v1/predict", **asked), 415)["detail"]


@pytest.mark.parametrize(
    ("sent", "status", "told"),
    [
        ({"files": {"picture": ("a.png", b"x")}}, 422, "'picture'"),
        (
            {"data": {"file": "text"}, "files": {"image": ("a.png", b"x")}},
            422,
            "file in the field 'file'; got text",
        ),
        ({"files": {"file": ("", b"")}}, 422, "got none"),
        ({"data": {"explain": "true"}, "files": [("file", ("", b""))]}, 422, "got none"),
        ({"json": {"file": "a.png"}}, 415, "multipart/form-data"),
        ({"content": b"raw", "headers": {"Content-Type": "image/png"}}, 415, "multipart"),
        ({}, 415, "multipart"),
    ],
)
def test_a_body_of_another_kind_is_a_problem(client, sent, status, told):
    assert told in problem(client.post("/v1/predict", **sent), status)["detail"]


@pytest.mark.parametrize(
    "body",
    [b"", b"no boundary in it", b"--b", b"--b\r\n\r\nx\r\n--b--\r\n", b"--b\r\nA: b\r\n\r\n"],
)
def test_broken_multipart_is_a_problem(client, body):
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    said = client.post("/v1/predict", content=body, headers=kind)
    assert problem(said, said.status_code)["status"] in {400, 422}
    bare = {"Content-Type": "multipart/form-data"}
    problem(client.post("/v1/predict", content=body, headers=bare), 400)


def test_two_hundred_fields_are_too_many(client):
    fields = {f"f{i}": "x" for i in range(200)}
    problem(client.post("/v1/predict", data=fields, files=files(png(0))), 400)


def test_a_long_field_is_too_long(client):
    problem(client.post("/v1/predict", data={"tta": "x" * 5000}, files=files(png(0))), 400)


def test_more_files_than_allowed_are_too_many(client):
    said = problem(client.post("/v1/predict/batch", files=files(*[b"x"] * 51)), 400)
    assert "50" in said["detail"]


def test_nothing_is_left_on_disk(tmp_path, monkeypatch):
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    rolled = []
    monkeypatch.setattr("tempfile.SpooledTemporaryFile.rollover", lambda self: rolled.append(1))
    with running(service_settings(tmp_path)) as client:
        before = {path for path in tmp_path.rglob("*") if path.is_file()}
        large = b"\0" * 5_000_000
        for content in (large, png(0), zip_bytes({"a.png": png(0), "b.txt": b"x"})):
            client.post("/v1/predict", files=files(content))
        after = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert not rolled
    assert {path.name for path in after - before} <= {"audit.db-wal", "audit.db-shm"}
    assert not list(spool.iterdir())


def test_names_are_not_in_the_database(tmp_path):
    sent = {"file": ("Jane_Doe_1970.png", png(0))}
    with running(service_settings(tmp_path)) as client:
        assert client.post("/v1/predict", files=sent).status_code == 200
        folder = Path(tmp_path)
        held = b"".join(path.read_bytes() for path in folder.glob("audit.db*"))
    assert b"Jane" not in held


def test_a_zip_may_hold_bad_files_beside_good_ones(client):
    sent = zip_bytes({"good.png": png(0), "bad.png": b"\x89PNG\r\n\x1a\nno", "notes.txt": b"hello"})
    said = client.post("/v1/predict", files={"file": ("m.zip", sent)}).json()
    assert [p["source"] for p in said["predictions"]] == ["m.zip!good.png"]
    assert [e["source"] for e in said["errors"]] == ["m.zip!bad.png"]


def test_zips_are_read_in_memory_only(client):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("/absolute.png", png(0))
    said = problem(client.post("/v1/predict", files={"file": ("z.zip", buffer.getvalue())}), 422)
    assert "inside the archive" in said["detail"]


@pytest.mark.parametrize("charset", ["undefined", "punycode", "idna", "nothing-known"])
def test_another_charset_is_a_problem(client, charset):
    body = b'--b\r\nContent-Disposition: form-data; name="tta"\r\n\r\n\xff\xfe\r\n--b--\r\n'
    kind = {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}
    said = client.post("/v1/predict", content=body, headers=kind)
    assert problem(said, said.status_code)["status"] in {400, 422}


def test_a_form_that_is_cut_off_loses_nothing_in_silence(client):
    head = '--b\r\nContent-Disposition: form-data; name="file"; filename="{}.png"\r\n\r\n'
    whole = b"".join(head.format(n).encode() + png(n) + b"\r\n" for n in range(2)) + b"--b--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    said = client.post("/v1/predict/batch", content=whole, headers=kind)
    assert len(said.json()["predictions"]) == 2
    cut = client.post("/v1/predict/batch", content=whole[:-6], headers=kind)
    assert "closing boundary" in problem(cut, 400)["detail"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("K%C3%A4se%20%232.png", "Käse _2.png"), ("a" * 3000 + ".png", "a" * 96 + ".png")],
)
def test_a_part_with_an_extended_name_only_is_a_file(client, name, shown):
    head = f"--b\r\nContent-Disposition: form-data; name=file; filename*=UTF-8''{name}\r\n\r\n"
    body = head.encode() + png(0) + b"\r\n--b--\r\n"
    kind = {"content-type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/predict", content=body, headers=kind)
    assert answer.status_code == 200
    assert answer.json()["source"] == shown
