"""Inputs of any kind to answers; a bad one is an error, and the good beside it is answered."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
from slicewise.errors import BundleError, ConfigError, InputError
from slicewise.imaging.limits import Limits
from slicewise.imaging.read import read_slices
from slicewise.imaging.slice import Failure, Slice
from slicewise.inference import predict as predict_module
from slicewise.inference.classifier import Classifier
from slicewise.inference.decision import Reason, Verdict
from slicewise.inference.predict import BATCH, answer_inputs, predict
from slicewise.inference.predict import read_slices as front_slices
from slicewise.inference.results import Predictions, SeriesAnswers

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
    "truncated picture": (named("c.png", lambda: PNG[: len(PNG) // 2]), "complete PNG picture"),
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


class TestPredict:
    def test_one_input_of_every_kind_gives_the_same(self, classifier, tmp_path):
        (tmp_path / "a.png").write_bytes(PNG)
        (tmp_path / "a.zip").write_bytes(zip_bytes({"a.png": PNG}))
        kinds = {
            str(tmp_path / "a.png"): str(tmp_path / "a.png"),
            tmp_path / "a.png": str(tmp_path / "a.png"),
            tmp_path / "a.zip": f"{tmp_path / 'a.zip'}!a.png",
            PNG: "bytes",
        }
        pixels = HEAD, HEAD.astype(np.float64), HEAD.astype(np.int16), Slice(HEAD, "mine")
        given = [*kinds.items(), *zip(pixels, ["array"] * 3 + ["mine"], strict=True)]
        for one, source in given:
            found = predict(one, bundle=classifier)
            assert [type(found), len(found), found.studies, found.errors] == [
                Predictions, 1, [], []
            ]  # fmt: skip
            assert found[0].source == source
            assert found[0].probabilities == pytest.approx(
                predict(HEAD, bundle=classifier)[0].probabilities, abs=1e-9
            )

    def test_a_folder_gives_studies_and_errors_too(self, classifier, tmp_path):
        (tmp_path / "a.png").write_bytes(PNG)
        (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        (tmp_path / "c.nii").write_bytes(nifti_bytes(np.stack([HEAD] * 3, 2).astype(np.float32)))
        found = predict(tmp_path, bundle=classifier, threshold=0.9, tta=True)
        assert [Path(p.source.split("#")[0]).name for p in found] == ["a.png"] + ["c.nii"] * 3
        assert [Path(failure.source).name for failure in found.errors] == ["b.png"]
        assert found.studies[0].study.slices_total == 3
        assert {p.threshold for p in [*found, *found.studies]} == {0.9}

    def test_a_list_mixes_them_in_order(self, classifier, tmp_path):
        (tmp_path / "a.png").write_bytes(PNG)
        given = [HEAD, tmp_path / "a.png", PNG, b"broken", Slice(HEAD, "mine")]
        found = predict(given, bundle=classifier)
        sources = ["array[0]", str(tmp_path / "a.png"), "bytes[2]", "mine"]
        assert [p.source for p in found] == sources
        assert [failure.source for failure in found.errors] == ["bytes[3]"]
        assert predict((), bundle=classifier) == predict([], bundle=classifier) == []

    def test_files_of_one_series_make_a_study(self, classifier, tmp_path):
        dicom_series(tmp_path / "s", np.stack([HEAD.astype(np.uint16)] * 4))
        paths = sorted((tmp_path / "s").iterdir())
        for given in (paths, [path.read_bytes() for path in paths]):
            found = predict(given, bundle=classifier)
            assert (len(found), len(found.studies)) == (4, 1)

    def test_slices_are_those_of_the_predictions(self, classifier, tmp_path):
        (tmp_path / "a.png").write_bytes(PNG)
        (tmp_path / "c.nii").write_bytes(nifti_bytes(np.stack([HEAD] * 3, 2).astype(np.float32)))
        found, slices = predict(tmp_path, bundle=classifier), front_slices(tmp_path)
        assert [p.source for p in found] == [slice_.source for slice_ in slices]
        again = predict(slices, bundle=classifier)
        assert [p.probabilities for p in again] == [
            pytest.approx(p.probabilities, abs=1e-5) for p in found
        ]
        with pytest.raises(InputError, match=r"gone\.png: No such file or folder"):
            front_slices(tmp_path / "gone.png")

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (None, "got NoneType"),
            (7, "got int"),
            ({"a.png": 1}, "got dict"),
            ({"a.png"}, "got set"),
            (iter(["a.png"]), "got list_iterator"),
            ([["a.png"]], "got list"),
            (["a.png", None], "got NoneType"),
            (Slice([[0.0]], "a"), "got list"),
            (HEAD[:1, :1][0], r"shape \(1,\)"),
            (np.stack([HEAD] * 3), r"shape \(3, 128, 128\). Of a volume .* give list\(volume\)"),
            (np.stack([HEAD] * 3, 2), "of a colour picture one channel"),
            (HEAD > 0, "real numbers, larger is brighter; got bool"),
            (HEAD.astype(complex), "got complex128"),
            (HEAD.astype(object), "got object"),
            (np.full((64, 64), "a"), "got <U1"),
            (np.ma.masked_array(HEAD, HEAD > 0), "got a masked array"),
        ],
    )
    def test_anything_else_is_a_type_error(self, given, message):
        """Before a model is loaded or a file is read."""
        expected = "^expected a path, bytes, an array .*" + message
        with pytest.raises(TypeError, match=expected):
            predict(given, bundle="no such bundle")
        with pytest.raises(TypeError, match=expected):
            front_slices(given)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({(0, 0): np.nan, (1, 1): -np.inf}, "got 2 of 16,384 NaN or infinite"),
            ({(0, 0): 1e300}, "got 1 of 16,384 NaN or infinite"),
        ],
    )
    def test_numbers_that_are_not_finite_are_counted(self, classifier, change, message):
        pixels = HEAD.astype(np.float64)
        for place, value in change.items():
            pixels[place] = value
        found = predict([pixels, HEAD, Slice(pixels, "mine")], bundle=classifier)
        assert [p.source for p in found] == ["array[1]"]
        assert [failure.source for failure in found.errors] == ["array[0]", "mine"]
        assert all(message in failure.error for failure in found.errors)
        with pytest.raises(InputError, match=message):
            front_slices(pixels)

    def test_an_array_is_held_to_the_limits(self, classifier):
        (failure,) = predict(HEAD[:8], bundle=classifier).errors
        assert "at least 16 x 16 pixels, got 8 x 128" in failure.error

    def test_a_given_array_stays_as_it_is(self, classifier):
        pixels = HEAD.astype(np.float32)
        pixels.flags.writeable = False
        assert len(predict(pixels, bundle=classifier)) == 1
        assert front_slices(pixels)[0].pixels is not pixels

    def test_the_bundle_may_be_a_path_or_loaded(self, tmp_path):
        bundle = tiny_bundle(tmp_path / "b")
        for given in (tmp_path / "b", str(tmp_path / "b"), bundle):
            assert predict(HEAD, bundle=given)[0].bundle == bundle.reference
        with pytest.raises(BundleError, match="no such bundle"):
            predict(HEAD, bundle=tmp_path / "gone")

    def test_a_wrong_threshold_is_an_error_before_reading(self, classifier):
        with pytest.raises(ConfigError, match="from 0 to 1; got 2"):
            predict("gone.png", bundle=classifier, threshold=2)

    def test_the_model_of_the_installation_is_loaded_once(self, monkeypatch):
        loaded = []
        usual = Classifier.load

        def load(path=None, threads=1):
            loaded.append(threads)
            return usual(path, threads)

        monkeypatch.setattr(Classifier, "load", load)
        predict_module._bundled.cache_clear()
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(predict, [HEAD] * 8))
        assert loaded == [1]
        assert {p[0].bundle.name for p in found} == {"four_class"}
