"""Inputs of any kind to answers; what is bad is said so, and the good beside it is answered."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from builders import head_with_spot, tiny_bundle
from builders_imaging import (
    dicom_bytes,
    dicom_dataset,
    dicom_series,
    nifti_bytes,
    picture_bytes,
    png_header,
    written,
    zip_bytes,
)
from slicewise.imaging.limits import Limits
from slicewise.imaging.read import read_slices
from slicewise.imaging.slice import Failure
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import Reason, Verdict
from slicewise.inference.pipeline import BATCH, SeriesAnswers, answer_inputs

# What the reader silences when it is imported, pytest shows again.
pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")

MB = 2**20
RESET, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
HEAD = (head_with_spot(0) / 6).clip(0, 255).astype(np.uint8)
PNG = picture_bytes(HEAD)
BOMB = zip_bytes({"a.png": bytes(64 * MB)})


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return Classifier(tiny_bundle(tmp_path_factory.mktemp("bundle")))


def without_pixels() -> bytes:
    dataset = dicom_dataset(HEAD.astype(np.uint16))
    del dataset.PixelData
    return written(dataset)


def named(name: str, content: Callable[[], bytes]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content())
        return folder / name

    return write


def empty_folder(folder: Path) -> Path:
    (folder / "notes").mkdir()
    (folder / "notes" / "readme.txt").write_text("no image")
    return folder / "notes"


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty": (named("e.png", bytes), "an empty file"),
    "text named jpg": (named("t.jpg", lambda: b"hello\n" * 9), "got text"),
    "truncated picture": (named("c.png", lambda: PNG[: len(PNG) // 2]), "readable PNG picture"),
    "truncated DICOM": (
        named("c.dcm", lambda: dicom_bytes(HEAD.astype(np.uint16))[:-900]),
        "bytes",
    ),
    "one pixel": (
        named("1.png", lambda: picture_bytes(np.zeros((1, 1), np.uint8))),
        "at least 16 x 16 pixels, got 1 x 1",
    ),
    "12000 x 12000": (
        named("big.png", lambda: png_header(12_000, 12_000)),
        "at most 64,000,000 pixels, got 12000 x 12000",
    ),
    "20 MB of zeros": (named("z.dcm", lambda: bytes(20 * MB)), "unknown content"),
    "zip bomb": (named("bomb.zip", lambda: BOMB), "expand at most 200 times"),
    "zip in a zip": (named("n.zip", lambda: zip_bytes({"i.zip": BOMB})), "got another zip"),
    "zip without images": (named("t.zip", lambda: zip_bytes({"a.txt": b"x"})), "got none"),
    "truncated zip": (named("c.zip", lambda: zip_bytes({"a.png": PNG})[:-30]), "truncated"),
    "name outside the zip": (
        named("o.zip", lambda: zip_bytes({"../../evil.png": PNG})),
        "points outside it",
    ),
    "DICOM without pixels": (named("p.dcm", without_pixels), r"\(7FE0,0010\)"),
    "NaN picture": (
        named("n.tif", lambda: picture_bytes(np.full((32, 32), np.nan, np.float32), "TIFF")),
        "NaN or infinite",
    ),
    "NaN volume": (
        named("n.nii", lambda: nifti_bytes(np.full((32, 32, 3), np.nan, np.float32))),
        "NaN or infinite",
    ),
    "folder without images": (empty_folder, "at least one image, got none"),
    "missing file": (lambda folder: folder / "gone.png", "No such file"),
}


def peak_of(action: Callable[[], list]) -> tuple[list, int]:
    """What an action returns, and how many bytes the process grew beyond what it held before."""
    if not RESET.exists():
        tracemalloc.start()
        result = action()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result, peak
    RESET.write_text("5")  # the high-water mark starts again from what is resident now
    before = _status("VmRSS")
    result = action()
    return result, _status("VmHWM") - before


def _status(field: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize(("write", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_a_failure_beside_a_good_answer(classifier, tmp_path, write, message):
    bad = write(tmp_path)
    good = tmp_path / "good.png"
    good.write_bytes(PNG)
    list(answer_inputs([good], classifier))
    items, grown = peak_of(lambda: list(answer_inputs([bad, good], classifier)))
    failures = [item for item in items if isinstance(item, Failure)]
    answers = [item for item in items if isinstance(item, SeriesAnswers)]
    assert [failure.source.startswith(str(bad)) for failure in failures] == [True]
    assert message.replace("\\", "") in failures[0].error
    assert "Traceback" not in failures[0].error
    assert [item.series.source for item in answers] == [str(good)]
    assert len(answers[0].answers) == 1
    assert grown < 100 * MB


def test_a_file_that_may_not_be_opened(classifier, tmp_path, monkeypatch):
    for name in ("good.png", "secret.png"):
        (tmp_path / name).write_bytes(PNG)
    usual = Path.open

    def refuse(self, *args, **options):
        if self.name == "secret.png":
            raise PermissionError(13, "Permission denied")
        return usual(self, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    failure, answer = sorted(
        answer_inputs([tmp_path], classifier), key=lambda item: isinstance(item, SeriesAnswers)
    )
    assert (failure.source, "Permission denied" in failure.error) == (
        str(tmp_path / "secret.png"),
        True,
    )
    assert answer.series.source == str(tmp_path / "good.png")


def test_all_bad_inputs_at_once_lose_no_good_one(classifier, tmp_path):
    inputs = []
    for index, (write, _) in enumerate(BAD.values()):
        folder = tmp_path / str(index)
        folder.mkdir()
        good = folder / "good.png"
        inputs.append(write(folder))
        if index % 2:
            good.write_bytes(PNG)
            inputs.append(good)
    items = list(answer_inputs(inputs, classifier))
    assert sum(isinstance(item, Failure) for item in items) == len(BAD)
    assert sum(isinstance(item, SeriesAnswers) for item in items) == len(BAD) // 2


def test_good_members_of_a_zip_are_answered(classifier, tmp_path):
    members = {"a.png": PNG, "../b.png": PNG, "c.jpg": b"text", "d.png": PNG, "n.zip": BOMB}
    (tmp_path / "mixed.zip").write_bytes(zip_bytes(members, zipfile.ZIP_STORED))
    items = list(answer_inputs([tmp_path / "mixed.zip"], classifier))
    answered = [item.series.source for item in items if isinstance(item, SeriesAnswers)]
    assert [source.split("!")[1] for source in answered] == ["a.png", "d.png"]
    failed = {item.source.split("!")[1] for item in items if isinstance(item, Failure)}
    assert failed == {"../b.png", "c.jpg", "n.zip"}
    assert [path.name for path in tmp_path.iterdir()] == ["mixed.zip"]


def test_bad_slices_of_a_series_leave_a_study_of_the_others(classifier, tmp_path):
    volume = np.stack([HEAD.astype(np.uint16)] * 5)
    dicom_series(tmp_path / "s", volume)
    cut = sorted((tmp_path / "s").iterdir())[2]
    cut.write_bytes(cut.read_bytes()[:-900])
    items = list(answer_inputs([tmp_path / "s"], classifier))
    failure, series = sorted(items, key=lambda item: isinstance(item, SeriesAnswers))
    assert failure.source == str(cut)
    assert series.study.study.slices_total == 4
    assert "Secret" not in f"{items}"


def test_large_series_are_answered_in_small_batches(classifier, tmp_path, monkeypatch):
    volume = np.stack([(head_with_spot(i % 4, 64, i) / 6) for i in range(2 * BATCH + 3)], axis=2)
    (tmp_path / "v.nii").write_bytes(nifti_bytes(volume.astype(np.float32)))
    sizes = []
    usual = Classifier.answers

    def counted(self, slices, **options):
        sizes.append(len(slices))
        return usual(self, slices, **options)

    monkeypatch.setattr(Classifier, "answers", counted)
    (item,) = answer_inputs([tmp_path / "v.nii"], classifier)
    assert sizes == [BATCH, BATCH, 3]
    assert item.study.study.slices_total == 2 * BATCH + 3
    whole = classifier.predict(read_slices(tmp_path / "v.nii"))
    for answer, alone in zip(item.answers, whole, strict=True):
        assert answer.prediction.source == alone.source
        assert answer.prediction.probabilities == pytest.approx(alone.probabilities, abs=1e-5)


def test_the_ends_of_a_padded_volume_are_those_of_what_it_shows(classifier, tmp_path):
    real = [head_with_spot(i % 4, 64, i) / 6 for i in range(20)]
    empty = [np.zeros_like(real[0])] * 8
    volume = np.stack(empty + real + empty, axis=2).astype(np.float32)
    (tmp_path / "v.nii").write_bytes(nifti_bytes(volume))
    (item,) = answer_inputs([tmp_path / "v.nii"], classifier)
    predictions = [answer.prediction for answer in item.answers]
    marked = [i for i, p in enumerate(predictions) if Reason.END_OF_SERIES in p.reasons]
    assert marked == [8, 9, 10, 25, 26, 27]
    assert [p.decision for p in predictions].count(Verdict.REJECT) == 16
    assert not set(item.study.study.key_slices) & {predictions[i].source for i in marked}
    assert Reason.END_OF_SERIES not in item.study.reasons


def test_threshold_and_views_reach_every_answer(classifier, tmp_path):
    (tmp_path / "a.png").write_bytes(picture_bytes(HEAD[:, 8:]))
    (tmp_path / "v.nii").write_bytes(nifti_bytes(np.stack([HEAD] * 2, 2).astype(np.float32)))
    paths = [tmp_path / "a.png", tmp_path / "v.nii"]
    plain = list(answer_inputs(paths, classifier))
    asked = list(answer_inputs(paths, classifier, threshold=0.9, tta=True))
    assert {a.prediction.threshold for item in asked for a in item.answers} == {0.9}
    assert asked[1].study.threshold == 0.9
    first, other = (items[0].answers[0].prediction.probabilities for items in (plain, asked))
    assert first != other


def test_own_limits_hold(classifier, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    (item,) = answer_inputs([tmp_path / "a.png"], classifier, limits=Limits(max_pixels=100))
    assert isinstance(item, Failure)
    assert "at most 100 pixels" in item.error


def test_inputs_are_answered_one_after_another(classifier, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    items = answer_inputs([tmp_path / "a.png", tmp_path / "b.png"], classifier)
    next(items)
    (tmp_path / "b.png").write_bytes(PNG)
    assert isinstance(next(items), SeriesAnswers)


def test_no_inputs_no_answers(classifier):
    assert list(answer_inputs([], classifier)) == []


def test_the_measurement_of_memory_sees_what_is_allocated():
    """The limit of the bad inputs above rests on it, as on the size of the bomb."""
    # Larger than any block the allocator keeps for later, so that it must come from the system.
    _, grown = peak_of(lambda: [np.ones(120 * MB, np.uint8)])
    assert 100 * MB < grown < 150 * MB
    with zipfile.ZipFile(io.BytesIO(BOMB)) as archive:
        assert archive.infolist()[0].file_size == 64 * MB
    assert len(BOMB) < MB
