from __future__ import annotations

import numpy as np
import pytest

from builders import SIZE
from builders_imaging import nifti_bytes, picture_bytes, zip_bytes
from builders_service import files, keyed, picture_of, png, problem, series, service_settings
from slicewise.audit_log.records import PredictionRecord
from slicewise.explain.heatmap import heat_map_of
from slicewise.explain.overlay import OverlayStyle, display, overlay
from slicewise.imaging.read import read_slices


def classifier_of(client):
    return client.app.state.services.engine.main


def recorded(client, id_) -> PredictionRecord:
    return client.app.state.services.store.get(id_)


def test_a_picture_is_answered_as_on_the_command_line_and_recorded(client):
    said = client.post("/v1/predict", files=files(png(1))).json()
    expected = classifier_of(client).predict(read_slices(png(1), "slice0.png"))[0]
    assert said["label"] == expected.label
    assert said["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    assert said["source"] == "slice0.png"
    assert said["decision"] == expected.decision
    assert said["bundle"]["sha256"] == expected.bundle.sha256
    assert "not a medical device" in said["disclaimer"].lower()
    row = recorded(client, said["id"])
    assert row.label == said["label"]
    assert row.probabilities == said["probabilities"]
    assert (row.route, row.caller, row.arm) == ("/v1/predict", "open", "main")
    assert row.slice_index is None
    assert row.summary["rows"] == 128
    assert 0 <= row.summary["p1"] <= row.summary["p50"] <= row.summary["p99"] <= 1


def test_the_record_holds_the_hash_of_what_was_sent_and_the_id_of_the_request(client):
    import hashlib

    response = client.post("/v1/predict", files=files(png(2)))
    row = recorded(client, response.json()["id"])
    assert row.input_sha256 == hashlib.sha256(png(2)).hexdigest()
    assert row.request_id == response.headers["x-request-id"]


def test_a_heat_map_is_the_overlay_of_the_library(client):
    said = client.post("/v1/predict?explain=true", files=files(png(0))).json()
    slice_ = read_slices(png(0), "s")[0]
    drawn = overlay(slice_, heat_map_of(slice_, classifier_of(client).answers([slice_])[0]))
    sent = np.asarray(picture_of(said["heatmap"]), dtype=int)
    assert np.abs(sent - np.asarray(drawn, dtype=int)).max() <= 1


@pytest.mark.parametrize("route", ["/v1/predict", "/v1/predict/batch", "/v1/explain"])
def test_a_bundle_that_is_not_loaded_cannot_be_named(client, route):
    said = problem(client.post(f"{route}?arm=challenger", files=files(png(0))), 422)
    assert said["detail"] == "arm: expected one that is loaded (main); got challenger"
    for arm in ("shadow", "Main", "", "both"):
        problem(client.post(route, files=files(png(0)), params={"arm": arm}), 422)


@pytest.mark.parametrize("route", ["/predict", "/api/predict", "/classify_slice", "/v1/read"])
def test_no_other_route_lets_a_bundle_be_named(client, route):
    problem(client.post(f"{route}?arm=main", files=files(png(0))), 422)


def test_only_reviewers_name_the_bundle_that_answers(tmp_path, rival):
    settings = service_settings(tmp_path, challenger=rival)
    with keyed(settings) as (client, headers):
        for arm in ("main", "challenger"):
            for given in ({"params": {"arm": arm}}, {"data": {"arm": arm}}):
                asked = {"files": files(png(0)), **given}
                refused = client.post("/v1/predict", headers=headers["predict"], **asked)
                expected = "arm: expected the role review or more; got predict"
                assert problem(refused, 403)["detail"] == expected
                for role in ("review", "admin"):
                    said = client.post("/v1/predict", headers=headers[role], **asked).json()
                    assert said["bundle"]["name"] == {"main": "tiny", "challenger": "rival"}[arm]
                    place = f"/v1/predictions/{said['id']}"
                    assert client.get(place, headers=headers[role]).json()["arm"] == arm
        plain = client.post("/v1/predict", headers=headers["predict"], files=files(png(0)))
        assert plain.json()["bundle"]["name"] == "tiny"


def test_without_being_asked_there_is_no_heat_map(client):
    assert client.post("/v1/predict", files=files(png(0))).json()["heatmap"] is None


@pytest.mark.parametrize("how", ["query", "form"])
def test_threshold_and_tta_come_by_query_or_form(client, how):
    given = {"threshold": "0.97", "tta": "true"}
    where = {"params": given} if how == "query" else {"data": given}
    said = client.post("/v1/predict", files=files(png(3)), **where).json()
    slices = read_slices(png(3), "s")
    expected = classifier_of(client).predict(slices, threshold=0.97, tta=True)[0]
    assert said["threshold"] == 0.97
    assert "threshold_overridden" in said["reasons"]
    assert said["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    plain = classifier_of(client).predict(slices)[0]
    assert said["probabilities"] != pytest.approx(plain.probabilities, abs=1e-5)


@pytest.mark.parametrize(
    "given", [{"threshold": "1.5"}, {"threshold": "nan"}, {"tta": "perhaps"}, {"other": "1"}]
)
@pytest.mark.parametrize("how", ["params", "data"])
def test_options_out_of_range_are_refused(client, given, how):
    problem(client.post("/v1/predict", files=files(png(0)), **{how: given}), 422)


def test_several_files_come_back_in_order(client):
    sent = [png(kind, seed=kind) for kind in range(4)]
    said = client.post("/v1/predict/batch", files=files(*sent)).json()
    alone = [client.post("/v1/predict", files=files(one)).json() for one in sent]
    assert [p["source"] for p in said["predictions"]] == [f"slice{i}.png" for i in range(4)]
    for together, single in zip(said["predictions"], alone, strict=True):
        assert together["label"] == single["label"]
        assert together["probabilities"] == pytest.approx(single["probabilities"], abs=1e-5)
    assert said["errors"] == said["studies"] == []


def test_a_bad_file_costs_the_others_nothing(client):
    said = client.post("/v1/predict/batch", files=files(png(0), b"no picture", png(1))).json()
    assert [p["source"] for p in said["predictions"]] == ["slice0.png", "slice2.png"]
    assert [e["source"] for e in said["errors"]] == ["slice1.png"]
    assert "got text" in said["errors"][0]["error"]


def test_where_nothing_can_be_answered_every_file_is_told(client):
    said = problem(client.post("/v1/predict/batch", files=files(b"no", b"neither")), 422)
    assert [e["source"] for e in said["errors"]] == ["slice0.png", "slice1.png"]


def test_files_of_one_name_are_told_apart(client):
    sent = [("file", ("a.png", png(0))), ("file", ("a.png", png(1)))]
    said = client.post("/v1/predict/batch", files=sent).json()
    assert [p["source"] for p in said["predictions"]] == ["a.png", "a.png (2)"]


def test_a_zip_of_a_series_is_a_study(client):
    sent = {"file": ("scan.zip", zip_bytes(series(8)))}
    said = client.post("/v1/predict", files=sent, params={"explain": True}).json()
    assert len(said["predictions"]) == 8
    (study,) = said["studies"]
    assert study["plane"] == "axial"
    assert study["study"]["slices_total"] == 8
    drawn = [p["source"] for p in said["predictions"] if p["heatmap"]]
    assert sorted(drawn) == sorted(study["study"]["key_slices"])
    rows = [recorded(client, p["id"]) for p in said["predictions"]]
    assert [row.slice_index for row in rows] == list(range(8))
    assert len({row.input_sha256 for row in rows}) == 1


def test_what_is_unusual_of_a_series_is_noted(client):
    members = series(8)
    del members["s3.dcm"]
    (study,) = client.post("/v1/predict", files={"file": ("scan.zip", zip_bytes(members))}).json()[
        "studies"
    ]
    assert study["notes"] == ["1 gap of 6.0 mm where slices lie 3.0 mm apart"]


def test_the_files_of_a_series_are_a_study_too(client):
    sent = [("files", (name, data)) for name, data in series(5, uid="1.2.9").items()]
    said = client.post("/v1/predict", files=sent).json()
    assert said["studies"][0]["study"]["slices_total"] == 5
    rows = [recorded(client, p["id"]) for p in said["predictions"]]
    assert len({row.input_sha256 for row in rows}) == 5
    assert {row.slice_index for row in rows} == {None}


def test_nifti_and_tiff_are_read(client):
    volume = np.random.default_rng(0).integers(0, 900, (40, 48, 3)).astype(np.int16)
    said = client.post("/v1/predict", files={"file": ("v.nii", nifti_bytes(volume))}).json()
    assert said["studies"][0]["study"]["slices_total"] == 3
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8)
    tiff = picture_bytes(pixels, "TIFF")
    assert client.post("/v1/predict", files={"file": ("t.tif", tiff)}).status_code == 200


def test_a_name_is_shown_without_its_folders(client):
    sent = {"file": ("../../etc/Jane Doe!#1.png", png(0))}
    assert client.post("/v1/predict", files=sent).json()["source"] == "Jane Doe__1.png"


def test_explain_gives_slice_and_heat_map_of_the_class_asked_for(client):
    how = {"target": "pituitary", "colormap": "lagoon", "alpha": 0.5}
    said = client.post("/v1/explain", files=files(png(0)), params=how).json()
    (one,) = said["predictions"]
    slice_ = read_slices(png(0), "s")[0]
    answer = classifier_of(client).answers([slice_])[0]
    heat = heat_map_of(slice_, answer, "pituitary")
    drawn = overlay(slice_, heat, OverlayStyle("lagoon", 0.5))
    sent = np.asarray(picture_of(one["heatmap"]), dtype=int)
    assert np.abs(sent - np.asarray(drawn, dtype=int)).max() <= 1
    assert (np.asarray(picture_of(one["original"])) == display(slice_)).all()
    assert one["target"] == "pituitary"
    assert one["peak"] == (None if heat.peak is None else list(heat.peak))


def test_an_unknown_class_cannot_be_explained(client):
    said = problem(client.post("/v1/explain?target=cat", files=files(png(0))), 422)
    assert "glioma" in said["detail"]


def test_a_blank_slice_is_rejected_and_recorded(client):
    blank = picture_bytes(np.zeros((SIZE, SIZE), np.uint8))
    said = client.post("/v1/predict", files=files(blank)).json()
    assert (said["decision"], said["tumor_flag"]) == ("reject", None)
    assert recorded(client, said["id"]).decision == "reject"


def test_maps_come_as_numbers_for_every_slice_of_a_series(client):
    sent = [("file", ("study.zip", zip_bytes(series(6))))]
    said = client.post("/v1/predict/batch?explain=map", files=sent).json()
    slices = read_slices(zip_bytes(series(6)), "study.zip")
    answers = classifier_of(client).answers(slices)
    assert len(said["predictions"]) == 6
    for one, answer in zip(said["predictions"], answers, strict=True):
        assert one["heatmap"] is None
        found = np.array([one["maps"]["values"][name] for name in one["probabilities"]])
        assert found == pytest.approx(answer.cam, abs=1e-5)
        place = answer.placement
        square = [one["maps"][name] for name in ("top", "left", "side")]
        assert square == [place.top, place.left, place.side]
        assert (one["maps"]["rows"], one["maps"]["columns"]) == (96, 96)


def test_an_answer_comes_in_words_too(client):
    sent = [("file", ("study.zip", zip_bytes(series(6))))]
    said = client.post("/v1/predict/batch", files=sent).json()
    [study] = said["studies"]
    assert study["slices"] == [one["source"] for one in said["predictions"]]
    for one in (study, *said["predictions"]):
        assert one["headline"]
        assert one["summary"].endswith(".")
        assert (one["headline"] == "Answer withheld") == (one["decision"] == "reject")
