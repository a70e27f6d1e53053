from __future__ import annotations

import dataclasses
import json
import threading

import numpy as np
import pytest
from PIL import Image
from structlog.testing import capture_logs

from builders import head_pixels, write_tiny_bundle
from builders_imaging import picture_bytes, zip_bytes
from builders_service import data_root, png, problem, running, service_settings
from slicewise.data.duplicates.fingerprint import fingerprints
from slicewise.data.manifest import Manifest, ManifestRow
from slicewise.errors import EvaluationError
from slicewise.evaluation.seen import seen_bytes
from slicewise.imaging import read
from slicewise.imaging.read import read_slices
from slicewise.inference.results import DISCLAIMER

NAMES = ("glioma", "meningioma", "no_tumor", "pituitary")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return data_root(tmp_path_factory.mktemp("data") / "root")


@pytest.fixture(scope="module")
def measuring(tmp_path_factory, root):
    folder = tmp_path_factory.mktemp("service")
    with running(service_settings(folder, data_roots=(root,))) as client:
        yield client


def test_evaluate_gives_what_the_command_line_writes(measuring, root, tmp_path):
    from slicewise.evaluation.evaluate import evaluate
    from slicewise.stats.bootstrap import Bootstrap

    said = measuring.post("/v1/evaluate", json={"manifest": "manifest.csv", "resamples": 50})
    report = said.json()["report"]
    expected = evaluate(
        Manifest.read(root / "manifest.csv"),
        measuring.app.state.services.engine.main,
        tmp_path,
        command=report["command"],
        bootstrap=Bootstrap(resamples=50),
        plots=False,
    )
    assert report == json.loads(json.dumps(expected))
    assert report["n"] == 12
    assert str(root) not in said.text


def test_its_folder_is_one_that_is_removed_where_the_service_is_killed(measuring, monkeypatch):
    held = []

    def noted(*given, **named):
        held.append(given[2])
        assert (held[0] / "owner").is_file()
        raise EvaluationError("stopped")

    monkeypatch.setattr("slicewise.evaluation.evaluate.evaluate", noted)
    problem(measuring.post("/v1/evaluate", json={"manifest": "manifest.csv"}), 422)
    assert held[0].name.startswith("slicewise-service-")
    assert not held[0].exists()


@pytest.mark.parametrize("place", ["absolute", "relative"])
def test_a_manifest_may_be_named_both_ways(measuring, root, place):
    name = str(root / "manifest.csv") if place == "absolute" else "manifest.csv"
    wanted = {"manifest": name, "resamples": 50, "split": "all"}
    assert measuring.post("/v1/evaluate", json=wanted).status_code == 200


def outside(root, tmp_path):
    secret = tmp_path / "outside"
    secret.mkdir(exist_ok=True)
    (secret / "manifest.csv").write_text("path\n")
    link = root / f"link_{tmp_path.name}"
    link.symlink_to(secret)
    return [
        "/etc/passwd",
        "../outside/manifest.csv",
        str(secret / "manifest.csv"),
        f"{link.name}/manifest.csv",
        str(root) + "/../outside/manifest.csv",
        str(root) + "x/manifest.csv",
        "/proc/self/environ",
    ]


def test_nothing_outside_is_opened(measuring, root, tmp_path):
    for name in outside(root, tmp_path):
        problem(measuring.post("/v1/evaluate", json={"manifest": name}), 403)
        problem(measuring.post("/metrics", json={"root": name}), 403)
        problem(measuring.post("/metrics", json={"paths": [name]}), 403)
    (root / f"link_{tmp_path.name}").unlink()


def test_a_manifest_may_not_name_what_lies_outside(measuring, root, tmp_path):
    (tmp_path / "glioma.png").write_bytes(png(0))
    row = ManifestRow(
        str(tmp_path / "glioma.png"), "glioma", "s", "", "g", "test", "a" * 64, 128, 128
    )
    Manifest((row,), root).write(root / "sly.csv")
    problem(measuring.post("/v1/evaluate", json={"manifest": "sly.csv"}), 403)
    (root / "sly.csv").unlink()


def test_links_to_folders_are_not_followed_and_told(measuring, root, tmp_path):
    (tmp_path / "glioma").mkdir()
    (tmp_path / "glioma" / "secret.png").write_bytes(png(0))
    link = root / "away"
    link.symlink_to(tmp_path, target_is_directory=True)
    said = measuring.post("/metrics", json={"root": "."}).json()
    link.unlink()
    assert said["total"] == 12
    told = "expected a folder, got a link to one (not followed)"
    assert {"path": "away", "error": told} in said["skipped"]
    assert "secret" not in str(said)


def test_links_out_of_a_folder_are_skipped(measuring, root, tmp_path):
    (tmp_path / "secret.png").write_bytes(png(0))
    link = root / "glioma" / "link.png"
    link.symlink_to(tmp_path / "secret.png")
    said = measuring.post("/metrics", json={"root": "."}).json()
    link.unlink()
    assert said["total"] == 12
    assert any("link.png" in one["path"] for one in said["skipped"])


@pytest.mark.parametrize("name", ["missing.csv", "a\0b", "x" * 900])
def test_what_is_not_there_is_told_without_its_place(measuring, name):
    response = measuring.post("/v1/evaluate", json={"manifest": name})
    problem(response, response.status_code)
    assert response.status_code in {403, 422}


def test_a_file_that_is_no_manifest_is_refused_without_its_place(measuring, root):
    (root / "notes.csv").write_text("a,b\n1,2\n")
    response = measuring.post("/v1/evaluate", json={"manifest": "notes.csv"})
    (root / "notes.csv").unlink()
    problem(response, 422)
    assert str(root) not in response.text


def test_without_roots_nothing_is_read(client):
    problem(client.post("/v1/evaluate", json={"manifest": "manifest.csv"}), 403)
    problem(client.post("/metrics", json={"root": "/"}), 403)


def test_one_evaluation_at_a_time(measuring, monkeypatch):
    from slicewise.service.compat import metrics as legacy_metrics

    began, go_on = threading.Event(), threading.Event()
    run = legacy_metrics.measured

    def held(*given):
        began.set()
        go_on.wait(10)
        return run(*given)

    monkeypatch.setattr(legacy_metrics, "measured", held)
    first = threading.Thread(
        target=measuring.post, args=("/metrics",), kwargs={"json": {"root": "."}}
    )
    first.start()
    began.wait(10)
    refused = measuring.post("/v1/evaluate", json={"manifest": "manifest.csv"})
    go_on.set()
    first.join()
    problem(refused, 503)
    assert refused.headers["retry-after"]


def test_an_evaluation_ends_at_its_time(tmp_path, root):
    settings = service_settings(tmp_path, data_roots=(root,), request_timeout_s=1e-6)
    with running(settings) as client:
        said = problem(client.post("/v1/evaluate", json={"manifest": "manifest.csv"}), 413)
        assert "12" in said["detail"]


CAUTION = "Such slices do not tell how good the model is; /v1/evaluate leaves them out. "


class TestMetrics:
    @pytest.mark.parametrize(("known", "grouped"), [(0, True), (3, True), (0, False), (3, False)])
    def test_slices_that_the_model_was_trained_on_are_told(self, tmp_path, root, known, grouped):
        trained = [root / "glioma" / f"glioma_{i}.png" for i in range(known)] or [
            tmp_path / "a.png"
        ]
        (tmp_path / "a.png").write_bytes(picture_bytes(np.eye(64, dtype=np.uint8) * 200))
        prints = fingerprints([read_slices(path)[0].pixels for path in trained])
        prints.save(tmp_path / "seen.npz")  # as an earlier SliceWise did, without groups
        bare = (tmp_path / "seen.npz").read_bytes()
        extra = {"seen.npz": seen_bytes(prints, []) if grouped else bare}
        write_tiny_bundle(tmp_path / "trained", extra)
        wanted = {"data_roots": (root,), "bundle": tmp_path / "trained"}
        with running(service_settings(tmp_path, **wanted)) as client:
            said = client.post("/metrics", json={"root": "."}).json()
        assert said["total"] == 12
        unknown = "" if grouped else "; whether on other slices of their patients is not known"
        text = f"The model was trained on {known} of 12 slices, or on copies of them{unknown}. "
        assert said["notes"] == f"{text}{CAUTION if known else ''}{DISCLAIMER}"

    def test_other_slices_of_known_patients_are_told(self, tmp_path, root, monkeypatch):
        from builders_public import index_of, row_of, ship

        rows = [
            row_of(root / "glioma" / f"glioma_{i}.png", i, "figshare:gli_1" if i else "")
            for i in range(3)
        ]
        ship(monkeypatch, index_of(tmp_path / "index.npz", rows))
        content = seen_bytes(fingerprints([head_pixels(seed=77)]), [{"public:figshare:gli_1"}])
        write_tiny_bundle(tmp_path / "trained", {"seen.npz": content})
        wanted = {"data_roots": (root,), "bundle": tmp_path / "trained"}
        with running(service_settings(tmp_path, **wanted)) as client:
            said = client.post("/metrics", json={"root": "."}).json()
        told = (
            "on 0 of 12 slices, or on copies of them; on other slices of the patients of 2 more. "
        )
        assert f"{told}{CAUTION}" in said["notes"]

    def test_a_bundle_that_cannot_tell_says_so(self, measuring):
        said = measuring.post("/metrics", json={"root": "."}).json()
        assert said["notes"] == (
            "Whether the model was trained on any of 12 slices is not checked: bundle tiny holds "
            f"no seen.npz. {CAUTION}{DISCLAIMER}"
        )

    def test_nothing_counted_is_no_fault(self, measuring, tmp_path):
        said = measuring.post("/metrics", json={"root": "glioma", "recursive": False}).json()
        assert said["notes"].endswith(DISCLAIMER)

    def test_synthetic_slices_are_told(self, measuring, root):
        drawn = measuring.get("/v1/sample", params={"label": "glioma", "seed": 1}).content
        (root / "glioma" / "drawn.png").write_bytes(drawn)
        said = measuring.post("/metrics", json={"paths": ["glioma/drawn.png"]}).json()
        (root / "glioma" / "drawn.png").unlink()
        assert "; synthetic: 1 of 1 slice. " in said["notes"]

    def test_labels_are_folders(self, measuring, root):
        said = measuring.post("/metrics", json={"root": str(root)}).json()
        assert said["total"] == 12
        assert said["correct"] == sum(one["correct"] for one in said["counts"].values())
        assert said["accuracy"] == said["correct"] / 12
        assert {label: one["total"] for label, one in said["counts"].items()} == dict.fromkeys(
            NAMES, 3
        )
        assert said["predictions"] is None

    def test_a_file_of_many_slices_is_answered_a_few_at_a_time(self, measuring, root, monkeypatch):
        from slicewise.inference.classifier import Classifier

        sizes, predict = [], Classifier.predict

        def told(self, slices, **how):
            sizes.append(len(slices))
            return predict(self, slices, **how)

        monkeypatch.setattr(Classifier, "predict", told)
        path = root / "glioma" / "all.zip"
        path.write_bytes(zip_bytes({f"{i}.png": png(0, seed=i) for i in range(20)}))
        said = measuring.post("/metrics", json={"paths": [str(path)]}).json()
        path.unlink()
        assert (said["total"], sizes) == (20, [8, 8, 4])
        assert said["bundle"] == dataclasses.asdict(
            measuring.app.state.services.engine.main.bundle.reference
        )

    def test_a_folder_of_too_many_files_is_refused(self, measuring, monkeypatch):
        from slicewise.service.compat import metrics as legacy_metrics

        monkeypatch.setattr(legacy_metrics, "MOST_PATHS", 11)
        said = problem(measuring.post("/metrics", json={"root": "."}), 413)
        assert "at most 11 files" in said["detail"]

    def test_predictions_are_listed_when_asked_for(self, measuring):
        wanted = {"root": ".", "return_predictions": True, "max_predictions": 5, "tta": True}
        said = measuring.post("/metrics", json=wanted).json()
        assert len(said["predictions"]) == 5
        first = said["predictions"][0]
        assert first["path"].startswith("glioma/")
        assert first["label"] == "glioma"

    def test_paths_may_be_named(self, measuring):
        wanted = {"paths": ["glioma/glioma_0.png", "no_tumor/no_tumor_1.png"]}
        assert measuring.post("/metrics", json=wanted).json()["total"] == 2

    def test_a_folder_may_be_searched_flat(self, measuring, root):
        deep = root / "glioma" / "more" / "glioma"
        deep.mkdir(parents=True)
        (deep / "deep.png").write_bytes(png(0))
        totals = [
            measuring.post("/metrics", json={"root": ".", "recursive": recursive}).json()["total"]
            for recursive in (True, False)
        ]
        (deep / "deep.png").unlink()
        deep.rmdir()
        deep.parent.rmdir()
        assert totals == [13, 12]

    def test_a_fault_on_one_slice_costs_no_other(self, measuring, monkeypatch):
        classifier = measuring.app.state.services.engine.main
        answers = classifier.answers

        def fails(slices, **named):
            if any("_0" in one.source for one in slices):
                raise KeyError("/secret/place")
            return answers(slices, **named)

        monkeypatch.setattr(classifier, "answers", fails)
        said = measuring.post("/metrics", json={"root": "."}).json()
        assert (said["total"], len(said["skipped"])) == (8, 4)
        assert all("fault of SliceWise" in one["error"] for one in said["skipped"])

    def test_a_fault_while_reading_one_file_is_logged(self, measuring, monkeypatch):
        decode = read.decode

        def fails(entry, content, limits, **how):
            if entry.source.endswith("glioma/glioma_0.png"):
                raise KeyError("/secret/place")
            return decode(entry, content, limits, **how)

        monkeypatch.setattr(read, "decode", fails)
        with capture_logs() as logged:
            said = measuring.post("/metrics", json={"root": "."}).json()
        assert [one["path"] for one in said["skipped"]] == ["glioma/glioma_0.png"]
        assert "fault of SliceWise" in said["skipped"][0]["error"]
        (told,) = (one for one in logged if one["event"] == "failure on an input")
        assert isinstance(told["exc_info"], KeyError)

    def test_what_cannot_be_counted_is_told(self, measuring, root):
        (root / "elsewhere").mkdir()
        Image.new("L", (32, 32)).save(root / "elsewhere" / "a.png")
        (root / "glioma" / "bad.png").write_bytes(picture_bytes(Image.new("L", (32, 32)))[:50])
        (root / "glioma" / "gone.png").symlink_to(root / "nowhere.png")
        said = measuring.post("/metrics", json={"root": "."}).json()
        (root / "glioma" / "gone.png").unlink()
        (root / "elsewhere" / "a.png").unlink()
        (root / "elsewhere").rmdir()
        (root / "glioma" / "bad.png").unlink()
        uncounted = {"elsewhere/a.png", "glioma/bad.png", "glioma/gone.png"}
        assert {one["path"] for one in said["skipped"]} == uncounted
        assert said["total"] == 12
        assert str(root) not in json.dumps(said)

    @pytest.mark.parametrize(
        "wanted", [{}, {"root": ".", "paths": ["a"]}, {"root": ""}, {"paths": []}, {"other": 1}]
    )
    def test_other_bodies_are_refused(self, measuring, wanted):
        problem(measuring.post("/metrics", json=wanted), 422)


def test_a_manifest_may_not_name_what_lies_outside_by_a_link_and_an_index(
    measuring, root, tmp_path
):
    (tmp_path / "glioma.png").write_bytes(png(0))
    (root / "l.png").symlink_to(tmp_path / "glioma.png")
    row = ManifestRow("l.png#0", "glioma", "s", "", "g", "test", "a" * 64, 128, 128)
    Manifest((row,), root).write(root / "sly.csv")
    problem(measuring.post("/v1/evaluate", json={"manifest": "sly.csv"}), 403)
    (root / "sly.csv").unlink()
    (root / "l.png").unlink()


@pytest.mark.parametrize(
    ("kind", "sent", "status"),
    [
        ("application/json", b"{broken", 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b"\xff", 400),
        ("application/json", b"[]", 422),
        ("application/json", b"", 400),
        ("text/plain", b"{}", 415),
        ("multipart/form-data; boundary=b", b"{}", 415),
    ],
)
def test_a_body_that_is_no_wish_is_refused(measuring, kind, sent, status):
    headers = {"content-type": kind}
    problem(measuring.post("/v1/evaluate", content=sent, headers=headers), status)


def test_the_caller_is_asked_for_before_the_body_is_read(tmp_path):
    from slicewise.audit_log.keys import KeyStore, Role

    settings = service_settings(tmp_path)
    keys = KeyStore.open(settings.audit_log)
    keys.create("one", Role.PREDICT)
    keys.close()
    headers = {"content-type": "application/json"}
    with running(settings) as client:
        for path in ("/v1/evaluate", f"/v1/predictions/{'0' * 32}/feedback"):
            problem(client.post(path, content=b"{broken", headers=headers), 401)
