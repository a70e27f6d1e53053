from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from builders_imaging import nifti_bytes, picture_bytes
from builders_service import (
    files,
    keyed,
    png,
    problem,
    running,
    series,
    service_settings,
    services,
)
from slicewise.imaging.read import read_slices
from slicewise.imaging.slice import is_synthetic


def test_a_sample_says_that_it_is_synthetic_and_can_be_drawn_again(client):
    first = client.get("/v1/sample?seed=3&label=glioma")
    again = client.get("/v1/sample?seed=3&label=glioma")
    assert first.headers["content-type"] == "image/png"
    assert first.content == again.content
    (slice_,) = read_slices(first.content)
    assert is_synthetic(slice_)
    assert slice_.annotations["drawn"] == first.headers["x-sample-label"] == "glioma"


def test_a_sample_of_no_seed_tells_its_seed(client):
    made = client.get("/v1/sample")
    seed = made.headers["x-sample-seed"]
    assert client.get(f"/v1/sample?seed={seed}").content == made.content
    assert client.post("/v1/predict", files=files(made.content)).status_code == 200


@pytest.mark.parametrize("query", ["seed=-1", "seed=x", "label=cat", "other=1"])
def test_a_sample_of_nothing_is_refused(client, query):
    problem(client.get(f"/v1/sample?{query}"), 422)


@pytest.fixture
def root(tmp_path):
    """A slice of every class, and one of none."""
    for kind, name in enumerate(("Glioma", "meningioma", "no tumor", "pituitary", "other")):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / f"jane_{kind}.png").write_bytes(png(kind % 4, seed=kind))
    return tmp_path / "data"


def test_a_stored_sample_is_a_file_of_the_server_as_it_is(root, tmp_path):
    known = {path.read_bytes(): path.parent.name for path in root.rglob("*.png")}
    labels = {"Glioma": "glioma", "no tumor": "no_tumor", "other": ""}
    with running(service_settings(tmp_path, data_roots=(root,))) as client:
        for seed in range(20):
            said = client.get(f"/v1/sample?kind=stored&seed={seed}")
            assert said.status_code == 200
            assert said.headers["content-type"] == "image/png"
            assert said.headers["x-sample-seed"] == str(seed)
            folder = known[said.content]
            assert said.headers["x-sample-label"] == labels.get(folder, folder)
            assert "jane" not in str(said.headers)
            assert str(tmp_path) not in str(said.headers)
        new = client.get("/v1/sample?kind=stored")
        again = client.get(f"/v1/sample?kind=stored&seed={new.headers['x-sample-seed']}")
        assert again.content == new.content
        assert services(client).engine.admission.answers_held == 0


@pytest.mark.parametrize("kind", ["dicom", "nifti", "jpeg"])
def test_a_stored_sample_has_the_type_of_its_content(tmp_path, kind):
    media = {"dicom": "application/dicom", "nifti": "application/octet-stream"}
    (tmp_path / "data").mkdir()
    content = {
        "dicom": lambda: next(iter(series(1).values())),
        "nifti": lambda: nifti_bytes(np.random.default_rng(0).random((9, 9, 3))),
        "jpeg": lambda: picture_bytes(Image.new("L", (32, 32), 90), "JPEG"),
    }[kind]()
    (tmp_path / "data" / "file").write_bytes(content)
    with running(service_settings(tmp_path, data_roots=(tmp_path / "data",))) as client:
        said = client.get("/v1/sample?kind=stored")
    assert said.content == content
    assert said.headers["content-type"] == media.get(kind, "image/jpeg")
    assert said.headers["x-content-type-options"] == "nosniff"


def test_without_allowed_folders_it_says_what_to_set(client):
    said = problem(client.get("/v1/sample?kind=stored"), 404)
    assert "SLICEWISE_DATA_ROOTS" in said["detail"]


def test_without_an_image_there_it_says_so(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "large.png").write_bytes(png(0))
    settings = service_settings(tmp_path, data_roots=(tmp_path / "data",), max_upload_bytes=1024)
    with running(settings) as client:
        said = problem(client.get("/v1/sample?kind=stored"), 404)
    assert "at most 1,024 bytes" in said["detail"]


def test_stored_samples_are_for_the_role_review(root, tmp_path):
    with keyed(service_settings(tmp_path, data_roots=(root,))) as (client, headers):
        problem(client.get("/v1/sample?kind=stored"), 401)
        refused = client.get("/v1/sample?kind=stored", headers=headers["predict"])
        expected = "kind=stored: expected the role review or more; got predict"
        assert problem(refused, 403)["detail"] == expected
        for role in ("review", "admin"):
            assert client.get("/v1/sample?kind=stored", headers=headers[role]).status_code == 200
        assert client.get("/v1/sample", headers=headers["predict"]).status_code == 200


@pytest.mark.parametrize("query", ["kind=real", "kind=stored&label=glioma", "kind=stored&seed=-1"])
def test_a_stored_sample_of_nothing_is_refused(client, query):
    problem(client.get(f"/v1/sample?{query}"), 422)
