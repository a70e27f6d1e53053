"""The comparison of two checkouts: what counts as equal, and what is named where it is not."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def answers(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    module = importlib.import_module("comparison_answers")
    monkeypatch.setattr(module, "RENAMED", {})
    return module


@pytest.fixture
def checkouts(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    return importlib.import_module("compare_checkouts")


def prediction(**changes):
    return {
        "source": "a.png",
        "label": "glioma",
        "probabilities": {"glioma": 0.9, "no_tumor": 0.1},
        "decision": "review",
        "reasons": ["low_trust"],
        "bundle": {"name": "made_up", "version": "1.0.0"},
        "timing_ms": 1.0,
        **changes,
    }


def answer_of(answers, *predictions, studies=(), errors=()):
    """The answer that `predict --json` gives."""
    content = {"predictions": predictions, "studies": list(studies), "errors": list(errors)}
    answer = answers.Answer()
    answers.read_object(answer, json.dumps(content), Path())
    return answer


def changes(outcome):
    return [(d.entry, d.field, d.old, d.new) for d in outcome.differences]


def test_answers_are_equal_to_the_tolerance_and_whatever_the_time(answers):
    old = answer_of(answers, prediction())
    new = answer_of(
        answers, prediction(probabilities={"glioma": 0.9 + 9e-7, "no_tumor": 0.1}, timing_ms=7.0)
    )
    outcome = answers.compare(old, new)
    assert (outcome.equal, changes(outcome), outcome.notes) == (5, [], [])


def test_each_difference_is_named(answers):
    study = {"source": "s", "study": {"label": "glioma", "slices_total": 3}, "bundle": {}}
    other = {**study, "study": {"label": "no_tumor", "slices_total": 3}}
    old = answer_of(answers, prediction(), studies=[study])
    new = answer_of(
        answers,
        prediction(probabilities={"glioma": 0.90001, "no_tumor": 0.1}, reasons=[]),
        studies=[other],
    )
    assert changes(answers.compare(old, new)) == [
        ("predictions a.png", "probabilities.glioma", 0.9, 0.90001),
        ("predictions a.png", "reasons", ["low_trust"], []),
        ("studies s", "study.label", "glioma", "no_tumor"),
    ]


def test_a_field_that_is_gone_differs_and_a_new_one_is_noted(answers):
    shorter = {key: value for key, value in prediction().items() if key != "decision"}
    outcome = answers.compare(
        answer_of(answers, prediction()), answer_of(answers, {**shorter, "ood_score": 1.0})
    )
    assert changes(outcome) == [("predictions a.png", "decision", "review", "missing")]
    assert outcome.notes == ["new field: ood_score"]


def test_an_input_that_fails_differs_from_one_that_does_not(answers):
    failed = answer_of(answers, errors=[{"source": "a.png", "error": "broken"}])
    assert changes(answers.compare(answer_of(answers, prediction()), failed)) == [
        ("predictions a.png", "", "there", "missing"),
        ("errors a.png", "", "missing", "there"),
    ]


def test_another_wording_of_an_error_is_only_noted(answers):
    first, second = (
        answer_of(answers, errors=[{"source": "a.png", "error": text}]) for text in ("one", "two")
    )
    outcome = answers.compare(first, second)
    assert not outcome.differences
    assert outcome.notes == ["wording, 'error of a.png': 'one' -> 'two'"]


def test_two_errors_of_one_source_are_two_entries(answers):
    error = {"source": "a.zip", "error": "broken"}
    outcome = answers.compare(
        answer_of(answers, errors=[error, error]), answer_of(answers, errors=[error])
    )
    assert changes(outcome) == [("errors a.zip (no. 2)", "", "there", "missing")]


def test_a_renamed_field_or_reason_is_equal(answers, monkeypatch):
    old = answer_of(answers, prediction(distance=2.0))
    new = answer_of(answers, prediction(ood_score=2.0, reasons=["low_trust_score"]))
    assert len(answers.compare(old, new).differences) == 2
    monkeypatch.setitem(answers.RENAMED, "distance", "ood_score")
    monkeypatch.setitem(answers.RENAMED, "low_trust", "low_trust_score")
    assert not answers.compare(old, new).differences
    both = answer_of(answers, prediction(ood_score=2.0, distance=2.0, reasons=["low_trust_score"]))
    assert not answers.compare(old, both).differences
    assert not answers.compare(old, old).differences
    other = answer_of(answers, prediction(ood_score=3.0))
    assert changes(answers.compare(old, other)) == [("predictions a.png", "ood_score", 2.0, 3.0)]


def test_lines_are_read_as_the_object_is(answers):
    error = {"source": "b.png", "error": "broken"}
    lines = answers.Answer()
    answers.read_lines(lines, f"{json.dumps(prediction())}\n{json.dumps(error)}\n", Path())
    whole = answer_of(answers, prediction(), errors=[error])
    assert (lines.entries, lines.wording) == (whole.entries, whole.wording)


def test_rows_of_a_manifest_are_compared_by_path(answers, tmp_path):
    def written(folder, split, reason):
        folder.mkdir()
        (folder / "m.csv").write_text(f"path,split\na.png,train\nb.png,{split}\n")
        (folder / "m.excluded.csv").write_text(f"path,reason\nc.png,{reason}\n")
        answer = answers.Answer()
        answers.manifest("m.csv")(answer, "", folder)
        return answer

    old, new = written(tmp_path / "old", "val", "x"), written(tmp_path / "new", "test", "y")
    outcome = answers.compare(old, new)
    assert changes(outcome) == [("row b.png", "split", "val", "test")]
    assert outcome.notes == ["wording, 'why c.png was left out': 'x' -> 'y'"]


def test_of_metrics_the_numbers_are_compared(answers, tmp_path):
    def written(name, content):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps(content))
        answer = answers.Answer()
        answers.numbers("metrics.json")(answer, "", tmp_path / name)
        return answer

    old = written("old", {"ece": {"value": 0.1, "ci_low": None}, "pairs": [["a"]], "text": "x"})
    new = written("new", {"ece": {"value": 0.2, "ci_low": None}, "pairs": [["b"]], "text": "y"})
    outcome = answers.compare(old, new)
    assert changes(outcome) == [("metrics.json", "ece.value", 0.1, 0.2)]
    assert outcome.equal == 3  # the bound, and how many pairs there are, of how many paths


def fake_checkout(folder, module, code):
    """A checkout whose command line is `code`."""
    package = folder / "src" / "slicewise"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(f'[project.scripts]\nslicewise = "{module}:main"\n')
    (package / "__init__.py").touch()
    (package / f"{module.rpartition('.')[2]}.py").write_text(f"import sys\ndef main():\n    {code}")
    return folder


def answering(label, code):
    content = {"predictions": [prediction(label=label)], "studies": [], "errors": []}
    return f"print({json.dumps(content)!r}); sys.exit({code})"


def run_both(checkouts, tmp_path, old, new):
    folders = (
        fake_checkout(tmp_path / "old", "slicewise.cli", old),
        fake_checkout(tmp_path / "new", "slicewise.entry", new),
    )
    both = tuple(checkouts.Checkout.at(folder, Path(sys.executable)) for folder in folders)
    command = checkouts.Command("predict", ("predict",), checkouts.read_object)
    return checkouts.compared(both, [command], tmp_path)["predict"]


def test_equal_checkouts_give_no_difference(checkouts, tmp_path):
    outcome = run_both(checkouts, tmp_path, answering("glioma", 0), answering("glioma", 0))
    assert outcome.equal
    assert not changes(outcome)


def test_labels_and_exit_codes_of_checkouts_are_compared(checkouts, tmp_path, capsys):
    outcome = run_both(checkouts, tmp_path, answering("glioma", 0), answering("pituitary", 1))
    assert changes(outcome) == [
        ("process", "exit code", 0, 1),
        ("predictions a.png", "label", "glioma", "pituitary"),
    ]
    checkouts.show({"predict": outcome})
    shown = "predict: label 'glioma' -> 'pituitary' in 1: 'predictions a.png'"
    assert shown in capsys.readouterr().out
    assert json.loads(checkouts.as_json({"predict": outcome}))["predict"]["equal"] == outcome.equal


def test_output_that_neither_can_give_is_no_equality(checkouts, tmp_path):
    outcome = run_both(checkouts, tmp_path, "print('no JSON')", "print('no JSON')")
    assert [d.entry for d in outcome.differences] == ["output"]


def test_what_is_no_checkout_is_wrong_use(checkouts, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        checkouts.main([str(tmp_path), str(tmp_path)])
    assert ended.value.code == 2
    assert "expected a checkout" in capsys.readouterr().err


def test_inputs_are_the_same_in_every_run(checkouts):
    dicom = importlib.import_module("comparison_dicom").dicom_files
    assert dicom() == dicom()
