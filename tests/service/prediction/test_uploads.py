from __future__ import annotations

from dataclasses import replace
from threading import Event

import numpy as np
import pytest
from structlog.testing import capture_logs

from builders import head_pixels, make_slice, tiny_bundle
from builders_imaging import picture_bytes, zip_bytes
from builders_service import png, series
from slicewise.audit_log.records import Arm
from slicewise.errors import LimitError, OverloadError
from slicewise.inference.classifier import Classifier
from slicewise.service.prediction.admission import AdmissionControl
from slicewise.service.prediction.uploads import (
    Upload,
    limits_of,
    read_uploads,
    summary_of,
    upload_name_of,
)
from slicewise.service.settings import Settings

LIMITS = limits_of(Settings())


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return Classifier(tiny_bundle(tmp_path_factory.mktemp("bundle")))


def read(classifier, *uploads, arm_of=lambda sha256: Arm.MAIN, limits=LIMITS, stop=None):
    control = AdmissionControl(8, 10**6, 10**6, 10**6, lambda: 1.0)
    with control.admit() as admission:
        stop = stop or Event()
        return read_uploads(
            uploads, limits, arm_of, dict.fromkeys(Arm, classifier), admission, stop
        )


def test_every_slice_knows_its_upload_and_its_place_there(classifier):
    single = Upload.of("a.png", png(0))
    pages = Upload.of("scan.zip", zip_bytes({"x.png": png(1), **series(3)}))
    found = read(classifier, single, pages).series
    places = {
        one.ready.slice_.source: (one.sha256, one.index) for each in found for one in each.slices
    }
    assert places["a.png"] == (single.sha256, None)
    zipped = {source: place for source, place in places.items() if source.startswith("scan.zip!")}
    assert {sha256 for sha256, _ in zipped.values()} == {pages.sha256}
    assert sorted(index for _, index in zipped.values()) == [0, 1, 2, 3]


def test_members_of_a_zip_that_are_no_images_are_counted_in_the_log(classifier):
    members = {"a.png": png(0), "__MACOSX/._a.png": b"x", "DICOMDIR": b"x"}
    with capture_logs() as logged:
        prepared = read(classifier, Upload.of("z.zip", zip_bytes(members)))
    assert (len(prepared.series), prepared.failures) == (1, [])
    assert [one["members"] for one in logged] == [2]


def test_a_series_of_several_files_has_one_arm(classifier):
    uploads = [Upload.of(name, data) for name, data in series(4).items()]
    arms = {upload.sha256: Arm.MAIN for upload in uploads}
    arms[uploads[0].sha256] = Arm.CHALLENGER  # the lowest slice
    (found,) = read(classifier, *uploads, arm_of=arms.__getitem__).series
    assert found.arm is Arm.CHALLENGER
    assert [one.sha256 for one in found.slices] == [upload.sha256 for upload in uploads]


def test_the_summary_is_of_what_the_model_reads(classifier):
    bright, dim = (classifier.prepare(make_slice(head_pixels(96) * f)) for f in (1, 0.1))
    assert summary_of(bright) == pytest.approx(summary_of(dim), abs=0.01)
    levels = bright.prepared.image / 255
    expected = {"mean": levels.mean(), "std": levels.std(), "p50": np.median(levels)}
    for name, value in expected.items():
        assert summary_of(bright)[name] == pytest.approx(value, abs=1e-5)
    assert (summary_of(bright)["rows"], summary_of(bright)["columns"]) == (96, 96)


def test_limits_are_tighter_than_on_the_command_line(classifier):
    large = picture_bytes(np.zeros((6000, 6000), np.uint8))
    (failure,) = read(classifier, Upload.of("large.png", large)).failures
    assert "25,000,000 pixels" in failure.error


def test_pixels_are_summed_over_the_whole_request(classifier):
    tight = replace(LIMITS, max_volume_pixels=3 * 64**2)
    uploads = [Upload.of(f"{i}.png", png(0, seed=i, side=64)) for i in range(4)]
    assert len(read(classifier, *uploads[:3], limits=tight).series) == 3
    with pytest.raises(LimitError, match="12,288 pixels"):
        read(classifier, *uploads, limits=tight)


def test_pixels_need_room(classifier):
    with pytest.raises(OverloadError):
        read(classifier, Upload.of("a.png", png(0, side=1024)))


def test_what_nobody_waits_for_ends_with_the_next_input(classifier):
    stop, asked = Event(), []

    def arm_of(sha256):
        asked.append(sha256)
        stop.set()
        return Arm.MAIN

    uploads = [Upload.of(f"{i}.png", png(0, seed=i)) for i in range(3)]
    with pytest.raises(OverloadError, match="stopped"):
        read(classifier, *uploads, arm_of=arm_of, stop=stop)
    assert len(asked) == 1


@pytest.mark.parametrize("source", ["a.png", "a.png#3", "a.png!b.dcm", "a.png!b#c.dcm#2"])
def test_a_source_tells_its_upload(source):
    assert upload_name_of(source) == "a.png"
