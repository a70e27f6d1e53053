"""The challenger in shadow: for the record only, bounded, and never in the way."""

from __future__ import annotations

from structlog.testing import capture_logs

from builders_imaging import zip_bytes
from builders_service import Gate, files, png, running, series, service_settings, services, until
from slicewise.audit_log.records import Arm
from slicewise.service.prediction import shadow as shadow_module


def test_a_shadow_answers_for_the_record_only(tmp_path, rival):
    with running(service_settings(tmp_path, challenger=rival)) as client:
        said = client.post("/v1/predict", files=files(png(0))).json()
        assert said["bundle"]["name"] == "tiny"
        store = services(client).store
        until(lambda: list(store.records(arm="shadow")))
        (shadow,) = store.records(arm="shadow")
        (main,) = store.records(arm="main")
    assert shadow.bundle[0] == "rival"
    assert shadow.threshold == 0.2
    assert (shadow.request_id, shadow.input_sha256) == (main.request_id, main.input_sha256)
    assert (shadow.shadow_of, main.shadow_of) == (main.id, None)


def test_a_failing_shadow_harms_nobody(tmp_path, rival, monkeypatch):
    with running(service_settings(tmp_path, challenger=rival)) as client, capture_logs() as logged:
        engine = services(client).engine
        monkeypatch.setattr(engine.classifiers[Arm.CHALLENGER], "prepare", lambda slice_: 1 / 0)
        for _ in range(3):
            assert client.post("/v1/predict", files=files(png(0))).status_code == 200
        until(lambda: [one["event"] for one in logged].count("shadow failed") == 3)
        assert not list(services(client).store.records(arm="shadow"))


def test_a_long_series_runs_in_shadow_and_its_pixels_are_counted(tmp_path, rival, monkeypatch):
    monkeypatch.setattr(shadow_module, "MOST_SHADOWED", 4)
    with running(service_settings(tmp_path, challenger=rival, batch_size=4)) as client:
        engine = services(client).engine
        gate = Gate(engine.classifiers[Arm.CHALLENGER], monkeypatch)
        sent = {"file": ("scan.zip", zip_bytes(series(9)))}
        assert client.post("/v1/predict", files=sent).status_code == 200
        assert gate.reached.wait(10)
        assert (engine.admission.waiting, engine.admission.pixels_held) == (0, 9 * 96 * 96)
        with capture_logs() as logged:
            assert client.post("/v1/predict", files=files(png(0))).status_code == 200
        assert [one["slices"] for one in logged if one["event"] == "shadow skipped"] == [1]
        gate.open.set()
        until(lambda: len(list(services(client).store.records(arm="shadow"))) == 9)
        until(lambda: engine.admission.pixels_held == 0)
