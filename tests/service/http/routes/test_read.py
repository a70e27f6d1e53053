from __future__ import annotations

import json

import numpy as np
import pytest

from builders_imaging import dicom_bytes, picture_bytes, zip_bytes
from builders_service import files, png, problem, running, series, service_settings
from slicewise.imaging.read import read_slices
from slicewise.service.http.routes.read import compact


def unpacked(content):
    """The JSON of an answer, and a function that gives the values of a slice."""
    length = int.from_bytes(content[:4], "little")
    head, begin = json.loads(content[4 : 4 + length]), 4 + length
    assert begin % 8 == 0

    def values(slice_):
        count = slice_["rows"] * slice_["columns"]
        kind = np.dtype(slice_["type"]).newbyteorder("<")
        flat = np.frombuffer(content, kind, count, begin + slice_["offset"])
        return flat.reshape(slice_["rows"], slice_["columns"])

    def picture(slice_):
        side, at = slice_["model_input"]["size"], slice_["model_input"]["offset"]
        return np.frombuffer(content, np.uint8, side * side, begin + at).reshape(side, side)

    return head, values, picture


def read(client, sent, query=""):
    response = client.post(f"/v1/read{query}", files=sent)
    assert response.status_code == 200, response.text
    return unpacked(response.content)


def test_a_picture_comes_as_the_library_reads_it_and_is_not_recorded(client, monkeypatch):
    def fail(*_):
        raise AssertionError("recorded")

    monkeypatch.setattr(type(client.app.state.services.store), "submit", fail)
    head, values, _ = read(client, files(png(1)))
    [one] = head["series"]
    [slice_] = one["slices"]
    assert np.array_equal(values(slice_), read_slices(png(1), "s")[0].pixels)
    assert slice_["source"] == "slice0.png"
    assert slice_["type"] == "uint8"
    assert not one["is_volume"]
    assert head["errors"] == []


def test_a_series_comes_in_order_with_its_geometry(client):
    content = zip_bytes(series(5))
    head, values, _ = read(client, [("file", ("study.zip", content))])
    [one] = head["series"]
    assert one["is_volume"]
    assert one["plane"] == "axial"
    heights = [slice_["position_mm"][2] for slice_ in one["slices"]]
    assert heights == sorted(heights)
    expected = read_slices(content, "study.zip")
    for slice_, right in zip(one["slices"], expected, strict=True):
        assert np.array_equal(values(slice_), right.pixels)
        assert slice_["pixel_spacing_mm"] == [1, 1]
        assert slice_["orientation"] == [1, 0, 0, 0, 1, 0]


def test_the_model_input_is_what_the_classifier_makes(client):
    head, _, picture = read(client, files(png(2)), "?model_input=true")
    slice_ = head["series"][0]["slices"][0]
    ready = client.app.state.services.engine.main.prepare(read_slices(png(2), "s")[0])
    assert np.array_equal(picture(slice_), ready.prepared.image)
    place = ready.prepared.placement
    assert slice_["square"] == [place.top, place.left, place.side]


def test_a_bad_file_is_told_beside_the_good_one(client):
    sent = [*files(png(0)), ("file", ("notes.png", b"just some words, no picture at all"))]
    head, _, _ = read(client, sent)
    assert len(head["series"]) == 1
    assert head["errors"][0]["source"] == "notes.png"


def test_nothing_readable_is_a_problem_document(client):
    response = client.post("/v1/read", files=[("file", ("a.png", b"no picture"))])
    assert problem(response, 422)["detail"].startswith("a.png: expected")


def test_what_finds_no_room_comes_with_the_next_answer(tmp_path):
    noise = np.random.default_rng(0).integers(0, 60000, (5, 512, 512), dtype=np.uint16)
    with running(service_settings(tmp_path, page_max_bytes=2**20)) as client:
        sent = files(zip_bytes({f"{i}.png": picture_bytes(one) for i, one in enumerate(noise)}))
        found, first = [], 0
        while first is not None:
            head, values, _ = read(client, sent, f"?first={first}")
            found += [values(one) for series in head["series"] for one in series["slices"]]
            assert head["next"] in (first + 2, None)
            first = head["next"]
    np.testing.assert_array_equal(found, noise)


def test_a_slice_that_never_finds_room_is_refused(tmp_path):
    with running(service_settings(tmp_path, page_max_bytes=2**20)) as client:
        noise = np.random.default_rng(0).integers(0, 60000, (1024, 1024), dtype=np.uint16)
        response = client.post("/v1/read", files=files(picture_bytes(noise)))
        assert "expected a slice of at most 1,048,576 bytes" in problem(response, 413)["detail"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 255], "uint8"),
        ([-1, 32767], "int16"),
        ([0, 65535], "uint16"),
        ([0, 65536], "float32"),
        ([0.5, 2], "float32"),
    ],
)
def test_numbers_take_the_smallest_type_that_holds_them(values, kind):
    pixels = np.array([values], dtype=np.float32)
    found = compact(pixels)
    assert found.dtype.name == kind
    assert np.array_equal(found, pixels)


def test_a_window_of_the_file_is_told(client):
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    content = dicom_bytes(pixels, WindowCenter=600, WindowWidth=1600)
    head, _, _ = read(client, [("file", ("a.dcm", content))])
    assert head["series"][0]["slices"][0]["window"] == [600, 1600]
