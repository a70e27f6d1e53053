from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from builders_imaging import nifti_bytes, picture_bytes, zip_bytes
from builders_records import kept_in
from builders_service import files, keyed, png, problem, series, service_settings, services


def upload(client, name, content):
    return client.post("/api/upload", files={"file": (name, content)})


@pytest.mark.parametrize(
    ("kind", "name"), [("PNG", "a.png"), ("JPEG", "a.jpg"), ("BMP", "a.dat"), ("TIFF", "a")]
)
def test_it_says_what_it_read(client, kind, name):
    noise = np.random.default_rng(0).integers(0, 255, (40, 60), dtype=np.uint8)
    said = upload(client, name, picture_bytes(Image.fromarray(noise), kind)).json()
    assert (said["success"], said["filename"], said["format"]) == (True, name, kind)
    assert (said["width"], said["height"], said["slices"]) == (60, 40, 1)
    assert "not kept" in said["message"]
    assert said["errors"] == []


def test_of_several_slices_it_says_how_many(client):
    volume = upload(client, "scan.nii", nifti_bytes(np.random.default_rng(0).random((30, 20, 5))))
    assert (volume.json()["format"], volume.json()["slices"]) == ("NIFTI", 5)
    packed = upload(client, "scan.zip", zip_bytes(series(6))).json()
    assert (packed["format"], packed["slices"], packed["width"]) == ("ZIP", 6, 96)
    (dicom,) = series(1).values()
    assert upload(client, "s.dcm", dicom).json()["format"] == "DICOM"


def test_what_could_not_be_read_is_named(client):
    said = upload(
        client, "m.zip", zip_bytes({"good.png": png(0), "bad.png": b"\x89PNG\r\n\x1a\nno"})
    )
    assert said.json()["slices"] == 1
    assert [one["source"] for one in said.json()["errors"]] == ["m.zip!bad.png"]


@pytest.mark.parametrize("sent", ["/home/jane/a.png", "..\\..\\a.png", "C:\\x\\a.png"])
def test_a_name_is_never_a_path(client, sent):
    assert upload(client, sent, png(0)).json()["filename"] == "a.png"


def test_nothing_is_kept(client):
    before = len(kept_in(services(client).store))
    upload(client, "a.png", png(0))
    assert len(kept_in(services(client).store)) == before


def test_what_is_no_image_is_refused(client):
    for content in (b"", b"no picture", png(0)[:60]):
        problem(upload(client, "a.png", content), 422)
    problem(client.post("/api/upload", files=files(png(0), png(1))), 400)
    problem(client.post("/api/upload?tta=true", files=files(png(0))), 422)
    problem(client.post("/api/upload", json={}), 415)


def test_it_is_for_callers(tmp_path):
    with keyed(service_settings(tmp_path)) as (client, headers):
        problem(upload(client, "a.png", png(0)), 401)
        sent = {"file": ("a.png", png(0))}
        said = client.post("/api/upload", files=sent, headers=headers["predict"])
        assert said.status_code == 200
